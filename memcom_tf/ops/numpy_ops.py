"""The maths in NumPy: the oracle that tests and the verifier hold against TensorFlow."""

from __future__ import annotations

import numpy as np

from memcom_tf.ops.interface import Array, TableValue


class NumpyOps:
    """`memcom_tf.ops.interface.Ops` over NumPy arrays."""

    def gather(self, table: TableValue, rows: Array) -> Array:
        return table[rows]

    def values(self, table: TableValue) -> Array:
        return table

    def matmul(self, x: Array, table: TableValue) -> Array:
        return x @ table

    def scores(self, query: Array, table: TableValue) -> Array:
        return query @ table.T

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
