"""Ranks of the one relevant item of each example, and the metrics of ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid


def ranks_from_scores(
    scores: npt.ArrayLike,
    history: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    reserved: int = 1,
    holes: npt.ArrayLike = (),
) -> npt.NDArray[np.float64]:
    """Returns the rank that scores give to each target.

    rank = 1 + the number of other candidates whose score is at least the target's. Candidates
    are the ids from `reserved` on that are neither holes nor in the example's history. Ties thus
    count against the target: a constant score gives it the last rank.

    Args:
        scores: [n, v] a score for each id, the highest being the best.
        history: [n, L] ids to leave out, padded with 0.
        target: [n] ids.
        reserved: The number of ids that are no items: 0..reserved-1 (a vocabulary's `first_id`).
        holes: Further ids that are no items (a vocabulary's `holes`).

    Returns:
        [n] ranks from 1, float64.

    Raises:
        ValueError: If shapes do not fit, a score is NaN, an id is out of range, or a target is
            reserved, a hole or in its own history.

    Example:
        >>> ranks_from_scores([[0.0, 0.9, 0.5, 0.7]], history=[[1, 0]], target=[2])
        array([2.])
    """
    scores, target = np.asarray(scores), _ids(target, "target", 1)
    history = _ids(history, "history", 2)
    n = len(target)
    if scores.ndim != 2 or len(scores) != n or len(history) != n:
        raise invalid(
            "`scores` must be [n, v], `history` [n, L] and `target` [n].",
            "Pass one row for each example.",
            scores=scores.shape,
            history=history.shape,
            target=target.shape,
        )
    undefined = np.isnan(scores)
    if undefined.any():
        row, column = np.argwhere(undefined)[0].tolist()
        raise invalid(
            "`scores` must not be NaN.", "Check the model's weights.", example=row, id=column
        )
    size = scores.shape[1]
    if reserved < 1:
        raise invalid("`reserved` must be positive: id 0 is padding.", "", reserved=reserved)
    _in_range("target", target, reserved, size)
    _in_range("history", history, 0, size)
    again = (history == target[:, None]).any(axis=1)
    if again.any():
        raise invalid(
            "A target must not be in its history, which is left out of the ranking.",
            "Leave that example out.",
            example=int(np.argmax(again)),
            target=int(target[np.argmax(again)]),
        )
    no_items = np.asarray(holes, np.int64)
    _in_range("holes", no_items, 0, size)
    wrong = np.isin(target, no_items)
    if wrong.any():
        raise invalid(
            "A target must be an item.",
            "Check that the vocabulary is the one of the examples.",
            example=int(np.argmax(wrong)),
            target=int(target[np.argmax(wrong)]),
        )
    rows = np.arange(n)
    ahead = scores >= scores[rows, target][:, None]
    ahead[:, :reserved] = False
    ahead[:, no_items] = False
    ahead[rows[:, None], history] = False
    ahead[rows, target] = False
    ranks: npt.NDArray[np.float64] = 1.0 + ahead.sum(axis=1, dtype=np.float64)
    return ranks


def ranks_from_lists(ranked_ids: npt.ArrayLike, target: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Returns each target's place in a ranked list.

    Args:
        ranked_ids: [n, K] ids, the best first; lists shorter than K padded with 0.
        target: [n] ids.

    Returns:
        [n] ranks from 1, float64; inf where the list does not have the target.

    Raises:
        ValueError: If shapes do not fit or ids are no integers.

    Example:
        >>> ranks_from_lists([[5, 2], [5, 2]], target=[2, 7])
        array([ 2., inf])
    """
    ranked_ids, target = _ids(ranked_ids, "ranked_ids", 2), _ids(target, "target", 1)
    if len(ranked_ids) != len(target):
        raise invalid(
            "`ranked_ids` must be [n, K] and `target` [n].",
            "Pass one list for each target.",
            ranked_ids=ranked_ids.shape,
            target=target.shape,
        )
    _in_range("target", target, 1, None)
    found = ranked_ids == target[:, None]
    # A column of True after the last: the place where a target that is not in the list ends up.
    first = np.concatenate([found, np.ones((len(target), 1), bool)], axis=1).argmax(axis=1)
    return np.where(first < ranked_ids.shape[1], first + 1.0, np.inf)


def ranking_metrics(ranks: npt.ArrayLike, k: int) -> dict[str, float]:
    """Returns the means over examples of three metrics of the rank r of the one relevant item.

    nDCG@k = 1 / log2(1 + r) if r <= k, else 0 (the ideal DCG is 1 with one relevant item);
    recall@k = 1 if r <= k, else 0; reciprocal rank = 1 / r (its mean is the MRR).

    Args:
        ranks: [n] ranks from 1; inf where the item was not ranked.
        k: The length of the ranked list.

    Returns:
        The means under "ndcg@{k}", "recall@{k}" and "mrr".

    Raises:
        ValueError: If `k` is not positive, or if `ranks` are empty, not 1-D or below 1.

    Example:
        >>> ranking_metrics([3, 20, 1, 20], k=10)
        {'ndcg@10': 0.375, 'recall@10': 0.5, 'mrr': 0.35833333333333334}
    """
    ranks = _checked_ranks(ranks, k)
    return {
        f"ndcg@{k}": float(_ndcg(ranks, k).mean()),
        f"recall@{k}": float((ranks <= k).mean()),
        "mrr": float((1.0 / ranks).mean()),
    }


def standard_error(ranks: npt.ArrayLike, k: int) -> float:
    """Returns the standard error of the mean nDCG@k: s / sqrt(n), s with n - 1 in it.

    Args:
        ranks: [n] ranks from 1, n >= 2; inf where the item was not ranked.
        k: The length of the ranked list.

    Returns:
        The standard error.

    Raises:
        ValueError: As `ranking_metrics`, and if there is only one rank.

    Example:
        >>> standard_error([1, 20], k=10)
        0.5
    """
    ranks = _checked_ranks(ranks, k)
    if len(ranks) < 2:
        raise invalid("There must be at least two ranks.", "Evaluate more examples.", n=len(ranks))
    return float(_ndcg(ranks, k).std(ddof=1) / np.sqrt(len(ranks)))


def _ndcg(ranks: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.float64]:
    return np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0)


def _checked_ranks(ranks: npt.ArrayLike, k: int) -> npt.NDArray[np.float64]:
    if k < 1:
        raise invalid("`k` must be positive.", "Pass the length of the ranked list.", k=k)
    checked = np.asarray(ranks, np.float64)
    if checked.ndim != 1 or not checked.size:
        raise invalid("`ranks` must be [n], n >= 1.", "Pass one a target.", shape=checked.shape)
    wrong = ~(checked >= 1)  # so that NaN is wrong too
    if wrong.any():
        raise invalid("`ranks` must be at least 1.", "The best rank is 1.", rank=checked[wrong][0])
    return checked


def _ids(values: npt.ArrayLike, name: str, ndim: int) -> npt.NDArray[Any]:
    ids = np.asarray(values)
    if ids.ndim != ndim or (ids.dtype.kind not in "iu" and ids.size):
        raise invalid(
            f"`{name}` must be integers in {ndim} dimension{'s'[: ndim - 1]}.",
            "Pass ids that the vocabulary gave.",
            shape=ids.shape,
            dtype=str(ids.dtype),
        )
    return ids.astype(np.int64)


def _in_range(name: str, ids: npt.NDArray[Any], low: int, high: int | None) -> None:
    wrong = ids < low if high is None else (ids < low) | (ids >= high)
    if wrong.any():
        raise invalid(
            f"`{name}` must be ids from {low}" + ("." if high is None else f" to {high - 1}."),
            "Check that the vocabulary is the one of the model or the list.",
            example=int(np.argwhere(wrong)[0][0]),
            id=int(ids[wrong][0]),
        )
