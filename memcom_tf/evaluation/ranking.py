"""From a model to the metrics: by its scores of all items, or by its ranked lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.evaluation.examples import Examples
from memcom_tf.evaluation.metrics import ranking_metrics, ranks_from_lists, ranks_from_scores

_SCORES_AT_ONCE = 2**25
_FIRST_BATCH, _LARGEST_BATCH = 32, 512


def scored_batches(
    score: Callable[[Any], Any], examples: Examples, batch_size: int | None
) -> Iterator[tuple[Examples, npt.NDArray[Any]]]:
    """Parts of the examples with their scores; arguments and errors as of `rank_examples`."""
    if batch_size is not None and batch_size < 1:
        raise invalid("`batch_size` must be positive, or None.", batch_size=batch_size)
    _not_empty(examples)
    low, rows = 0, _FIRST_BATCH if batch_size is None else batch_size
    while low < len(examples):
        part = examples[low : low + rows]
        scores = np.asarray(score(part.inputs))
        low += rows
        if batch_size is None and scores.ndim == 2:
            rows = max(1, min(_LARGEST_BATCH, _SCORES_AT_ONCE // max(1, scores.shape[1])))
        yield part, scores


def rank_examples(
    score: Callable[[Any], Any], examples: Examples, *, batch_size: int | None = None
) -> npt.NDArray[np.float64]:
    """Returns the rank that a model's scores give to the target of each example.

    The ids in `examples.left_out`, reserved ids and free ids are left out, and ties count against
    the target: see `ranks_from_scores`.

    Args:
        score: Takes `inputs` of `b` examples, histories [b, L] where there is no context, and
            returns scores [b, v] of all ids, as anything that `numpy.asarray` takes. Ids from `v`
            on must not occur in the examples.
        examples: The examples.
        batch_size: The largest b; the last batch may be smaller. None takes as many as make 128 MB
            of scores, at most 512, after a first batch of few, which tells `v`.

    Returns:
        Ranks from 1 of the shape of `examples.target`, float64.

    Raises:
        ValueError: If there is no example, `batch_size` is not positive, or as
            `ranks_from_scores`.

    Example:
        >>> examples = Examples(np.array([[1, 0]]), np.array([3]), np.array([7]))
        >>> rank_examples(lambda history: [[0.0, 0.9, 0.5, 0.7]], examples)
        array([1.])
    """
    ranks = [
        ranks_from_scores(
            scores, part.left_out, part.target, reserved=part.reserved, free_ids=part.free_ids
        )
        for part, scores in scored_batches(score, examples, batch_size)
    ]
    return np.concatenate(ranks)


def evaluate_ranking(
    score: Callable[[Any], Any],
    examples: Examples,
    *,
    k: int = 10,
    batch_size: int | None = None,
) -> dict[str, float]:
    """Returns the metrics of a model that scores all items.

    The metrics are those of `ranking_metrics` of the ranks of `rank_examples`.

    Args:
        score: As of `rank_examples`.
        examples: The examples.
        k: The length of the ranked list.
        batch_size: As of `rank_examples`.

    Returns:
        The means under "ndcg@{k}", "recall@{k}" and "mrr".

    Raises:
        ValueError: As `rank_examples` and `ranking_metrics`.

    Example:
        >>> examples = Examples(np.array([[1, 0]]), np.array([3]), np.array([7]))
        >>> evaluate_ranking(lambda history: [[0.0, 0.9, 0.5, 0.7]], examples, k=1)
        {'ndcg@1': 1.0, 'recall@1': 1.0, 'mrr': 1.0}
    """
    return ranking_metrics(rank_examples(score, examples, batch_size=batch_size), k)


def evaluate_lists(
    rank: Callable[[Any], Any], examples: Examples, *, k: int = 10
) -> dict[str, float]:
    """Returns the metrics of a model that returns the best items only, as a phone runs it.

    A list is judged as it is: ids of the history that the model did not leave out take places
    in it. There is no "mrr", since a list does not tell the ranks beyond its end.

    Args:
        rank: Takes one history [L], or beside a context a dict of inputs without the batch, and
            returns the ids of the best items, the best first: at least k, padded with 0 where the
            model has fewer.
        examples: The examples.
        k: How many of each list count.

    Returns:
        The means under "ndcg@{k}" and "recall@{k}".

    Raises:
        ValueError: If there is no example, `k` is not positive, or a list is shorter than k or
            has no integers.

    Example:
        >>> examples = Examples(np.array([[1, 0]]), np.array([3]), np.array([7]))
        >>> evaluate_lists(lambda history: [2, 3, 4], examples, k=3)
        {'ndcg@3': 0.6309297535714575, 'recall@3': 1.0}
    """
    if k < 1:
        raise invalid("`k` must be positive.", "Pass the length of the ranked list.", k=k)
    _not_empty(examples)
    lists = []
    for row in range(len(examples)):
        (inputs,) = _rows(examples[row : row + 1].inputs)
        ranked = np.asarray(rank(inputs))
        if ranked.ndim != 1 or len(ranked) < k:
            raise invalid(
                "`rank` must return one list of at least k ids.",
                "Pass a smaller `k`, or pad the list with 0.",
                k=k,
                shape=ranked.shape,
            )
        lists.append(ranked[:k])
    metrics = ranking_metrics(ranks_from_lists(np.stack(lists), examples.target), k)
    del metrics["mrr"]
    return metrics


def _rows(inputs: Any) -> list[Any]:
    """Inputs one by one."""
    if not isinstance(inputs, dict):
        return list(inputs)
    count = len(next(iter(inputs.values())))
    return [{name: values[row] for name, values in inputs.items()} for row in range(count)]


def _not_empty(examples: Examples) -> None:
    if not len(examples):
        raise invalid("There must be examples.", "Pass at least one.", examples=0)
