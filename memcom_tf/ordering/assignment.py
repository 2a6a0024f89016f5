"""Items choose a bucket, one after the other, and each bucket takes only so many."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from memcom_tf.ordering.clustering import Centres, Floats, Integers

_ROWS_AT_A_TIME = 20_000
_LEAST_GAIN = 1e-3
"""Rounds end when one raises the similarity by less than this share."""


class Filled(NamedTuple):
    """Buckets that are full.

    Attributes:
        centres: `[m, d]` of length 1.
        chosen: `[n]` the centre of each item.
        nearest: `[n, c]` numbers of the nearest centres of each item, nearest first.
    """

    centres: Floats
    chosen: Integers
    nearest: npt.NDArray[np.int32]


def choose(
    centres: Floats, x: Floats, candidates: npt.NDArray[np.int32], room: Integers, turns: Integers
) -> Integers:
    """The centre of each item: the nearest with room left when its turn comes.

    Args:
        centres: `[m, d]`.
        x: `[n, d]` items.
        candidates: `[n, c]` numbers of the nearest centres of each item, -1 for none.
        room: `[m]` how many items a centre takes; n or more together.
        turns: `[n]` the items in the order in which they choose.

    Returns:
        `[n]` numbers of centres.
    """
    left = room.tolist()
    chosen = np.full(len(x), -1, np.int64)
    waiting = turns
    wanted: npt.NDArray[np.integer[Any]] = candidates[turns]
    while len(waiting):
        for begin in range(0, len(waiting), _ROWS_AT_A_TIME):
            part = slice(begin, begin + _ROWS_AT_A_TIME)
            for item, row in zip(waiting[part].tolist(), wanted[part].tolist(), strict=True):
                centre = next((c for c in row if c >= 0 and left[c]), None)
                if centre is not None:
                    left[centre] -= 1
                    chosen[item] = centre
        waiting = waiting[chosen[waiting] < 0]
        if len(waiting):
            # Those whose candidates were full choose among the centres that are not.
            has_room = np.flatnonzero(np.array(left))
            found = Centres(centres[has_room], exhaustive=True)
            wanted = has_room[found.nearest(x[waiting], candidates.shape[1])]
    return chosen


def refined(
    full: Filled, x: Floats, weights: Floats, room: Integers, turns: Integers, rounds: int
) -> Filled:
    """Better buckets of the same sizes: Lloyd's iterations in which choices are limited by room.

    Args:
        full: The buckets as they are.
        x: `[n, d]` items of length 1.
        weights: `[n]` weights of the items.
        room: As of `choose`.
        turns: As of `choose`.
        rounds: How many iterations, at most.

    Returns:
        The best of all rounds by the sum of weighted cosines with the means of the buckets.
    """
    best, means, highest = full, *_means(full, x, weights)
    for _ in range(rounds if highest else 0):  # nothing is like zeros
        nearest = Centres(means).nearest(x, full.nearest.shape[1])
        found = Filled(means, choose(means, x, nearest, room, turns), nearest)
        means, similarity = _means(found, x, weights)
        gain, highest = similarity / highest - 1, max(highest, similarity)
        if gain > 0:
            best = found
        if gain < _LEAST_GAIN:
            break
    return best


def _means(full: Filled, x: Floats, weights: Floats) -> tuple[Floats, float]:
    """The directions of the buckets' weighted means, and the sum of weighted cosines with them."""
    sums = np.zeros(full.centres.shape, np.float64)
    np.add.at(sums, full.chosen, x * weights[:, None])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    # Where vectors cancel out, or all are zeros, any direction is as good.
    means = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), full.centres)
    return means.astype(np.float32), float(lengths.sum())
