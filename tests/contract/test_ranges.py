"""One table whose ranges of rows have widths and storages of their own."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.ops.reference import ReferenceOps
from memcom_tf.tables import RangedTable, RowRange

WIDTH = 6
RANGED = RangedTable(
    "rows", WIDTH, (RowRange(3, 6), RowRange(4, 0), RowRange(2, 2, "int4_per_row"), RowRange(5, 5))
)


@pytest.fixture(scope="module")
def parts():
    rng = np.random.default_rng(0)
    return {
        table.name: rng.normal(size=(table.rows, table.width)).astype(np.float32)
        for table in RANGED.tables()
    }


@pytest.fixture(scope="module")
def whole(parts):
    """The logical table."""
    blocks = []
    for index, part in enumerate(RANGED.ranges):
        values = parts.get(f"rows_{index}", np.zeros((part.rows, 0), np.float32))
        blocks.append(np.pad(values, [(0, 0), (0, WIDTH - part.width)]))
    return np.concatenate(blocks)


@pytest.mark.parametrize(("xp", "array"), [(NumpyOps(), np.asarray), (ReferenceOps(), tf.constant)])
@pytest.mark.parametrize("shape", [(), (14,), (2, 7)])
def test_rows_and_scores_are_those_of_the_logical_table(parts, whole, xp, array, shape):
    tables = {name: array(values) for name, values in parts.items()}
    assert RANGED.rows == len(whole) == 14
    rows = np.arange(14, dtype=np.int32)[: int(np.prod(shape))].reshape(shape)
    np.testing.assert_array_equal(RANGED.gather(xp, array(rows), tables), whole[rows])
    query = np.random.default_rng(1).normal(size=(2, WIDTH)).astype(np.float32)
    scores = RANGED.scores(xp, array(query), tables)
    np.testing.assert_allclose(scores, query @ whole.T, rtol=1e-5, atol=1e-6)


def test_each_range_costs_what_it_stores():
    costs = {table.name: (str(table.storage), table.stored_bytes) for table in RANGED.tables()}
    assert costs == {
        "rows_0": ("int8_per_row", 3 * (6 + 4)),
        "rows_2": ("int4_per_row", 2 * (1 + 4)),
        "rows_3": ("int8_per_row", 5 * (5 + 4)),
    }


@pytest.mark.parametrize(
    ("ranges", "must"),
    [
        ((), "one of them a width above 0"),
        ((RowRange(3, 0),), "one of them a width above 0"),
        ((RowRange(3, 7),), "widths of at most 6"),
    ],
)
def test_ranges_must_fit(ranges, must):
    with pytest.raises(ValueError, match=must):
        RangedTable("rows", WIDTH, ranges)


@pytest.mark.parametrize("numbers", [{"rows": 0, "width": 1}, {"rows": 1, "width": -1}])
def test_a_range_has_rows(numbers):
    with pytest.raises(ValueError, match="must be a positive integer"):
        RowRange(**numbers)
