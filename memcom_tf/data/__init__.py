"""Prepared data sets: logs of any size, counted, ordered and split on disk by an engine."""

from memcom_tf.data.opening import open_dataset
from memcom_tf.data.prepared_split import PreparedSplit
from memcom_tf.data.preparing import prepare

__all__ = ["PreparedSplit", "open_dataset", "prepare"]
