"""A ranker with other tables, and otherwise as it was trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.evaluation import Split
from memcom_tf.layers import CompressedEmbedding, FullEmbedding
from memcom_tf.models import NextItemRanker
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


def rebuilt(
    ranker: NextItemRanker,
    vocabulary: Vocabulary,
    tables: Callable[[CompressedEmbedding], CompressedEmbedding],
    **changed: Any,
) -> NextItemRanker:
    """A ranker with other tables, and all other weights of a trained one.

    Args:
        ranker: The trained ranker.
        vocabulary: The vocabulary of the new one.
        tables: Makes the new layer, built, of an old one.
        **changed: Arguments of the ranker to change; tables they leave out are left out.

    Returns:
        The new ranker, built.
    """
    config = {**ranker.get_config(), **changed}
    layers = {"item_embedding": tables(ranker.item_embedding)}
    if ranker.output_embedding is not None:
        layers["output_embedding"] = tables(ranker.output_embedding)
    new = NextItemRanker(**{**config, **layers}, vocabulary=vocabulary)
    new.build_once()
    for name, layer in layers.items():
        getattr(new, name).assign_tables(layer.table_values())
    if new.item_bias_embedding is not None and ranker.item_bias_embedding is not None:
        new.item_bias_embedding.assign_tables(tables(ranker.item_bias_embedding).table_values())
    of_tables = {id(weight) for layer in new.embeddings for weight in layer.weights}
    known = {_path_in(weight, ranker): weight for weight in ranker.weights}
    for weight in new.weights:
        if id(weight) not in of_tables and (old := known.get(_path_in(weight, new))) is not None:
            weight.assign(old)
    return new


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

    return rebuilt(ranker, vocabulary, full)


def queries_of(ranker: NextItemRanker, split: Split) -> Floats:
    """Queries `[n, output_dim]` of training histories, at most 4096."""
    history = split.train.history
    rows = np.random.default_rng(0).permutation(len(history))[:_MOST_HISTORIES]
    history = history[np.sort(rows)]
    return np.asarray(ranker.query(history[(history != PADDING_ID).any(axis=1)]), np.float32)


def _path_in(weight: Any, ranker: NextItemRanker) -> str:
    path = getattr(weight, "path", weight.name)
    return str(path).removeprefix(f"{ranker.name}/")
