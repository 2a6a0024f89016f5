"""Graded items of users as lists: what losses of pairs and of lists are trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.labels import Labels
from memcom_tf.errors import invalid
from memcom_tf.vocabulary import Vocabulary
from memcom_tf.vocabulary.items import left_aligned


@dataclass(frozen=True, eq=False)
class GradedLists:
    """One list for each user: items, and how much the user wants each.

    Attributes:
        user: `[g]` users.
        candidates: `[g, n]` int32 ids, then zeros.
        labels: `[g, n]` float32, the larger the better, then zeros.
    """

    user: npt.NDArray[Any]
    candidates: npt.NDArray[np.int32]
    labels: npt.NDArray[np.float32]

    @property
    def target(self) -> dict[str, npt.NDArray[Any]]:
        """What a ranker's `fit` takes as its target."""
        return {"candidates": self.candidates, "labels": self.labels}

    def __len__(self) -> int:
        return len(self.user)


def graded_lists(
    user: npt.ArrayLike,
    item: npt.ArrayLike,
    label: npt.ArrayLike,
    vocabulary: Vocabulary,
    *,
    length: int = 100,
) -> GradedLists:
    """Groups rows of (user, item, label) by user.

    Args:
        user: `[n]` users, strings or integers.
        item: `[n]` items of the vocabulary.
        label: `[n]` numbers: ratings, seconds played, 1 and 0 of a click.
        vocabulary: Gives the items their ids.
        length: Items of a list, at most; of a longer one the last rows are taken.

    Returns:
        The lists, users in rising order; those whose labels are all alike teach nothing, and are
        left out.

    Raises:
        ValueError: If columns differ in length, an item is unknown, or a label is no number.

    Example:
        >>> lists = graded_lists([7, 7, 8, 8], list("abab"), [5, 1, 2, 2], Vocabulary(list("ab")))
        >>> lists.user.tolist(), lists.candidates[:, :2].tolist(), lists.labels[:, :2].tolist()
        ([7], [[1, 2]], [[5.0, 1.0]])
    """
    users = Labels.encode(user, "user")
    labels = np.asarray(label)
    ids = vocabulary.ids(np.asarray(item))
    if not len(users.codes) == len(ids) == len(labels):
        raise invalid(
            "`user`, `item` and `label` must be columns of equal length.",
            user=len(users.codes),
            item=len(ids),
            label=len(labels),
        )
    if labels.dtype.kind not in "biuf" or not np.isfinite(labels).all():
        raise invalid("Labels must be finite numbers.", dtype=labels.dtype.name)
    if length < 2:
        raise invalid("`length` must be 2 or more.", length=length)
    order = np.argsort(users.codes, kind="stable")
    size = np.bincount(users.codes, minlength=len(users.values))
    stop = np.cumsum(size)
    start = stop - size
    candidates = left_aligned(ids[order], start, stop, length)
    graded = left_aligned(labels[order].astype(np.float32), start, stop, length)
    is_item = candidates != 0
    lowest = np.where(is_item, graded, np.inf).min(axis=1)
    highest = np.where(is_item, graded, -np.inf).max(axis=1)
    kept = highest > lowest
    return GradedLists(
        np.asarray(users.values)[kept], candidates[kept].astype(np.int32), graded[kept]
    )
