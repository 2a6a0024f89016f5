"""Tables as integers: what a file stores, and what its values can be off by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memcom_tf.tables import Storage, Table

_LARGEST = {"int8": 127, "int16": 32767}


@dataclass(frozen=True)
class QuantizedTable:
    """A table as it is stored: `value = data * scale`, symmetric.

    Attributes:
        name: Name of the table in its layer.
        storage: How it is stored.
        data: int8, int16 or float32 `[rows, width]`.
        scale: float32 `[rows, 1]` with a scale per row, `[1, 1]` with one for the table.
    """

    name: str
    storage: Storage
    data: np.ndarray
    scale: np.ndarray

    @property
    def scaled_by_row(self) -> bool:
        """Whether the rows have scales of their own."""
        return self.storage == "int8_per_row"

    def dequantized(self) -> np.ndarray:
        """The float32 values that the file stands for."""
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
        ValueError: If a value is not finite.
    """
    values = np.asarray(values, np.float32)
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0, 0])
        raise ValueError(
            f"Trained tables must be finite. Received: table={table.name!r}, row={row}. "
            "The training diverged: lower its learning rate."
        )
    if table.storage == "float32":
        return QuantizedTable(table.name, table.storage, values, np.ones((1, 1), np.float32))
    kind, _, granularity = table.storage.partition("_per_")
    largest = np.abs(values).max(axis=1 if granularity == "row" else None, keepdims=True)
    scale = (largest / _LARGEST[kind]).astype(np.float32)
    scale[scale == 0] = 1.0
    data = np.clip(np.rint(values / scale), -_LARGEST[kind], _LARGEST[kind]).astype(kind)
    return QuantizedTable(table.name, table.storage, data, scale)
