"""The table of words of a text classifier: compressed ones, and the order that they need."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.evaluation.documents import DocumentSplit, class_numbers
from memcom_tf.features import Features
from memcom_tf.layers import METHODS, CompressedEmbedding, MEmComEmbedding
from memcom_tf.models.text_classifier import start
from memcom_tf.models.text_model import POOLED
from memcom_tf.ordering import class_vectors, interaction_vectors, similarity_order
from memcom_tf.tables import check_positive
from memcom_tf.vocabulary import SHARED_ID, Vocabulary

Order: TypeAlias = Literal["classes", "documents", "frequency"]

_DEDICATED_SHARE = 0.5
"""Share of MEmCom's rows that belong to single words, the most frequent."""
_WIDTH_OF_DOCUMENTS = 64
"""Numbers by which words are compared by their documents."""


def word_table(
    features: Features, width: int, ratio: float, method: str | None = None
) -> CompressedEmbedding:
    """A table for the words of a field, so many times smaller than a full one.

    Args:
        features: The field of texts.
        width: Width of the word vectors.
        ratio: How many times smaller.
        method: Name of a registered method; None takes MEmComEmbedding, half of whose rows belong
            to single words.

    Raises:
        ValueError: If there is no such method, or it cannot be as small.
    """
    name = method or MEmComEmbedding.__name__
    if name not in METHODS:
        raise invalid(f"`method` must be one of {sorted(METHODS)}.", method=method)
    check_positive(width=width)
    (field,) = features.categorical
    settings = {"embeddings_initializer": start(), "name": "words", **POOLED}
    made = METHODS[name]
    if made is not MEmComEmbedding:
        return made.for_ratio(field.input_dim, width, ratio, **settings)
    settings["multiplier_learning_rate"] = 10.0
    rows = MEmComEmbedding.for_ratio(field.input_dim, width, ratio, **settings).num_buckets
    own = int(_DEDICATED_SHARE * rows)
    return MEmComEmbedding(
        field.input_dim, width, num_buckets=rows - own, num_dedicated=own, **settings
    )


def check_order(order: str) -> None:
    """Requires an order that there is."""
    if order not in get_args(Order):
        raise invalid(f"`order` must be one of {get_args(Order)}.", order=order)


def ordered(
    features: Features, split: DocumentSplit, table: CompressedEmbedding, order: Order, seed: int
) -> Features:
    """The field with its words numbered for a table whose ids share rows, in MEmCom's way.

    Args:
        features: The field, its words by falling count.
        split: The documents, of which those for training alone are looked at.
        table: The table; words of others than MEmCom stay in the order of their counts.
        order: By what words are alike.
        seed: Seed of what clusters.

    Returns:
        The field.
    """
    if order == "frequency" or not isinstance(table, MEmComEmbedding):
        return features
    ((name, vocabulary),) = features.vocabularies.items()
    sharing = table.sharing
    if sharing.num_rows >= len(vocabulary):
        return features  # every word has a row of its own
    vectors = word_vectors(features, split, order, seed)
    found = similarity_order(
        vectors,
        sharing.num_buckets,
        num_dedicated=sharing.num_dedicated,
        counts=vocabulary.counts,
        first_id=vocabulary.first_id,
        seed=seed,
    )
    return features.with_vocabularies({name: vocabulary.reordered(found)})


def word_vectors(
    features: Features, split: DocumentSplit, order: Order, seed: int = 0
) -> np.ndarray:
    """Vectors `[words, d]` that tell which words are alike, from the documents for training."""
    (vocabulary,) = features.vocabularies.values()
    ids = features.encode(split.train.columns)["ids"]
    document, place = np.nonzero(ids > SHARED_ID)
    item = ids[document, place] - vocabulary.first_id
    if order == "documents":
        return interaction_vectors(document, item, len(vocabulary), _WIDTH_OF_DOCUMENTS, seed=seed)
    labels = class_numbers(split.train, split.classes)
    return class_vectors(document, item, labels, len(vocabulary))


def counts_of(vocabulary: Vocabulary) -> np.ndarray:
    """How often each id occurs, that of unknown words as often as the most frequent one."""
    counts = np.zeros(vocabulary.input_dim)
    known = vocabulary.ids(list(vocabulary))
    counts[known] = 1.0 if vocabulary.counts is None else vocabulary.counts
    counts[SHARED_ID] = counts.max()
    return counts
