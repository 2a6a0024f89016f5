"""Codes that train: what ships is what was trained, and training beats codes by hashes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf import DPQEmbedding, TrainedResidualQuantizedEmbedding
from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.models import NextItemRanker

KINDS = [DPQEmbedding, TrainedResidualQuantizedEmbedding]
every_kind = pytest.mark.parametrize("kind", KINDS)
ITEMS, LENGTH = 120, 4


def ranker(layer):
    model = NextItemRanker(layer, history_length=LENGTH)
    model.build((None, LENGTH))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss)
    return model


@pytest.mark.few(1)
@every_kind
def test_codes_are_trained_shipped_and_proved(kind, tmp_path):
    rng = np.random.default_rng(0)
    histories = rng.integers(1, ITEMS, (512, LENGTH))
    targets = histories[:, -1] % (ITEMS - 1) + 1
    layer = kind(ITEMS, 16, num_codebooks=4, num_codes=16)
    model = ranker(layer)
    before = layer.fold(_numpy(), layer.table_values())["codes"]
    losses = model.fit(histories, targets, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.6 * losses[0]
    after = layer.fold(_numpy(), layer.table_values())["codes"]
    assert (np.asarray(before) != np.asarray(after)).mean() > 0.3  # they moved
    queries = layer.table_values()["queries"]
    vectors = layer(np.arange(ITEMS)).numpy()
    assert ((vectors - queries) ** 2).sum() < 0.5 * (queries**2).sum()  # and agree with the rows
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(histories), model(histories))
    converted = convert(loaded, k=5)
    assert converted.verification.passed
    item = converted.report["embeddings"][0]
    assert [table["name"] for table in item["tables"]] == ["codes", "codebooks"]
    converted.save(tmp_path / "model.tflite")
    file = CompressedModelFile(tmp_path / "model.tflite")
    scores = np.array(model(histories[:50]))
    np.put_along_axis(scores, histories[:50], -np.inf, axis=1)
    right = [file.rank(row)[0][0] == scores[at].argmax() for at, row in enumerate(histories[:50])]
    assert np.mean(right) > 0.9


@every_kind
def test_from_a_table_it_is_the_closed_form(kind):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(400, 16)).astype(np.float32)
    layer = kind.from_table(table, num_codebooks=4, num_codes=16)
    np.testing.assert_array_equal(layer.table_values()["queries"], table)
    shipped = kind._shipped.from_table(table, num_codebooks=4, num_codes=16)
    errors = [((x(np.arange(400)).numpy() - table) ** 2).sum() for x in (layer, shipped)]
    assert errors[0] < 1.2 * errors[1]


@pytest.mark.few(1)
@every_kind
def test_the_loss_of_quantization_brings_rows_and_books_together(kind):
    rng = np.random.default_rng(0)
    histories = rng.integers(1, ITEMS, (64, LENGTH))
    errors = []
    for weight in (0.0, 10.0):
        keras.utils.set_random_seed(4)
        layer = kind(ITEMS, 16, num_codebooks=4, num_codes=16, loss_weight=weight)
        ranker(layer).fit(histories, histories[:, 0], epochs=20, verbose=0)
        queries = layer.table_values()["queries"]
        errors.append(((layer(np.arange(ITEMS)).numpy() - queries) ** 2).sum() / (queries**2).sum())
    assert errors[1] < 0.8 * errors[0]


@every_kind
def test_scores_of_all_items_reach_the_rows_too(kind):
    layer = kind(ITEMS, 16, num_codebooks=4, num_codes=16)
    query = tf.random.normal((3, 16), seed=1)
    expected = layer.score_all(query)
    with tf.GradientTape() as tape:
        scores = layer.score_all(query)
        total = tf.reduce_sum(scores**2)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)
    for gradient in tape.gradient(total, layer.trainable_variables):
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0


@every_kind
@pytest.mark.parametrize("argument", ["loss_weight", "commitment"])
def test_negative_weights_are_named(kind, argument):
    with pytest.raises(ValueError, match=f"must be 0 or more.*{argument}=-1"):
        kind(ITEMS, 16, num_codebooks=4, **{argument: -1})


def _numpy():
    from memcom_tf.ops.numpy_ops import NumpyOps

    return NumpyOps()
