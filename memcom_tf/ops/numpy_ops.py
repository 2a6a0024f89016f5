"""The maths in NumPy: the oracle that tests and the verifier hold against TensorFlow."""

from __future__ import annotations

import numpy as np

from memcom_tf.ops.interface import Array
from memcom_tf.ops.operations import Version
from memcom_tf.tables import TableValue


class NumpyOps(Version, arrays="numpy"):
    """`memcom_tf.ops.interface.Ops` over NumPy arrays."""

    def gather(self, table: TableValue, rows: Array) -> Array:
        found = table[rows]
        return found.astype(np.int32) if found.dtype in (np.uint8, np.int16) else found

    def column(self, table: TableValue, index: int) -> Array:
        return table[:, index].astype(np.int32)

    def values(self, table: TableValue) -> Array:
        return table

    def matmul(self, x: Array, table: TableValue) -> Array:
        return x @ table

    def scores(self, query: Array, table: TableValue) -> Array:
        return query @ table.T

    def abs_max(self, table: TableValue, axis: int) -> Array:
        found = np.abs(table).max(axis=axis, keepdims=True)
        return np.where(found == 0, np.ones_like(found), found)

    def extremes(self, table: TableValue, num_buckets: int, first: int = 0) -> tuple[Array, Array]:
        column = table[first:, 0]
        missing = -len(column) % num_buckets
        # A bucket without a last row gets its first one again.
        again = column[np.arange(len(column), len(column) + missing) % num_buckets]
        grid = np.concatenate([column, again]).reshape(-1, num_buckets)
        return grid.min(axis=0), grid.max(axis=0)
