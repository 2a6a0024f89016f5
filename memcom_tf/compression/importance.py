"""What the rows of a click model's tables are worth: what the loss falls by when they are seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.datasets import Rows
from memcom_tf.errors import invalid
from memcom_tf.models.click import ClickModel
from memcom_tf.models.click_tables import lookups
from memcom_tf.tables import check_positive
from memcom_tf.vocabulary import PADDING_ID

_AT_A_TIME = 4096


def shapley_importance(
    model: ClickModel, rows: Rows, *, permutations: int = 4, seed: int = 0
) -> dict[str, np.ndarray]:
    """The share of every row of every table in what a click model knows of some rows.

    At first each field has the mean of its vectors. One field after the other, in a random order,
    gets its own vectors: what the log loss of an example falls by then is the credit of the row of
    the table that was looked up. The credits of an example add up to what its log loss falls by in
    all. Values that matter often, or much, have large credits; what a model learned by heart, and
    others contradict, has negative ones.

    It tells which ids should keep their columns, bits or rows: pass what is above 0 as the
    `frequencies` of `from_table`, or order ids by it.

    Source: Shapley values by sampling, as in Shaver, arXiv:2411.13052, there of single numbers of
    rows, here of whole ones.

    Args:
        model: A trained model.
        rows: Rows with labels, best those of training or more like them.
        permutations: Random orders of the fields for each batch of rows.
        seed: Seed of the orders.

    Returns:
        For each table of categories `[ids]`, the mean over rows and orders, in units of log loss.

    Raises:
        ValueError: If the rows have no labels, or `permutations` is not positive.

    Example:
        >>> from memcom_tf.evaluation import split_rows
        >>> from memcom_tf.training import train_click_model
        >>> site = np.arange(2000) % 40
        >>> rows = Rows.of({"site": site, "noise": site % 7}, label=site % 2)
        >>> trained = train_click_model(split_rows(rows), width=4)
        >>> credit = shapley_importance(trained.model, rows)
        >>> bool(credit["site"].sum() > 5 * abs(credit["noise"].sum()))
        True
    """
    check_positive(permutations=permutations)
    if not len(rows):
        raise invalid("There must be a row.", "", rows=0)
    rng = np.random.default_rng(seed)
    inputs = model.features.encode(rows)
    labels = np.asarray(rows.labels, np.float32)
    loss = tf.function(_log_losses(model), reduce_retracing=True)
    means = _mean_vectors(model, inputs, len(rows))
    found = {name: np.zeros(size) for name, size in model.features.tables.items()}
    for first in range(0, len(rows), _AT_A_TIME):
        part = slice(first, first + _AT_A_TIME)
        seen = {name: values[part] for name, values in inputs.items()}
        own = np.asarray(model.vectors(seen))
        fields = [(table, np.asarray(ids)) for table, ids in lookups(model.features, seen)]
        for _ in range(permutations):
            vectors = np.broadcast_to(means, own.shape).copy()
            before = np.asarray(loss(vectors, labels[part]))
            for columns, table, ids in _in_random_order(model, fields, own.shape[1], rng):
                vectors[:, columns] = own[:, columns]
                after = np.asarray(loss(vectors, labels[part]))
                if table is not None:
                    _credit(found[table], ids, before - after)
                before = after
    return {name: credits / (permutations * len(rows)) for name, credits in found.items()}


def _log_losses(model: ClickModel) -> Any:
    def losses(vectors: Any, labels: Any) -> Any:
        logits = model.logits_of_vectors(vectors)[:, 0]
        return tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)

    return losses


def _mean_vectors(model: ClickModel, inputs: dict[str, np.ndarray], count: int) -> np.ndarray:
    """The mean vector of each field `[vectors, width]` over the rows."""
    total = 0.0
    for first in range(0, count, _AT_A_TIME):
        part = {name: values[first : first + _AT_A_TIME] for name, values in inputs.items()}
        total = total + np.asarray(model.vectors(part), np.float64).sum(axis=0)
    return np.asarray(total / count, np.float32)


def _in_random_order(
    model: ClickModel,
    fields: list[tuple[str, np.ndarray]],
    count: int,
    rng: np.random.Generator,
) -> list[tuple[slice, str | None, np.ndarray]]:
    """The vectors of each field, its table and ids; those of numbers have no table."""
    found: list[tuple[slice, str | None, np.ndarray]] = []
    first = 0
    for table, ids in fields:
        end = first + model.vectors_of(table)
        found.append((slice(first, end), table, ids))
        first = end
    none = np.zeros((0, 1), np.int64)
    found += [(slice(place, place + 1), None, none) for place in range(first, count)]
    return [found[place] for place in rng.permutation(len(found))]


def _credit(of_rows: np.ndarray, ids: np.ndarray, fallen: np.ndarray) -> None:
    """Adds what the loss of rows fell by to the ids that they have, in equal parts of several."""
    known = np.ones(ids.shape, bool) if ids.shape[1] == 1 else ids != PADDING_ID
    share = fallen / np.maximum(known.sum(axis=1), 1)
    np.add.at(of_rows, ids[known], np.broadcast_to(share[:, None], ids.shape)[known])
