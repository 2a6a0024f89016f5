"""Small integers in bytes, in an order that a runtime takes apart by division alone."""

from __future__ import annotations

import numpy as np


def pack(values: np.ndarray, bits: int) -> np.ndarray:
    """Packs integers below `2**bits` into bytes, row by row.

    A row of `width` values takes `n = ceil(width / (8 / bits))` bytes: byte `j` holds the values
    `j`, `j + n`, `j + 2 n` and so on, the first in its lowest bits. Places behind the last value
    are 0. Taken apart, the parts of all bytes of a row follow each other.

    Args:
        values: uint8 `[rows, width]`.
        bits: 2, 4 or 8.

    Returns:
        uint8 `[rows, n]`.

    Example:
        >>> pack(np.array([[1, 2, 3]], np.uint8), bits=4).tolist()  # 1 + 16 * 3, 2
        [[49, 2]]
    """
    in_a_byte = 8 // bits
    num_bytes = -(-values.shape[1] // in_a_byte)
    packed = np.zeros((len(values), num_bytes), np.uint8)
    for part in range(in_a_byte):
        some = values[:, part * num_bytes : (part + 1) * num_bytes]
        packed[:, : some.shape[1]] |= some << np.uint8(part * bits)
    return packed


def unpack(packed: np.ndarray, bits: int, width: int) -> np.ndarray:
    """What `pack` was given.

    Example:
        >>> unpack(np.array([[49, 2]], np.uint8), bits=4, width=3).tolist()
        [[1, 2, 3]]
    """
    mask = np.uint8(2**bits - 1)
    parts = [packed >> np.uint8(shift) & mask for shift in range(0, 8, bits)]
    return np.concatenate(parts, axis=-1)[..., :width]


def pack_in_order(values: np.ndarray, bits: int) -> np.ndarray:
    """Packs integers as the runtime's own tensors of INT4 and INT2 have them.

    Values follow each other, the first in the lowest bits of a byte; places behind the last of a
    row are 0, so that every row starts with a byte: kernels misread a table whose rows do not.

    Args:
        values: uint8 `[rows, width]`, that stand for `value - 2**(bits - 1)`.
        bits: 2 or 4.

    Returns:
        uint8 `[rows, ceil(width * bits / 8)]`, in two's complement.

    Example:
        >>> pack_in_order(np.array([[8, 7, 9]], np.uint8), bits=4).tolist()  # 0, -1 | 1
        [[240, 1]]
    """
    in_a_byte = 8 // bits
    num_bytes = -(-values.shape[1] // in_a_byte)
    signed = np.zeros((len(values), num_bytes * in_a_byte), np.uint8)
    # Two's complement differs from an offset of half the range in the highest bit.
    signed[:, : values.shape[1]] = values ^ np.uint8(2 ** (bits - 1))
    packed = np.zeros((len(values), num_bytes), np.uint8)
    for part in range(in_a_byte):
        packed |= signed[:, part::in_a_byte] << np.uint8(part * bits)
    return packed


def unpack_in_order(packed: np.ndarray, bits: int, width: int) -> np.ndarray:
    """What `pack_in_order` was given.

    Example:
        >>> unpack_in_order(np.array([[240, 1]], np.uint8), bits=4, width=3).tolist()
        [[8, 7, 9]]
    """
    mask = np.uint8(2**bits - 1)
    parts = [packed >> np.uint8(shift) & mask for shift in range(0, 8, bits)]
    signed = np.stack(parts, axis=-1).reshape(*packed.shape[:-1], -1)[..., :width]
    return signed ^ np.uint8(2 ** (bits - 1))
