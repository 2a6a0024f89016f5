"""Models of ragged ids: in a file they are values and row splits."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf import MEmComEmbedding
from memcom_tf._keras import is_keras_3, keras
from memcom_tf.converters import CompressedModelFile, convert, verify
from memcom_tf.converters.inspection.measurement import sample_inputs
from memcom_tf.converters.model_file.row_splits import flat_inputs

ITEMS, WIDTH = 700, 16
ROWS = [[1, 2, 3], [5], [4, ITEMS - 1]]


def means(vectors):
    return tf.reduce_mean(vectors, axis=1)


def ours():
    history = keras.Input((None,), dtype="int64", ragged=True, name="history")
    pooled = MEmComEmbedding(ITEMS, WIDTH, num_buckets=70, combiner="mean", name="items")(history)
    return keras.Model(history, keras.layers.Dense(40, name="hidden")(pooled))


def plain():
    """A dense input beside the ragged one."""
    history = keras.Input((None,), dtype="int32", ragged=True, name="history")
    user = keras.Input((), dtype="int32", name="user")
    vectors = keras.layers.Embedding(ITEMS, WIDTH, name="items")(history)
    pooled = keras.layers.Lambda(means, output_shape=(WIDTH,))(vectors)
    users = keras.layers.Embedding(90, WIDTH, name="users")(user)
    return keras.Model([history, user], keras.layers.Add()([pooled, users]))


def of_keras_rs():
    keras_rs = pytest.importorskip("keras_rs")
    if not is_keras_3:
        pytest.skip("keras-rs is for Keras 3")
    history = keras.Input((None,), dtype="int32", ragged=True, name="history")
    return keras.Model(history, keras_rs.layers.EmbedReduce(ITEMS, WIDTH, combiner="sum")(history))


def filled(model):
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.1, 0.4, variable.shape))
    return model


@pytest.mark.few(1)
@pytest.mark.parametrize("profile", ["portable", "litert"])
@pytest.mark.parametrize("make", [ours, plain, of_keras_rs])
def test_the_file_is_the_model(make, profile, tmp_path):
    model = filled(make())
    conversion = convert(model, profile=profile)
    assert conversion.verification.passed, conversion.verification
    conversion.save(tmp_path / "model.tflite")
    file = CompressedModelFile(tmp_path / "model.tflite")
    assert {"history", "history_row_splits"} <= set(file.signatures["serving_default"]["inputs"])
    file.run("serving_default", **sample_inputs(file, "serving_default"))
    assert verify(model, tmp_path / "model.tflite").passed


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    model = filled(ours())
    path = tmp_path_factory.mktemp("ragged") / "model.tflite"
    convert(model, weights="float16").save(path)
    return model, CompressedModelFile(path)


@pytest.mark.parametrize("rows", [ROWS, [[7]], [[], [9], []], [[], []]])
def test_rows_are_values_and_splits(file, rows):
    model, file = file
    ragged = tf.ragged.constant(rows, dtype=tf.int64, ragged_rank=1, row_splits_dtype=tf.int32)
    expected = np.asarray(model(ragged))
    values, splits = ragged.values.numpy(), ragged.row_splits.numpy()
    for inputs in (
        {"history": rows},
        {"history": ragged},
        {"history": values, "history_row_splits": splits},
    ):
        (found,) = file.run("serving_default", **inputs).values()
        np.testing.assert_allclose(found, expected, rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("splits", [[], [0, 9], [1, 3], [0, 2, 1, 3], [[0, 3]], [0, 4]])
def test_splits_that_do_not_fit_are_refused(file, splits):
    ids = np.array([1, 2, 3], np.int64)
    with pytest.raises(ValueError, match="`history_row_splits` must rise from 0 to the number"):
        file[1].run("serving_default", history=ids, history_row_splits=np.array(splits, np.int32))


@pytest.mark.parametrize("rows", [[1, 2, 3], [[1.5], [2]], [["a"]], [[[1], [2]]]])
def test_what_are_no_rows_of_ids_is_refused(file, rows):
    with pytest.raises(ValueError, match="`history` must be a sequence of rows of integers"):
        file[1].run("serving_default", history=rows)


def test_ids_that_the_file_cannot_take_are_refused():
    rows = [[3, 2**40]]
    with pytest.raises(ValueError, match=f"must be int32. Received: id={2**40}"):
        flat_inputs({"history": rows}, {"history": "int32", "history_row_splits": "int32"})


def test_examples_and_specs_of_subclassed_models(tmp_path):
    class Pooled(keras.Model):
        def __init__(self):
            super().__init__()
            self.items = keras.layers.Embedding(ITEMS, WIDTH, name="items")

        def call(self, history):
            return means(self.items(history))

    model = Pooled()
    example = tf.ragged.constant(ROWS, dtype=tf.int32)
    model(example)
    for inputs in (example, tf.RaggedTensorSpec([None, None], tf.int32)):
        conversion = convert(model, inputs=inputs)
        assert conversion.verification.passed
        conversion.save(tmp_path / "model.tflite", overwrite=True)
        file = CompressedModelFile(tmp_path / "model.tflite")
        assert file.signatures["serving_default"]["inputs"] == ["input_0", "input_0_row_splits"]


def test_other_ragged_tensors_are_named():
    nested = keras.Input((None, None), dtype="int32", ragged=True, name="nested")
    model = keras.Model(nested, keras.layers.Lambda(lambda x: x, output_shape=(None, None))(nested))
    with pytest.raises(ValueError, match=r"must be ids of shape .* Received: name='nested'"):
        convert(model)
