"""A trained ranker for another vocabulary: with later items, or under the ids of a new order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memcom_tf.errors import invalid
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.models.rebuilding import rebuilt_ranker
from memcom_tf.ordering.carry_over import extended_layer, refreshed_layer
from memcom_tf.vocabulary import Vocabulary


def extended_ranker(ranker: CatalogueRanker, vocabulary: Vocabulary) -> CatalogueRanker:
    """Carries a trained ranker over to its vocabulary with later items.

    Scores of the items so far stay as they are. A new item starts as the mean of its bucket, its
    bias included (`memcom_tf.ordering.extended_layer`): it is ranked like what is similar to it
    until training sees it.

    Args:
        ranker: The ranker, with its vocabulary.
        vocabulary: What `Vocabulary.appended` or `with_reserve` made of that.

    Returns:
        A ranker of its own, to be compiled anew.

    Raises:
        ValueError: If the ranker has no vocabulary, or an item has another id.

    Example:
        >>> from memcom_tf import MEmComEmbedding
        >>> from memcom_tf.models import NextItemRanker
        >>> from memcom_tf.ordering import similarity_order
        >>> order = similarity_order([[1, 0], [0, 1]], num_buckets=2, reserve=1)
        >>> vocabulary = Vocabulary(["tea", "nail"]).reordered(order)
        >>> table = MEmComEmbedding(vocabulary.input_dim, 4, num_buckets=2)
        >>> ranker = NextItemRanker(table, history_length=3, vocabulary=vocabulary)
        >>> later = vocabulary.appended(["milk"], order, [[1, 0.1]])
        >>> extended_ranker(ranker, later).vocabulary.ids("milk") in vocabulary.free_ids
        True
    """
    return _carried_over(ranker, vocabulary, extended_layer)


def refreshed_ranker(ranker: CatalogueRanker, vocabulary: Vocabulary) -> CatalogueRanker:
    """Carries a trained ranker over to another order of its items, as nearly as its tables can.

    For a catalogue that has drifted: order all items anew, carry over, train a few epochs.
    Biases and dense layers stay as they are; compressed tables are approximated
    (`memcom_tf.ordering.refreshed_layer`).

    Args:
        ranker: The ranker, with its vocabulary.
        vocabulary: The items under their new ids; may have new ones, and lack old ones.

    Returns:
        A ranker of its own, to be compiled anew.

    Raises:
        ValueError: If the ranker has no vocabulary, or no item in common with the new one.
        NotImplementedError: If a table's method can only be trained.

    Example:
        >>> from memcom_tf import MEmComEmbedding
        >>> from memcom_tf.models import NextItemRanker
        >>> vocabulary = Vocabulary(["tea", "nail", "milk"])
        >>> table = MEmComEmbedding(vocabulary.input_dim, 4, num_buckets=2)
        >>> ranker = NextItemRanker(table, history_length=3, vocabulary=vocabulary)
        >>> refreshed = refreshed_ranker(ranker, Vocabulary(["milk", "tea", "nail"]))
        >>> refreshed.vocabulary.ids("milk").item()
        1
    """
    return _carried_over(ranker, vocabulary, refreshed_layer)


def _carried_over(
    ranker: CatalogueRanker, vocabulary: Vocabulary, carry: Callable[[Any, Any, Any], Any]
) -> CatalogueRanker:
    before = ranker.vocabulary
    if before is None:
        raise invalid("The ranker must have a vocabulary.", "Set it when the ranker is made.")
    ranker.build_once()
    return rebuilt_ranker(ranker, vocabulary, lambda layer: carry(layer, before, vocabulary))
