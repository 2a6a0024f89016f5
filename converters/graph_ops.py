"""The maths over quantized tables, as a graph of operators that every runtime has."""

from __future__ import annotations

import tensorflow as tf

from memcom_tf.ops.interface import Array
from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.ops.reference import ReferenceOps

from .quantize import QuantizedTable


class QuantizedOps(ReferenceOps):
    """`memcom_tf.ops.interface.Ops` over `QuantizedTable`, for the graph of a `.tflite` file.

    Rows are gathered as integers, cast and scaled: no table is ever turned into floats as a
    whole. Scores of the whole vocabulary multiply a float query with the int8 table, for which
    runtimes quantize the query to 8 bits on the fly.

    Args:
        zero: A scalar int32 that is 0, but that the converter cannot know: it keeps it from
            computing with constants at conversion and storing the larger result.
    """

    def __init__(self, zero: Array) -> None:
        self.zero = zero

    def gather(self, table: QuantizedTable, rows: Array) -> Array:
        if not isinstance(table, QuantizedTable):  # computed on the way
            return tf.gather(table, rows)
        values = tf.gather(tf.constant(table.data), rows)
        if table.holds_codes:
            return _unpacked(tf.cast(values, tf.int32), table)
        if table.data.dtype == "float32":
            return values
        scale = (
            tf.gather(tf.constant(table.scale), rows)
            if table.scaled_by_row
            else (tf.constant(table.scale[0, 0]))
        )
        return tf.cast(values, tf.float32) * scale

    def column(self, table: QuantizedTable, index: int) -> Array:
        num_rows, num_bytes = table.data.shape
        place, byte = divmod(index, num_bytes)
        if num_bytes == 1:  # a slice of everything would be folded, wherever it begins
            column = self._unfolded(table.data)
        else:
            begin = tf.constant([0, byte]) + self.zero
            column = tf.slice(tf.constant(table.data), begin, [num_rows, 1])
        column = tf.cast(tf.reshape(column, [-1]), tf.int32)
        if table.codes_per_byte == 1:
            return column
        return column // table.num_codes**place % table.num_codes

    def values(self, table: QuantizedTable) -> Array:
        values = self._unfolded(table.data)
        if table.data.dtype == "float32":
            return values
        scale = self._unfolded(table.scale) if table.scaled_by_row else table.scale[0, 0]
        return tf.cast(values, tf.float32) * scale

    def matmul(self, x: Array, table: QuantizedTable) -> Array:
        shape = x.shape
        flat = tf.reshape(x, [-1, shape[-1]])
        weights = table.data if isinstance(table, QuantizedTable) else table
        if weights.dtype != "float32":
            weights = self.values(table)
        product = tf.matmul(flat, weights)
        return _reshape_like(product, x)

    def scores(self, query: Array, table: QuantizedTable) -> Array:
        # Passed through GATHER, or the converter would multiply the table, as floats, with
        # whatever constant the query was multiplied with before.
        flat = tf.gather(tf.reshape(query, [1, -1, query.shape[-1]]), self.zero)
        if table.data.shape[1] == 1:
            return _reshape_like(flat * tf.reshape(self.values(table), [-1]), query)
        if table.data.dtype == "float32":
            return _reshape_like(tf.matmul(flat, table.data, transpose_b=True), query)
        if table.data.dtype != "int8":
            return _reshape_like(tf.matmul(flat, self.values(table), transpose_b=True), query)
        # The float twin of the integers; `tflite.finish` puts them back.
        products = tf.matmul(flat, tf.constant(table.score_twin), transpose_b=True)
        if table.scaled_by_row:
            products = products * tf.reshape(self._unfolded(table.scale), [-1])
        return _reshape_like(products, query)

    def arange(self, n: int) -> Array:
        # Two short constants instead of one of n numbers.
        step = max(1, int(n**0.5))
        high = tf.range(-(-n // step), dtype=tf.int32) * step + self.zero
        grid = high[:, None] + tf.range(step, dtype=tf.int32)[None]
        return tf.reshape(grid, [-1])[:n]

    def extremes(self, table: QuantizedTable, num_buckets: int) -> tuple[Array, Array]:
        found = NumpyOps().extremes(table.data, num_buckets)
        lowest, highest = (
            tf.cast(self._unfolded(extreme), tf.float32) * table.scale[0, 0] for extreme in found
        )
        return lowest, highest

    def _unfolded(self, constant: Array) -> Array:
        """A constant that the converter takes for a value it cannot know."""
        return tf.gather(tf.constant(constant[None]), self.zero)


def _unpacked(packed: Array, table: QuantizedTable) -> Array:
    """The codes of rows `[..., bytes]` of a table."""
    if table.codes_per_byte == 1:
        return packed
    num_codes = table.num_codes
    parts = [packed // num_codes**place % num_codes for place in range(table.codes_per_byte)]
    return tf.concat(parts, axis=-1)[..., : table.width]


def _reshape_like(rows: Array, x: Array) -> Array:
    """`[n, d]` as `x.shape[:-1] + [d]`."""
    if x.shape.rank == 2:
        return rows
    leading = [-1 if size is None else size for size in x.shape[:-1]]
    return tf.reshape(rows, [*leading, rows.shape[-1]])
