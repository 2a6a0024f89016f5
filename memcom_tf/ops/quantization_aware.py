"""The maths over tables that are rounded to what will be stored, whenever they are read."""

from __future__ import annotations

from functools import cached_property

import tensorflow as tf

from memcom_tf.ops import learned_steps
from memcom_tf.ops.interface import Array
from memcom_tf.ops.quantization import rounded, scales_of
from memcom_tf.ops.reference import ReferenceOps
from memcom_tf.tables import Table, TableValue

_WHOLE = 1 << 14
"""A table of at most so many rows is rounded whole, once, rather than in every row read of it."""


class RoundedTable:
    """A trained table, read as the values that its declared storage leaves of it.

    Args:
        values: The variable or tensor `[rows, width]`.
        table: Its declaration.
        steps: The variable or tensor `[rows, 1]` or `[1, 1]` of its scales, where they are trained.
            None takes those of least squares, whatever the values are.
    """

    def __init__(self, values: TableValue, table: Table, steps: TableValue = None) -> None:
        self._values = values
        self._steps = steps
        self._table = table
        self._scaled_by = table.storage.scaled_by

    @cached_property
    def _scales(self) -> Array:
        """Those of the table or its buckets."""
        values = tf.convert_to_tensor(self._values)
        return scales_of(values, self._table.storage, self._table.num_buckets)

    def rows(self, rows: Array) -> Array:
        """Some rows, rounded. Of a large table, each with its own scale, no other row is read."""
        if self._steps is not None:
            # Also of a small one: gradients, of the steps too, are of these rows alone.
            steps = tf.gather(self._steps, rows if self._scaled_by == "row" else 0)
            return self._by_steps(tf.gather(self._values, rows), steps)
        if self._table.rows <= _WHOLE:
            return tf.gather(self._whole, rows)
        values = tf.gather(self._values, rows)
        if self._scaled_by == "row":
            scales = scales_of(values, self._table.storage)
        elif self._scaled_by == "bucket":
            scales = tf.gather(self._scales, rows % self._table.num_buckets)
        else:
            scales = self._scales[0]
        return rounded(values, scales, self._table.storage)

    def all(self) -> Array:
        """Every row, rounded."""
        return self._whole

    def _by_steps(self, values: Array, steps: Array) -> Array:
        table = self._table
        count = learned_steps.sharing(table.storage, table.rows, table.width)
        return learned_steps.rounded_by(values, learned_steps.in_use(steps), table.storage, count)

    @cached_property
    def _whole(self) -> Array:
        if self._steps is not None:
            values, steps = map(tf.convert_to_tensor, (self._values, self._steps))
            return self._by_steps(values, steps)
        scales = self._scales
        if self._scaled_by == "bucket":
            scales = tf.gather(scales, tf.range(self._table.rows) % self._table.num_buckets)
        return rounded(tf.convert_to_tensor(self._values), scales, self._table.storage)


class QuantizationAwareOps(ReferenceOps):
    """`memcom_tf.ops.interface.Ops` over variables and, among them, `RoundedTable`s."""

    def gather(self, table: TableValue, rows: Array) -> Array:
        return table.rows(rows) if isinstance(table, RoundedTable) else super().gather(table, rows)

    def values(self, table: TableValue) -> Array:
        return super().values(_all(table))

    def matmul(self, x: Array, table: TableValue) -> Array:
        return super().matmul(x, _all(table))

    def scores(self, query: Array, table: TableValue) -> Array:
        return super().scores(query, _all(table))

    def extremes(self, table: TableValue, num_buckets: int, first: int = 0) -> tuple[Array, Array]:
        return super().extremes(_all(table), num_buckets, first)


def _all(table: TableValue) -> TableValue:
    return table.all() if isinstance(table, RoundedTable) else table
