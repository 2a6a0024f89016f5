"""Interactions of users with items, from files or from a public dataset."""

from memcom_tf.datasets.interactions import Interactions, load_interactions
from memcom_tf.datasets.movielens import movielens_100k

__all__ = ["Interactions", "load_interactions", "movielens_100k"]
