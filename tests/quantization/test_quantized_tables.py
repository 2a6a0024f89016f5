"""Tables as integers: how near they come, how they are packed, and that a file keeps them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from memcom_tf._keras import keras
from memcom_tf.converters import convert
from memcom_tf.converters.preparation.report import share_not_unique
from memcom_tf.converters.quantization.fold import ship
from memcom_tf.converters.quantization.packing import pack, unpack
from memcom_tf.converters.quantization.quantize import quantize_table
from memcom_tf.converters.tracing.top_k import top_k_of_groups
from memcom_tf.layers import (
    FullEmbedding,
    HashedEmbedding,
    LowRankEmbedding,
    MEmComEmbedding,
    TruncatedEmbedding,
)
from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.tables import Table


def stored(values, storage="int8_per_row"):
    values = np.asarray(values, np.float32)
    return quantize_table(Table("t", *values.shape, storage=storage), values)


@pytest.mark.parametrize("storage", ["int8_per_row", "int8_per_table", "int16_per_table"])
def test_values_are_within_half_a_step(storage):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 6)) * rng.lognormal(0, 3, (50, 1))
    table = stored(values, storage)
    steps = np.abs(table.dequantized() - values.astype(np.float32)) / table.scale
    assert 0.4 < steps.max() <= 0.5 + 1e-2
    assert table.data.dtype == storage.partition("_")[0]
    # The largest value uses the whole range, of every row where it has a scale of its own.
    largest = np.abs(table.data.astype(int)).max(axis=1)
    full = np.iinfo(table.data.dtype).max
    assert (largest == full).all() if table.scaled_by_row else largest.max() == full
    assert (np.abs(table.dequantized() - values) <= table.radius).all()


@pytest.mark.parametrize("storage", ["int8_per_row", "int8_per_table", "int16_per_table"])
def test_zeros_stay_zeros(storage):
    table = stored([[0, 0], [1, -2]], storage)
    np.testing.assert_array_equal(table.dequantized()[0], 0)
    assert (table.scale > 0).all()
    np.testing.assert_array_equal(stored(np.zeros((2, 3)), storage).dequantized(), 0)


def test_one_scale_for_the_table_is_stored_without_a_table_of_scales():
    assert stored(np.ones((5, 4))).scale_bytes == 20
    assert stored(np.ones((5, 4)), "int8_per_table").scale_bytes == 0
    assert stored(np.ones((5, 4)), "int16_per_table").data_bytes == 40


def test_float32_is_stored_as_it_is():
    values = np.float32([[1e-30, 3.3]])
    table = stored(values, "float32")
    np.testing.assert_array_equal(table.dequantized(), values)
    assert table.radius == 0


def test_float16_is_within_half_an_ulp_and_has_no_scale():
    values = np.float32([[65504, 1], [2**-24, 3e-8], [0.1, -0.3], [0, 0]])
    table = stored(values, "float16")
    assert table.data.dtype == np.float16
    assert (table.data_bytes, table.scale_bytes, table.packed_bits) == (16, 0, 0)
    error = np.abs(table.dequantized() - values)
    assert (error <= table.radius).all()
    assert (error[1:3].max(axis=1) > table.radius[1:3, 0] / 16).all()


@pytest.mark.parametrize("value", [65505, -1e6])
def test_what_float16_cannot_hold_is_named(value):
    with pytest.raises(ValueError, match=r"must be at most 65,504 .* Received: table='t', row=1"):
        stored([[0, 1], [value, 1]], "float16")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_tables_that_diverged_are_named(bad):
    with pytest.raises(ValueError, match=r"must be finite. Received: table='t', row=1"):
        stored([[0, 1], [bad, 1]])


def test_the_fold_makes_one_scale_as_exact_as_one_a_row():
    """Where rows differ by orders of magnitude, one scale would erase the small ones."""
    layer = MEmComEmbedding(300, 16, num_buckets=30)
    layer.build(None)
    rng = np.random.default_rng(4)
    shared = (rng.normal(size=(30, 16)) * rng.lognormal(0, 1, (30, 1))).astype(np.float32)
    multiplier = rng.normal(1, 0.2, (300, 1)).astype(np.float32)
    for variable, value in zip(layer.trainable_variables, (shared, multiplier), strict=True):
        variable.assign(value)
    ids = np.arange(300)
    exact = shared[ids % 30] * multiplier
    size = np.abs(exact).max(axis=1)

    def error_of(rows):
        return (np.abs(rows[ids % 30] * multiplier - exact).max(axis=1) / size).max()

    shipped = ship(layer)
    folded = shipped.layer.lookup(NumpyOps(), ids, shipped.dequantized())
    by_fold = (np.abs(folded - exact).max(axis=1) / size).max()
    by_row = error_of(stored(shared).dequantized())
    by_table = error_of(stored(shared, "int8_per_table").dequantized())
    assert shipped.tables["shared"].scale.size == 1
    assert by_fold < 1.3 * by_row  # the rest is the int16 of the multipliers
    assert by_table > 10 * by_row


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_top_k_of_groups_is_exact(data):
    """Ties, sizes that groups do not divide, and lists of nearly everything."""
    n = data.draw(st.integers(1, 400))
    k = data.draw(st.one_of(st.integers(1, min(n, 12)), st.integers(max(1, n - 2), n)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    with_ties = data.draw(st.booleans())
    scores = rng.integers(-3, 3, n) if with_ties else rng.normal(size=n)
    scores = (scores + data.draw(st.sampled_from([-10, 0]))).astype(np.float32)
    positions = np.asarray(top_k_of_groups(tf.constant(scores), k))
    np.testing.assert_array_equal(scores[positions], -np.sort(-scores)[:k])
    assert len(set(positions)) == k


def test_top_k_of_groups_sorts_groups_only():
    """At sizes where it pays the operator never sees all scores."""

    @tf.function(input_signature=[tf.TensorSpec([10_000])])
    def best(scores):
        return top_k_of_groups(scores, 10)

    sorted_sizes = [
        int(operation.inputs[0].shape[0])
        for operation in best.get_concrete_function().graph.get_operations()
        if operation.type == "TopKV2"
    ]
    assert sorted_sizes
    assert max(sorted_sizes) < 500


def test_share_not_unique():
    hashed = HashedEmbedding(9, 2, num_buckets=4)  # 0, 4, 8 | 1, 5 | 2, 6 | 3, 7
    rows = np.array([[1, 2], [2, 1], [1, 2.5], [3, 3]], np.float32)
    assert share_not_unique(hashed, {"hashed": rows}) == 1.0
    truncated = TruncatedEmbedding(10, 2, num_kept=7)
    rows = np.arange(16, dtype=np.float32).reshape(8, 2)
    assert share_not_unique(truncated, {"kept": rows}) == pytest.approx(0.3)
    full = FullEmbedding(4, 2)
    rows = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0], [0.0, -1.0]], np.float32)
    assert share_not_unique(full, {"embeddings": rows}) == 0.5


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 9])
def test_what_is_packed_is_unpacked(bits, width):
    values = np.random.default_rng(width).integers(0, 2**bits, (50, width)).astype(np.uint8)
    packed = pack(values, bits)
    assert packed.shape == (50, -(-width * bits // 8))
    np.testing.assert_array_equal(unpack(packed, bits, width), values)


@pytest.mark.parametrize(
    "layer",
    [
        LowRankEmbedding(80, 8, rank=1),
        MEmComEmbedding(80, 8, num_buckets=80, storage={"multiplier": "int8_per_bucket"}),
    ],
)
def test_scales_of_single_values_are_no_floats_of_the_table(layer):
    """A value alone under its scale is a multiple of it, and scales are stored as floats."""
    layer.build(None)
    for name, values in layer.table_values().items():
        layer.assign_tables({**layer.table_values(), name: 0.5 + np.abs(values)})
    model = keras.Sequential([keras.Input((3,), dtype="int32"), layer])
    assert convert(model).verification.passed
