"""What happens to gradients before they are applied; the sparse ones stay sparse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from memcom_tf.ops.interface import Array
from memcom_tf.ops.slices import SummedSlices


class DivisibleSlices(tf.IndexedSlices):
    """Slices that `gradient / loss_scale_factor` divides; TensorFlow's cannot be divided."""

    def __truediv__(self, divisor: Any) -> tf.IndexedSlices:
        return with_values(self, lambda values: values / tf.cast(divisor, values.dtype))


def with_values(gradient: Array, change: Callable[[Array], Array]) -> Array:
    """Changes the values of a dense or sparse gradient."""
    if not isinstance(gradient, tf.IndexedSlices):
        return change(gradient)
    kind = SummedSlices if isinstance(gradient, SummedSlices) else tf.IndexedSlices
    return kind(change(gradient.values), gradient.indices, gradient.dense_shape)


def wide(dtype: tf.DType) -> tf.DType:
    """The dtype in which is computed: float32, or float64 where that is what there is."""
    return tf.float64 if dtype == tf.float64 else tf.float32


def scalar(x: Any, dtype: tf.DType) -> Array:
    """A scalar tensor; `tf.cast` would round a Python number to float32 first."""
    return tf.cast(x, dtype) if tf.is_tensor(x) else tf.constant(x, dtype)


def sum_duplicates(gradient: tf.IndexedSlices) -> SummedSlices:
    """Sums the slices of the same row."""
    # Besides being in vain, a second time is wrong under XLA, which loses count of the rows.
    if isinstance(gradient, SummedSlices):
        return gradient
    rows, positions = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, positions, tf.size(rows))
    return SummedSlices(values, rows, gradient.dense_shape)


def clip(
    gradients: Sequence[Array | None],
    clipnorm: float | None,
    global_clipnorm: float | None,
    clipvalue: float | None,
) -> Sequence[Array | None]:
    """Clips as Keras does, and sparse gradients exactly as their dense equals.

    The slices of a row are summed first: a norm of duplicates is not that of the gradient.

    Args:
        gradients: Tensors, `tf.IndexedSlices` or None.
        clipnorm: Largest L2 norm of a gradient.
        global_clipnorm: Largest L2 norm of all gradients together.
        clipvalue: Largest absolute value.

    Returns:
        The gradients, sparse where they were; the very objects where there is nothing to clip.
    """
    if not any(limit and limit > 0 for limit in (clipnorm, global_clipnorm, clipvalue)):
        return gradients
    gradients = [
        sum_duplicates(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient
        for gradient in gradients
    ]
    if clipnorm and clipnorm > 0:
        return _each(gradients, lambda g: _scaled(g, clipnorm / tf.maximum(_norm([g]), clipnorm)))
    if global_clipnorm and global_clipnorm > 0:
        norm = _norm([gradient for gradient in gradients if gradient is not None])
        # An infinite norm makes all NaN, as in Keras, where zeros would hide it.
        factor = global_clipnorm / tf.maximum(norm, global_clipnorm) + (norm - norm)
        return _each(gradients, lambda g: _scaled(g, factor))
    assert clipvalue is not None
    limit = clipvalue
    return _each(gradients, lambda g: with_values(g, lambda v: tf.clip_by_value(v, -limit, limit)))


def _each(
    gradients: Sequence[Array | None], change: Callable[[Array], Array]
) -> list[Array | None]:
    return [None if gradient is None else change(gradient) for gradient in gradients]


def _scaled(gradient: Array, factor: Array) -> Array:
    return with_values(gradient, lambda values: values * tf.cast(factor, values.dtype))


def _norm(gradients: Sequence[Array]) -> Array:
    """The L2 norm, as a float64 so that gradients of any dtype add up."""
    values = [g.values if isinstance(g, tf.IndexedSlices) else g for g in gradients]
    squares = [tf.reduce_sum(tf.square(tf.cast(v, wide(v.dtype)))) for v in values]
    return tf.sqrt(tf.add_n([tf.cast(square, tf.float64) for square in squares]))
