"""The maths in NumPy: the oracle that tests and the verifier hold against TensorFlow."""

from __future__ import annotations

import numpy as np

from memcom_tf.ops.interface import Array, TableValue


class NumpyOps:
    """`memcom_tf.ops.interface.Ops` over NumPy arrays."""

    def gather(self, table: TableValue, rows: Array) -> Array:
        found = table[rows]
        return found.astype(np.int32) if found.dtype == np.uint8 else found

    def column(self, table: TableValue, index: int) -> Array:
        return table[:, index].astype(np.int32)

    def values(self, table: TableValue) -> Array:
        return table

    def matmul(self, x: Array, table: TableValue) -> Array:
        return x @ table

    def scores(self, query: Array, table: TableValue) -> Array:
        return query @ table.T

    def sum(self, x: Array) -> Array:
        return x.sum(axis=-2)

    def concat(self, parts: list[Array]) -> Array:
        return np.concatenate(parts, axis=-1)

    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        return np.reshape(x, shape)

    def tile(self, x: Array, count: int) -> Array:
        return np.tile(x, (1, count))

    def take(self, x: Array, columns: Array) -> Array:
        return x[:, columns]

    def minimum(self, x: Array, limit: int) -> Array:
        return np.minimum(x, limit)

    def arange(self, n: int) -> Array:
        return np.arange(n, dtype=np.int32)

    def maximum(self, x: Array, y: Array) -> Array:
        return np.maximum(x, y)

    def where(self, condition: Array, x: Array, otherwise: float) -> Array:
        return np.where(condition, x, otherwise)

    def top_k(self, x: Array, k: int) -> Array:
        return np.argsort(-x, kind="stable")[:k]

    def largest(self, table: TableValue, axis: int) -> Array:
        found = np.abs(table).max(axis=axis, keepdims=True)
        return np.where(found == 0, np.ones_like(found), found)

    def extremes(self, table: TableValue, num_buckets: int, first: int = 0) -> tuple[Array, Array]:
        column = table[first:, 0]
        missing = -len(column) % num_buckets
        # A bucket without a last row gets its first one again.
        again = column[np.arange(len(column), len(column) + missing) % num_buckets]
        grid = np.concatenate([column, again]).reshape(-1, num_buckets)
        return grid.min(axis=0), grid.max(axis=0)
