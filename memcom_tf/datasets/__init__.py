"""Interactions of users with items, from files or from a public dataset."""

from memcom_tf.datasets.interactions import Interactions
from memcom_tf.datasets.labels import Labels
from memcom_tf.datasets.logs import Log, load_interactions, load_log
from memcom_tf.datasets.movielens import movielens_100k

__all__ = [
    "Interactions",
    "Labels",
    "Log",
    "load_interactions",
    "load_log",
    "movielens_100k",
]
