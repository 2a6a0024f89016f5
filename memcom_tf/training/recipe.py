"""A ranker of the measured recipe, from interactions alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from memcom_tf._keras import keras
from memcom_tf.data import PreparedSplit
from memcom_tf.evaluation import Split
from memcom_tf.layers import CompressedEmbedding, FullEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.ordering import interaction_vectors, similarity_order
from memcom_tf.seeding import seeded
from memcom_tf.tables import RowSharing
from memcom_tf.training.settings import TrainingSettings
from memcom_tf.training.train import train

LARGE_CATALOGUE = 8192
"""From so many items on a step compares its targets with drawn items, not with all."""
NUM_NEGATIVES = 3000
TUNED: Mapping[str, Mapping[str, Any]] = {"MEmComEmbedding": {"multiplier_learning_rate": 10.0}}
"""Arguments that a method is better with, in training from scratch, than by default."""
_DEDICATED_SHARE = 0.5
"""Share of MEmCom's rows that belong to single items, the most frequent."""
_START = 0.15
"""Standard deviation of the vectors at the start."""


@dataclass(frozen=True)
class TrainedRanker:
    """A trained ranker.

    Attributes:
        model: The ranker, with its vocabulary.
        split: The interactions under the ids of that vocabulary.
        record: What `train` returned.
    """

    model: NextItemRanker
    split: Split
    record: dict[str, Any]


def new_ranker(
    split: Split, embedding: CompressedEmbedding | None = None, *, width: int = 64, **kwargs: Any
) -> NextItemRanker:
    """A ranker of the recipe, not trained.

    One table serves the history and the scores. Popularity is in a vector added to the query
    rather than in biases of the items, which cost bytes and made no difference. Where the order of
    a history counts, a learned projection of the query tells what follows an item from what comes
    before it.

    Args:
        split: The interactions.
        embedding: The table; None takes a full one.
        width: `output_dim` of the full one.
        **kwargs: Arguments of `NextItemRanker` to change.

    Returns:
        The ranker, with the vocabulary of the split.
    """
    input_dim = split.vocabulary.input_dim
    if embedding is None:
        embedding = FullEmbedding(input_dim, width, start())
    recipe = {
        "history_length": split.history_length,
        "dropout": 0.5,
        "item_bias": False,
        "query_bias": True,
        "query_projection": split.ordered,
        "recency": split.ordered,
        "num_negatives": NUM_NEGATIVES if input_dim >= LARGE_CATALOGUE else None,
        "vocabulary": split.vocabulary,
    }
    return NextItemRanker(embedding, **{**recipe, **kwargs})


def start() -> Any:
    """Initializer of the vectors."""
    return keras.initializers.RandomNormal(stddev=_START)


def train_ranker(
    split: Split,
    *,
    width: int = 64,
    ratio: float | None = None,
    settings: TrainingSettings | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    verbose: int = 0,
    report: Callable[[str], object] | None = None,
) -> TrainedRanker:
    """Trains a ranker of the recipe, with a full table or, where that is too large, with MEmCom.

    With `ratio` the items are numbered by the similarity of who took them
    (`memcom_tf.ordering.interaction_vectors`), so that no full table is ever needed.

    Args:
        split: The interactions, split by `leave_last_out` or `hold_out`, or opened by
            `memcom_tf.data.open_dataset`. Only training and validation are looked at.
        width: Width of an embedding.
        ratio: How many times smaller than a full table; None trains a full one.
        settings: How to train; None takes the defaults.
        checkpoint: A file to keep the state of the training in, and to go on from; see `train`.
        verbose: As of `keras.Model.fit`.
        report: As of `train`.

    Returns:
        The ranker, and the split under its ids.

    Raises:
        ValueError: If the ratio is out of range, or there is no validation example.

    Example:
        >>> from memcom_tf.datasets import Interactions
        >>> from memcom_tf.evaluation import leave_last_out
        >>> rng = np.random.default_rng(0)
        >>> log = Interactions(user=np.arange(600) // 8, item=rng.integers(0, 40, 600))
        >>> split = leave_last_out(log, history_length=8)
        >>> trained = train_ranker(split, width=8, ratio=3, settings=TrainingSettings(epochs=1))
        >>> trained.model.vocabulary.order, round(trained.model.item_embedding.compression_ratio)
        ('similarity', 3)
    """
    settings = settings or TrainingSettings()
    with seeded(settings.seed):
        embedding = None
        if ratio is not None:
            embedding = memcom_of(split.vocabulary.input_dim, width, ratio)
            split = by_similarity(split, embedding.sharing, width)
        model = new_ranker(split, embedding, width=width)
    record = train(model, split, settings, checkpoint=checkpoint, verbose=verbose, report=report)
    return TrainedRanker(model, split, record)


def memcom_of(input_dim: int, width: int, ratio: float) -> MEmComEmbedding:
    """MEmCom of a ratio, with rows of their own for the most frequent items.

    Args:
        input_dim: Size of the vocabulary.
        width: Width of an embedding.
        ratio: How many times fewer parameters than a full table.
    """
    settings = {"embeddings_initializer": start(), **TUNED["MEmComEmbedding"]}
    rows = MEmComEmbedding.for_ratio(input_dim, width, ratio, **settings).num_buckets
    own = int(_DEDICATED_SHARE * rows)
    return MEmComEmbedding(input_dim, width, num_buckets=rows - own, num_dedicated=own, **settings)


def by_similarity(split: Split, sharing: RowSharing, width: int = 64) -> Split:
    """The split under ids by the similarity of who took an item, in training alone.

    Args:
        split: The interactions.
        sharing: How ids share rows in the layer that it is for.
        width: Numbers by which items are compared.
    """
    vocabulary = split.vocabulary
    user, ids = training_pairs(split)
    vectors = interaction_vectors(user, ids - vocabulary.first_id, len(vocabulary), width)
    order = similarity_order(
        vectors,
        sharing.num_buckets,
        num_dedicated=sharing.num_dedicated,
        counts=vocabulary.counts,
        first_id=vocabulary.first_id,
    )
    return split.renumbered(vocabulary.reordered(order))


def training_pairs(split: Split) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Users and the ids of their items `[n]`, of the interactions for training.

    Those with the id that unknown items share are left out.

    Args:
        split: The interactions.
    """
    vocabulary = split.vocabulary
    user: npt.NDArray[Any]
    ids: npt.NDArray[Any]
    if isinstance(split, PreparedSplit):
        _, user, ids = split.train_pairs()
    else:
        user, ids = split.train_interactions.user, vocabulary.ids(split.train_interactions.item)
    known = ids >= vocabulary.first_id
    return user[known], ids[known]
