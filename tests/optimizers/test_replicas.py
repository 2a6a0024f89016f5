"""A step of several replicas is the step of the whole batch, in the losses that are ours."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

MIRRORED = """
import sys

import numpy as np
import tensorflow as tf

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from memcom_tf._keras import is_keras_3, keras
from memcom_tf.layers import FullEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.training.distillation import DistilledRanker
from memcom_tf.training.with_loss import ModelWithLoss

rng = np.random.default_rng(0)
history = rng.integers(1, 30, (32, 5)).astype(np.int32)
target = rng.integers(1, 30, (32, 3)).astype(np.int32)
target[rng.random(target.shape) < 0.4] = 0  # the replicas have different numbers of targets
target[::2, 1:] = 0


def ranker(embedding=None):
    regularizer = keras.regularizers.L2(0.01)
    table = embedding or MEmComEmbedding(
        30, 4, num_buckets=9, embeddings_regularizer=regularizer, name="items"
    )
    made = NextItemRanker(table, history_length=5, hidden_units=(6,))
    made.build_once()
    return made


def plain():
    return ranker(), (history, target)


def distilled():
    teacher = ranker(FullEmbedding(30, 4, name="teacher"))
    return DistilledRanker(ranker(), teacher), (history, target)


def fine_tuned():
    def pooled(name):
        ids = keras.Input((5,), dtype="int32")
        wide = keras.initializers.RandomNormal(stddev=1.0)
        table = MEmComEmbedding(30, 4, wide, num_buckets=9, combiner="mean", name=name)
        return keras.Model(ids, keras.layers.Dense(1)(table(ids)))

    loss = keras.losses.get("mean_squared_error" if is_keras_3 else keras.losses.mean_squared_error)
    return ModelWithLoss(pooled("one"), loss, pooled("two"), 0.5), (history, history[:, :1] / 30)


default = tf.distribute.get_strategy()
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
make = {"plain": plain, "distilled": distilled, "fine_tuned": fine_tuned}[sys.argv[1]]
results = []
for strategy in (default, mirrored):
    keras.utils.set_random_seed(3)
    with strategy.scope():
        model, (x, y) = make()
        model.compile(keras.optimizers.SGD(0.02 if make is fine_tuned else 0.5))
    # One feed of tensors: an array of Keras' own is cut alike in both.
    losses = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
    evaluated = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)["loss"]
    weights = [np.asarray(w) for w in model.trainable_variables]
    results.append([*weights, np.array(losses), np.array(evaluated)])
assert max(np.abs(w).max() for w in results[0]) > 0
for one, two in zip(*results, strict=True):
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5, err_msg=make.__name__)
print("mirrored")
"""


@pytest.mark.long
@pytest.mark.parametrize("kind", ["fine_tuned", "plain", "distilled"])
def test_losses_of_replicas_add_up_to_that_of_the_batch(kind):
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, kind],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split()[-1:] == ["mirrored"], done.stderr[-3000:]
