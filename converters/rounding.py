"""How runtimes round a query to 8 bits before they multiply it with a table of int8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import tensorflow as tf

from memcom_tf.ops.interface import Array


def _symmetric(x: Array) -> Array:
    """As TensorFlow Lite's own kernel rounds: the largest magnitude of a row is 127."""
    largest = tf.reduce_max(tf.abs(x), axis=-1, keepdims=True)
    integers = tf.round(tf.math.divide_no_nan(x * 127.0, largest))
    return integers * (largest / 127.0)


def _asymmetric(x: Array) -> Array:
    """As XNNPACK rounds: 255 steps from the smallest value of a row to the largest, 0 in it."""
    low = tf.minimum(tf.reduce_min(x, axis=-1, keepdims=True), 0.0)
    high = tf.maximum(tf.reduce_max(x, axis=-1, keepdims=True), 0.0)
    steps = tf.where(high > low, 255.0 / tf.where(high > low, high - low, 1.0), 1.0)
    from_low = -128.0 - low * steps
    from_high = 127.0 - high * steps
    nearer = tf.where(low * steps + high * steps > 1.0, from_low, from_high)
    zero = tf.round(tf.clip_by_value(nearer, -128.0, 127.0))
    integers = tf.clip_by_value(tf.round(x * steps) + zero, -128.0, 127.0)
    return (integers - zero) / steps


Rounding = Literal["none", "symmetric", "asymmetric"]
ROUNDED: dict[Rounding, Callable[[Array], Array]] = {
    "none": tf.identity,
    "symmetric": _symmetric,
    "asymmetric": _asymmetric,
}
