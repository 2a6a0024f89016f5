"""Means over the batch of all replicas of a `tf.distribute` strategy.

A strategy hands each replica a part of the batch, and adds up the gradients of their losses. Every
replica's loss has therefore to be its part of the whole batch's.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def num_replicas() -> int:
    """How many replicas compute the step; 1 without a strategy."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def over_replicas(count: Any) -> Any:
    """The sum of a number over all replicas: of examples, say, that a mean is over."""
    context = tf.distribute.get_replica_context()
    if num_replicas() == 1 or context is None:
        return count
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.stop_gradient(count))


def mean_over_replicas(values: Any) -> Any:
    """This replica's part of the mean of values over all replicas."""
    count = over_replicas(tf.cast(tf.size(values), values.dtype))
    return tf.math.divide_no_nan(tf.reduce_sum(values), count)
