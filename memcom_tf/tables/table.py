"""How a method declares the tables that it stores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.tables.storage import INT8_PER_ROW, Storage, StorageField, StorageLike

if TYPE_CHECKING:
    from typing_extensions import Self

Kind = Literal["weights", "codes", "index", "constant", "mask", "statistics"]
TableValue = Any
"""A stored table: a variable, an array, or a quantized table. Only operations look inside."""
Tables = dict[str, TableValue]
"""Tables by name: variables, arrays or quantized tables."""

_OF_INTEGERS: tuple[Kind, ...] = ("codes", "index", "mask")
_OF_TRAINING: tuple[Kind, ...] = ("mask", "statistics")
_MOST_CODES = 256


@dataclass(frozen=True)
class Table:
    """One table of a method.

    Attributes:
        name: Name of the variable, and key of the table in `lookup`.
        rows: Number of rows.
        width: Length of a row.
        initializer: Initial values; None takes the layer's `embeddings_initializer`, moved so
            that the composed vector has its variance (see `terms` and `factors`). Only weights
            may leave it out.
        terms: A vector is the sum of that many products ...
        factors: ... of that many independent tables.
        storage: How the converter stores it, unless the layer's `storage` says otherwise: integers
            with a scale for each row, for each bucket of ids or for the table, or floats; codes and
            indices as they are. Integers of 4 and 2 bits have midrise levels, between the multiples
            of the scale, or midtread ones, of which one is 0.
        num_codes: Values of codes, of an index and of a mask are integers in `[0, num_codes)`; 0
            where they are other numbers.
        num_buckets: Where a row belongs to an id: number of its layer's buckets, so that scales
            may be by `i mod num_buckets`; 0 where there are none.
        kind: What the values are for. "weights" are trained by gradients. Nothing else is:
            "codes", 256 at most, and an "index", of any size, choose rows of other tables;
            a "constant" is numbers that never change, such as signs. All these ship. A "mask" of 0
            and 1 and "statistics" are there for training alone, and `lookup` does not see them.
    """

    name: str
    rows: int
    width: int
    initializer: Any = None
    terms: int = 1
    factors: int = 1
    storage: StorageField = StorageField(INT8_PER_ROW)  # noqa: RUF009, a descriptor
    num_codes: int = 0
    num_buckets: int = 0
    kind: Kind = "weights"

    def __post_init__(self) -> None:
        if self.kind != "weights" and self.initializer is None:
            raise invalid(
                f"A table of kind {self.kind!r} must have an initializer.",
                "Only weights start as the layer's `embeddings_initializer` says.",
                table=self.name,
            )

    @classmethod
    def of_codes(
        cls, name: str, rows: int, width: int, *, num_codes: int, initializer: Any
    ) -> Self:
        """A table of integers in `[0, num_codes)` that choose rows of others, packed in a file.

        Raises:
            ValueError: If `num_codes` is not in [1, 256]: more are an index.
        """
        if not 1 <= num_codes <= _MOST_CODES:
            raise invalid(
                f"`num_codes` must be in [1, {_MOST_CODES}].",
                "Declare more as `Table.of_index`.",
                table=name,
                num_codes=num_codes,
            )
        storage = Storage(4 if num_codes <= 16 else 8, "plain")
        return cls(
            name, rows, width, initializer, storage=storage, num_codes=num_codes, kind="codes"
        )

    @classmethod
    def of_index(
        cls, name: str, rows: int, width: int, *, num_values: int, initializer: Any
    ) -> Self:
        """A table of integers in `[0, num_values)`, such as rows of another table.

        A file takes 2 bytes for each up to 32,768 values, else 4.

        Raises:
            ValueError: If `num_values` is not in [1, 2^31).
        """
        if not 1 <= num_values < 2**31:
            raise invalid(
                "`num_values` must be in [1, 2147483648).", "", table=name, num_values=num_values
            )
        storage = Storage(16 if num_values <= 2**15 else 32, "plain")
        return cls(
            name, rows, width, initializer, storage=storage, num_codes=num_values, kind="index"
        )

    @classmethod
    def of_constants(
        cls,
        name: str,
        rows: int,
        width: int,
        *,
        initializer: Any,
        storage: StorageLike = "int8_per_table",
    ) -> Self:
        """A table of numbers that never change, such as signs, stored as `storage` says."""
        return cls(name, rows, width, initializer, storage=storage, kind="constant")

    @classmethod
    def of_mask(cls, name: str, rows: int, width: int, *, initializer: Any = "ones") -> Self:
        """A table of 0 and 1 for training alone, where 0 is what is pruned."""
        return cls(
            name, rows, width, initializer, storage=Storage(8, "plain"), num_codes=2, kind="mask"
        )

    @classmethod
    def of_statistics(cls, name: str, rows: int, width: int, *, initializer: Any = "zeros") -> Self:
        """A table of numbers that training counts and `adapt` reads, such as uses of ids."""
        return cls(name, rows, width, initializer, storage="float32", kind="statistics")

    @property
    def parameters(self) -> int:
        """Number of values."""
        return self.rows * self.width

    @property
    def trainable(self) -> bool:
        """Whether gradients train the values."""
        return self.kind == "weights"

    @property
    def holds_integers(self) -> bool:
        """Whether the values are integers that stay what they are."""
        return self.kind in _OF_INTEGERS

    @property
    def ships(self) -> bool:
        """Whether files hold the table: not what is there for training alone."""
        return self.kind not in _OF_TRAINING

    @property
    def dtype(self) -> str | None:
        """The type of the variable; None takes the layer's."""
        if self.kind == "index":
            return "int32"
        if self.holds_integers:
            return "uint8"
        return "float32" if self.kind == "statistics" else None

    def stored_as(self, storage: StorageLike) -> Self:
        """The same table stored otherwise.

        Raises:
            ValueError: If there is no such storage, or it is not one for this table.
        """
        if self.holds_integers or not self.ships:
            raise invalid(
                f"The storage of table {self.name!r} must be left out, which is of kind "
                f"{self.kind!r}.",
                "Name tables of numbers alone.",
                storage=str(storage),
            )
        storage = Storage.of(storage)
        if storage.scaled_by == "bucket" and not self.num_buckets:
            raise invalid(
                f"Table {self.name!r} must hold a value for each id of a layer with buckets to be "
                "scaled by bucket.",
                "Choose a scale for each row or for the table.",
                storage=str(storage),
            )
        return replace(self, storage=storage)

    def num_bytes(self, bytes_of_a_value: int) -> int:
        """Bytes of the table where a trained value takes so many; others as they are stored."""
        return self.parameters * bytes_of_a_value if self.trainable else self.stored_bytes

    @property
    def stored_bytes(self) -> int:
        """Bytes of the table in an exported file, its scales of rows included."""
        return self.storage.num_bytes(self.rows, self.width, self.num_buckets)

    def checked(self, values: Any) -> np.ndarray:
        """The values in the table's type: float32, or integers.

        Raises:
            ValueError: If the shape is not the table's, or integers not in `[0, num_codes)`.
        """
        array = np.asarray(values)
        if array.shape != (self.rows, self.width):
            raise invalid(
                f"Table {self.name!r} must be {(self.rows, self.width)}.", shape=array.shape
            )
        if not self.holds_integers:
            return array.astype(np.float32, copy=False)
        if array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= self.num_codes:
            raise invalid(
                f"Table {self.name!r} must hold integers in [0, {self.num_codes}).",
                dtype=str(array.dtype),
                smallest=array.min().item(),
                largest=array.max().item(),
            )
        return array.astype(self.dtype, copy=False)

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
