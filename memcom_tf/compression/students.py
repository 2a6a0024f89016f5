"""What a trained ranker tells of its tables: their vectors, its queries, and both as floats."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memcom_tf.evaluation import Split
from memcom_tf.layers import CompressedEmbedding, FullEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.models.rebuilding import rebuilt_ranker
from memcom_tf.vocabulary import PADDING_ID, Vocabulary

Floats = npt.NDArray[np.float32]

_IDS_AT_A_TIME = 1 << 16
_MOST_HISTORIES = 4096


def vectors_of(layer: CompressedEmbedding) -> Floats:
    """The vectors of all ids `[input_dim, output_dim]`."""
    parts = [
        np.asarray(layer(np.arange(begin, min(begin + _IDS_AT_A_TIME, layer.input_dim))))
        for begin in range(0, layer.input_dim, _IDS_AT_A_TIME)
    ]
    return np.concatenate(parts).astype(np.float32)


def uncompressed(ranker: NextItemRanker, vocabulary: Vocabulary) -> NextItemRanker:
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
        table[ids[ids > 0]] = vectors_of(layer)[ids > 0]
        return FullEmbedding.from_table(table, name=layer.name)

    return rebuilt_ranker(ranker, vocabulary, full)


def queries_of(ranker: NextItemRanker, split: Split) -> Floats:
    """Queries `[n, output_dim]` of training histories, at most 4096."""
    history = split.train.history
    rows = np.random.default_rng(0).permutation(len(history))[:_MOST_HISTORIES]
    history = history[np.sort(rows)]
    return np.asarray(ranker.query(history[(history != PADDING_ID).any(axis=1)]), np.float32)
