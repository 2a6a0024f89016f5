"""Distinct texts in the order of their bytes: a text stores only what the one before it lacks."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import chain, islice

import numpy as np

from memcom_tf.vocabulary.packed import (
    PackedInts,
    broken,
    bytes_of,
    number,
    pack,
    read_number,
    width_of,
)

BLOCK = 16
"""Texts of a block, whose first is stored whole: a search reads one block and some firsts."""

_LONG = 15
"""What half a byte cannot say; how much more follows as a number."""


def encode_texts(texts: Sequence[bytes]) -> tuple[bytes, bytes]:
    r"""Encodes texts, to be read by `SortedTexts`.

    Args:
        texts: Distinct UTF-8 texts, sorted.

    Returns:
        Where each block starts, packed, and the blocks.

    Example:
        >>> starts, blocks = encode_texts([b"tea", b"tea pot"])
        >>> starts.hex(), blocks
        ('00', b'\x03tea4 pot')
    """
    blocks = bytearray()
    starts = []
    previous = b""
    for place, text in enumerate(texts):
        if place % BLOCK == 0:
            starts.append(len(blocks))
            previous = b""
        shared = _common_prefix(previous, text)
        length = len(text) - shared
        blocks.append(
            (shared if shared < _LONG else _LONG) << 4 | (length if length < _LONG else _LONG)
        )
        if shared >= _LONG:
            blocks += number(shared - _LONG)
        if length >= _LONG:
            blocks += number(length - _LONG)
        blocks += text[shared:]
        previous = text
    return pack(starts, width_of(len(blocks))), bytes(blocks)


def _common_prefix(first: bytes, second: bytes) -> int:
    """The number of bytes in which both agree from the start."""
    size = min(len(first), len(second))
    # As integers: as long as the first byte that differs and all behind it.
    differing = int.from_bytes(first[:size], "big") ^ int.from_bytes(second[:size], "big")
    return size - (differing.bit_length() + 7) // 8


def _decode(block: bytes, count: int) -> tuple[list[bytes], int]:
    """The first `count` texts of a block, and the position behind them."""
    texts = []
    text = b""
    position, end = 0, len(block)
    for _ in range(count):
        if position == end:
            raise broken("a block ends before its texts")
        head = block[position]
        position += 1
        shared, length = head >> 4, head & _LONG
        if shared == _LONG:
            more, position = read_number(block, position, end)
            shared += more
        if length == _LONG:
            more, position = read_number(block, position, end)
            length += more
        if shared > len(text) or length > end - position:
            raise broken("a text does not end in its block")
        text = text[:shared] + block[position : position + length]
        texts.append(text)
        position += length
    return texts, position


def bytes_of_starts(size: int, bytes_of_blocks: int) -> int:
    """Returns how many bytes say where the blocks of `size` texts start."""
    return bytes_of(-(-size // BLOCK), width_of(bytes_of_blocks))


class SortedTexts:
    """Texts in the bytes of a file, found without reading them all.

    Args:
        size: The number of texts.
        starts: Where each block starts.
        blocks: The blocks.

    Raises:
        ValueError: Where bytes that are read make no sense; also from the methods.

    Example:
        >>> starts, blocks = encode_texts([b"milk", b"tea", b"tea pot"])
        >>> texts = SortedTexts(3, memoryview(starts), memoryview(blocks))
        >>> texts[1], texts.find(b"tea pot"), texts.find(b"rice")
        (b'tea', 2, None)
    """

    def __init__(self, size: int, starts: memoryview, blocks: memoryview) -> None:
        self._size = size
        self._blocks = blocks
        self._starts = PackedInts(starts, -(-size // BLOCK), width_of(len(blocks)), len(blocks))

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, rank: int) -> bytes:
        return _decode(self._block(rank // BLOCK), rank % BLOCK + 1)[0][-1]

    def find(self, text: bytes) -> int | None:
        """Returns the place of a text among all, or None where it is not there."""
        low, high = 0, len(self._starts)
        while low < high:  # the first block that starts behind the text
            middle = (low + high) // 2
            if _decode(self._block(middle), 1)[0][0] <= text:
                low = middle + 1
            else:
                high = middle
        if low == 0:
            return None
        texts = self._texts(low - 1)
        return (low - 1) * BLOCK + texts.index(text) if text in texts else None

    def all(self) -> list[bytes]:
        """Returns the texts.

        Raises:
            ValueError: If bytes make no sense, are left over, or the texts do not rise.
        """
        starts = self._starts.array()
        if np.any(np.diff(starts) <= 0) or np.any(starts[:1]):
            raise broken("blocks of texts do not follow each other")
        texts = list(chain.from_iterable(map(self._texts, range(len(starts)))))
        if any(map(operator.ge, texts, islice(texts, 1, None))):
            raise broken("texts do not rise")
        return texts

    def _texts(self, block: int) -> list[bytes]:
        data = self._block(block)
        texts, end = _decode(data, min(BLOCK, self._size - block * BLOCK))
        if end != len(data):
            raise broken("a block does not end with its last text")
        return texts

    def _block(self, block: int) -> bytes:
        following = block + 1
        end = self._starts[following] if following < len(self._starts) else len(self._blocks)
        # Empty where the file says that it ends before it starts, which is no block.
        return bytes(self._blocks[self._starts[block] : end])
