"""Which ids get how many columns of a table, or how many bits: bytes where they lower the error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memcom_tf.approximation.closed_forms import low_rank, means

Floats = npt.NDArray[np.float32]

_BISECTIONS = 60


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

    def at(price: float) -> list[int]:
        """How many ids each block reaches: fewer from block to block."""
        found: list[int] = []
        for size, gain in zip(columns, of_blocks, strict=True):
            above = np.cumsum(gain - price * size * bits / 8)
            reached = int(above.argmax()) + 1 if above.max() > 0 else 0
            found.append(min(reached, found[-1]) if found else reached)
        return found

    def fits(reached: list[int]) -> bool:
        rows = [ids + (ids < count) for ids in reached]
        return bits / 8 * float(np.dot(rows, columns)) <= max_bytes

    low, high = 0.0, float(max(gain.max() for gain in of_blocks)) * 16 + 1e-30
    if fits(at(low)):
        return _joined(at(low), columns)
    if not fits(at(high)):
        return None
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if fits(at(middle)) else (middle, high)
    return _joined(at(high), columns)


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
