"""What lists of a file are like beside those of the reference: for whom they change, and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memcom_tf.evaluation import (
    agreement,
    list_metrics,
    popularity_groups,
    ranking_metrics,
    ranks_from_lists,
    standard_error,
    standard_error_of_difference,
)
from memcom_tf.evaluation.lists import GROUPS

from .same_items import Ids

_LENGTHS = ((0, 0), (1, 4), (5, 9), (10, 19), (20, 49), (50, None))
"""From and to how many items a history has, in each group."""
_MOST_MOVED = 10


@dataclass(frozen=True)
class Group:
    """Users of one kind.

    Attributes:
        name: What they have in common.
        num_users: How many they are.
        shared: Mean number of the items of their reference lists that the file's lists have, too.
    """

    name: str
    num_users: int
    shared: float


@dataclass(frozen=True)
class Moved:
    """An item that entered lists, or left them.

    Attributes:
        item: Its id in the reference.
        num_lists: How many.
    """

    item: int
    num_lists: int


@dataclass(frozen=True)
class Behaviour:
    """Lists of a file beside those of the reference. Ids are those of the reference.

    Attributes:
        by_popularity: Users by the popularity of their target: head, torso and tail; empty where
            there are no targets, or nobody knows how often items occurred.
        by_history: Users by the length of their history.
        first_list: The list of a new user, who has no history.
        first_shared: How many items of it the reference's has.
        coverage: The share of all items that any list has.
        entered: Items that are in most lists where the reference does not have them.
        left: Items that are missing in most lists where the reference has them.
        lists: The lists of the users that are shown.
    """

    by_popularity: Sequence[Group]
    by_history: Sequence[Group]
    first_list: Sequence[int]
    first_shared: int
    coverage: float
    entered: Sequence[Moved]
    left: Sequence[Moved]
    lists: Sequence[Sequence[int]]


@dataclass(frozen=True, eq=False)
class Users:
    """The users whose lists are held against each other, under the ids of the reference.

    Attributes:
        histories: Ids of each, without padding.
        target: `[n]` or `[n, P]` ids; None of histories that were drawn.
        counts: `[input_dim]` how often items occurred; None where nobody knows.
        num_items: How many items there are.
        shown: Which users are shown.
    """

    histories: Sequence[Ids]
    target: Ids | None
    counts: npt.NDArray[np.float64] | None
    num_items: int
    shown: Ids


def behaviour_of(
    users: Users, lists: Ids, others: Ids, first: Ids, first_of_reference: Ids
) -> Behaviour:
    """Holds lists against those of the reference.

    Args:
        users: Whose lists they are.
        lists: `[n, k]` of the file, padded with 0.
        others: `[n, k]` of the reference.
        first: `[k]` the file's list without a history.
        first_of_reference: `[k]` that of the reference.

    Returns:
        What they are like.
    """
    entered, left = _moved(lists, others), _moved(others, lists)
    return Behaviour(
        by_popularity=_by_popularity(users, lists, others),
        by_history=_by_history(users, lists, others),
        first_list=first[first > 0].tolist(),
        first_shared=len(np.intersect1d(first[first > 0], first_of_reference)),
        coverage=len(np.unique(lists[lists > 0])) / users.num_items,
        entered=entered,
        left=left,
        lists=[row[row > 0].tolist() for row in lists[users.shown]],
    )


STANDARD_ERROR = "standard error of "
"""What metrics are called that tell how exact another one is."""
DIFFERENCE = f"{STANDARD_ERROR}the difference of "
"""What the metric is called that tells how much of a difference of nDCG may be chance."""


def metrics_of(users: Users, lists: Ids, others: Ids) -> dict[str, float]:
    """The metrics of lists by the targets of their users; none where there are no targets.

    Args:
        users: Whose lists they are.
        lists: `[n, k]` of the file, padded with 0.
        others: `[n, k]` of the reference.

    Returns:
        nDCG and recall, also by the popularity of targets, and standard errors.
    """
    if users.target is None:
        return {}
    k = lists.shape[1]
    ranks = ranks_from_lists(lists, users.target)
    found = ranking_metrics(ranks, k)
    del found["mrr"]  # a list does not tell the ranks beyond its end
    if len(ranks) > 1:
        found[f"{STANDARD_ERROR}ndcg@{k}"] = standard_error(ranks, k)
        of_reference = ranks_from_lists(others, users.target)
        found[f"{DIFFERENCE}ndcg@{k}"] = standard_error_of_difference(ranks, of_reference, k)
    if users.counts is not None:
        served: Mapping[str, float] = list_metrics(lists, users.target, users.counts)
        found |= {
            name: value
            for name, value in served.items()
            if name.startswith("recall") and not np.isnan(value)
        }
    return found


def _by_popularity(users: Users, lists: Ids, others: Ids) -> list[Group]:
    if users.counts is None or users.target is None:
        return []
    # Of several targets the first tells what the user is after.
    target = users.target if users.target.ndim == 1 else users.target[:, 0]
    groups = popularity_groups(users.counts)[target]
    masks = {name: groups == number for number, name in enumerate(GROUPS)}
    return _groups(masks, lists, others)


def _by_history(users: Users, lists: Ids, others: Ids) -> list[Group]:
    lengths = np.array([len(history) for history in users.histories])
    masks = {}
    for least, most in _LENGTHS:
        name = str(least) if most == least else f"{least} to {most}" if most else f"{least} or more"
        masks[name] = (lengths >= least) & (lengths <= (most or np.inf))
        if most == 0:
            masks[name] = lengths == 0
    return _groups(masks, lists, others)


def _groups(masks: Mapping[str, npt.NDArray[np.bool_]], lists: Ids, others: Ids) -> list[Group]:
    k = lists.shape[1]
    return [
        Group(name, int(mask.sum()), k * agreement(others[mask], lists[mask]))
        for name, mask in masks.items()
        if (others[mask] > 0).any()
    ]


def _moved(lists: Ids, others: Ids) -> list[Moved]:
    """Items of lists that the other list of the same user does not have, the most frequent."""
    new = (lists > 0) & ~(lists[:, :, None] == others[:, None, :]).any(axis=2)
    ids, counts = np.unique(lists[new], return_counts=True)
    found = Counter(dict(zip(ids.tolist(), counts.tolist(), strict=True)))
    return [Moved(item, count) for item, count in found.most_common(_MOST_MOVED)]
