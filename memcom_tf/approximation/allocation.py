"""Which ids get how many columns of a table, or how many bits: bytes where they lower the error."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from memcom_tf.approximation.closed_forms import low_rank, means

Floats = npt.NDArray[np.float32]

_BISECTIONS = 60
_BITS = 0, 2, 4, 8
_LOST = {2: 0.1175, 4: 0.01154, 8: 0.0}
"""Of the squares of a normal distribution, by its best levels, midrise and equally far apart."""
_SCALE_BYTES = 4


def best_steps(
    table: Floats,
    weights: Floats,
    max_bytes: float,
    *,
    projection: bool = False,
    bits: int = 8,
) -> tuple[tuple[int, int], ...] | None:
    """The steps of a `StaircaseEmbedding` that leave the least weighted squares.

    Blocks of 1, 1, 2, 4, ... columns. A block gives an id `sum_c w_i (x_ic - m_c)^2` over its
    columns, `m` the mean, and takes a byte for each column of 8 bits. It reaches as many of the
    first ids as give the most above a price of the bytes, and the price is the lowest at which all
    fits.

    Source: water-filling, Shoham and Gersho, Efficient bit allocation for an arbitrary set of
    quantizers, IEEE Trans. ASSP 1988.

    Args:
        table: `[n, d]` in the order of the places of ids.
        weights: `[n]` weight of the squared error of each row.
        max_bytes: Bytes of the blocks, at most.
        projection: Whether columns are the leading directions of the table.
        bits: Bits of a stored number.

    Returns:
        `(ids, columns)` of each block; None where not even the first column of one id fits.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> table = rng.normal(size=(1000, 8)) * 2.0 ** -np.arange(8)
        >>> best_steps(table.astype(np.float32), np.ones(1000, np.float32), max_bytes=2000)
        ((997, 1), (971, 1), (0, 6))
    """
    if projection:
        table, _ = low_rank(table, weights, table.shape[1])
    count, width = table.shape
    mean = means(table, weights, np.zeros(count, np.int64), 1)
    gains = weights[:, None].astype(np.float64) * (table - mean) ** 2
    columns = _doubling(width)
    ends = np.cumsum(columns)
    of_blocks = [
        gains[:, end - size : end].sum(axis=1) for size, end in zip(columns, ends, strict=True)
    ]
    costs = [size * bits / 8 for size in columns]

    def stored(reached: list[int]) -> float:
        # One row more where not all ids are reached: that of the others.
        rows = [ids + (ids < count) for ids in reached]
        return float(np.dot(rows, costs))

    reached = _reached(of_blocks, costs, lambda ids: stored(ids) <= max_bytes)
    return None if reached is None else _joined(reached, columns)


def best_precisions(
    table: Floats, weights: Floats, max_bytes: float
) -> tuple[tuple[int, int], ...] | None:
    """How many bits the numbers of each id have, so that the least weighted squares are lost.

    Rows of 8 bits lose next to nothing, of 4 and of 2 bits the shares of their squares that the
    best levels of a normal distribution leave, and without any bits all ids share their mean. Each
    step up reaches as many of the first ids as gain the most above a price of the bytes.

    Source of the shares: J. Max, Quantizing for minimum distortion, IRE Transactions on
    Information Theory, 1960. Bits by groups of ids: Li et al., arXiv:2409.20305.

    Args:
        table: `[n, d]`, important ids first.
        weights: `[n]` weight of the squared error of each row.
        max_bytes: Bytes of the stored rows, at most.

    Returns:
        `(ids, bits)` of each range, from id 0 on; None where nothing fits.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> table = rng.normal(size=(1000, 16)) / np.arange(1, 1001)[:, None] ** 0.5
        >>> best_precisions(table.astype(np.float32), np.ones(1000, np.float32), 6000)
        ((7, 8), (136, 4), (520, 2), (337, 0))
    """
    count, width = table.shape
    mean = means(table, weights, np.zeros(count, np.int64), 1)
    energy = weights.astype(np.float64) * (table.astype(np.float64) ** 2).sum(axis=1)
    above_mean = weights.astype(np.float64) * ((table - mean) ** 2).sum(axis=1)
    lost = {bits: share * energy for bits, share in _LOST.items()} | {0: above_mean}
    gains = [lost[low] - lost[high] for low, high in pairwise(_BITS)]
    costs = [(high - low) * width / 8 + _SCALE_BYTES * (low == 0) for low, high in pairwise(_BITS)]

    def fits(reached: list[int]) -> bool:
        shared = (reached[0] < count) * (width + _SCALE_BYTES)
        return float(np.dot(reached, costs)) + shared <= max_bytes

    reached = _reached(gains, costs, fits)
    if reached is None or not reached[0]:
        return None
    ends = [0, *reached[::-1], count]
    sizes = [end - first for first, end in pairwise(ends)]
    found = zip(sizes, _BITS[::-1], strict=True)
    return tuple((size, bits) for size, bits in found if size)


def _reached(
    gains: list[npt.NDArray[np.float64]],
    costs: list[float],
    fits: Callable[[list[int]], bool],
) -> list[int] | None:
    """How many ids each part reaches, fewer from part to part, at the lowest price that fits.

    Args:
        gains: What each part gives each id.
        costs: What it costs an id.
        fits: Whether there is room.
    """

    def at(price: float) -> list[int]:
        found: list[int] = []
        for gain, cost in zip(gains, costs, strict=True):
            above = np.cumsum(gain - price * cost)
            reached = int(above.argmax()) + 1 if above.max() > 0 else 0
            found.append(min(reached, found[-1]) if found else reached)
        return found

    low = 0.0
    high = max(float(gain.max()) / cost for gain, cost in zip(gains, costs, strict=True)) + 1e-30
    if fits(at(low)):
        return at(low)
    if not fits(at(high)):
        return None
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if fits(at(middle)) else (middle, high)
    return at(high)


def _doubling(width: int) -> list[int]:
    """1, 1, 2, 4, ... columns, `width` together."""
    found = [1]
    while (left := width - sum(found)) > 0:
        found.append(min(sum(found), left))
    return found


def _joined(reached: list[int], columns: list[int]) -> tuple[tuple[int, int], ...]:
    """Steps, of which no two reach as many ids."""
    steps: list[tuple[int, int]] = []
    for ids, size in zip(reached, columns, strict=True):
        if steps and steps[-1][0] == ids:
            size += steps.pop()[1]
        steps.append((ids, size))
    return tuple(steps)
