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


def has_several_workers() -> bool:
    """Whether this is within the scope of a strategy of several processes."""
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return False
    jobs = strategy.cluster_resolver.cluster_spec().as_dict()
    return sum(map(len, jobs.values())) > 1


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


def first_of_replica(count: Any) -> Any:
    """Where the rows of this replica begin among those of all replicas, which come one by one.

    Args:
        count: Rows of this replica, an int32 scalar.

    Returns:
        An int32 scalar, 0 without a strategy.
    """
    context = tf.distribute.get_replica_context()
    if num_replicas() == 1 or context is None:
        return 0
    place = tf.range(num_replicas()) == context.replica_id_in_sync_group
    counts = over_replicas(tf.where(place, tf.cast(count, tf.float32), 0.0))
    before = tf.range(num_replicas()) < context.replica_id_in_sync_group
    return tf.cast(tf.reduce_sum(tf.where(before, counts, 0.0)), tf.int32)
