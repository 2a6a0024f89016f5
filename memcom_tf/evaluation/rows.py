"""Rows of fields split into training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memcom_tf.datasets.rows import Rows
from memcom_tf.errors import invalid

_LEAST = 10


@dataclass(frozen=True)
class RowSplit:
    """Rows for three purposes.

    Attributes:
        train: To learn from.
        validation: By which is chosen.
        test: Looked at once, at the end.
        by_time: Whether the later rows are held out, and not some at random.
    """

    train: Rows
    validation: Rows
    test: Rows
    by_time: bool


def split_rows(
    rows: Rows, *, validation: float = 0.1, test: float = 0.1, seed: int = 0
) -> RowSplit:
    """Splits labelled rows.

    Where the rows say what is held out, that is for test. Else the latest rows are, where there
    are times, and where there are none some at random. Validation is the latest of the rest, or
    some at random, in the same way.

    Args:
        rows: The rows, with labels.
        validation: Share of the rows that are not for test.
        test: Share of all rows, where these do not say.
        seed: Seed of what is at random.

    Returns:
        The split.

    Raises:
        ValueError: If there are no labels, a share is not in (0, 1), or a part is left with too
            few rows or with labels of one kind.

    Example:
        >>> rows = Rows.of({"site": ["a", "b"] * 100}, label=[0, 1] * 100, time=np.arange(200))
        >>> split = split_rows(rows)
        >>> len(split.train), len(split.validation), split.test.time.tolist()[:2]
        (162, 18, [180, 181])
    """
    for name, share in (("validation", validation), ("test", test)):
        if not 0 < share < 1:
            raise invalid(f"`{name}` must be in (0, 1).", "", **{name: share})
    rng = np.random.default_rng(seed)
    order = np.arange(len(rows)) if rows.time is None else np.argsort(rows.time, kind="stable")
    if rows.time is None:
        order = rng.permutation(len(rows))
    if rows.is_test is None:
        rest, last = _parts(order, test)
    else:
        rest, last = order[~rows.is_test[order]], np.flatnonzero(rows.is_test)
    train, middle = _parts(rest, validation)
    if rows.time is None:  # as they came
        train, middle, last = np.sort(train), np.sort(middle), np.sort(last)
    split = RowSplit(rows[train], rows[middle], rows[last], rows.time is not None)
    for name in ("train", "validation", "test"):
        part = getattr(split, name)
        if len(part) < _LEAST or len(np.unique(part.labels)) < 2:
            raise invalid(
                f"Every part must have {_LEAST} rows, and labels of both kinds.",
                "Split more rows, or give another column of what is held out.",
                part=name,
                rows=len(part),
            )
    return split


def _parts(rows: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """The first of some rows, and the others, which are such a share of them."""
    last = len(rows) - round(share * len(rows))
    return rows[:last], rows[last:]
