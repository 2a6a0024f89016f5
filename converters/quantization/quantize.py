"""Tables as integers: what a file stores, and what its values can be off by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.ops.quantization import integers_of, scales_of, values_of
from memcom_tf.tables import FLOAT16, FLOAT32, Storage, Table

from .packing import pack, pack_in_order, unpack, unpack_in_order
from .weights import Profile

_LARGEST_HALF = float(np.finfo(np.float16).max)
_LEAST_LOOKED_UP = 4
_ROWS_AT_A_TIME = 1 << 16


@dataclass(frozen=True)
class QuantizedTable:
    """A table as it is stored.

    `value = data * scale`, and `(data - offset) * scale` with 4 and 2 bits, which are packed.
    Codes, indices and floats have no scale.

    Attributes:
        name: Name of the table in its layer.
        storage: How it is stored.
        data: int8, int16, int32, float16, float32, or uint8 as `packing` packs codes and low bits;
            `[rows, width]`, packed `[rows, bytes]`.
        scale: float32 `[rows, 1]` with a scale per row, `[num_buckets, 1]` per bucket, `[1, 1]`
            with one for the table.
        width: Values of a row.
        radius: The most by which a stored value differs from what was trained, float64 of the
            scales' shape.
        is_embedding_lookup: Whether rows are read by the operator EMBEDDING_LOOKUP, which has its
            own order of low bits, and not by GATHER.
        in_floats: Whether queries are multiplied with the rows as floats, not in 8 bits.
    """

    name: str
    storage: Storage
    data: np.ndarray
    scale: np.ndarray
    width: int
    radius: np.ndarray
    is_embedding_lookup: bool = False
    in_floats: bool = False

    @property
    def is_multiplied_in_8_bits(self) -> bool:
        """Whether runtimes round the queries that they multiply with it."""
        return self.data.dtype == np.int8 and self.width > 1 and not self.in_floats

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.data)

    @property
    def scaled_by_row(self) -> bool:
        """Whether the rows have scales of their own."""
        return self.storage.scaled_by == "row"

    @property
    def holds_integers(self) -> bool:
        """Whether the integers are what they are, not steps of a scale."""
        return self.storage.numbers == "plain"

    @property
    def holds_floats(self) -> bool:
        """Whether the values are stored themselves, without a scale."""
        return self.storage.numbers == "float"

    @property
    def packed_bits(self) -> int:
        """Bits of an integer where they are packed, and 0 where not."""
        return self.storage.bits if self.storage.is_packed else 0

    @property
    def bits(self) -> int:
        """Bits of a value in the file."""
        return self.storage.bits

    @property
    def file_width(self) -> int:
        """Values of a row in the file: packed ones fill whole bytes."""
        return int(self.data.shape[1]) * 8 // self.packed_bits if self.packed_bits else self.width

    @property
    def is_scaled_by_operator(self) -> bool:
        """Whether the runtime multiplies rows with their scales as it reads them."""
        return self.is_embedding_lookup and not self.packed_bits

    @property
    def offset(self) -> float:
        """What packed integers are above the multiples of the scale that they stand for."""
        if self.holds_integers:
            return 0.0
        return self.storage.half - self.storage.shift

    def dequantized(self) -> np.ndarray:
        """The float32 values that the file stands for; codes and indices as they are."""
        dtype = self.data.dtype if self.holds_integers else np.float32
        values = np.empty((self.rows, self.width), dtype)
        for start in range(0, self.rows, _ROWS_AT_A_TIME):
            rows = np.arange(start, min(start + _ROWS_AT_A_TIME, self.rows))
            values[rows] = self.take(rows)
        return values

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Some rows of `dequantized()`: `rows.shape + [width]`."""
        stored, scale = self.data[rows], self.scale[rows % len(self.scale)]
        if not self.packed_bits:
            if self.holds_integers:
                return stored
            return (stored.astype(np.float32) * scale).astype(np.float32)
        taken_apart = unpack_in_order if self.is_embedding_lookup else unpack
        integers = taken_apart(stored, self.packed_bits, self.width)
        return integers if self.holds_integers else (integers - np.float32(self.offset)) * scale

    @property
    def score_scale(self) -> float:
        """What a product in integers is multiplied with; scales of rows are applied to it."""
        return 1.0 if self.scaled_by_row else float(self.scale[0, 0])

    @cached_property
    def stand_in(self) -> np.ndarray:
        """What stands for the table in a graph that reads rows by EMBEDDING_LOOKUP: its own row."""
        return np.zeros((1, self.file_width), np.float32)

    @property
    def data_bytes(self) -> int:
        """Bytes of the integers, or floats."""
        return self.data.nbytes

    @property
    def scale_bytes(self) -> int:
        """Bytes of the scales that are stored as a table; a single one is a constant.

        An operator that scales rows has a zero point for each, of 8 bytes.
        """
        if self.is_scaled_by_operator:
            return 12 * self.rows
        return 0 if self.scale.size == 1 and not self.scaled_by_row else self.scale.nbytes


def quantize_table(
    table: Table,
    values: np.ndarray,
    *,
    is_rounded: bool = False,
    in_file: str | None = None,
    scales: np.ndarray | None = None,
) -> QuantizedTable:
    """Quantizes a table as it declares.

    Where 4 and 2 bits are declared without a level at 0, they get one if that leaves a smaller
    squared error.

    Args:
        table: The declaration, whose `storage` decides.
        values: float `[rows, width]`.
        is_rounded: Whether the trained layer rounds them itself, to the levels that are declared,
            so that nothing is lost.
        in_file: How a file stores the table, where there is one: its levels are kept.
        scales: Those that the layer has trained; None takes those that fit the values best.

    Returns:
        The stored table. From 8 bits on every value is within half a step of the given one; with
        fewer the largest may be farther off, as `radius` says.

    Raises:
        ValueError: If a value is not finite, or too large for float16, or a code out of range.
    """
    exact = np.zeros((1, 1))
    one = np.ones((1, 1), np.float32)
    if table.holds_integers:
        data = table.checked(values)
        bits = table.storage.bits
        data = pack(data, bits) if table.storage.is_packed else data.astype(f"int{bits}")
        return QuantizedTable(table.name, table.storage, data, one, table.width, exact)
    values = np.asarray(values, np.float32)
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0, 0])
        raise ValueError(
            f"Trained tables must be finite. Received: table={table.name!r}, row={row}. "
            "The training diverged: lower its learning rate."
        )
    if table.storage == FLOAT32:
        return QuantizedTable(table.name, table.storage, values, one, table.width, exact)
    if table.storage == FLOAT16:
        return _in_half_precision(table, values, is_rounded=is_rounded)
    choices = [table.storage] if is_rounded else table.storage.alternatives()
    choices = [storage for storage in choices if str(storage) == in_file] or choices
    found = [(_quantized(values, table.stored_as(storage), scales), storage) for storage in choices]
    (scale, integers), storage = min(found, key=lambda one: _squared_error(values, *one))
    data = integers
    if storage.is_low:
        data = pack((integers + np.int8(storage.half)).astype(np.uint8), storage.bits)
    radius = exact if is_rounded else _radius(values, scale, integers, storage)
    return QuantizedTable(table.name, storage, data, scale, table.width, radius)


def looked_up(table: QuantizedTable, profile: Profile) -> QuantizedTable:
    """A table as runtimes of a profile read it.

    With "litert", EMBEDDING_LOOKUP reads int8 with a scale for each row, and 4 and 2 bits; it has
    no kernel for codes and 16 bits, and gains nothing on rows of a few values.
    """
    scaled = table.data.dtype == np.int8 and table.scaled_by_row
    packed = bool(table.packed_bits) and not table.holds_integers
    if profile == "portable" or table.width < _LEAST_LOOKED_UP or not (scaled or packed):
        return table
    data = table.data
    if packed:
        integers = unpack(data, table.packed_bits, table.width)
        data = pack_in_order(integers, table.packed_bits)
    return replace(table, data=data, is_embedding_lookup=True)


def _in_half_precision(table: Table, values: np.ndarray, *, is_rounded: bool) -> QuantizedTable:
    """The nearest float16; 11 bits of what is not too small for them are kept."""
    largest = np.abs(values).max(axis=1, keepdims=True)
    if (largest > _LARGEST_HALF).any():
        raise invalid(
            f"Values stored as float16 must be at most {_LARGEST_HALF:,.0f} in size.",
            "Store the table as int8, which has scales.",
            table=table.name,
            row=int(np.argmax(largest > _LARGEST_HALF)),
            value=float(largest.max()),
        )
    half_ulp = np.maximum(largest.astype(np.float64) * 2.0**-11, 2.0**-25)
    one = np.ones((1, 1), np.float32)
    radius = np.zeros((1, 1)) if is_rounded else half_ulp
    data = values.astype(np.float16)
    return QuantizedTable(table.name, table.storage, data, one, table.width, radius)


def _quantized(
    values: np.ndarray, table: Table, trained: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Scales, 1 where all is 0 and the integers say so, and integers."""
    storage = table.storage
    rows = _ROWS_AT_A_TIME if storage.scaled_by == "row" else len(values)
    scales, integers = [], []
    for start in range(0, len(values), rows):
        part = values[start : start + rows]
        if trained is None:
            scale = scales_of(tf.constant(part), storage, table.num_buckets)
        else:
            scale = tf.constant(trained[start : start + rows])
        of_rows = tf.gather(scale, tf.range(len(part)) % len(scale))
        scales.append(scale.numpy())
        found = integers_of(tf.constant(part), of_rows, storage).numpy()
        integers.append(found.astype(f"int{max(storage.bits, 8)}"))
    scale = np.concatenate(scales)
    if not storage.is_low:
        scale[scale == 0] = 1.0
    return scale, np.concatenate(integers)


def _radius(
    values: np.ndarray, scale: np.ndarray, integers: np.ndarray, storage: Storage
) -> np.ndarray:
    steps = scale.astype(np.float64)
    # The division by the scale rounds to float32 too: an ulp of the largest integer.
    half_step = steps * (0.5 + 2.0**-23 * storage.largest)
    if not storage.is_low:
        return half_step
    parts = _differences(values, scale, integers, storage)
    largest = np.concatenate([np.abs(part).max(axis=1, keepdims=True) for part in parts])
    return np.maximum(half_step, largest if storage.scaled_by == "row" else largest.max())


def _squared_error(
    values: np.ndarray, quantized: tuple[np.ndarray, np.ndarray], storage: Storage
) -> float:
    parts = _differences(values, *quantized, storage)
    return float(sum((part.astype(np.float64) ** 2).sum() for part in parts))


def _differences(
    values: np.ndarray, scale: np.ndarray, integers: np.ndarray, storage: Storage
) -> Iterator[np.ndarray]:
    """What values are above the stored ones, some rows at a time."""
    for start in range(0, len(values), _ROWS_AT_A_TIME):
        rows = np.arange(start, min(start + _ROWS_AT_A_TIME, len(values)))
        of_rows = scale[rows % len(scale)]
        yield values[rows] - values_of(integers[rows].astype(np.float32), of_rows, storage)
