"""Numbers as small integers and a scale: what is stored, and what training computes with.

From 8 bits on a value is `q * scale`, with the largest magnitude at the largest integer. With 4 and
2 bits there are two ways, each with the scale that leaves the least squares: midrise levels are
`(q + 0.5) * scale`, as many above 0 as below, which suits values of which none is 0; midtread
levels are `q * scale`, and one of them is 0, which suits sparse values. A float16 has no scale, or
1. The converter and quantization-aware layers run the same lines, so that what is trained is what
is stored.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from memcom_tf.ops.interface import Array
from memcom_tf.tables import Levels, Storage

_STEP_OF_A_NORMAL = {4: 0.3352, 2: 0.9957}
"""Best step for a normal distribution of variance 1: J. Max, Quantizing for minimum distortion,
IRE Transactions on Information Theory, 1960."""
_SHARES_OF_THE_LARGEST: dict[Levels, tuple[float, ...]] = {
    "midrise": (0.55, 0.7, 0.85, 1.0),
    "midtread": (0.2, 0.3, 0.42, 0.55, 0.7, 0.8, 0.9, 1.0),
}
"""What levels reach, to begin with, as shares of the largest value. Midtread levels store
sparse values too, whose distribution is far from normal, and start from more."""
_SCALE_ROUNDS = 2


def scales_of(values: Array, storage: Storage, num_buckets: int = 0) -> Array:
    """The scales of a table, or of some of its rows where each has one of its own.

    Args:
        values: `[..., width]` floats.
        storage: Integers with a scale, or float16.
        num_buckets: Number of scales where these are by `i mod num_buckets`.

    Returns:
        `[..., 1]` for rows, `[1, 1]` for a table, `[num_buckets, 1]` for buckets; 0 where all is 0.
    """
    if storage.scaled_by is None:
        return tf.ones([1, 1], values.dtype)
    values = tf.stop_gradient(values)
    if storage.scaled_by == "bucket":
        column = tf.reshape(tf.abs(values), [-1])
        buckets = tf.range(tf.size(column)) % num_buckets
        largest = tf.math.unsorted_segment_max(column, buckets, num_buckets)
        # A segment without members would be the lowest float.
        return tf.maximum(largest, 0.0)[:, None] / tf.cast(storage.largest, values.dtype)
    axis = [-1] if storage.scaled_by == "row" else list(range(values.shape.rank))
    if not storage.is_low:
        largest = tf.reduce_max(tf.abs(values), axis=axis, keepdims=True)
        return largest / tf.cast(storage.largest, values.dtype)
    return _least_squares_scales(values, storage, axis)


def _least_squares_scales(values: Array, storage: Storage, axis: list[int]) -> Array:
    """Scales that leave the least squares: the best of some, then in turns with the integers."""

    def total(x: Array) -> Array:
        # Beyond a row in float64, so that the order of the summands does not show.
        of_rows = tf.reduce_sum(x, axis=-1, keepdims=True)
        return tf.reduce_sum(tf.cast(of_rows, tf.float64), axis=axis, keepdims=True)

    def as_before(x: Array) -> Array:
        return tf.cast(x, values.dtype)

    power = total(values**2) / total(tf.ones_like(values[..., :1])) / values.shape[-1]
    scale = as_before(_STEP_OF_A_NORMAL[storage.bits] * tf.sqrt(power))
    largest = tf.reduce_max(tf.abs(values), axis=axis, keepdims=True)
    reached = storage.half if storage.levels == "midrise" else storage.largest
    shares = _SHARES_OF_THE_LARGEST[storage.levels]
    starts = [scale, *(largest * (share / reached) for share in shares)]
    least = None
    for start in starts:
        error = total(
            (values - values_of(integers_of(values, start, storage), start, storage)) ** 2
        )
        if least is not None:
            scale = tf.where(error < least, start, scale)
        least = error if least is None else tf.minimum(error, least)
    for _ in range(_SCALE_ROUNDS):
        levels = integers_of(values, scale, storage) + storage.shift
        # A row of zeros is at the level 0, and none at another.
        scale = as_before(tf.math.divide_no_nan(total(levels * values), total(levels**2)))
    return scale


def integers_of(values: Array, scales: Array, storage: Storage) -> Array:
    """The nearest integers, as floats."""
    steps = tf.math.divide_no_nan(values, scales)
    if storage.levels == "midrise":
        return tf.clip_by_value(tf.floor(steps), -storage.half, storage.largest)
    if storage.is_low:
        return tf.clip_by_value(tf.round(steps), -storage.half, storage.largest)
    return tf.clip_by_value(tf.round(steps), -storage.largest, storage.largest)


def values_of(integers: Array, scales: Array, storage: Storage) -> Array:
    """The values that integers stand for."""
    return (integers + storage.shift if storage.shift else integers) * scales


def rounded(values: Array, scales: Array, storage: Storage) -> Array:
    """The nearest values that can be stored; gradients pass as if there were no rounding.

    Source of the gradient: Bengio et al., Estimating or propagating gradients through stochastic
    neurons, 2013, arXiv:1308.3432.
    """

    def nearest(x: Array) -> Any:
        if storage.scaled_by is None:
            return tf.cast(tf.cast(x, tf.float16), x.dtype)
        return values_of(integers_of(x, scales, storage), scales, storage)

    return tf.grad_pass_through(nearest)(values)
