"""Biases of a compressed ranker, which keep items as likely as they were."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from memcom_tf.compression.students import queries_of, vectors_of
from memcom_tf.evaluation import Split
from memcom_tf.models.catalogue_ranker import CatalogueRanker

STEP = 0.5
"""Of the way to equal shares. Histories of training favour what a user took, so that all of it is
too much: half ranks better than none, and than all of it (`benchmarks/recipe.py`)."""
_LEAST_SHARE = 1e-3
"""Of an even share: items that are less likely tell too little."""
_SCORES = 1 << 28
"""Looked at, at most: fewer histories of a large catalogue."""
_SCORES_AT_A_TIME = 1 << 24


def correct_biases(
    student: CatalogueRanker,
    teacher: CatalogueRanker,
    mean_query: npt.NDArray[np.floating],
    split: Split,
    step: float = STEP,
) -> None:
    """Sets the biases of a compressed ranker by what its original says.

    First so that the mean query scores every item as the original does. Then a part of the way to
    where every item has the original's share of the probability, over the histories of training:
    an item whose scores are off by chance is ranked high more often than it should be.

    Args:
        student: The compressed ranker, which has biases.
        teacher: The original under the same ids.
        mean_query: The mean of its queries, `[output_dim]`.
        split: The interactions under these ids.
        step: Of that way, from 0 to 1.
    """
    layer = student.item_bias_embedding
    assert layer is not None
    wanted, found = (vectors_of(r.scored_embedding) @ mean_query for r in (teacher, student))
    biases = wanted - found
    if teacher.item_bias_embedding is not None:
        biases += vectors_of(teacher.item_bias_embedding)[:, 0]
    layer.assign_tables({"embeddings": biases[:, None]})
    items = np.setdiff1d(np.arange(split.vocabulary.first_id, len(biases)), student.free_ids)
    wanted, found = (_shares(ranker, split, items) for ranker in (teacher, student))
    least = _LEAST_SHARE / len(items)
    biases[items] += step * np.log(np.maximum(wanted, least) / np.maximum(found, least))
    layer.assign_tables({"embeddings": biases[:, None]})


def _shares(
    ranker: CatalogueRanker, split: Split, items: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Mean probability of items in the softmax over the catalogue, which they share."""
    queries = queries_of(ranker, split)[: max(1, _SCORES // len(items))]
    shares = np.zeros(len(items))
    rows = max(1, _SCORES_AT_A_TIME // len(items))
    for begin in range(0, len(queries), rows):
        scores = tf.gather(ranker.score_all(queries[begin : begin + rows]), items, axis=1)
        shares += np.asarray(tf.reduce_sum(tf.nn.softmax(tf.cast(scores, tf.float32)), axis=0))
    return shares / len(queries)
