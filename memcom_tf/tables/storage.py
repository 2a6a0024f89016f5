"""How the numbers of a table are stored: in how many bits, and with which scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from memcom_tf.errors import invalid

Numbers = Literal["scaled", "plain", "float"]
"""Integers that stand for multiples of a scale, integers as they are, or floats."""
Scales = Literal["row", "table", "bucket"]
Levels = Literal["midrise", "midtread"]
"""Where the levels lie: between the multiples of the scale, or at them."""


@dataclass(frozen=True)
class Storage:
    """How a table is stored in a file.

    As text, which is what users type, it is "int8_per_row", "int4_midtread_per_table", "float16"
    and so on: `Storage.of` reads it, and `str` writes it.

    Attributes:
        bits: Bits of a value.
        numbers: "scaled" integers, with a scale; "plain" ones, which are codes and indices; floats.
        scaled_by: What has a scale of its own: each row, the table, or each bucket of ids.
        levels: "midtread" levels are multiples of the scale, and one is 0; "midrise" ones, of 4
            and 2 bits alone, lie between them, as many above 0 as below.

    Example:
        >>> storage = Storage.of("int4_per_row")
        >>> storage.bits, storage.scaled_by, storage.levels, storage.num_bytes(rows=10, width=7)
        (4, 'row', 'midrise', 80)
        >>> str(storage)
        'int4_per_row'
    """

    bits: int
    numbers: Numbers
    scaled_by: Scales | None = None
    levels: Levels = "midtread"

    @classmethod
    def of(cls, text: StorageLike) -> Storage:
        """The storage that a text names.

        Raises:
            ValueError: If it names none that a table of numbers can have.
        """
        if isinstance(text, Storage):
            return text
        if not isinstance(text, str) or text not in _BY_NAME:
            raise invalid(f"The storage of a table must be one of {choices()}.", storage=text)
        return _BY_NAME[text]

    def __str__(self) -> str:
        if self.numbers == "float":
            return f"float{self.bits}"
        if self.numbers == "plain":
            return f"uint{self.bits}" if self.bits <= 8 else f"int{self.bits}"
        levels = "_midtread" if self.is_low and self.levels == "midtread" else ""
        return f"int{self.bits}{levels}_per_{self.scaled_by}"

    @property
    def is_low(self) -> bool:
        """Whether several values with a scale are in a byte."""
        return self.numbers == "scaled" and self.bits < 8

    @property
    def is_packed(self) -> bool:
        """Whether values are taken apart from bytes when they are read: codes, and low bits."""
        return self.is_low or (self.numbers == "plain" and self.bits <= 8)

    @property
    def shift(self) -> float:
        """How far levels lie above the multiples of the scale, in scales."""
        return 0.5 if self.levels == "midrise" else 0.0

    @property
    def half(self) -> int:
        """Integers below 0; as many are not, from 0 on, where the bits are low."""
        return int(2 ** (self.bits - 1))

    @property
    def largest(self) -> int:
        """The largest integer."""
        return self.half - 1

    def alternatives(self) -> list[Storage]:
        """What a converter may choose from: itself, and its bits with a level at 0."""
        if self.levels == "midtread":
            return [self]
        return [self, replace(self, levels="midtread")]

    def num_bytes(self, rows: int, width: int, num_buckets: int = 0) -> int:
        """Bytes of a table in a file, its scales of rows or buckets included."""
        scales = {"row": rows, "bucket": num_buckets}.get(self.scaled_by or "", 0)
        return rows * -(-width * self.bits // 8) + 4 * scales


StorageLike = Storage | str
"""A storage, or the text of one."""

_STORAGES: Sequence[Storage] = (
    Storage(8, "scaled", "row"),
    Storage(8, "scaled", "table"),
    Storage(8, "scaled", "bucket"),
    Storage(16, "scaled", "table"),
    Storage(4, "scaled", "row", "midrise"),
    Storage(4, "scaled", "table", "midrise"),
    Storage(4, "scaled", "row"),
    Storage(4, "scaled", "table"),
    Storage(2, "scaled", "row", "midrise"),
    Storage(2, "scaled", "table", "midrise"),
    Storage(2, "scaled", "row"),
    Storage(2, "scaled", "table"),
    Storage(16, "float"),
    Storage(32, "float"),
)
_BY_NAME = {str(storage): storage for storage in _STORAGES}

INT8_PER_ROW = Storage.of("int8_per_row")
INT8_PER_TABLE = Storage.of("int8_per_table")
INT16_PER_TABLE = Storage.of("int16_per_table")
FLOAT16 = Storage.of("float16")
FLOAT32 = Storage.of("float32")


def choices() -> list[str]:
    """What a table of numbers may be stored as."""
    return list(_BY_NAME)


class StorageField:
    """A field of a dataclass that takes a `Storage` or the text of one, and holds the first."""

    def __init__(self, default: StorageLike) -> None:
        self._default = Storage.of(default)

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, instance: Any, owner: type | None = None) -> Storage:
        found: Storage = self._default if instance is None else instance.__dict__[self._name]
        return found

    def __set__(self, instance: Any, value: StorageLike) -> None:
        instance.__dict__[self._name] = Storage.of(value)
