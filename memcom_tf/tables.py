"""How a method declares the tables that it stores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Self, get_args

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.ops.interface import TableValue

Storage = Literal[
    "int8_per_row",
    "int8_per_table",
    "int8_per_bucket",
    "int16_per_table",
    "int4_per_row",
    "int4_per_table",
    "int4_midtread_per_row",
    "int4_midtread_per_table",
    "int2_per_row",
    "int2_per_table",
    "int2_midtread_per_row",
    "int2_midtread_per_table",
    "float16",
    "float32",
    "uint8",
    "uint4",
]
Tables = dict[str, TableValue]
"""Tables by name: variables, arrays or quantized tables."""


@dataclass(frozen=True)
class Table:
    """One stored table of a method.

    Attributes:
        name: Name of the variable, and key of the table in `lookup`.
        rows: Number of rows.
        width: Length of a row.
        initializer: Initial values; None takes the layer's `embeddings_initializer`, moved so
            that the composed vector has its variance (see `terms` and `factors`).
        terms: A vector is the sum of that many products ...
        factors: ... of that many independent tables.
        storage: How the converter stores it, unless the layer's `storage` says otherwise: integers
            with a scale for each row, for each bucket of ids or for the table, or floats; codes as
            they are, in 8 bits or two in a byte. Integers of 4 and 2 bits have midrise levels,
            between the multiples of the scale, or midtread ones, of which one is 0.
        num_codes: Values are integers in `[0, num_codes)`, chosen and not trained; 0 where they
            are numbers, which are.
        num_buckets: Where a row belongs to an id: number of its layer's buckets, so that scales
            may be by `i mod num_buckets`; 0 where there are none.
    """

    name: str
    rows: int
    width: int
    initializer: Any = None
    terms: int = 1
    factors: int = 1
    storage: Storage = "int8_per_row"
    num_codes: int = 0
    num_buckets: int = 0

    @classmethod
    def of_codes(
        cls, name: str, rows: int, width: int, *, num_codes: int, initializer: Any
    ) -> Self:
        """A table of integers in `[0, num_codes)`, at most 256, that choose rows of others."""
        storage: Storage = "uint4" if num_codes <= 16 else "uint8"
        return cls(name, rows, width, initializer, storage=storage, num_codes=num_codes)

    @property
    def parameters(self) -> int:
        """Number of values."""
        return self.rows * self.width

    @property
    def trainable(self) -> bool:
        """Whether the values are trained: all but codes."""
        return self.num_codes == 0

    def stored_as(self, storage: Storage) -> Self:
        """The same table stored otherwise.

        Raises:
            ValueError: If there is no such storage, or it is not one for this table.
        """
        if not self.trainable:
            raise invalid(
                f"Table {self.name!r} holds codes, which are stored as they are.", storage=storage
            )
        choices = [name for name in get_args(Storage) if not name.startswith("uint")]
        if storage not in choices:
            raise invalid(f"The storage of a table must be one of {choices}.", storage=storage)
        if storage.endswith("_per_bucket") and not self.num_buckets:
            raise invalid(
                f"Table {self.name!r} must hold a value for each id of a layer with buckets to be "
                "scaled by bucket.",
                "Choose a scale for each row or for the table.",
                storage=storage,
            )
        return replace(self, storage=storage)

    def num_bytes(self, bytes_of_a_value: int) -> int:
        """Bytes of the table where a trained value takes so many; codes are packed."""
        if self.trainable:
            return self.parameters * bytes_of_a_value
        return self.rows * (-(-self.width // 2) if self.storage == "uint4" else self.width)

    @property
    def stored_bytes(self) -> int:
        """Bytes of the table in an exported file, its scales of rows included."""
        kind, _, granularity = self.storage.partition("_per_")
        bits = int(kind.partition("_")[0].lstrip("uintfloa"))
        scales = 4 * {"row": self.rows, "bucket": self.num_buckets}.get(granularity, 0)
        return self.rows * -(-self.width * bits // 8) + scales

    def checked(self, values: Any) -> np.ndarray:
        """The values in the table's type: float32, or codes as uint8.

        Raises:
            ValueError: If the shape is not the table's, or codes are not in `[0, num_codes)`.
        """
        array = np.asarray(values)
        if array.shape != (self.rows, self.width):
            raise invalid(
                f"Table {self.name!r} must be {(self.rows, self.width)}.", shape=array.shape
            )
        if self.trainable:
            return array.astype(np.float32, copy=False)
        if array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= self.num_codes:
            raise invalid(
                f"Table {self.name!r} must hold integers in [0, {self.num_codes}).",
                dtype=str(array.dtype),
                smallest=array.min().item(),
                largest=array.max().item(),
            )
        return array.astype(np.uint8, copy=False)

    @property
    def holds_vectors(self) -> bool:
        """Whether rows are parts of vectors, which are regularized, not scalars of an id."""
        return self.initializer is None


def check_positive(**values: int) -> None:
    """Requires positive integers.

    Raises:
        ValueError: Naming the first argument that is not one.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise invalid(f"`{name}` must be a positive integer.", **{name: value})


def check_num_buckets(num_buckets: int, input_dim: int) -> None:
    """Requires `1 <= num_buckets <= input_dim`.

    Raises:
        ValueError: Naming both.
    """
    check_positive(num_buckets=num_buckets)
    if num_buckets > input_dim:
        raise invalid(
            "`num_buckets` must be at most `input_dim`.",
            "Use FullEmbedding for a row an id.",
            num_buckets=num_buckets,
            input_dim=input_dim,
        )
