"""Items choose a bucket, one after the other, and each bucket takes only so many."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.ordering.clustering import Centres, Floats, Integers

_ROWS_AT_A_TIME = 20_000


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
