"""Training in few bits: worth more than rounding afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.kernels import use
from memcom_tf.layers import FullEmbedding, MEmComEmbedding
from memcom_tf.tables import Table

ITEMS, WIDTH, STEPS = 60, 12, 300


def losses(make_layer, aware: bool) -> tuple[float, float]:
    """Errors of a regression on vectors of ids, as trained and as stored."""
    keras.utils.set_random_seed(2)
    rng = np.random.default_rng(1)
    features = rng.normal(size=(WIDTH, 3)).astype(np.float32)
    targets = rng.normal(size=(ITEMS, 3)).astype(np.float32)
    inputs = keras.Input((), dtype="int32")
    layer = make_layer(aware)
    head = keras.layers.Dense(3, use_bias=False, trainable=False)
    model = keras.Model(inputs, head(layer(inputs)))
    head.set_weights([features])
    # Values that wander over an edge between two levels must come to rest.
    rate = keras.optimizers.schedules.CosineDecay(0.02, STEPS)
    model.compile(keras.optimizers.Adam(rate), "mse")
    ids = np.arange(ITEMS)
    steps = tf.data.Dataset.from_tensors((ids, targets)).repeat(STEPS)
    model.fit(steps, verbose=0, shuffle=False)
    trained = float(model.evaluate(ids, targets, verbose=0, batch_size=ITEMS))
    layer.quantization_aware = True
    stored = float(((np.asarray(layer(ids)) @ features - targets) ** 2).mean())
    return trained, stored


def full(aware: bool) -> FullEmbedding:
    storage = {"embeddings": "int2_per_row"}
    return FullEmbedding(ITEMS, WIDTH, storage=storage, quantization_aware=aware)


def memcom(aware: bool) -> MEmComEmbedding:
    storage = {"shared": "int2_per_table", "multiplier": "int8_per_bucket"}
    return MEmComEmbedding(ITEMS, WIDTH, num_buckets=30, storage=storage, quantization_aware=aware)


@pytest.mark.few(1)
@pytest.mark.parametrize(("make_layer", "share"), [(full, 0.7), (memcom, 0.9)])
def test_two_bits_trained_beat_two_bits_afterwards(make_layer, share):
    trained, stored = losses(make_layer, aware=True)
    _, rounded_afterwards = losses(make_layer, aware=False)
    assert stored == pytest.approx(trained, rel=1e-3)
    assert stored < share * rounded_afterwards


def test_rounding_is_for_the_plain_ops():
    layer = FullEmbedding(ITEMS, WIDTH, storage={"embeddings": "int4_per_row"}, combiner="mean")
    layer.build(None)
    with use("auto"):
        graph = tf.function(lambda ids: layer(ids, training=True)).get_concrete_function(
            tf.TensorSpec([None, 3], tf.int32)
        )
    assert not any(op.type.startswith("Memcom>") for op in graph.graph.get_operations())
    assert layer.supports_jit


def test_rows_with_scales_of_their_own_have_sparse_gradients():
    layer = FullEmbedding(ITEMS, WIDTH, storage={"embeddings": "int4_per_row"})
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(np.array([3, 5])) ** 2)
    (gradient,) = tape.gradient(loss, layer.trainable_variables)
    assert isinstance(gradient, tf.IndexedSlices)
    assert gradient.indices.numpy().tolist() == [3, 5]


@pytest.mark.parametrize("storage", ["int8_per_row", "int4_per_row", "int2_per_table"])
def test_rows_of_a_large_table_are_rounded_as_the_whole_is(storage, monkeypatch):
    from memcom_tf.ops import quantization_aware

    values = tf.constant(np.random.default_rng(4).normal(size=(30, 6)), tf.float32)
    table, rows = Table("t", 30, 6, storage=storage), [3, 29, 3, 0]
    whole = quantization_aware.RoundedTable(values, table).rows(rows)
    monkeypatch.setattr(quantization_aware, "_WHOLE", 0)
    alone = quantization_aware.RoundedTable(values, table).rows(rows)
    np.testing.assert_allclose(alone, whole, rtol=1e-6)
    assert not np.allclose(whole, tf.gather(values, rows))
