"""What a trained ranker tells of its tables: their vectors, its queries, and both as floats."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.evaluation import Split
from memcom_tf.layers import CompressedEmbedding, FullEmbedding
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.models.rebuilding import rebuilt_ranker
from memcom_tf.vocabulary import PADDING_ID, Vocabulary

Floats = npt.NDArray[np.float32]

_IDS_AT_A_TIME = 1 << 16
_MOST_HISTORIES = 4096
_SAME = 0.01
"""Of the spread of queries: what another order of sums may make of them."""


def vectors_of(layer: CompressedEmbedding) -> Floats:
    """The vectors of all ids `[input_dim, output_dim]`."""
    parts = [
        np.asarray(layer(np.arange(begin, min(begin + _IDS_AT_A_TIME, layer.input_dim))))
        for begin in range(0, layer.input_dim, _IDS_AT_A_TIME)
    ]
    return np.concatenate(parts).astype(np.float32)


def uncompressed(ranker: CatalogueRanker, vocabulary: Vocabulary) -> CatalogueRanker:
    """A ranker that scores as the given one, with full tables under the ids of a vocabulary.

    Args:
        ranker: The trained ranker, with a vocabulary of its own.
        vocabulary: The same items under other ids, or the same.

    Returns:
        The new ranker, built.
    """
    assert ranker.vocabulary is not None
    ids = ranker.vocabulary.ids_in(vocabulary)

    def full(layer: CompressedEmbedding) -> CompressedEmbedding:
        table = np.zeros((vocabulary.input_dim, layer.output_dim), np.float32)
        vectors = vectors_of(layer)
        table[ids[ids > 0]] = vectors[ids > 0]
        if ranker.reads_padding:
            table[PADDING_ID] = vectors[PADDING_ID]
        return FullEmbedding.from_table(table, name=layer.name)

    return rebuilt_ranker(ranker, vocabulary, full)


def queries_of(ranker: CatalogueRanker, split: Split) -> Floats:
    """Queries `[n, output_dim]` of training examples, at most 4096."""
    train = split.train
    rows = np.random.default_rng(0).permutation(len(train))[:_MOST_HISTORIES]
    examples = train[np.sort(rows)]
    if not examples.context:
        examples = examples[(examples.history != PADDING_ID).any(axis=1)]
    return np.asarray(ranker.query(examples.inputs), np.float32)


def check_renumbered(
    ranker: CatalogueRanker, split: Split, other: CatalogueRanker, renumbered: Split
) -> None:
    """Requires that a ranker under other ids makes the same queries.

    Raises:
        ValueError: If it does not: a table of its query model has as many ids as there are items,
            and is looked up by something else.
    """
    wanted, found = queries_of(ranker, split), queries_of(other, renumbered)
    if np.abs(found - wanted).max() > _SAME * wanted.std():
        raise invalid(
            "Tables of the query model with as many ids as there are items must be looked up by "
            "ids of items, and all items by the input that is the history.",
            "Give such a table one id more, or leave out methods that number items anew.",
            tables=[layer.name for layer in ranker.item_tables],
        )
