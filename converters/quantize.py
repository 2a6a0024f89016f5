"""Tables as integers: what a file stores, and what its values can be off by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memcom_tf.tables import Storage, Table

from .packing import pack, unpack

_LARGEST = {"int8": 127, "int16": 32767}
_CODE_BITS = {"uint8": 8, "uint4": 4}


@dataclass(frozen=True)
class QuantizedTable:
    """A table as it is stored: `value = data * scale`, symmetric. Codes have no scale.

    Attributes:
        name: Name of the table in its layer.
        storage: How it is stored.
        data: int8, int16, float32 or, for codes, uint8 `[rows, width]`; packed as `packing.pack`
            does where a code has less than 8 bits.
        scale: float32 `[rows, 1]` with a scale per row, `[1, 1]` with one for the table.
        width: Values of a row.
    """

    name: str
    storage: Storage
    data: np.ndarray
    scale: np.ndarray
    width: int

    @property
    def scaled_by_row(self) -> bool:
        """Whether the rows have scales of their own."""
        return self.storage == "int8_per_row"

    @property
    def holds_codes(self) -> bool:
        """Whether the integers are what they are, not steps of a scale."""
        return self.storage in _CODE_BITS

    @property
    def codes_per_byte(self) -> int:
        """Codes that share a byte."""
        return 8 // _CODE_BITS[self.storage]

    @property
    def num_codes(self) -> int:
        """Codes that can be told apart."""
        return int(2 ** _CODE_BITS[self.storage])

    def codes(self) -> np.ndarray:
        """The codes, one in a uint8 `[rows, width]`."""
        return unpack(self.data, _CODE_BITS[self.storage], self.width)

    def dequantized(self) -> np.ndarray:
        """The float32 values that the file stands for; codes as uint8."""
        if self.holds_codes:
            return self.codes()
        return (self.data.astype(np.float32) * self.scale).astype(np.float32)

    @property
    def score_twin(self) -> np.ndarray:
        """The floats that stand for the integers in a graph that multiplies with all of them.

        A scale for the table is in them; scales of rows are applied to the products.
        """
        return self.data.astype(np.float32) if self.scaled_by_row else self.dequantized()

    @property
    def score_scale(self) -> float:
        """The scale by which `score_twin` stands for the integers."""
        return 1.0 if self.scaled_by_row else float(self.scale[0, 0])

    def radius(self) -> np.ndarray:
        """The most by which a stored value differs from what was trained: half a step.

        Returns:
            float64, broadcastable to the table.
        """
        if self.data.dtype == np.float32:
            return np.zeros((1, 1))
        # The division by the scale rounds to float32 too: an ulp of the largest integer.
        return self.scale.astype(np.float64) * (0.5 + 2.0**-23 * np.iinfo(self.data.dtype).max)

    @property
    def data_bytes(self) -> int:
        """Bytes of the integers, or floats."""
        return self.data.nbytes

    @property
    def scale_bytes(self) -> int:
        """Bytes of the scales that are stored as a table; a single one is a constant."""
        return self.scale.nbytes if self.scaled_by_row else 0


def quantize_table(table: Table, values: np.ndarray) -> QuantizedTable:
    """Quantizes a table as it declares.

    Args:
        table: The declaration, whose `storage` decides.
        values: float `[rows, width]`.

    Returns:
        The stored table. Every value is within half a step of the given one.

    Raises:
        ValueError: If a value is not finite, or a code out of range.
    """
    if not table.trainable:
        data = pack(table.checked(values), _CODE_BITS[table.storage])
        one = np.ones((1, 1), np.float32)
        return QuantizedTable(table.name, table.storage, data, one, table.width)
    values = np.asarray(values, np.float32)
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0, 0])
        raise ValueError(
            f"Trained tables must be finite. Received: table={table.name!r}, row={row}. "
            "The training diverged: lower its learning rate."
        )
    if table.storage == "float32":
        one = np.ones((1, 1), np.float32)
        return QuantizedTable(table.name, table.storage, values, one, table.width)
    kind, _, granularity = table.storage.partition("_per_")
    largest = np.abs(values).max(axis=1 if granularity == "row" else None, keepdims=True)
    scale = (largest / _LARGEST[kind]).astype(np.float32)
    scale[scale == 0] = 1.0
    data = np.clip(np.rint(values / scale), -_LARGEST[kind], _LARGEST[kind]).astype(kind)
    return QuantizedTable(table.name, table.storage, data, scale, table.width)
