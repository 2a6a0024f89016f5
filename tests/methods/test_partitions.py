"""Complementary partitions of any number, and what they must not be."""

from __future__ import annotations

from math import gcd, prod

import numpy as np
import pytest

from memcom_tf import CompositionalEmbedding, PathBasedEmbedding
from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.layers.partitions.compositional import colliding_ids
from memcom_tf.ops.numpy_ops import NumpyOps
from tests.contract.methods import fill, random_tables

NUMPY = NumpyOps()


@pytest.mark.parametrize("partition", ["mixed_radix", "coprime"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("num_buckets", [2, 7, 12, 100, 211])
def test_no_two_ids_read_the_same_rows(partition, count, num_buckets):
    layer = CompositionalEmbedding(
        211 if count == 1 else 997,
        4,
        num_buckets=max(num_buckets, 211) if count == 1 else num_buckets,
        num_partitions=count,
        partition=partition,
    )
    ids = np.arange(layer.input_dim)
    rows = np.stack(layer._rows(NUMPY, ids, {}), axis=1)
    assert (rows >= 0).all() and (rows < layer.sizes).all()
    assert not colliding_ids(rows)
    if partition == "coprime":
        assert all(gcd(a, b) == 1 for i, a in enumerate(layer.sizes) for b in layer.sizes[:i])


def test_of_two_it_is_quotient_and_remainder():
    layer = CompositionalEmbedding(1000, 4, num_buckets=30, num_partitions=2)
    remainder, quotient = layer._rows(NUMPY, np.arange(1000), {})
    np.testing.assert_array_equal(remainder, np.arange(1000) % 30)
    np.testing.assert_array_equal(quotient, np.arange(1000) // 30)


@pytest.mark.parametrize("operation", ["mult", "add", "concat"])
def test_given_classes_are_trained_saved_and_converted(operation, tmp_path):
    rng = np.random.default_rng(0)
    genre = np.sort(rng.integers(0, 9, 60))
    number = np.arange(60) - np.searchsorted(genre, genre)
    classes = np.stack([genre, number], axis=1)
    layer = CompositionalEmbedding(60, 8, partition="given", classes=classes, operation=operation)
    layer.build(None)
    layer.assign_tables(random_tables(layer) | {"classes": classes})
    expected = layer(np.arange(60)).numpy()
    tables = layer.table_values()
    rows = [tables[f"partition_{k}"][classes[:, k]] for k in range(2)]
    by_hand = {
        "mult": lambda: rows[0] * rows[1],
        "add": lambda: rows[0] + rows[1],
        "concat": lambda: np.concatenate(rows, axis=1),
    }[operation]()
    np.testing.assert_allclose(expected, by_hand, rtol=1e-6)
    ids = keras.Input((3,), dtype="int32", name="ids")
    model = keras.Model(ids, layer(ids))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.layers[-1](np.arange(60)), expected)
    converted = convert(loaded)
    assert converted.verification.passed
    converted.save(tmp_path / "model.tflite")
    [found] = (
        CompressedModelFile(tmp_path / "model.tflite")
        .run("serving_default", ids=np.array([[0, 7, 59]], np.int32))
        .values()
    )
    np.testing.assert_allclose(found[0], expected[[0, 7, 59]], atol=0.05)


def test_a_table_of_classes_is_approximated():
    genre, number = np.divmod(np.arange(48), 6)
    table = (genre[:, None] * [1.0, -2.0] + number[:, None] * [0.5, 3.0]).astype(np.float32)
    classes = np.stack([genre, number], axis=1)
    layer = CompositionalEmbedding.from_table(
        table, partition="given", classes=classes, operation="add"
    )
    np.testing.assert_allclose(layer(np.arange(48)), table, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "One of `num_buckets`, `sizes` and `classes`"),
        ({"num_buckets": 5, "sizes": [9, 9]}, "One of `num_buckets`, `sizes` and `classes`"),
        ({"sizes": [4, 5]}, r"ids 0 and 20 are in the same class.*sizes=\(4, 5\)"),
        ({"sizes": [6, 9], "partition": "coprime"}, r"common divisor.*with_a_divisor=\(6, 9\)"),
        ({"sizes": 24}, "`sizes` must be a list"),
        ({"sizes": []}, "`sizes` must be a list"),
        ({"sizes": [6, 0]}, "`sizes` must be a positive integer"),
        ({"num_buckets": 5, "partition": "random"}, "`partition` must be one of"),
        ({"num_buckets": 5, "operation": "power"}, "`operation` must be one of"),
        ({"partition": "given"}, "`classes` must be passed"),
        ({"partition": "given", "sizes": [4, 6]}, "`classes` must be passed"),
        ({"partition": "given", "classes": "stored"}, "One of `num_buckets`, `sizes`"),
        (
            {"num_buckets": 5, "classes": np.eye(24, dtype=int)},
            "`classes` must be passed with",
        ),
        (
            {"partition": "given", "classes": np.stack([np.arange(24) // 2] * 2, 1)},
            r"No two ids .*ids=\[\[0, 1\], \[2, 3\], .*more=7.*Add a partition",
        ),
        ({"partition": "given", "classes": np.zeros((23, 2), int)}, "`classes` must be integers"),
        ({"partition": "given", "classes": np.zeros((24, 2))}, "`classes` must be integers"),
        ({"sizes": [3, 3, 3], "operation": "concat"}, "`output_dim` must be at least the number"),
    ],
)
def test_wrong_partitions_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        CompositionalEmbedding(24, 2, **arguments)


def test_a_table_is_not_approximated_by_classes_that_are_not_there():
    with pytest.raises(ValueError, match="`classes` must be passed to approximate"):
        CompositionalEmbedding.from_table(
            np.ones((24, 2)), partition="given", sizes=[4, 6], classes="stored"
        )


def test_sizes_are_few_and_enough():
    layer = CompositionalEmbedding(1_000_000, 64, num_buckets=10_000)
    assert layer.sizes == (10_000, 10, 10)
    assert prod(layer.sizes) == 1_000_000


def test_a_path_is_a_network_of_the_remainder():
    layer = fill(PathBasedEmbedding(100, 6, num_paths=7, hidden=5))
    t = layer.table_values()
    i = 38
    x = t["rows"][i // 7] @ t["first_kernels"][i % 7].reshape(6, 5) + t["biases"][i % 7]
    expected = np.maximum(x, 0) @ t["second_kernels"][i % 7].reshape(5, 6)
    np.testing.assert_allclose(layer(np.array([i]))[0], expected, rtol=1e-5)
    linear = fill(PathBasedEmbedding(100, 6, num_paths=7, hidden=0, inner_dim=3))
    t = linear.table_values()
    expected = t["rows"][i // 7] @ t["kernels"][i % 7].reshape(3, 6) + t["biases"][i % 7]
    np.testing.assert_allclose(linear(np.array([i]))[0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [{"num_paths": 101}, {"num_paths": 3, "hidden": -1}, {"num_paths": 3, "hidden": 1.5}],
)
def test_wrong_paths_are_named(arguments):
    with pytest.raises(ValueError, match="`num_paths` must be at most 100"):
        PathBasedEmbedding(100, 6, **arguments)
