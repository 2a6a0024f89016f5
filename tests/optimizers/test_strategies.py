"""Distribution over two devices."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.optimizers.cases import both

MIRRORED = """
import sys
import numpy as np
import tensorflow as tf

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from memcom_tf._keras import keras
from memcom_tf.layers import MEmComEmbedding
from memcom_tf.optimizers import LazyAdam
from memcom_tf.optimizers.hooks import as_tf_variable
from tests.optimizers.cases import SETTINGS, embedding_model, examples, set_up, values_of

default = tf.distribute.get_strategy()
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for name in ("adam", "rowwise", "nesterov"):
    results = []
    for strategy in (default, mirrored):
        with strategy.scope():
            optimizer = set_up(name)
            model = embedding_model(optimizer)
        before = values_of(model.trainable_variables)
        # Dense batches of even size: what the replicas add up to is the step of the whole batch.
        ids, target = examples(32)
        model.fit(ids, target, batch_size=8, shuffle=False, verbose=0)
        results.append(values_of([*model.trainable_variables, *optimizer.variables]))
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)
    # The replicas agree, and the second is not just a spectator.
    slots = optimizer.slots_of(model.trainable_variables[0])
    for variable in [*model.trainable_variables, *slots]:
        first, second = strategy.experimental_local_results(as_tf_variable(variable))
        assert "CPU:1" in second.device, second.device
        np.testing.assert_array_equal(first.numpy(), second.numpy())
    moved = (np.asarray(model.trainable_variables[1]) != before[1]).any(axis=1)
    assert set(moved.nonzero()[0]) == set(ids.ravel())

# A layer of ours trains there to the same end.
results = []
for strategy in (default, mirrored):
    keras.utils.set_random_seed(1)
    with strategy.scope():
        layer = MEmComEmbedding(20, 4, num_buckets=7, combiner="mean")
        model = keras.Sequential([keras.Input((6,), dtype="int32"), layer, keras.layers.Dense(1)])
        model.compile(LazyAdam(0.05), "mse")
    rng = np.random.default_rng(0)
    ids, target = rng.integers(0, 20, (32, 6)), rng.normal(size=(32, 1))
    model.fit(ids, target, batch_size=8, epochs=2, shuffle=False, verbose=0)
    results.append(values_of(model.trainable_variables))
for one, two in zip(*results, strict=True):
    np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-5)
print("mirrored")
"""


@pytest.mark.long
@both
def test_mirrored_strategy_is_the_whole_batch(mode):
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split()[-1:] == ["mirrored"], done.stderr
    assert "plain TensorFlow ops" not in done.stderr
