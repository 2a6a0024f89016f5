"""Interactions of users with items, rows of fields, and documents, from files."""

from memcom_tf.datasets.documents import Documents, load_documents
from memcom_tf.datasets.graded import GradedLists, graded_lists
from memcom_tf.datasets.interactions import Interactions
from memcom_tf.datasets.labels import Labels
from memcom_tf.datasets.logs import Log, load_interactions, load_log
from memcom_tf.datasets.made_up import made_up_dishes
from memcom_tf.datasets.movielens import movielens_100k
from memcom_tf.datasets.row_files import load_rows
from memcom_tf.datasets.rows import Columns, Rows

__all__ = [
    "Columns",
    "Documents",
    "GradedLists",
    "Interactions",
    "Labels",
    "Log",
    "Rows",
    "graded_lists",
    "load_documents",
    "load_interactions",
    "load_log",
    "load_rows",
    "made_up_dishes",
    "movielens_100k",
]
