"""Integers of few bits, and the error of a dictionary whose bytes make no sense."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid


def broken(reason: str) -> ValueError:
    """Returns the error for a dictionary that cannot be read."""
    return invalid(
        "The dictionary must be intact.",
        "Convert the model again, or copy the file again.",
        damage=reason,
    )


def width_of(largest: int) -> int:
    """Returns in how many bits integers up to `largest` are stored.

    Example:
        >>> width_of(0), width_of(255), width_of(256)
        (1, 8, 9)
    """
    return max(1, largest.bit_length())


def bytes_of(size: int, width: int) -> int:
    """Returns how many bytes `size` integers of `width` bits have."""
    return (size * width + 7) // 8


def pack(values: npt.ArrayLike, width: int) -> bytes:
    """Returns integers in `width` bits each, at most 32, the lowest first.

    Example:
        >>> pack([1, 258], 9).hex()
        '010402'
    """
    words = np.asarray(values, "<u4").reshape(-1, 1).view(np.uint8)
    bits = np.unpackbits(words, axis=1, bitorder="little")[:, :width]
    return np.packbits(bits.ravel(), bitorder="little").tobytes()


class PackedInts:
    """Integers in the bytes of a file.

    Args:
        data: Exactly the bytes of the integers.
        size: How many there are.
        width: Bits of one.
        limit: What all must be below.

    Example:
        >>> numbers = PackedInts(memoryview(pack([1, 258], 9)), 2, 9, 300)
        >>> len(numbers), numbers[1], numbers.array()
        (2, 258, array([  1, 258]))
    """

    def __init__(self, data: memoryview, size: int, width: int, limit: int) -> None:
        self._data = data
        self._size = size
        self._width = width
        self._limit = limit

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> int:
        start, shift = divmod(index * self._width, 8)
        word = int.from_bytes(self._data[start : start + 5], "little")
        value = word >> shift & (1 << self._width) - 1
        if value >= self._limit:
            raise broken(f"{value} is not below {self._limit}")
        return value

    def array(self) -> npt.NDArray[np.int64]:
        """Returns all of them."""
        bits = np.zeros((self._size, 32), np.uint8)
        bits[:, : self._width] = np.unpackbits(
            np.frombuffer(self._data, np.uint8), count=self._size * self._width, bitorder="little"
        ).reshape(self._size, self._width)
        values = np.packbits(bits, axis=1, bitorder="little").view("<u4").ravel().astype(np.int64)
        if len(values) and values.max() >= self._limit:
            raise broken(f"{values.max()} is not below {self._limit}")
        return values


def number(value: int) -> bytes:
    """Returns a non-negative integer in groups of 7 bits, the lowest first (LEB128).

    Example:
        >>> number(5).hex(), number(300).hex()
        ('05', 'ac02')
    """
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def read_number(data: bytes | memoryview, position: int, end: int) -> tuple[int, int]:
    r"""Reads what `number` returned.

    Args:
        data: The bytes.
        position: Where it starts.
        end: Where it must have ended.

    Returns:
        The integer, and the position behind it.

    Raises:
        ValueError: If it does not end before `end`, or has more than 9 bytes.

    Example:
        >>> read_number(b"\xac\x02", 0, 2)
        (300, 2)
    """
    value = shift = 0
    while position < end and shift < 63:
        group = data[position]
        position += 1
        value |= (group & 0x7F) << shift
        if group < 0x80:
            return value, position
        shift += 7
    raise broken("a number has no end")
