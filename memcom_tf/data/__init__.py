"""Prepared data sets: logs and rows of any size, counted, ordered and split on disk."""

from memcom_tf.data.opening import open_dataset
from memcom_tf.data.prepared_rows import PreparedRows, open_rows
from memcom_tf.data.prepared_split import PreparedSplit
from memcom_tf.data.preparing import prepare
from memcom_tf.data.preparing_rows import prepare_rows

__all__ = [
    "PreparedRows",
    "PreparedSplit",
    "open_dataset",
    "open_rows",
    "prepare",
    "prepare_rows",
]
