"""Reading a flatbuffer of unknown origin: no offset leads outside, and no loop is long.

The generated readers of the schema trust every offset, and their unpacked objects copy every
buffer. This one checks each offset, and reads nothing of the buffers but where they are.
"""

from __future__ import annotations

from struct import Struct, unpack_from
from typing import Final

import numpy as np

INT8: Final = Struct("<b")
UINT8: Final = Struct("<B")
INT32: Final = Struct("<i")
UINT32: Final = Struct("<I")
UINT64: Final = Struct("<Q")

_UINT16 = Struct("<H")
_FOUR = 4  # bytes of an offset, of a length, and of what vectors are aligned to
_READS_A_BYTE = 4
"""How much may be read per byte of the file; many references to one place would need more."""


class DamagedError(Exception):
    """What is wrong with a flatbuffer; `str()` is a sentence's end."""


class FlatBuffer:
    """A flatbuffer's bytes, with a limit on how much is read of them.

    Args:
        data: The bytes, nothing behind them.

    Raises:
        DamagedError: If the first table lies outside; so do all readers.

    Example:
        >>> FlatBuffer(memoryview(bytes(8))).root.is_set(0)
        Traceback (most recent call last):
            ...
        memcom_tf.converters.graph_check.flatbuffer.DamagedError: a table starts at byte 0 of 8
    """

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.fields_at: dict[int, tuple[int, ...]] = {}
        self._left = _READS_A_BYTE * len(data)

    @property
    def root(self) -> Table:
        """The first table."""
        return Table(self, self.read(UINT32, 0))

    def read(self, number: Struct, start: int) -> int:
        """One number."""
        if not 0 <= start <= len(self.data) - number.size:
            raise DamagedError(f"a number is at byte {start} of {len(self.data)}")
        value: int = number.unpack_from(self.data, start)[0]
        return value

    def spend(self, size: int) -> None:
        """Counts bytes read."""
        self._left -= size
        if self._left < 0:
            raise DamagedError("its parts are referred to again and again")


class Table:
    """A table of a flatbuffer: fields by their index in the schema."""

    __slots__ = ("_buffer", "_fields", "_start")

    def __init__(self, buffer: FlatBuffer, start: int) -> None:
        size = len(buffer.data)
        if not _FOUR <= start <= size - _FOUR:
            raise DamagedError(f"a table starts at byte {start} of {size}")
        buffer.spend(_FOUR)
        layout = start - buffer.read(INT32, start)
        fields = buffer.fields_at.get(layout)
        if fields is None:
            length = buffer.read(_UINT16, layout)
            if length < _FOUR or length % 2 or layout + length > size:
                raise DamagedError(f"a table's layout has {length} bytes at byte {layout}")
            buffer.spend(length)
            fields = unpack_from(f"<{length // 2}H", buffer.data, layout)[2:]
            buffer.fields_at[layout] = fields
        self._buffer, self._start, self._fields = buffer, start, fields

    def _place(self, index: int) -> int:
        """Where a field is; 0 where the table has none."""
        offset = self._fields[index] if index < len(self._fields) else 0
        return self._start + offset if offset else 0

    def is_set(self, index: int) -> bool:
        """Whether the field is there."""
        return self._place(index) != 0

    def number(self, index: int, number: Struct = INT32, default: int = 0) -> int:
        """A number."""
        place = self._place(index)
        return self._buffer.read(number, place) if place else default

    def _target(self, index: int) -> int:
        place = self._place(index)
        return place + self._buffer.read(UINT32, place) if place else 0

    def table(self, index: int) -> Table | None:
        """Another table, None where there is none."""
        start = self._target(index)
        return Table(self._buffer, start) if start else None

    def vector(self, index: int, item_size: int) -> tuple[int, int]:
        """Where the items of a vector start, and how many there are."""
        start = self._target(index)
        if not start:
            return 0, 0
        count = self._buffer.read(UINT32, start)
        start += _FOUR
        if count * item_size > len(self._buffer.data) - start:
            raise DamagedError(f"{count} items of {item_size} bytes are at byte {start}")
        return start, count

    def integers(self, index: int, code: str = "i") -> tuple[int, ...]:
        """The integers of a vector; `code` is their `struct` format, int32."""
        size = Struct(f"<{code}").size
        start, count = self.vector(index, size)
        self._buffer.spend(count * size)
        return unpack_from(f"<{count}{code}", self._buffer.data, start)

    def array_at(self, start: int, count: int, dtype: str) -> np.ndarray:
        """Numbers at a place of the file."""
        size = count * np.dtype(dtype).itemsize
        if not 0 <= start <= len(self._buffer.data) - size:
            raise DamagedError(f"{count} numbers are at byte {start}")
        self._buffer.spend(size)
        return np.frombuffer(bytes(self._buffer.data[start : start + size]), dtype)

    def text(self, index: int) -> str:
        """A string, "" where there is none."""
        start, count = self.vector(index, 1)
        self._buffer.spend(count)
        try:
            return bytes(self._buffer.data[start : start + count]).decode()
        except UnicodeDecodeError as error:
            raise DamagedError("a name is no text") from error

    def tables(self, index: int) -> list[Table]:
        """The tables of a vector."""
        start, count = self.vector(index, _FOUR)
        self._buffer.spend(count * _FOUR)
        offsets = unpack_from(f"<{count}I", self._buffer.data, start)
        return [
            Table(self._buffer, start + _FOUR * place + offset)
            for place, offset in enumerate(offsets)
        ]
