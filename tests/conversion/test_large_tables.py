"""Tables that are no constants of a graph, as those of more than 2 GB cannot be."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf import FullEmbedding
from memcom_tf._keras import is_keras_3, keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.tracing import large
from memcom_tf.models import NextItemRanker
from tests.contract.methods import CASES, name_of
from tests.contract.test_export import K, trained_ranker

HISTORY = np.array([[3, 229, 7, 0, 0]], np.int32)


@pytest.fixture
def all_are_large(monkeypatch):
    monkeypatch.setattr(large, "LARGE_BYTES", 256)


def answers(conversion, folder, **inputs):
    path = folder / "model.tflite"
    conversion.save(path, overwrite=True)
    file = CompressedModelFile(path)
    return {name: file.run(name, **given) for name, given in inputs.items()}


@pytest.mark.few(1)
@pytest.mark.usefixtures("all_are_large")
@pytest.mark.parametrize("case", [case for case in CASES if not case.variant], ids=name_of)
def test_rankers_equal_their_files(case):
    conversion = convert(trained_ranker(case), k=K)
    assert conversion.verification.passed
    assert len(conversion.report["signatures"]) == 3


def click_model():
    history = keras.Input((5,), dtype="int32", name="history")
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(300, 16)(history))
    hidden = keras.layers.Dense(100, name="hidden")(pooled)
    return keras.Model(history, keras.layers.Dense(1, name="click")(hidden))


@pytest.mark.few(1)
@pytest.mark.parametrize("profile", ["portable", "litert"])
@pytest.mark.parametrize("weights", ["int8", "int4", "float16", "float32"])
def test_tables_and_kernels_of_other_layers_are_the_same(weights, profile, tmp_path, monkeypatch):
    model = click_model()
    inputs = {"serving_default": {"history": HISTORY}}
    small = convert(model, weights=weights, profile=profile, verify=False)
    expected = answers(small, tmp_path, **inputs)["serving_default"]
    monkeypatch.setattr(large, "LARGE_BYTES", 256)
    conversion = convert(model, weights=weights, profile=profile)
    assert conversion.verification.passed
    found = answers(conversion, tmp_path, **inputs)["serving_default"]
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5)
    # No table is in the file as floats as well, or twice.
    assert conversion.report["graph_bytes"] < 1.02 * small.report["graph_bytes"]


@pytest.mark.usefixtures("all_are_large")
def test_a_saved_model_equals_its_file(tmp_path):
    model = click_model()
    model.export(tmp_path / "saved", **({"verbose": False} if is_keras_3 else {}))
    conversion = convert(tmp_path / "saved")
    assert conversion.verification.passed
    assert [e["tables"][0]["bits"] for e in conversion.report["embeddings"]] == [8, 8]


@pytest.mark.usefixtures("all_are_large")
def test_signatures_share_the_bytes_of_a_table():
    history = keras.Input((5,), dtype="int32", name="history")
    layer = FullEmbedding(2000, 16, combiner="mean")
    conversion = convert(keras.Model(history, layer(history)), verify=False)
    assert len(conversion.report["signatures"]) == 2
    assert conversion.report["graph_bytes"] < 1.3 * 2000 * (16 + 4)


@pytest.mark.few(2)
@pytest.mark.usefixtures("all_are_large")
@pytest.mark.parametrize("storage", ["int8_per_row", "int4_per_row", "float16"])
def test_scores_share_the_bytes_that_embedding_lookup_reads(storage):
    layer = FullEmbedding(2000, 16, storage={"embeddings": storage})
    ranker = NextItemRanker(layer, history_length=5)
    ranker.build_once()
    conversion = convert(ranker, profile="litert")
    assert conversion.verification.passed
    bits = {"int8_per_row": 8, "int4_per_row": 4, "float16": 16}[storage]
    assert conversion.report["graph_bytes"] < 20_000 + 2000 * (16 * bits // 8 + 12)


@pytest.mark.usefixtures("all_are_large")
def test_a_variable_that_is_read_otherwise_stays_floats():
    @keras.saving.register_keras_serializable("tests")
    class Sums(keras.layers.Layer):
        def build(self, _):
            self.kernel = self.add_weight(shape=(64, 48), name="kernel")

        def call(self, x):
            return x * tf.reduce_sum(tf.convert_to_tensor(self.kernel))

    ids = keras.Input((), dtype="int32", name="ids")
    model = keras.Model(ids, Sums()(keras.layers.Embedding(300, 16)(ids)))
    conversion = convert(model)
    assert conversion.verification.passed
    ((name, reason),) = conversion.report["left_as_floats"].items()
    assert name.endswith("kernel")
    assert reason == "read by Sum"


@pytest.mark.usefixtures("all_are_large")
def test_what_no_file_can_hold_is_refused(monkeypatch):
    monkeypatch.setattr(large, "LARGEST_FILE", 5000)
    with pytest.raises(ValueError, match=r"at most 5,000 bytes.*Received: bytes=\d+\. Store them"):
        convert(click_model())


@pytest.mark.usefixtures("all_are_large")
def test_an_array_is_one_tensor_while_it_lives():
    values = np.ones((50, 4), np.float32)
    gc.collect()  # what other tests have left
    before = len(large._tensors)
    assert large.in_graph(values) is large.in_graph(values)
    assert large.in_graph(values.view(np.int32)) is not large.in_graph(values)
    assert len(large._tensors) == before + 2
    del values
    gc.collect()
    assert len(large._tensors) == before
