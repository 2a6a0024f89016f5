"""Clicks in order of time, as sessions by day."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memcom_tf.errors import invalid

HISTORY = 5
_DAY = 24 * 60 * 60
_COLUMNS = ("session", "item", "time")


class Day(NamedTuple):
    """What is predicted on a day, in order of time: the article after those of the session so far.

    Attributes:
        histories: `[n, 5]` the last articles before, the latest first, then zeros.
        targets: `[n]` the article.
    """

    histories: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class Stream:
    """Clicks by day.

    Attributes:
        name: Of the file.
        num_items: Ids of articles are below it; 0 is none.
        days: What is predicted on each.
        catalogues: The articles of the clicks of each day, of sessions left out as well.
        fingerprint: Of the numbers above.
    """

    name: str
    num_items: int
    days: list[Day]
    catalogues: list[np.ndarray]
    fingerprint: str


def load(path: Path, share: float, num_days: int) -> Stream:
    """Reads a `.npz` file of clicks with the integer vectors `session`, `item` and `time`, seconds.

    Args:
        path: The file.
        share: The share of the sessions that is taken, drawn at random.
        num_days: The first so many days, of 24 hours from the first click on.

    Returns:
        The stream.

    Raises:
        ValueError: If the file lacks a vector.
    """
    with np.load(path) as file:
        if missing := [name for name in _COLUMNS if name not in file]:
            raise invalid(
                f"The file must have the vectors {_COLUMNS}.", path=str(path), missing=missing
            )
        session, item, time = (file[name].astype(np.int64) for name in _COLUMNS)
    day = (time - time.min()) // _DAY
    catalogues = [np.unique(item[day == one]) for one in range(num_days)]
    _, session = np.unique(session, return_inverse=True)
    taken = np.random.default_rng(0).random(session.max() + 1) < share
    kept = np.flatnonzero(taken[session] & (day < num_days))
    kept = kept[np.lexsort((time[kept], session[kept]))]
    session, item_of, time, day = session[kept], item[kept], time[kept], day[kept]
    start = np.searchsorted(session, session)
    place = np.arange(len(session))
    histories = np.zeros((len(session), HISTORY), np.int32)
    for back in range(1, HISTORY + 1):
        known = place - back >= start
        histories[known, back - 1] = item_of[place[known] - back]
    days = []
    for one in range(num_days):
        rows = np.flatnonzero((day == one) & (place > start))
        rows = rows[np.argsort(time[rows], kind="stable")]
        days.append(Day(histories[rows], item_of[rows].astype(np.int32)))
    digest = hashlib.sha256()
    for part in days:
        digest.update(part.histories.tobytes() + part.targets.tobytes())
    num_items = int(item.max()) + 1
    return Stream(path.stem, num_items, days, catalogues, digest.hexdigest()[:16])
