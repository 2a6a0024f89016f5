"""Gradients of the replicas of a `tf.distribute` strategy, summed; sparse ones as unique rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from memcom_tf.ops.interface import Array
from memcom_tf.optimizers.gradients import sum_duplicates


def summed_over_replicas(gradients: Sequence[Array | None]) -> Sequence[Array | None]:
    """The sum of every gradient over all replicas, which each of them gets.

    Args:
        gradients: Of one replica: tensors, `tf.IndexedSlices` or None, which it is in all or none.

    Returns:
        The sums, sparse where they were; a row comes once for each replica that has it. Without
        several replicas, and where these were merged already, the very objects.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return gradients
    present = [in_unique_rows(gradient) for gradient in gradients if gradient is not None]
    if not present:
        return gradients
    summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if gradient is None else next(summed) for gradient in gradients]


def in_unique_rows(gradient: Any) -> Any:
    """A sparse gradient whose slices of a row are summed, so that each row travels once."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    slices = sum_duplicates(gradient)
    # What a strategy sends it has to be able to take apart: no subclass.
    return tf.IndexedSlices(slices.values, slices.indices, slices.dense_shape)
