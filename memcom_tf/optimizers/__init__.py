"""Optimizers that touch only the rows of a step."""

from memcom_tf.optimizers.adagrad import Adagrad
from memcom_tf.optimizers.adaptation import AdaptTables, move_rows
from memcom_tf.optimizers.base import RULES, SparseOptimizer
from memcom_tf.optimizers.lazy_adam import LazyAdam
from memcom_tf.optimizers.sgd import SGD

__all__ = ["RULES", "SGD", "Adagrad", "AdaptTables", "LazyAdam", "SparseOptimizer", "move_rows"]
