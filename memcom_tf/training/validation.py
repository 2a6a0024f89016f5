"""What a ranker is judged by while it trains."""

from __future__ import annotations

import numpy as np

from memcom_tf.data import PreparedSplit
from memcom_tf.errors import invalid
from memcom_tf.evaluation import Examples, Split
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.training.settings import TrainingSettings

_MOST_SCORES = 2**26
"""Scores that are held at once where a catalogue is ranked for validation."""


def validation_of(split: Split, settings: TrainingSettings) -> Examples:
    """The validation examples that choose: all, or as many as `settings` say.

    Of a prepared data set with more users those of its first shards.
    """
    if isinstance(split, PreparedSplit) and num_users(split) > settings.validation_users:
        return subsample(split.sample("validation", settings.validation_users), settings)
    return subsample(split.validation, settings)


def num_users(split: Split) -> int:
    """How many users may have an example of validation."""
    if isinstance(split, PreparedSplit):
        return int(split.manifest.statistics["users_with_held_out_items"])
    return len(split.validation)


def scores_at_once(model: CatalogueRanker) -> int:
    """Histories whose scores of all items are held at once: fewer of a large catalogue."""
    items = model.item_embedding.input_dim
    return int(np.clip(_MOST_SCORES // items, 1, 512))


def subsample(examples: Examples, settings: TrainingSettings) -> Examples:
    """The validation examples that choose: all, or as many as `settings` say, at random."""
    if not len(examples):
        raise invalid("There must be validation examples.", "Split more interactions.", examples=0)
    if len(examples) <= settings.validation_users:
        return examples
    rng = np.random.default_rng(0)
    return examples[rng.permutation(len(examples))[: settings.validation_users]]
