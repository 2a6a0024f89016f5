"""Sketches of ids: NumPy, the C++ op and a loop in Python, which are all the same."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.kernels import build, selection, use
from memcom_tf.kernels.sketches import find_rows, insert
from memcom_tf.ops.hashing import UniversalHash
from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.ops.reference import ReferenceOps
from memcom_tf.ops.sketch import CELLS, Sketch
from tests.native import needs_native

MODES = ["reference", pytest.param("native", marks=needs_native)]
ODD = np.array([np.nan, np.inf, -np.inf, 0.0], np.float32)


def sketch_of(input_dim, buckets):
    return Sketch(UniversalHash(input_dim, buckets, 0))


def empty(sketch):
    shape = (sketch.bucket_of.num_buckets, CELLS)
    return [np.zeros(shape, dtype) for dtype in (np.int32, np.int32, np.float32, np.float32)]


def hostile(rng, buckets):
    """Cells that no stream leaves: ids and rows of any size, twice, and scores that are none."""
    shape = (buckets, CELLS)
    extremes = [-(2**31), -1, 2**31 - 1]
    ids = np.where(rng.random(shape) < 0.6, rng.integers(0, 9, shape), 0)
    ids = np.where(rng.random(shape) < 0.1, rng.choice(extremes, shape), ids)
    rows = np.where(rng.random(shape) < 0.4, rng.choice([*extremes, 1, 2], shape), 0)
    scores = np.where(rng.random(shape) < 0.3, rng.choice(ODD, shape), rng.exponential(1, shape))
    integers = [ids.astype(np.int32), rows.astype(np.int32)]
    return [*integers, scores.astype(np.float32), np.zeros(shape, np.float32)]


def batch(rng, input_dim, dtype):
    count = int(rng.integers(0, 300))
    ids = np.minimum(rng.zipf(1.3, count) - 1, input_dim - 1).astype(dtype)
    values = rng.normal(1, 2, count).astype(np.float32)
    values[rng.random(count) < 0.02] = rng.choice(ODD)
    return ids, values


def inserted(sketch, cells, ids, values, mode):
    variables = [tf.Variable(cell) for cell in cells]
    with use(mode):
        insert(sketch, variables, tf.constant(ids), tf.constant(values))
    return [variable.numpy() for variable in variables]


def by_loop(sketch, cells, ids, values):
    """What the documentation says, word by word."""
    cell_ids, rows, scores, errors = (np.array(cell) for cell in cells)
    sums: dict[int, float] = {}
    for one, value in zip(ids.tolist(), values.tolist(), strict=True):
        sums[one] = sums.get(one, 0.0) + value
    for one, total in sums.items():
        value = np.float32(total)
        if not value > 0 or np.isinf(value):
            continue
        bucket = int(sketch.bucket_of(one))
        own = [c for c in range(CELLS) if cell_ids[bucket, c] == one + 1]
        free = [c for c in range(CELLS) if rows[bucket, c] == 0]
        unused = [c for c in free if cell_ids[bucket, c] == 0]
        numbers = [c for c in free if scores[bucket, c] < np.inf]
        smallest = sorted(numbers, key=lambda c: (scores[bucket, c], c))
        for cell in (*own, *unused, *smallest, *free):
            if cell_ids[bucket, cell] != one + 1:
                errors[bucket, cell] = scores[bucket, cell]
            cell_ids[bucket, cell] = one + 1
            scores[bucket, cell] += value
            break
    return [cell_ids, rows, scores, errors]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("start", ["empty", "hostile"])
def test_streams_leave_the_same_sketch(mode, dtype, start):
    rng = np.random.default_rng(3)
    for _ in range(25):
        input_dim, buckets = int(rng.integers(1, 3000)), int(rng.integers(1, 40))
        sketch = sketch_of(input_dim, buckets)
        cells = empty(sketch) if start == "empty" else hostile(rng, buckets)
        for _ in range(4):
            ids, values = batch(rng, input_dim, dtype)
            expected = by_loop(sketch, cells, ids, values)
            found = inserted(sketch, cells, ids, values, mode)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)
            cells = found
            variables = dict(zip(sketch.names, map(tf.Variable, cells), strict=True))
            everyone = np.arange(input_dim).astype(dtype)
            rows = sketch.find_rows(
                NumpyOps(), everyone, dict(zip(sketch.names, cells, strict=True))
            )
            with use(mode):
                by_ops = find_rows(sketch, ReferenceOps(), tf.constant(everyone), variables)
            np.testing.assert_array_equal(by_ops, rows)


@pytest.mark.parametrize("input_dim", [1, 11, 1000, 2**20 + 7, 2**29])
@pytest.mark.parametrize("buckets", [1, 7, 5000])
def test_buckets_in_64_bits_are_those_in_32(input_dim, buckets):
    rng = np.random.default_rng(1)
    ids = np.append(rng.integers(0, input_dim, 500), [0, input_dim - 1])
    for index in range(3):
        bucket_of = UniversalHash(input_dim, buckets, index)
        in_32 = bucket_of(ids.astype(np.int32))
        np.testing.assert_array_equal(bucket_of.of_int64(ids), in_32)
        assert 0 <= in_32.min() <= in_32.max() < buckets


@pytest.mark.parametrize("mode", MODES)
def test_one_value_counts_for_all_ids_of_any_shape(mode):
    sketch = sketch_of(100, 1)
    ids = np.array([[7, 7, 3], [7, 5, 3]], np.int32)
    found = inserted(sketch, empty(sketch), ids, np.float32(2), mode)
    assert found[0].tolist() == [[8, 4, 6, 0]] and found[2].tolist() == [[6, 4, 2, 0]]
    same = inserted(sketch, empty(sketch), ids, np.full((2, 3, 1), 2, np.float32), mode)
    np.testing.assert_array_equal(found, same)


@pytest.mark.parametrize("mode", MODES)
def test_an_id_above_the_average_of_its_cells_is_never_lost(mode):
    """SpaceSaving: of `k` cells without a row, above `1 / k` of what the bucket got."""
    rng = np.random.default_rng(5)
    input_dim, buckets, heavy = 5000, 6, 1234
    sketch = sketch_of(input_dim, buckets)
    bucket = int(sketch.bucket_of(heavy))
    of_bucket = np.flatnonzero(sketch.bucket_of(np.arange(input_dim)) == bucket)
    for with_rows in range(CELLS):
        cells = empty(sketch)
        cells[0][bucket, :with_rows] = 1 + np.setdiff1d(of_bucket, heavy)[:with_rows]
        cells[1][bucket, :with_rows] = 1 + np.arange(with_rows)
        cells[2][bucket, :with_rows] = 1e6
        others = np.setdiff1d(of_bucket, [heavy, *(cells[0][bucket] - 1)])
        count = 4000
        # Spread at random in one case, at the very beginning in the other: the worst.
        share = 1 / (CELLS - with_rows) + 0.02
        stream = rng.choice(others, count) if share < 1 else np.full(count, heavy)
        places = rng.permutation(count)[: int(share * count)]
        places = places if with_rows % 2 else np.arange(len(places))
        stream[places] = heavy
        for part in np.split(stream, 8):
            cells = inserted(sketch, cells, part, np.float32(1), mode)
        assert heavy + 1 in cells[0][bucket], with_rows
        score, error = (cell[bucket][cells[0][bucket] == heavy + 1] for cell in cells[2:])
        assert score - error <= len(places) <= score
        rows = sketch.find_rows(
            NumpyOps(), np.arange(input_dim), dict(zip(sketch.names, cells, strict=True))
        )
        assert np.count_nonzero(rows) == with_rows


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", [-1, 100, 2**31 - 1, -(2**31)])
def test_an_id_out_of_range_is_named_and_changes_nothing(mode, bad):
    sketch = sketch_of(100, 3)
    variables = [tf.Variable(cell) for cell in empty(sketch)]

    @tf.function
    def step(ids):
        insert(sketch, variables, ids, tf.constant(1.0))

    for dtype in (tf.int32, tf.int64):
        with use(mode), pytest.raises(tf.errors.InvalidArgumentError, match=rf"100\).*id={bad}"):
            step(tf.constant([5, bad], dtype))
    assert not np.any(variables[0])


@needs_native
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"cell_ids": np.zeros((2, 4), np.int32)}, r"must be \[num_buckets, 4\]"),
        ({"cell_rows": np.zeros((3, 5), np.int32)}, r"must be \[num_buckets, 4\]"),
        ({"cell_scores": np.zeros(12, np.float32)}, r"must be \[num_buckets, 4\]"),
        ({"cell_scores": np.zeros((3, 4), np.int32)}, "must be initialized, and"),
        ({"cell_ids": np.zeros((0, 4), np.int32)}, r"must be \[num_buckets, 4\]"),
        ({"values": np.ones(3, np.float32)}, "must be as many as ids"),
        ({"prime": 0}, "must be in"),
        ({"prime": 2**31}, "must be in"),
        ({"multiplier": 101}, "must be in"),
        ({"increment": -1}, "must be in"),
        ({"input_dim": 2**31}, "must be in"),
        ({"input_dim": 0}, "must be in"),
    ],
)
def test_the_op_refuses_what_is_no_sketch(changed, words):
    sketch = sketch_of(100, 3)
    arrays = dict(zip(sketch.names, empty(sketch), strict=True))
    arrays |= {"ids": np.array([1, 2]), "values": np.ones(2, np.float32)}
    numbers = {"input_dim": 100, "multiplier": 7, "increment": 3, "prime": 101}
    arrays |= {name: value for name, value in changed.items() if name in arrays}
    numbers |= {name: value for name, value in changed.items() if name in numbers}
    kept = {name: tf.Variable(value) for name, value in arrays.items()}
    handles = {n: v.handle if n.startswith("cell") else v.value() for n, v in kept.items()}
    with use("native"):
        library = selection.library()
    refused = tf.errors.InvalidArgumentError, tf.errors.FailedPreconditionError
    with pytest.raises(refused, match=words):
        library.memcom_sketch_insert(**handles, **numbers)
    read = {name: handles[name] for name in ("cell_ids", "cell_rows", "ids")}
    if not changed.keys() & {"cell_scores", "values"}:
        with pytest.raises(refused, match=words):
            library.memcom_sketch_find(**read, **numbers)


def test_without_a_compiler_numpy_counts_after_one_warning(monkeypatch):
    error = build.BuildError("no compiler here")
    monkeypatch.setattr(selection, "_outcome", selection._Outcome(None, None, error))
    monkeypatch.setattr(selection, "_warned", set())
    sketch = sketch_of(100, 3)
    with pytest.warns(RuntimeWarning, match="no compiler here"):
        found = inserted(sketch, empty(sketch), np.array([4, 4]), np.float32(1), "auto")
    assert found[2].sum() == 2


def test_xla_is_refused():
    sketch = sketch_of(100, 3)
    variables = [tf.Variable(cell) for cell in empty(sketch)]

    @tf.function(jit_compile=True)
    def step(ids):
        insert(sketch, variables, ids, tf.constant(1.0))

    with pytest.raises(RuntimeError, match="must be trained without XLA"):
        step(tf.constant([1]))
