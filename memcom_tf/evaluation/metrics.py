"""Ranks of the relevant items of each example, and the metrics of ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid

_MANY_TARGETS = 16
"""From so many targets of one example on, its scores are sorted once."""


def ranks_from_scores(
    scores: npt.ArrayLike,
    history: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    reserved: int = 1,
    free_ids: npt.ArrayLike = (),
) -> npt.NDArray[np.float64]:
    """Returns the rank that scores give to each target.

    rank = 1 + the number of other candidates whose score is at least the target's. Candidates
    are the ids from `reserved` on that are neither free ids nor in the example's history. Ties thus
    count against the target: a constant score gives it the last rank.

    Args:
        scores: [n, v] a score for each id, the highest being the best.
        history: [n, L] ids to leave out, padded with 0.
        target: [n] ids, or [n, P] of which at least one a row, padded with 0.
        reserved: The number of ids that are no items: 0..reserved-1 (a vocabulary's `first_id`).
        free_ids: Further ids that are no items (a vocabulary's `free_ids`).

    Returns:
        Ranks from 1 of the shape of `target`, float64; 0 where there is no target.

    Raises:
        ValueError: If shapes do not fit, a score is NaN, an id is out of range, or a target is
            reserved, a free id or in its own history.

    Example:
        >>> ranks_from_scores([[0.0, 0.9, 0.5, 0.7]], history=[[1, 0]], target=[2])
        array([2.])
        >>> ranks_from_scores([[0.0, 0.9, 0.5, 0.7]], history=[[0]], target=[[2, 1, 0]])
        array([[3., 1., 0.]])
    """
    scores, target = np.asarray(scores), _ids(target, "target", 1, 2)
    history = _ids(history, "history", 2)
    n = len(target)
    if scores.ndim != 2 or len(scores) != n or len(history) != n:
        raise invalid(
            "`scores` must be [n, v], `history` [n, L] and `target` [n] or [n, P].",
            "Pass one row for each example.",
            scores=scores.shape,
            history=history.shape,
            target=target.shape,
        )
    check_defined(scores)
    size = scores.shape[1]
    no_items = check_targets(target, history, size, reserved, free_ids)
    present = _present(target)
    columns = target.reshape(present.shape)
    left_out = _distinct(history, no_items, size)
    ranks = np.zeros(columns.shape)
    for row, here in enumerate(present):
        known = scores[row]
        # Ids that are left out are counted, and then taken away again: there are few of them.
        others = np.concatenate([known[no_items], known[left_out[row]]])
        of_targets = known[columns[row, here]]
        if len(of_targets) < _MANY_TARGETS:
            ahead = [np.count_nonzero(known >= score) for score in of_targets]
        else:
            ahead = size - np.searchsorted(np.sort(known), of_targets)
        ranks[row, here] = ahead - (others >= of_targets[:, None]).sum(axis=1)
    return ranks.reshape(target.shape)


def check_targets(
    target: npt.NDArray[Any],
    history: npt.NDArray[Any],
    size: int,
    reserved: int,
    free_ids: npt.ArrayLike,
) -> npt.NDArray[np.int64]:
    """Requires that targets can be ranked; returns the ids that are no items, in rising order.

    Args:
        target: As of `ranks_from_scores`.
        history: Likewise.
        size: The number of ids.
        reserved: As of `ranks_from_scores`.
        free_ids: Likewise.

    Raises:
        ValueError: As `ranks_from_scores`.
    """
    if reserved < 1:
        raise invalid("`reserved` must be positive: id 0 is padding.", "", reserved=reserved)
    present = _present(target)
    no_items = np.unique(np.asarray(free_ids, np.int64))
    _in_range("target", target[present.reshape(target.shape)], reserved, size)
    _in_range("history", history, 0, size)
    _in_range("free_ids", no_items, 0, size)
    _targets_are_candidates(target.reshape(present.shape), present, history, no_items)
    return np.union1d(no_items, np.arange(reserved))


def ranks_from_lists(ranked_ids: npt.ArrayLike, target: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Returns each target's place in a ranked list.

    Args:
        ranked_ids: [n, K] ids, the best first; lists shorter than K padded with 0.
        target: [n] ids, or [n, P] of which at least one a row, padded with 0.

    Returns:
        Ranks from 1 of the shape of `target`, float64; inf where the list does not have the
        target, 0 where there is no target.

    Raises:
        ValueError: If shapes do not fit or ids are no integers.

    Example:
        >>> ranks_from_lists([[5, 2], [5, 2]], target=[2, 7])
        array([ 2., inf])
    """
    ranked_ids, target = _ids(ranked_ids, "ranked_ids", 2), _ids(target, "target", 1, 2)
    if len(ranked_ids) != len(target):
        raise invalid(
            "`ranked_ids` must be [n, K] and `target` [n] or [n, P].",
            "Pass one list for each target, or row of targets.",
            ranked_ids=ranked_ids.shape,
            target=target.shape,
        )
    present = _present(target)
    _in_range("target", target[present.reshape(target.shape)], 1, None)
    found = ranked_ids[:, None, :] == target.reshape(present.shape)[:, :, None]
    ranks = np.where(found.any(axis=2), found.argmax(axis=2) + 1.0, np.inf)
    return np.where(present, ranks, 0.0).reshape(target.shape)


def ranking_metrics(ranks: npt.ArrayLike, k: int) -> dict[str, float]:
    """Returns the means over examples of three metrics of the ranks r of the relevant items.

    With P relevant items in an example: nDCG@k is the sum of 1 / log2(1 + r) over those with
    r <= k, divided by what it would be with the ranks 1, 2, ... P; recall@k is the share of them
    with r <= k; the reciprocal rank is 1 over the least r (its mean is the MRR).

    Args:
        ranks: [n] ranks from 1, or [n, P]; inf where the item was not ranked, 0 where a row has
            fewer relevant items than others.
        k: The length of the ranked list.

    Returns:
        The means under "ndcg@{k}", "recall@{k}" and "mrr".

    Raises:
        ValueError: If `k` is not positive, or if `ranks` are empty, of another shape, below 1, or
            a row has none.

    Example:
        >>> ranking_metrics([3, 20, 1, 20], k=10)
        {'ndcg@10': 0.375, 'recall@10': 0.5, 'mrr': 0.35833333333333334}
        >>> ranking_metrics([[1, 2, 20], [1, 0, 0]], k=2)["recall@2"]
        0.8333333333333333
    """
    ranks = _checked_ranks(ranks, k)
    relevant = (ranks > 0).sum(axis=1)
    first = np.where(ranks > 0, ranks, np.inf).min(axis=1)
    return {
        f"ndcg@{k}": float(_ndcg(ranks, k).mean()),
        f"recall@{k}": float((((ranks > 0) & (ranks <= k)).sum(axis=1) / relevant).mean()),
        "mrr": float((1.0 / first).mean()),
    }


def standard_error(ranks: npt.ArrayLike, k: int) -> float:
    """Returns the standard error of the mean nDCG@k: s / sqrt(n), s with n - 1 in it.

    Args:
        ranks: As `ranking_metrics` takes them, n >= 2.
        k: The length of the ranked list.

    Returns:
        The standard error.

    Raises:
        ValueError: As `ranking_metrics`, and if there is only one example.

    Example:
        >>> standard_error([1, 20], k=10)
        0.5
    """
    ranks = _checked_ranks(ranks, k)
    if len(ranks) < 2:
        raise invalid("There must be at least two ranks.", "Evaluate more examples.", n=len(ranks))
    return float(_ndcg(ranks, k).std(ddof=1) / np.sqrt(len(ranks)))


def standard_error_of_difference(ranks: npt.ArrayLike, others: npt.ArrayLike, k: int) -> float:
    """Returns the standard error of the difference of two means of nDCG@k, of the same examples.

    Args:
        ranks: As `ranking_metrics` takes them, n >= 2.
        others: Those of another ranker, for the same examples in the same order.
        k: The length of the ranked list.

    Returns:
        The standard error of the mean of the differences.

    Raises:
        ValueError: As `standard_error`, and if there are not as many of both.

    Example:
        >>> standard_error_of_difference([1, 20], [20, 20], k=10)
        0.5
    """
    first, second = _checked_ranks(ranks, k), _checked_ranks(others, k)
    if len(first) != len(second) or len(first) < 2:
        raise invalid(
            "There must be as many ranks of both, and at least two.",
            "Evaluate the same examples.",
            ranks=len(first),
            others=len(second),
        )
    differences = _ndcg(first, k) - _ndcg(second, k)
    return float(differences.std(ddof=1) / np.sqrt(len(differences)))


def _ndcg(ranks: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.float64]:
    """nDCG@k `[n]` of ranks `[n, P]`."""
    listed = (ranks > 0) & (ranks <= k)
    gain = (listed / np.log2(1.0 + np.where(listed, ranks, 1.0))).sum(axis=1)
    ideal = np.cumsum(1.0 / np.log2(np.arange(2.0, k + 2.0)))
    return np.asarray(gain / ideal[np.minimum((ranks > 0).sum(axis=1), k) - 1])


def _checked_ranks(ranks: npt.ArrayLike, k: int) -> npt.NDArray[np.float64]:
    """Ranks as `[n, P]`."""
    if k < 1:
        raise invalid("`k` must be positive.", "Pass the length of the ranked list.", k=k)
    checked = np.asarray(ranks, np.float64)
    if checked.ndim not in (1, 2) or not checked.size:
        raise invalid(
            "`ranks` must be [n] or [n, P], n >= 1.", "Pass one a target.", shape=checked.shape
        )
    if checked.ndim == 1:
        checked = checked[:, None]
    # Negated, so that NaN is wrong too.
    wrong = ~((checked >= 1) | (checked == 0)) | (checked == 0).all(axis=1, keepdims=True)
    if wrong.any():
        raise invalid("`ranks` must be at least 1.", "The best rank is 1.", rank=checked[wrong][0])
    return checked


def check_defined(scores: npt.NDArray[Any]) -> None:
    """Raises where one of the scores `[n, v]` is NaN."""
    if scores.size and np.isnan(scores.min()):  # which finds NaN without an array of its own
        row, column = np.argwhere(np.isnan(scores))[0].tolist()
        raise invalid(
            "`scores` must not be NaN.", "Check the model's weights.", example=row, id=column
        )


def _targets_are_candidates(
    columns: npt.NDArray[Any],
    present: npt.NDArray[np.bool_],
    history: npt.NDArray[Any],
    no_items: npt.NDArray[Any],
) -> None:
    """Raises where a target is no item, or in its own history."""
    in_history = (columns[:, :, None] == history[:, None, :]).any(axis=2)
    for wrong, must, action in (
        (
            np.isin(columns, no_items) & present,
            "A target must be an item.",
            "Check that the vocabulary is the one of the examples.",
        ),
        (
            in_history & present,
            "A target must not be in its history, which is left out of the ranking.",
            "Leave that example out.",
        ),
    ):
        if wrong.any():
            example, place = np.argwhere(wrong)[0].tolist()
            raise invalid(must, action, example=example, target=int(columns[example, place]))


def _distinct(
    history: npt.NDArray[Any], no_items: npt.NDArray[Any], size: int
) -> list[npt.NDArray[np.int64]]:
    """The ids of each history once, without those that are no items."""
    ordered = np.sort(history, axis=1)
    item = np.ones(size, bool)
    item[no_items] = False
    kept = item[ordered]
    kept[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
    return [row[here] for row, here in zip(ordered, kept, strict=True)]


def _present(target: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where `[n, P]` there is a target."""
    if target.ndim == 1:
        return np.ones((len(target), 1), bool)
    present = target != 0
    if not present.any(axis=1).all():
        raise invalid(
            "Each row of `target` must hold a target.",
            "Leave the others out.",
            example=int(np.argmin(present.any(axis=1))),
        )
    return present


def _ids(values: npt.ArrayLike, name: str, *ndims: int) -> npt.NDArray[Any]:
    ids = np.asarray(values)
    if ids.ndim not in ndims or (ids.dtype.kind not in "iu" and ids.size):
        dimensions = " or ".join(map(str, ndims))
        raise invalid(
            f"`{name}` must be integers in {dimensions} dimension{'s'[: ndims[-1] - 1]}.",
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
