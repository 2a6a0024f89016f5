"""Numbers as small integers and a scale: what is stored, and what training computes with.

From 8 bits on a value is `q * scale`, with the largest magnitude at the largest integer. With 4 and
2 bits there are two ways, each with the scale that leaves the least squares: midrise levels are
`(q + 0.5) * scale`, as many above 0 as below, which suits values of which none is 0; midtread
levels are `q * scale`, and one of them is 0, which suits sparse values. A float16 has no scale, or
1. The converter and quantization-aware layers run the same lines, so that what is trained is what
is stored.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, cast

import tensorflow as tf

from memcom_tf.ops.interface import Array
from memcom_tf.tables import Storage

Levels = Literal["midrise", "midtread"]
"""Where the levels lie: between the multiples of the scale, or at them."""

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


class Format(NamedTuple):
    """A storage taken apart."""

    bits: int
    scaled_by: str
    """"row", "table" or "bucket"; "" of floats."""
    levels: Levels = "midtread"

    @property
    def is_low(self) -> bool:
        """Whether several values are in a byte."""
        return self.bits < 8

    @property
    def shift(self) -> float:
        """How far levels lie above the multiples of the scale, in scales."""
        return 0.5 if self.levels == "midrise" else 0.0

    @property
    def half(self) -> int:
        """Integers below 0; as many are not, from 0 on, where the bits are low."""
        return int(2 ** (self.bits - 1))

    @property
    def largest(self) -> int:
        """The largest integer."""
        return self.half - 1


def format_of(storage: Storage) -> Format:
    """The format of integers with a scale, or of float16."""
    kind, _, scaled_by = storage.partition("_per_")
    number, _, levels = kind.partition("_")
    bits = int(number.removeprefix("float").removeprefix("int"))
    if levels or bits >= 8:
        return Format(bits, scaled_by, "midtread")
    return Format(bits, scaled_by, "midrise")


def storages_of(storage: Storage) -> list[Storage]:
    """What a converter may choose from for a storage: itself, and its bits with a level at 0."""
    form = format_of(storage)
    if form.levels == "midtread":
        return [storage]
    return [storage, cast(Storage, f"int{form.bits}_midtread_per_{form.scaled_by}")]


def scales_of(values: Array, storage: Storage, num_buckets: int = 0) -> Array:
    """The scales of a table, or of some of its rows where each has one of its own.

    Args:
        values: `[..., width]` floats.
        storage: Integers with a scale, or float16.
        num_buckets: Number of scales where these are by `i mod num_buckets`.

    Returns:
        `[..., 1]` for rows, `[1, 1]` for a table, `[num_buckets, 1]` for buckets; 0 where all is 0.
    """
    form = format_of(storage)
    if not form.scaled_by:
        return tf.ones([1, 1], values.dtype)
    values = tf.stop_gradient(values)
    if form.scaled_by == "bucket":
        column = tf.reshape(tf.abs(values), [-1])
        buckets = tf.range(tf.size(column)) % num_buckets
        largest = tf.math.unsorted_segment_max(column, buckets, num_buckets)
        # A segment without members would be the lowest float.
        return tf.maximum(largest, 0.0)[:, None] / tf.cast(form.largest, values.dtype)
    axis = [-1] if form.scaled_by == "row" else list(range(values.shape.rank))
    if not form.is_low:
        largest = tf.reduce_max(tf.abs(values), axis=axis, keepdims=True)
        return largest / tf.cast(form.largest, values.dtype)
    return _least_squares_scales(values, form, axis)


def _least_squares_scales(values: Array, form: Format, axis: list[int]) -> Array:
    """Scales that leave the least squares: the best of some, then in turns with the integers."""

    def total(x: Array) -> Array:
        # Beyond a row in float64, so that the order of the summands does not show.
        of_rows = tf.reduce_sum(x, axis=-1, keepdims=True)
        return tf.reduce_sum(tf.cast(of_rows, tf.float64), axis=axis, keepdims=True)

    def as_before(x: Array) -> Array:
        return tf.cast(x, values.dtype)

    power = total(values**2) / total(tf.ones_like(values[..., :1])) / values.shape[-1]
    scale = as_before(_STEP_OF_A_NORMAL[form.bits] * tf.sqrt(power))
    largest = tf.reduce_max(tf.abs(values), axis=axis, keepdims=True)
    reached = form.half if form.levels == "midrise" else form.largest
    shares = _SHARES_OF_THE_LARGEST[form.levels]
    starts = [scale, *(largest * (share / reached) for share in shares)]
    least = None
    for start in starts:
        error = total((values - values_of(integers_of(values, start, form), start, form)) ** 2)
        if least is not None:
            scale = tf.where(error < least, start, scale)
        least = error if least is None else tf.minimum(error, least)
    for _ in range(_SCALE_ROUNDS):
        levels = integers_of(values, scale, form) + form.shift
        # A row of zeros is at the level 0, and none at another.
        scale = as_before(tf.math.divide_no_nan(total(levels * values), total(levels**2)))
    return scale


def integers_of(values: Array, scales: Array, form: Format) -> Array:
    """The nearest integers, as floats."""
    steps = tf.math.divide_no_nan(values, scales)
    if form.levels == "midrise":
        return tf.clip_by_value(tf.floor(steps), -form.half, form.largest)
    if form.is_low:
        return tf.clip_by_value(tf.round(steps), -form.half, form.largest)
    return tf.clip_by_value(tf.round(steps), -form.largest, form.largest)


def values_of(integers: Array, scales: Array, form: Format) -> Array:
    """The values that integers stand for."""
    return (integers + form.shift if form.shift else integers) * scales


def rounded(values: Array, scales: Array, storage: Storage) -> Array:
    """The nearest values that can be stored; gradients pass as if there were no rounding.

    Source of the gradient: Bengio et al., Estimating or propagating gradients through stochastic
    neurons, 2013, arXiv:1308.3432.
    """
    form = format_of(storage)

    def nearest(x: Array) -> Any:
        if not form.scaled_by:
            return tf.cast(tf.cast(x, tf.float16), x.dtype)
        return values_of(integers_of(x, scales, form), scales, form)

    return tf.grad_pass_through(nearest)(values)
