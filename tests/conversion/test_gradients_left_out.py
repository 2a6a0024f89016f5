"""What only training reads of a graph is left out: a file computes no gradients."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.converters import convert

ROWS = 300


@tf.custom_gradient
def clipped(x):
    kept = tf.identity(x) * 1.0
    return kept, lambda upstream: tf.clip_by_norm(upstream, tf.norm(kept))


@keras.saving.register_keras_serializable("tests")
class Clipped(keras.layers.Layer):
    def call(self, x):
        return clipped(x)


@keras.saving.register_keras_serializable("tests")
class InBranch(keras.layers.Layer):
    """The same within a function of its own, which control flow calls."""

    def call(self, x):
        return tf.cond(tf.reduce_sum(x) > -1e9, lambda: clipped(x), lambda: x)


MIDDLES = {
    "swish": lambda: keras.layers.Dense(64, activation="swish"),
    "own": Clipped,
    "in a branch": InBranch,
}


def model_with(middle):
    ids = keras.Input((4,), dtype="int32", name="ids")
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(ROWS, 32)(ids))
    return keras.Model(ids, keras.layers.Dense(3)(MIDDLES[middle]()(pooled)))


def saved(model, folder):
    if is_keras_3:
        model.export(folder, verbose=False)
    else:
        model.save(folder)


@pytest.mark.few(2)
@pytest.mark.parametrize("from_folder", [False, True])
@pytest.mark.parametrize("middle", MIDDLES)
def test_layers_with_gradients_of_their_own_convert(middle, from_folder, tmp_path):
    model = model_with(middle)
    if from_folder:
        saved(model, tmp_path / "saved")
    assert convert(tmp_path / "saved" if from_folder else model).verification.passed


@pytest.mark.long
def test_a_folder_converts_where_its_gradients_are_not_known(tmp_path):
    """The registry of gradients is of the process that saved."""
    saved(model_with("own"), tmp_path / "saved")
    code = (
        "import sys; from memcom_tf.converters import convert; "
        "assert convert(sys.argv[1]).verification.passed"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "saved"], check=True)
