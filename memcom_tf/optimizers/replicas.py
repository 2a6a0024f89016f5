"""Gradients of the replicas of a `tf.distribute` strategy, summed; sparse ones as unique rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from memcom_tf.ops.interface import Array
from memcom_tf.optimizers.gradients import sum_duplicates

_FILLER = -1
"""In the place of the number of a row."""


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
    summed = map(without_fillers, context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if gradient is None else next(summed) for gradient in gradients]


def in_unique_rows(gradient: Any) -> Any:
    """A sparse gradient whose slices of a row are summed, so that each row travels once.

    One without any row has a filler: where no worker has a row, TensorFlow's gather of nothing
    ends the process. `without_fillers` takes it out.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    slices = sum_duplicates(gradient)
    fillers = tf.cast(tf.equal(tf.size(slices.indices), 0), tf.int32)
    indices = tf.pad(slices.indices, [[0, fillers]], constant_values=_FILLER)
    values = tf.pad(slices.values, [[0, fillers], *([[0, 0]] * (slices.values.shape.rank - 1))])
    # What a strategy sends it has to be able to take apart: no subclass.
    return tf.IndexedSlices(values, indices, slices.dense_shape)


def without_fillers(gradient: Any) -> Any:
    """The sum over all replicas of what `in_unique_rows` gave, without what is no row."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    values, indices = gradient.values, gradient.indices
    is_row = indices != _FILLER
    values, indices = tf.cond(
        tf.reduce_all(is_row),
        lambda: (values, indices),
        lambda: (tf.boolean_mask(values, is_row), tf.boolean_mask(indices, is_row)),
    )
    return tf.IndexedSlices(values, indices, gradient.dense_shape)
