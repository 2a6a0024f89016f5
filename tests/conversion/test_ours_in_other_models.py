"""Layers of ours in models of other layers: lookups, scores, and inputs that are no ids."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf import FullEmbedding, HashedEmbedding, MEmComEmbedding
from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert


@pytest.mark.few(3)
@pytest.mark.parametrize("profile", ["portable", "litert"])
@pytest.mark.parametrize("method", [FullEmbedding, HashedEmbedding, MEmComEmbedding])
def test_scores_beside_a_negative_number_in_another_input(method, profile, tmp_path):
    change = keras.Input((1,), dtype="int32", name="a_change")
    item = keras.Input((), dtype="int32", name="item")
    layer = method(300, 16, **({} if method is FullEmbedding else {"num_buckets": 40}))
    scores = keras.layers.Lambda(lambda x: layer.score_all(x), output_shape=(300,))(layer(item))
    moved = keras.layers.Lambda(lambda x: x[0] + tf.cast(x[1], tf.float32))
    model = keras.Model([change, item], moved([scores, change]))
    conversion = convert(model, profile=profile, verify=False)
    assert conversion.report["scores_in_integers"]
    conversion.save(tmp_path / "model.tflite")
    given = {"a_change": np.array([[-7]], np.int32), "item": np.array([299], np.int32)}
    (found,) = (
        CompressedModelFile(tmp_path / "model.tflite").run("serving_default", **given).values()
    )
    wanted = np.array(model([given["a_change"], given["item"]]))
    np.testing.assert_allclose(found, wanted, atol=2e-4)
