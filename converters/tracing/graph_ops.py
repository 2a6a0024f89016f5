"""The maths over quantized tables, as a graph of operators that every runtime has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.ops.interface import Array
from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.ops.reference import ReferenceOps

from ..quantization.quantize import QuantizedTable
from .large import IN_PRODUCT, captured

_VALUES_AT_A_TIME = 1 << 20
"""Of a packed table, when all are multiplied: 4 MB of floats."""


def unknown_zero(x: Array) -> Array:
    """0 as int32, of which the converter does not know that it is: it follows from an input."""
    return tf.cast(tf.reduce_min(tf.abs(tf.cast(x, tf.float32))) < -1.0, tf.int32)


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
        if table.is_embedding_lookup:
            values = _looked_up(table, rows)
        else:
            stored = tf.gather(captured(_bits(table)), rows)
            if table.holds_integers:
                return _as_index(stored if not table.packed_bits else _unpacked(stored, table))
            values = _floats(stored, table)
        if table.holds_floats or table.is_scaled_by_operator:
            return values
        return values * self._scales(table, rows)

    def column(self, table: QuantizedTable, index: int) -> Array:
        if not table.packed_bits:
            return self.gather(table, self.arange(table.rows))[:, index]
        place, byte = divmod(index, table.data.shape[1])
        column = tf.slice(captured(table.data), (0, byte), (table.rows, 1))
        column = tf.cast(tf.reshape(column, [-1]), tf.float32)
        if place:
            column = tf.floor(column * 2.0 ** (-table.packed_bits * place))
        if table.packed_bits < 8:
            higher = tf.floor(column * 2.0**-table.packed_bits)
            column = column - higher * 2.0**table.packed_bits
        return tf.cast(column, tf.int32)

    def values(self, table: QuantizedTable) -> Array:
        if table.is_embedding_lookup:
            return self.gather(table, self.arange(table.rows))
        values = _floats(captured(_bits(table)), table)
        if len(table.scale) == 1:
            return values * table.scale[0, 0]
        scale = captured(table.scale)
        if len(table.scale) < table.rows:
            scale = tf.tile(scale, [-(-table.rows // len(table.scale)), 1])[: table.rows]
        return values * scale

    def matmul(self, x: Array, table: QuantizedTable) -> Array:
        shape = x.shape
        flat = tf.reshape(x, [-1, shape[-1]])
        weights = table.data if isinstance(table, QuantizedTable) else table
        if weights.dtype != "float32":
            weights = self.values(table)
        elif isinstance(table, QuantizedTable):
            weights = captured(weights)
        product = tf.matmul(flat, weights)
        return _reshape_like(product, x)

    def scores(self, query: Array, table: QuantizedTable) -> Array:
        flat = query if query.shape.rank == 2 else tf.reshape(query, [-1, query.shape[-1]])
        if not isinstance(table, QuantizedTable):  # computed on the way
            return _reshape_like(tf.matmul(flat, table, transpose_b=True), query)
        if table.width == 1:
            return _reshape_like(flat * tf.reshape(self.values(table), [-1]), query)
        if table.data.dtype == "float32":
            return _reshape_like(tf.matmul(flat, captured(table.data), transpose_b=True), query)
        if table.packed_bits or table.holds_floats or table.in_floats:
            return _reshape_like(self._scores_of_parts(flat, table), query)
        if table.data.dtype != "int8":
            return _reshape_like(tf.matmul(flat, self.values(table), transpose_b=True), query)
        products = tf.matmul(flat, _integers(table), transpose_b=True)
        if table.scaled_by_row and not table.is_scaled_by_operator:
            products = products * tf.reshape(captured(table.scale), [-1])
        return _reshape_like(products, query)

    def _scores_of_parts(self, query: Array, table: QuantizedTable) -> Array:
        """Scores of rows of which only some at a time are float32."""
        count = max(1, _VALUES_AT_A_TIME // table.width)
        parts = []
        for begin in range(0, table.rows, count):
            rows = self._rows(table, begin, min(count, table.rows - begin))
            parts.append(tf.matmul(query, rows, transpose_b=True))
        products = tf.concat(parts, axis=1)
        if table.holds_floats or table.is_scaled_by_operator:
            return products
        if table.scaled_by_row:
            return products * tf.reshape(captured(table.scale), [-1])
        return products * table.scale[0, 0]

    def _rows(self, table: QuantizedTable, begin: int, count: int) -> Array:
        """Values of some rows, without their scale."""
        if table.is_embedding_lookup:
            return _looked_up(table, self.arange(count) + begin)
        if table.holds_floats:  # SLICE takes no integers of 16 bits
            stored = tf.gather(captured(_bits(table)), self.arange(count) + begin)
        else:
            shape = (count, table.data.shape[1])
            stored = tf.slice(captured(table.data), (begin, 0), shape)
        return _floats(stored, table)

    def arange(self, n: int) -> Array:
        # Two short constants instead of one of n numbers.
        step = max(1, int(n**0.5))
        high = tf.range(-(-n // step), dtype=tf.int32) * step + self.zero
        grid = high[:, None] + tf.range(step, dtype=tf.int32)[None]
        return tf.reshape(grid, [-1])[:n]

    def extremes(
        self, table: QuantizedTable, num_buckets: int, first: int = 0
    ) -> tuple[Array, Array]:
        by_bucket = len(table.scale) in (1, num_buckets)
        if table.packed_bits or table.holds_floats or not by_bucket:
            found = NumpyOps().extremes(table.dequantized(), num_buckets, first)
            lowest, highest = (self._unfolded(extreme) for extreme in found)
            return lowest, highest
        found = NumpyOps().extremes(table.data, num_buckets, first)
        # Scales are by `i mod m`: the first bucket's is that of id `first`.
        scale = self._unfolded(np.roll(table.scale[:, 0], -first))
        lowest, highest = (
            tf.cast(self._unfolded(extreme), tf.float32) * scale for extreme in found
        )
        return lowest, highest

    def _scales(self, table: QuantizedTable, rows: Array) -> Array:
        if len(table.scale) == 1 and not table.scaled_by_row:
            return tf.constant(table.scale[0, 0])
        if len(table.scale) < table.rows:
            rows = rows % len(table.scale)
        return tf.gather(captured(table.scale), rows)

    def _unfolded(self, values: Array) -> Array:
        """A constant that the converter takes for a value it cannot know."""
        return tf.gather(tf.constant(values[None]), self.zero)


def _as_index(integers: Array) -> Array:
    return integers if integers.dtype == tf.int32 else tf.cast(integers, tf.int32)


def _integers(table: QuantizedTable) -> Array:
    """What stands for the integers in a product that the runtime takes in 8 bits."""
    return tf.cast(captured(table.data, IN_PRODUCT), tf.float32)


def _looked_up(table: QuantizedTable, ids: Array) -> Array:
    """Rows `ids.shape + [width]` by EMBEDDING_LOOKUP; without their scale where bits are low."""
    flat = ids if ids.shape.rank == 1 else tf.reshape(ids, [-1])
    if flat.dtype != tf.int32:
        # Ids outside the table stay outside: none may become another by losing its high bits.
        flat = tf.cast(tf.clip_by_value(flat, -1, table.rows), tf.int32)
    rows = tf.gather(captured(table.stand_in), flat)
    if table.file_width > table.width:
        rows = rows[:, : table.width]
    if table.packed_bits and (shift := table.storage.shift):
        rows += shift
    if ids.shape.rank == 1:
        return rows
    shape = _shape_with(ids.shape, lambda: tf.shape(ids), table.width)
    return tf.reshape(rows, shape)


def _bits(table: QuantizedTable) -> Array:
    """What is stored, in a type of which every runtime gathers rows: float16 only late ones do."""
    return table.data.view(np.int16) if table.data.dtype == np.float16 else table.data


def _unpacked(stored: Array, table: QuantizedTable) -> Array:
    """The integers `[..., width]` in packed rows `[..., bytes]`, as floats.

    Taken apart by arithmetic of floats, which is exact, and many times faster than runtimes divide
    integers.
    """
    rest = tf.cast(stored, tf.float32)
    parts = []
    for _ in range(8 // table.packed_bits - 1):
        higher = tf.floor(rest * 2.0**-table.packed_bits)
        parts.append(rest - higher * 2.0**table.packed_bits)
        rest = higher
    if not parts:
        return rest
    values = tf.concat([*parts, rest], axis=-1)
    return values if table.file_width == table.width else values[..., : table.width]


def _floats(stored: Array, table: QuantizedTable) -> Array:
    """Values of stored rows, without their scale."""
    if table.packed_bits:
        return _unpacked(stored, table) - table.offset
    if table.data.dtype == np.float16:
        stored = tf.bitcast(stored, tf.float16)
    return stored if stored.dtype == tf.float32 else tf.cast(stored, tf.float32)


def _reshape_like(rows: Array, x: Array) -> Array:
    """`[n, d]` as `x.shape[:-1] + [d]`."""
    if x.shape.rank == 2:
        return rows
    return tf.reshape(rows, _shape_with(x.shape[:-1], lambda: tf.shape(x)[:-1], rows.shape[-1]))


def _shape_with(leading: Any, computed: Callable[[], Array], last: int) -> Any:
    """A shape as constants, where they say enough."""
    if leading.rank is not None:
        sizes = [-1 if size is None else size for size in leading]
        if sizes.count(-1) < 2:
            return [*sizes, last]
    return tf.concat([computed(), [last]], axis=0)
