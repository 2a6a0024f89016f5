"""Rounding by steps that are trained, with the values that they round.

Source: Esser et al., Learned step size quantization, ICLR 2020, arXiv:1902.08153.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from memcom_tf.ops.interface import Array
from memcom_tf.ops.quantization import integers_of, values_of
from memcom_tf.tables import Storage

_LEAST_STEP = 2.0**-60
"""What a step is at least, so that it stays positive, and a row of zeros can be trained."""


def in_use(steps: Array) -> Array:
    """Steps as they are computed with and stored: positive, whatever an optimizer made of them.

    A variable that was moved beyond 0 stands for its size: at 0 it would stay, as values beyond
    the levels get no gradient that could bring them back.
    """
    sizes = tf.where(steps < 0, -steps, steps)
    return tf.grad_pass_through(lambda x: tf.maximum(x, tf.cast(_LEAST_STEP, x.dtype)))(sizes)


def sharing(storage: Storage, rows: int, width: int) -> int:
    """How many values share a step."""
    return width if storage.scaled_by == "row" else rows * width


def rounded_by(values: Array, steps: Array, storage: Storage, count: int) -> Array:
    """The nearest values that can be stored, by steps that get gradients too.

    A value `w` is at `v = w / s` steps and is rounded to a level `l(v)`, an integer or with midrise
    levels one and a half, between the lowest level `-n` and the largest one `p`. Then

        d(l s) / ds = l(v) - v  if -n < v < p, else l(v), which is -n or p
        d(l s) / dw = 1         if -n < v < p, else 0

    and the gradient of a step is the sum over its values, divided by `sqrt(count * p)`: steps then
    change about as fast, relative to their size, as the values do.

    Args:
        values: `[..., width]` floats.
        steps: Positive, `[..., 1]`, or `[1, 1]` or `[1]` for a table.
        storage: Integers of 4 or 2 bits.
        count: Number of values of the table that share a step.

    Returns:
        Floats of the shape of `values`.
    """
    low, high = storage.shift - storage.half, storage.shift + storage.largest
    scale = 1.0 / math.sqrt(count * high)

    @tf.custom_gradient
    def nearest(w: Array, s: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
        integers = integers_of(w, s, storage)

        def gradient(upstream: Array) -> tuple[Array, Array]:
            upstream = tf.convert_to_tensor(upstream)
            v, level = w / s, integers + storage.shift
            inside = (v > low) & (v < high)
            of_step = tf.where(inside, level - v, level)
            zero = tf.zeros_like(upstream)
            return tf.where(inside, upstream, zero), upstream * of_step * scale

        return values_of(integers, s, storage), gradient

    return nearest(values, tf.broadcast_to(steps, tf.shape(values)))
