"""How runtimes round a query to 8 bits before they multiply it with a table of int8."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Literal, get_args

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
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)
_NUDGE = 1e-4
"""Of queries: at most a hundredth of a step, beside the one in 255 of which a few take another."""


class Queries:
    """How the queries of tables are rounded in a graph, which may be changed from run to run.

    Args:
        names: Of the tables that may be multiplied with in 8 bits.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._places = {name: place for place, name in enumerate(names)}
        with tf.init_scope():
            self._ways = tf.Variable(tf.zeros(len(names), tf.int32), trainable=False)
            self._nudge = tf.Variable(0.0, trainable=False)

    def set(self, rounding: Rounding, in_floats: Container[str] = (), nudged: bool = False) -> None:
        """Says how queries are rounded from now on.

        Args:
            rounding: How.
            in_floats: Tables whose queries are not rounded.
            nudged: Whether queries are changed a little before: what another runtime computes
                before it rounds is not the same in the last bit, and may then take the next step.
        """
        way = ROUNDINGS.index(rounding)
        self._ways.assign([0 if name in in_floats else way for name in self._places])
        self._nudge.assign(_NUDGE if nudged else 0.0)

    def rounded(self, name: str, x: Array) -> Array:
        """The queries of a table as they are multiplied."""
        way = self._ways[self._places[name]]
        noise = tf.random.stateless_uniform(tf.shape(x), (1, self._places[name]), -1.0, 1.0)
        nudged = x * (1.0 + self._nudge * noise)
        found = x
        for place, rounding in enumerate(ROUNDINGS[1:], start=1):
            found = tf.where(tf.equal(way, place), ROUNDED[rounding](nudged), found)
        return found
