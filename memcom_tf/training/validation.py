"""What a ranker is judged by while it trains."""

from __future__ import annotations

import numpy as np

from memcom_tf.data import PreparedSplit
from memcom_tf.errors import invalid
from memcom_tf.evaluation import Examples, Split
from memcom_tf.training.settings import TrainingSettings

_MOST_SCORES = 10**10
"""Scores of a validation, about: a user more has one for each item."""
_LEAST_USERS = 10_000
"""Users that judge the largest catalogue, where `validation_users` has as many."""


def most_users(split: Split, settings: TrainingSettings) -> int:
    """How many users a validation has at most: fewer of a large catalogue."""
    affordable = max(_LEAST_USERS, _MOST_SCORES // split.vocabulary.input_dim)
    return min(settings.validation_users, affordable)


def validation_of(split: Split, settings: TrainingSettings) -> Examples:
    """The validation examples that choose: all, or as many as `most_users` says.

    Of a prepared data set with more users those of its first shards.
    """
    most = most_users(split, settings)
    if isinstance(split, PreparedSplit) and num_users(split) > most:
        return subsample(split.sample("validation", most), most)
    return subsample(split.validation, most)


def num_users(split: Split) -> int:
    """How many users may have an example of validation."""
    if isinstance(split, PreparedSplit):
        return int(split.manifest.statistics["users_with_held_out_items"])
    return len(split.validation)


def subsample(examples: Examples, most: int) -> Examples:
    """Validation examples: all, or so many, drawn at random."""
    if not len(examples):
        raise invalid("There must be validation examples.", "Split more interactions.", examples=0)
    if len(examples) <= most:
        return examples
    return examples[np.random.default_rng(0).permutation(len(examples))[:most]]
