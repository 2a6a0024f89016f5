"""Interactions of users with items, and rows of fields, from files or a public dataset."""

from memcom_tf.datasets.graded import GradedLists, graded_lists
from memcom_tf.datasets.interactions import Interactions
from memcom_tf.datasets.labels import Labels
from memcom_tf.datasets.logs import Log, load_interactions, load_log
from memcom_tf.datasets.movielens import movielens_100k
from memcom_tf.datasets.row_files import load_rows
from memcom_tf.datasets.rows import Columns, Rows

__all__ = [
    "Columns",
    "GradedLists",
    "Interactions",
    "Labels",
    "Log",
    "Rows",
    "graded_lists",
    "load_interactions",
    "load_log",
    "load_rows",
    "movielens_100k",
]
