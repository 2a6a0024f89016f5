"""Lookups of ids that follow from no input, as of positions: the table ships as asked."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf import MEmComEmbedding
from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert

ITEMS, LENGTH, WIDTH = 400, 50, 32


@keras.saving.register_keras_serializable("tests")
class TokenAndPosition(keras.layers.Layer):
    def __init__(self, positions=None, **kwargs):
        super().__init__(**kwargs)
        self.token = keras.layers.Embedding(ITEMS, WIDTH, name="items")
        self.position = positions or keras.layers.Embedding(LENGTH, WIDTH, name="positions")

    def build(self, shape):
        for layer in (self.token, self.position):
            layer.build(shape)
        super().build(shape)

    def call(self, ids):
        return self.token(ids) + self.position(tf.range(tf.shape(ids)[-1]))


def model_of(length, positions=None):
    ids = keras.Input((length,), dtype="int32", name="history")
    return keras.Model(ids, TokenAndPosition(positions)(ids))


@pytest.mark.few(5)
@pytest.mark.parametrize("length", [LENGTH, 20, None])
@pytest.mark.parametrize("profile", ["portable", "litert"])
@pytest.mark.parametrize(
    "weights", ["int8", "int8_per_table", "int4", "int2", "float16", "float32"]
)
def test_positions_of_every_kind(weights, profile, length, tmp_path):
    model = model_of(length)
    conversion = convert(model, weights=weights, profile=profile, verify=length is not None)
    assert length is None or conversion.verification.passed
    stored = {e["name"].rpartition("/")[2]: e["tables"][0] for e in conversion.report["embeddings"]}
    assert set(stored) == {"items", "positions"}
    assert stored["positions"]["storage"].startswith(weights)
    conversion.save(tmp_path / "model.tflite")
    ids = np.arange(20 if length is None else length, dtype=np.int32)[None]
    found = CompressedModelFile(tmp_path / "model.tflite").run("serving_default", history=ids)
    wanted = np.array(model(ids))
    coarse = {"int8": 1, "int8_per_table": 1, "int4": 16, "int2": 64}.get(weights, 0.1)
    bound = 1e-6 if weights == "float32" else coarse * 2 * 0.05 / 127
    np.testing.assert_allclose(found["output_0"], wanted, atol=bound)


@pytest.mark.parametrize("profile", ["portable", "litert"])
def test_positions_in_a_layer_of_ours(profile):
    model = model_of(LENGTH, MEmComEmbedding(LENGTH, WIDTH, num_buckets=10, name="positions"))
    assert convert(model, profile=profile).verification.passed
