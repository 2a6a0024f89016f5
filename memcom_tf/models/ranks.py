"""The ranks that a ranker gives to targets among its whole catalogue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.evaluation import Examples, rank_examples
from memcom_tf.evaluation.metrics import check_targets, ranking_metrics
from memcom_tf.layers import FullEmbedding
from memcom_tf.layers.codebooks.codebook import CodebookEmbedding
from memcom_tf.layers.contract.method import Method
from memcom_tf.models.catalogue_ranker import CatalogueRanker

_MOST_SCORES = 2**26
"""Scores that are held at once where all items are scored for every query."""
_QUERIES, _ITEMS = 256, 8192
"""Queries and items of a block: its scores stay in the caches of a processor."""
_LEAST_ITEMS = 4 * _ITEMS
"""Of fewer items all scores of a query are computed at once, which is as fast."""


def scores_at_once(ranker: CatalogueRanker) -> int:
    """Histories whose scores of all items are held at once: fewer of a large catalogue."""
    return int(np.clip(_MOST_SCORES // ranker.item_embedding.input_dim, 1, 512))


def evaluate_ranker(
    ranker: CatalogueRanker,
    examples: Examples,
    *,
    k: int = 10,
    score: Callable[[Any], Any] | None = None,
) -> dict[str, float]:
    """Returns the metrics of a ranker, as `evaluate_ranking` does.

    Args:
        ranker: A built ranker.
        examples: The examples.
        k: The length of the ranked list.
        score: As of `rank_targets`.

    Returns:
        The means under "ndcg@{k}", "recall@{k}" and "mrr".

    Raises:
        ValueError: As `evaluate_ranking`.
    """
    return ranking_metrics(rank_targets(ranker, examples, score=score), k)


def rank_targets(
    ranker: CatalogueRanker, examples: Examples, *, score: Callable[[Any], Any] | None = None
) -> npt.NDArray[np.float64]:
    """Returns the rank that a ranker gives to the target of each example, as `rank_examples` does.

    Of a large catalogue the items before a target are counted in blocks of items, for many queries
    at once: there is never an array of all scores. Vectors of the items are then looked up once.
    Methods that score a catalogue without its vectors, since items share rows, do so here too.

    Args:
        ranker: A built ranker.
        examples: The examples.
        score: What gives scores of all items where they are not counted in blocks; None takes
            `predict_on_batch`.

    Returns:
        Ranks from 1 of the shape of `examples.target`, float64.

    Raises:
        ValueError: As `rank_examples`.
    """
    if not _counts_in_blocks(ranker, examples):
        score = score or ranker.predict_on_batch
        return rank_examples(score, examples, batch_size=scores_at_once(ranker))
    size = ranker.scored_embedding.input_dim
    no_items = check_targets(
        examples.target, examples.left_out, size, examples.reserved, examples.free_ids
    )
    catalogue = _Catalogue(ranker, no_items)
    parts = [examples[low : low + _QUERIES] for low in range(0, len(examples), _QUERIES)]
    return np.concatenate([_ranks(catalogue, ranker, part, no_items) for part in parts])


def _counts_in_blocks(ranker: CatalogueRanker, examples: Examples) -> bool:
    layer = ranker.scored_embedding
    # Where items share rows their scores tie, and products with vectors might not.
    by_vectors = isinstance(layer, FullEmbedding | CodebookEmbedding) or (
        type(layer).lookup_scores is Method.lookup_scores
    )
    return (
        by_vectors
        and layer.input_dim >= _LEAST_ITEMS
        and examples.target.ndim == 1
        and len(examples) > 0
        and type(ranker).score_all is CatalogueRanker.score_all
        and ranker.compute_dtype == layer.variable_dtype == "float32"
    )


class _Catalogue:
    """Vectors and biases of all items, in whole blocks.

    All products have as many lines and columns, so that equal vectors get equal scores.
    """

    def __init__(self, ranker: CatalogueRanker, no_items: npt.NDArray[Any]) -> None:
        layer = ranker.scored_embedding
        # Products with the unit vectors are the vectors, whatever the method.
        columns = layer.score_all(tf.eye(layer.output_dim))
        biases = ranker.item_bias_embedding
        bias = np.zeros(layer.input_dim, np.float32)
        if biases is not None:
            bias = np.array(biases.score_all(tf.ones([1, 1])))[0]
        bias[no_items] = -np.inf
        beyond = -layer.input_dim % _ITEMS
        self._vectors = tf.transpose(tf.pad(columns, [[0, 0], [0, beyond]]))
        self._bias = tf.constant(np.pad(bias, (0, beyond), constant_values=-np.inf))

    def ranks(
        self, query: npt.NDArray[Any], target: npt.NDArray[Any], pairs: npt.NDArray[Any]
    ) -> npt.NDArray[np.float64]:
        """The ranks of targets `[b]`, by queries `[b, d]`.

        Args:
            query: The queries.
            target: Ids.
            pairs: `[n, 2]` ids that are left out, and the query for which they are; by id.

        Raises:
            ValueError: If a score is NaN.
        """
        count = len(query)
        query = np.pad(query, ((0, _QUERIES - count), (0, 0)))
        wanted = np.pad(target, (0, _ITEMS - count))
        vectors, bias = tf.gather(self._vectors, wanted), tf.gather(self._bias, wanted)
        of_targets = tf.linalg.diag_part(_products(tf.constant(query), vectors, bias))
        blocks = np.arange(0, len(self._vectors) + 1, _ITEMS)
        starts = np.searchsorted(pairs[:, 0], blocks)
        found, undefined = _ahead(
            query, of_targets, self._vectors, self._bias, pairs.astype(np.int32), starts
        )
        if undefined:
            raise invalid("Scores must not be NaN.", "Check the model's weights.", queries=count)
        return np.asarray(found, np.float64)[:count]


def _products(query: Any, vectors: Any, bias: Any) -> Any:
    return tf.matmul(query, vectors, transpose_b=True) + bias


@tf.function(reduce_retracing=True)
def _ahead(query: Any, of_targets: Any, vectors: Any, bias: Any, pairs: Any, starts: Any) -> Any:
    """How many ids have at least the score of a target, but for those that are left out."""
    count, undefined = tf.zeros([_QUERIES], tf.int32), tf.constant(False)
    for block in tf.range(tf.shape(vectors)[0] // _ITEMS):
        low = block * _ITEMS
        scores = _products(query, vectors[low : low + _ITEMS], bias[low : low + _ITEMS])
        undefined = undefined | tf.reduce_any(tf.math.is_nan(scores))
        # Sums of floats are faster than counts, and exact up to 2**24.
        ahead = tf.reduce_sum(tf.cast(scores >= of_targets[:, None], tf.float32), axis=1)
        out = pairs[starts[block] : starts[block + 1]]
        ids, rows = out[:, 0] - low, out[:, 1]
        there = tf.gather_nd(scores, tf.stack([rows, ids], axis=1)) >= tf.gather(of_targets, rows)
        less = tf.math.unsorted_segment_sum(tf.cast(there, tf.int32), rows, _QUERIES)
        count += tf.cast(ahead, tf.int32) - less
    return count, undefined


def _ranks(
    catalogue: _Catalogue, ranker: CatalogueRanker, part: Examples, no_items: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    rows = np.broadcast_to(np.arange(len(part))[:, None], part.left_out.shape)
    pairs = np.unique(np.stack([part.left_out.ravel(), rows.ravel()], axis=1), axis=0)
    pairs = pairs[~np.isin(pairs[:, 0], no_items)]
    query = np.asarray(ranker.query(part.inputs), np.float32)
    return catalogue.ranks(query, part.target, pairs)
