"""Vectors of each method, computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf.layers import (
    DoubleHashedEmbedding,
    FullEmbedding,
    HashedEmbedding,
    HashWeightedEmbedding,
    LowRankEmbedding,
    MEmComEmbedding,
    MultiLayerEmbedding,
    QuotientRemainderEmbedding,
    TruncatedEmbedding,
)
from memcom_tf.ops.hashing import UniversalHash
from memcom_tf.ops.numpy_ops import NumpyOps


def with_tables(layer, **tables):
    layer.build(None)
    assert [table.name for table in layer.tables()] == list(tables)
    for variable, values in zip(layer.trainable_variables, tables.values(), strict=True):
        variable.assign(np.array(values, np.float32))
    return layer


def test_full():
    layer = with_tables(FullEmbedding(3, 2), embeddings=[[1, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(layer(np.array([2, 0])), [[5, 6], [1, 2]])


def test_memcom():
    """Id 3 shares row 3 mod 2 = 1 with id 1: [3, 4] * 10."""
    layer = with_tables(
        MEmComEmbedding(4, 2, num_buckets=2),
        shared=[[1, 2], [3, 4]],
        multiplier=[[1], [-1], [0.5], [10]],
    )
    np.testing.assert_array_equal(layer(np.array([3, 1, 2])), [[30, 40], [-3, -4], [0.5, 1]])


def test_memcom_with_bias():
    layer = with_tables(
        MEmComEmbedding(3, 2, num_buckets=2, bias=True),
        shared=[[1, 2], [3, 4]],
        multiplier=[[1], [1], [2]],
        bias=[[0], [0.5], [-1]],
    )
    np.testing.assert_array_equal(layer(np.array([1, 2])), [[3.5, 4.5], [1, 3]])


def test_memcom_learning_rate_scales_the_variables_of_an_id():
    layer = with_tables(
        MEmComEmbedding(2, 2, num_buckets=1, multiplier_learning_rate=10.0),
        shared=[[1, 2]],
        multiplier=[[0.1], [0.3]],
    )
    np.testing.assert_allclose(layer(np.array([0, 1])), [[1, 2], [3, 6]], rtol=1e-6)
    fresh = MEmComEmbedding(2, 2, num_buckets=1, multiplier_learning_rate=10.0)
    fresh.build(None)
    np.testing.assert_allclose(fresh.table_values()["multiplier"], 0.1)


def test_memcom_learning_rate_under_adam():
    """Adam's first step is its learning rate: V moves ten times as far as U."""
    import tensorflow as tf

    from memcom_tf._keras import keras

    def moved(rate):
        layer = MEmComEmbedding(2, 2, "ones", num_buckets=1, multiplier_learning_rate=rate)
        layer.build(None)
        before = layer.fold(NumpyOps(), layer.table_values())["multiplier"].copy()
        optimizer = keras.optimizers.Adam(0.01)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(np.array([0])))
        variable = layer.trainable_variables[1]
        optimizer.apply_gradients([(tape.gradient(loss, variable), variable)])
        return (before - layer.fold(NumpyOps(), layer.table_values())["multiplier"])[0, 0]

    assert moved(10.0) == pytest.approx(10 * moved(1.0), rel=1e-3)


@pytest.mark.parametrize(
    ("operation", "expected"), [("add", [13, 24]), ("mult", [30, 80]), ("concat", [3, 20])]
)
def test_quotient_remainder(operation, expected):
    """Id 5 with m = 3: remainder row 2, quotient row 1."""
    wide = operation != "concat"
    layer = with_tables(
        QuotientRemainderEmbedding(6, 2, num_buckets=3, operation=operation),
        remainder=[[1, 2], [2, 3], [3, 4]] if wide else [[1], [2], [3]],
        quotient=[[5, 6], [10, 20]] if wide else [[5], [20]],
    )
    np.testing.assert_array_equal(layer(np.array([5])), [expected])


def test_quotient_remainder_tells_all_ids_apart():
    for num_buckets in range(1, 31):
        pairs = {(i % num_buckets, i // num_buckets) for i in range(30)}
        layer = QuotientRemainderEmbedding(30, 2, num_buckets=num_buckets)
        assert len(pairs) == 30
        assert max(quotient for _, quotient in pairs) == layer.num_quotients - 1


def test_multi_layer():
    layer = with_tables(
        MultiLayerEmbedding(2, 2, inner_dim=3),
        inner=[[1, 0, 2], [0, 1, 0]],
        projection=[[1, 2], [3, 4], [5, 6]],
    )
    np.testing.assert_array_equal(layer(np.array([0, 1])), [[11, 14], [3, 4]])
    folded = layer.fold(NumpyOps(), layer.table_values())
    np.testing.assert_array_equal(folded["embeddings"], [[11, 14], [3, 4]])


def test_hashed():
    layer = with_tables(HashedEmbedding(5, 1, num_buckets=2), hashed=[[7], [8]])
    np.testing.assert_array_equal(layer(np.array([0, 1, 4])), [[7], [8], [7]])
    layer = HashedEmbedding(5, 1, num_buckets=2, num_dedicated=1)
    layer = with_tables(layer, hashed=[[6], [7], [8]])
    np.testing.assert_array_equal(layer(np.arange(5)), [[6], [7], [8], [7], [8]])


def test_universal_hash():
    """p = 11, base = 3, a = 1 + int(8 * 0.618...) = 5, b = int(11 * frac(3 * 0.618...)) = 9."""
    ids = np.arange(10)
    np.testing.assert_array_equal(UniversalHash(10, 4, 0)(ids), ((5 * ids + 9) % 11) % 4)


def test_double_hashed():
    first, second = (UniversalHash(9, 2, index) for index in (0, 1))
    tables = {"hashed_0": [[1], [2]], "hashed_1": [[10], [20]]}
    layer = with_tables(DoubleHashedEmbedding(9, 1, num_buckets=2), **tables)
    expected = [
        [tables["hashed_0"][first(i)][0] + tables["hashed_1"][second(i)][0]] for i in range(9)
    ]
    np.testing.assert_array_equal(layer(np.arange(9)), expected)
    assert len({tuple(row) for row in expected}) > 2


def test_hash_weighted():
    first, second = (UniversalHash(3, 1, index) for index in (0, 1))
    assert {*first(np.arange(3)), *second(np.arange(3))} == {0}
    layer = with_tables(
        HashWeightedEmbedding(3, 2, num_buckets=1),
        hashed_0=[[1, 2]],
        hashed_1=[[3, 5]],
        importance_0=[[1], [2], [0]],
        importance_1=[[1], [0.5], [-1]],
    )
    np.testing.assert_array_equal(layer(np.array([0, 1, 2])), [[4, 7], [3.5, 6.5], [-3, -5]])


def test_low_rank():
    layer = with_tables(
        LowRankEmbedding(2, 3, rank=2),
        factor=[[1, 2], [0, -1]],
        projection=[[1, 0, 1], [0, 3, 1]],
    )
    np.testing.assert_array_equal(layer(np.array([0, 1])), [[1, 6, 3], [0, -3, -1]])


def test_truncated():
    layer = with_tables(TruncatedEmbedding(5, 1, num_kept=2), kept=[[1], [2], [9]])
    np.testing.assert_array_equal(layer(np.array([0, 1, 2, 4])), [[1], [2], [9], [9]])
