"""Methods whose ids share numbers by hashes, by digits, by ranges or by a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf import (
    DeepHashEmbedding,
    DoubleHashedEmbedding,
    MemRecEmbedding,
    MixedDimensionEmbedding,
    ROBEEmbedding,
    SparseDictionaryEmbedding,
    TensorTrainEmbedding,
)
from memcom_tf._keras import keras
from memcom_tf.approximation import sparse_codes
from memcom_tf.converters import convert
from memcom_tf.ops.hashing import UniversalHash, UniversalHashes
from memcom_tf.ops.numpy_ops import NumpyOps
from tests.contract.methods import fill


def test_a_vector_of_a_tensor_train_is_a_product_of_matrices():
    layer = fill(TensorTrainEmbedding(200, 12, rank=3))
    (_, n2, n3), (d1, d2, d3) = layer.shape_of_ids, layer.shape_of_vectors
    t = layer.table_values()
    i = 151
    first = t["core_1"][i // (n2 * n3)].reshape(d1, 3)
    second = t["core_2"][i // n3 % n2].reshape(d2, 3, 3)
    third = t["core_3"][i % n3].reshape(3, d3)
    expected = np.einsum("pa,qab,bs->pqs", first, second, third).reshape(-1)
    np.testing.assert_allclose(layer(np.array([i]))[0], expected, rtol=1e-5)


def test_many_ids_have_the_vectors_and_gradients_of_few():
    layer = fill(TensorTrainEmbedding(200, 12, rank=3))
    ids = np.random.default_rng(0).integers(0, 200, [300])
    upstream = np.random.default_rng(1).normal(size=(300, 12)).astype(np.float32)

    def of(batches):
        with tf.GradientTape() as tape:
            vectors = tf.concat([layer(batch) for batch in batches], axis=0)
        gradients = tape.gradient(vectors, layer.trainable_variables, upstream)
        return [vectors, *map(tf.convert_to_tensor, gradients)]

    # Two ids at a time are looked up by `lookup`.
    for many, few in zip(of([ids]), of(np.split(ids, 150)), strict=True):
        np.testing.assert_allclose(many, few, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [2, 17])
def test_a_higher_rank_is_nearer_and_weights_count(rank):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(1000, 16)).astype(np.float32)
    weights = np.where(np.arange(1000) < 100, 100.0, 1.0)

    def error(rank, frequencies, part):
        layer = TensorTrainEmbedding.from_table(table, rank=rank, frequencies=frequencies)
        return float(((layer(np.arange(1000)).numpy() - table)[part] ** 2).sum())

    every, frequent = slice(None), slice(0, 100)
    assert error(rank, None, every) < error(1, None, every)
    assert error(rank, weights, frequent) < error(rank, None, frequent)


def test_ranges_have_widths_and_share_a_vector_at_the_end():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(100, 8)).astype(np.float32)
    weights = rng.uniform(1, 2, 100)
    layer = MixedDimensionEmbedding.from_table(
        table, ranges=[(10, 8), (50, 3), (40, 0)], frequencies=weights
    )
    vectors = layer(np.arange(100)).numpy()
    np.testing.assert_allclose(vectors[:10], table[:10], rtol=1e-6)
    assert np.linalg.matrix_rank(vectors[10:60], tol=1e-3) == 3
    mean = np.average(table[60:], axis=0, weights=weights[60:])
    np.testing.assert_allclose(vectors[60:], np.tile(mean, (40, 1)), atol=1e-5)
    scores = layer.score_all(np.eye(8, dtype=np.float32))
    np.testing.assert_allclose(scores, vectors.T, atol=1e-5)
    ids = keras.Input((), dtype="int32", name="ids")
    assert convert(keras.Model(ids, layer(ids))).verification.passed


def test_ranges_may_have_bits_of_their_own():
    storage = {"rows_0": "int8_per_row", "rows_1": "int4_per_row", "rows_2": "int2_per_row"}
    layer = MixedDimensionEmbedding(
        1000, 16, ranges=[(10, 16), (90, 16), (900, 16)], storage=storage
    )
    ids = keras.Input((), dtype="int32", name="ids")
    converted = convert(keras.Model(ids, fill(layer)(ids)))
    assert converted.verification.passed
    [embedding] = converted.report["embeddings"]
    assert {table["name"]: table["data_bytes"] for table in embedding["tables"]} == {
        "rows_0": 160,
        "rows_1": 90 * 8,
        "rows_2": 900 * 4,
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "Either `num_full` or `ranges`"),
        ({"num_full": 3, "ranges": [(100, 8)]}, "Either `num_full` or `ranges`"),
        ({"ranges": [100]}, "`ranges` must be pairs"),
        ({"ranges": [(9.5, 8), (90.5, 4)]}, "`ranges` must be pairs"),
        ({"ranges": [(99, 8)]}, "`ranges` must be of 100 ids together"),
        ({"ranges": [(100, 9)]}, "Widths of `ranges` must be from 0 to 8"),
        ({"ranges": [(100, 0)]}, "Widths of `ranges` must be from 0 to 8"),
        ({"ranges": [(0, 4), (100, 8)]}, "`ranges` must be a positive integer"),
    ],
)
def test_wrong_ranges_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        MixedDimensionEmbedding(100, 8, **arguments)


@pytest.mark.parametrize("num_dedicated", [-1, 1.5, 300])
def test_wrong_numbers_of_single_rows_are_named(num_dedicated):
    with pytest.raises(ValueError, match=r"`num_dedicated` must be an integer in \[0, 300\)"):
        DoubleHashedEmbedding(300, 6, num_buckets=17, num_dedicated=num_dedicated)


def test_hashed_pieces_have_hashed_signs():
    layer = fill(ROBEEmbedding(500, 16, num_chunks=20, chunk_size=4))
    array = layer.table_values()["array"]
    vectors = layer(np.arange(500)).numpy().reshape(500, 4, 4)
    pieces = {tuple(row) for row in np.concatenate([array, -array]).round(5).tolist()}
    assert {tuple(row) for row in vectors.reshape(-1, 4).round(5).tolist()} <= pieces
    positive = [(vectors[:, k, None] == array).all(-1).any(-1).mean() for k in range(4)]
    assert all(0.4 < share < 0.6 for share in positive)
    with pytest.raises(ValueError, match="`chunk_size` must be a divisor"):
        ROBEEmbedding(500, 16, num_chunks=20, chunk_size=5)


def test_hashed_weights_multiply_hashed_rows():
    layer = fill(MemRecEmbedding(500, 6, num_buckets=20, num_hashes=3, num_weights=40))
    t = layer.table_values()
    i = np.array([77])
    rows = sum(t["shared"][of(i)] for of in layer._of_rows)
    weights = sum(t["weights"][of(i)] for of in layer._of_weights)
    np.testing.assert_allclose(layer(i), rows * weights, rtol=1e-5)
    fresh = MemRecEmbedding(500, 6, num_buckets=20)
    assert fresh.num_weights == 160
    assert MemRecEmbedding(50, 6, num_buckets=20).num_weights == 50


def test_atoms_of_which_rows_were_made_are_found():
    rng = np.random.default_rng(1)
    atoms = rng.normal(size=(12, 10)).astype(np.float32)
    chosen = np.stack([rng.choice(12, 2, replace=False) for _ in range(600)])
    factors = rng.uniform(0.5, 1.5, (600, 2, 1)) * rng.choice([-1, 1], (600, 2, 1))
    table = (atoms[chosen] * factors).sum(axis=1).astype(np.float32)
    layer = SparseDictionaryEmbedding.from_table(table, num_nonzero=2, num_atoms=12)
    error = ((layer(np.arange(600)).numpy() - table) ** 2).sum()
    assert error < 0.1 * (table**2).sum()
    unit = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
    found, _ = sparse_codes.orthogonal_matching_pursuit(table, unit, 2)
    assert (np.sort(found) == np.sort(chosen)).all(axis=1).mean() > 0.8


def test_a_metric_says_which_errors_count():
    rng = np.random.default_rng(2)
    table = rng.normal(size=(300, 8)).astype(np.float32)
    metric = np.diag([100.0, 1, 1, 1, 1, 1, 1, 1])

    def error(metric):
        layer = SparseDictionaryEmbedding.from_table(
            table, num_nonzero=2, num_atoms=16, metric=metric
        )
        return float(((layer(np.arange(300)).numpy() - table)[:, 0] ** 2).sum())

    assert error(metric) < 0.5 * error(None)


def test_an_index_holds_more_atoms_than_codes():
    layer = fill(SparseDictionaryEmbedding(400, 8, num_nonzero=3, num_atoms=300))
    ids = keras.Input((), dtype="int32", name="ids")
    converted = convert(keras.Model(ids, layer(ids)))
    assert converted.verification.passed
    with pytest.raises(ValueError, match="`num_nonzero` must be at most `num_atoms`"):
        SparseDictionaryEmbedding(400, 8, num_nonzero=3, num_atoms=2)


def test_frequent_ids_have_rows_of_their_own_beside_double_hashes():
    layer = fill(DoubleHashedEmbedding(300, 6, num_buckets=17, num_dedicated=40))
    first, second = (np.asarray(rows) for rows in layer._rows(NumpyOps(), np.arange(300)))
    np.testing.assert_array_equal(first[:40], np.arange(40))
    assert len(set(second[:40])) == 1
    assert set(first[40:]) == set(range(40, 57))
    assert len({*zip(first[40:], second[40:], strict=True)}) > 150
    assert np.linalg.matrix_rank(layer(np.arange(6)).numpy()) == 6


def test_a_vector_of_deep_hashes_is_a_network_of_them():
    layer = fill(DeepHashEmbedding(500, 5, hidden=7, num_hashes=9))
    t = layer.table_values()
    hashes = np.array([int(UniversalHash(500, 10**6, k)(np.array([321]))[0]) for k in range(9)])
    x = hashes / (10**6 - 1) * 2 - 1
    for index in (0, 1):
        x = np.maximum(x @ t[f"kernel_{index}"] + t[f"bias_{index}"][0], 0)
    expected = x @ t["kernel_out"] + t["bias_out"][0]
    np.testing.assert_allclose(layer(np.array([321]))[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("input_dim", [11, 1000, 2**29])
def test_several_hashes_at_once_are_those_one_by_one(input_dim, dtype):
    ids = tf.constant(np.linspace(0, input_dim - 1, 50).astype(dtype))
    found = UniversalHashes(input_dim, 10**6, 30)(ids)
    assert found.dtype == ids.dtype
    for index in range(30):
        np.testing.assert_array_equal(
            found[:, index], UniversalHash(input_dim, 10**6, index)(ids.numpy().astype(np.int64))
        )
