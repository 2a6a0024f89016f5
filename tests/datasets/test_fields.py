"""Several fields in one table, each behind the rows of those before it."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf import MEmComEmbedding
from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert
from tests.quantization.test_profiles import filled

SIZES = np.array([5, 400, 30])
OFFSETS = np.array([0, 5, 405])


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("ours", [False, True])
def test_offsets_are_added_to_ids(dtype, ours, tmp_path):
    """Keras adds a vector to ids by an operator that the converter has for floats alone."""
    fields = keras.Input((3,), dtype=dtype, name="fields")
    rows = int(SIZES.sum())
    table = MEmComEmbedding(rows, 8, num_buckets=40) if ours else keras.layers.Embedding(rows, 8)
    vectors = table(fields + OFFSETS.astype(dtype))
    model = filled(keras.Model(fields, keras.layers.Flatten()(vectors)))
    conversion = convert(model, weights="float32")
    assert conversion.verification.passed, conversion.verification
    conversion.save(tmp_path / "model.tflite")
    ids = np.array([[0, 0, 0], SIZES - 1, [4, 17, 3]], dtype)
    file = CompressedModelFile(tmp_path / "model.tflite")
    (found,) = file.run("serving_default", fields=ids).values()
    wanted = np.asarray(table((ids + OFFSETS).astype(dtype))).reshape(3, -1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_an_id_of_two_inputs():
    """No day is too late for hour 0, and no hour for day 0, but not all of them go together."""
    hour, day = (keras.Input((), dtype="int32", name=name) for name in ("hour", "day"))
    table = keras.layers.Embedding(7 * 24, 8)
    model = filled(keras.Model([hour, day], table(day * 24 + hour)))
    conversion = convert(model, weights="float32")
    assert conversion.verification.passed, conversion.verification
