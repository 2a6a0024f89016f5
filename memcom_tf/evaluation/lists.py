"""What lists of a ranker are like: whom they serve, how much of the catalogue, what they keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.evaluation.examples import Examples
from memcom_tf.evaluation.metrics import check_defined, ranks_from_lists
from memcom_tf.evaluation.ranking import scored_batches

GROUPS = ("head", "torso", "tail")
"""Of items by popularity: each has a third of all interactions, the head the fewest items."""

Ids = npt.NDArray[np.int64]


def best_lists(
    score: Callable[[Any], Any], examples: Examples, *, k: int = 10, batch_size: int | None = None
) -> Ids:
    """Returns the best items of each example by a model's scores.

    The ids in `examples.left_out`, reserved ids and free ids are left out; of equal scores the
    smallest ids come first.

    Args:
        score: As of `rank_examples`.
        examples: The examples; their targets do not matter.
        k: The length of a list.
        batch_size: As of `rank_examples`.

    Returns:
        `[n, k]` ids, the best first, padded with 0 where there are fewer items.

    Raises:
        ValueError: If there is no example, `k` or `batch_size` is not positive, or a score is NaN.

    Example:
        >>> examples = Examples(np.array([[1, 0]]), np.array([3]), np.array([7]))
        >>> best_lists(lambda history: [[0.0, 0.9, 0.5, 0.7]], examples, k=3)
        array([[3, 2, 0]])
    """
    if k < 1:
        raise invalid("`k` must be positive.", "Pass the length of a list.", k=k)
    lists = []
    for part, scores in scored_batches(score, examples, batch_size):
        check_defined(scores)
        known = np.array(scores, np.float64)
        known[:, : part.reserved] = -np.inf
        known[:, part.free_ids] = -np.inf
        np.put_along_axis(known, part.left_out, -np.inf, axis=1)
        lists.append(np.stack([_best(row, k) for row in known]))
    return np.concatenate(lists)


def _best(scores: npt.NDArray[np.float64], k: int) -> Ids:
    """The `k` best of all ids, padded with 0 where fewer are to be ranked."""
    worst = np.partition(scores, -k)[-k] if k <= len(scores) else -np.inf
    ids = np.flatnonzero((scores >= worst) & (scores > -np.inf))
    best = ids[np.argsort(-scores[ids], kind="stable")][:k]
    return np.pad(best, (0, k - len(best)))


def popularity_groups(counts: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Returns the group of `GROUPS` of each id, by how often it occurred.

    From the most frequent item on, the head are those that make up a third of all occurrences, the
    torso those up to the second third, and the tail the rest.

    Args:
        counts: `[input_dim]`, 0 for what is no item.

    Returns:
        `[input_dim]` numbers of groups.

    Raises:
        ValueError: If a count is negative, or all are 0.

    Example:
        >>> popularity_groups([0, 6, 3, 3, 2, 2, 2]).tolist()
        [2, 0, 1, 1, 2, 2, 2]
    """
    values = np.asarray(counts, np.float64)
    if values.ndim != 1 or not values.sum() > 0 or (values < 0).any():
        raise invalid(
            "`counts` must be numbers of 0 or more, and not all 0.",
            "Pass `Vocabulary.counts` by id.",
            shape=values.shape,
        )
    order = np.argsort(-values, kind="stable")
    before = np.cumsum(values[order]) - values[order]
    groups = np.empty(len(values), np.int64)
    # Two thirds in floats may be a little less than they are.
    groups[order] = np.minimum(3 * before / values.sum() + 1e-9, 2).astype(np.int64)
    groups[values == 0] = GROUPS.index("tail")
    return groups


def list_metrics(
    lists: npt.ArrayLike, target: npt.ArrayLike, counts: npt.ArrayLike
) -> dict[str, float]:
    """Returns whom lists serve: recall by the popularity of targets, and the share of the items.

    Args:
        lists: `[n, k]` ids, the best first, padded with 0.
        target: `[n]` ids, or `[n, P]` padded with 0.
        counts: `[input_dim]` how often each item occurs, 0 for what is no item.

    Returns:
        "recall@k head", "torso" and "tail": the share of the targets of that group that their
        lists have; nan of a group without targets. "coverage@k": the share of the items, those
        with counts above 0, that any list has.

    Raises:
        ValueError: As `ranks_from_lists` and `popularity_groups`, and if an id has no count.

    Example:
        >>> found = list_metrics([[1, 2], [1, 3]], [1, 4], [0, 6, 3, 3, 2, 2, 2])
        >>> {name: round(value, 2) for name, value in found.items()}
        {'recall@2 head': 1.0, 'recall@2 torso': nan, 'recall@2 tail': 0.0, 'coverage@2': 0.5}
    """
    lists, target = np.asarray(lists), np.asarray(target)
    ranks = ranks_from_lists(lists, target)
    groups, occurs = popularity_groups(counts), np.asarray(counts) > 0
    largest = max(int(lists.max(initial=0)), int(target.max(initial=0)))
    if largest >= len(groups):
        raise invalid(
            "`counts` must have a number for each id of `lists` and `target`.",
            "Check that all are of one vocabulary.",
            counts=len(groups),
            id=largest,
        )
    k = lists.shape[1]
    present = ranks > 0
    of_targets, hits = groups[target[present]], np.isfinite(ranks[present])
    found = {}
    for number, name in enumerate(GROUPS):
        here = of_targets == number
        found[f"recall@{k} {name}"] = float(hits[here].mean()) if here.any() else float("nan")
    listed = np.unique(lists[lists > 0])
    found[f"coverage@{k}"] = float(occurs[listed].sum() / occurs.sum())
    return found


def agreement(lists: npt.ArrayLike, others: npt.ArrayLike) -> float:
    """Returns the mean share of the items of a list that the other list of the same row has, too.

    Args:
        lists: `[n, k]` ids, padded with 0.
        others: `[n, k]` ids of the same vocabulary.

    Returns:
        The mean over the rows, in [0, 1]; rows without any item are left out.

    Raises:
        ValueError: If shapes differ, or no row has an item.

    Example:
        >>> agreement([[1, 2, 3, 4], [5, 0, 0, 0]], [[4, 9, 1, 8], [5, 0, 0, 0]])
        0.75
    """
    first, second = np.asarray(lists), np.asarray(others)
    if first.ndim != 2 or first.shape != second.shape or not (first > 0).any():
        raise invalid(
            "`lists` and `others` must be ids of the same shape `[n, k]`, not all 0.",
            "Make both with the same examples.",
            lists=first.shape,
            others=second.shape,
        )
    same = (first[:, :, None] == second[:, None, :]).any(axis=2) & (first > 0)
    sizes = (first > 0).sum(axis=1)
    return float((same.sum(axis=1)[sizes > 0] / sizes[sizes > 0]).mean())
