"""How runtimes round a query to 8 bits before they multiply it with a table of int8."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

import tensorflow as tf

from memcom_tf.ops.interface import Array

Rounding = Literal["none", "symmetric", "asymmetric"]
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)
_LAST_BIT = 2.0**-23


class _Steps(NamedTuple):
    """Queries on the way to 8 bits: `(clip(round(position) + zero, -128, 127) - zero) * size`."""

    position: Array
    zero: Array
    size: Array


def _symmetric(x: Array) -> _Steps:
    """As TensorFlow Lite's own kernel rounds: the largest magnitude of a row is 127."""
    largest = tf.reduce_max(tf.abs(x), axis=-1, keepdims=True)
    position = tf.math.divide_no_nan(x * 127.0, largest)
    return _Steps(position, tf.zeros_like(largest), largest / 127.0)


def _asymmetric(x: Array) -> _Steps:
    """As XNNPACK rounds: 255 steps from the smallest value of a row to the largest, 0 in it."""
    low = tf.minimum(tf.reduce_min(x, axis=-1, keepdims=True), 0.0)
    high = tf.maximum(tf.reduce_max(x, axis=-1, keepdims=True), 0.0)
    steps = tf.where(high > low, 255.0 / tf.where(high > low, high - low, 1.0), 1.0)
    from_low = -128.0 - low * steps
    from_high = 127.0 - high * steps
    nearer = tf.where(low * steps + high * steps > 1.0, from_low, from_high)
    zero = tf.round(tf.clip_by_value(nearer, -128.0, 127.0))
    return _Steps(x * steps, zero, 1.0 / steps)


_STEPS: dict[Rounding, Callable[[Array], _Steps]] = {
    "symmetric": _symmetric,
    "asymmetric": _asymmetric,
}


def rounded(x: Array, rounding: Rounding, edge: Array | float = 0.0) -> Array:
    """Queries as a runtime multiplies them.

    Args:
        x: float32 `[..., width]`.
        rounding: How it rounds.
        edge: How near to halfway between two steps, in steps, values take the other of them, as in
            a runtime that computes them otherwise in their last bits; 0 is for none.
    """
    if rounding == "none":
        return x
    position, zero, size = _STEPS[rounding](x)
    below, nearest = tf.floor(position), tf.round(position)
    other = tf.where(tf.equal(nearest, below), below + 1.0, below)
    is_other = tf.abs(position - below - 0.5) < edge
    integers = tf.clip_by_value(tf.where(is_other, other, nearest) + zero, -128.0, 127.0)
    return (integers - zero) * size


class Queries:
    """How the queries of tables are rounded in a graph, which may be changed from run to run.

    Args:
        names: Of the tables that are multiplied with in 8 bits.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names, self._changes = names, 0
        with tf.init_scope():
            self._way = tf.Variable(0, trainable=False)
            self._noise = tf.Variable(0.0, trainable=False)
            self._edges = tf.Variable(tf.zeros(len(names)), trainable=False)

    def set(
        self,
        rounding: Rounding,
        in_last_bit: bool = False,
        edges: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Says how queries are rounded from now on.

        Args:
            rounding: How.
            in_last_bit: Whether values change in their last bit, up or down, before that.
            edges: Which queries take another step, of which `rounded` tells, by the table.
        """
        self._way.assign(ROUNDINGS.index(rounding))
        self._edges.assign([edges.get(name, 0.0) for name in self.names])
        self._noise.assign(_LAST_BIT if in_last_bit else 0.0)

    def changed(self, x: Array) -> Array:
        """Values, changed in their last bit where that was said."""
        self._changes += 1  # so that no two change alike, and cancel out
        signs = tf.random.stateless_uniform(tf.shape(x), (1, self._changes), -1.0, 1.0)
        return x * (1.0 + self._noise * signs)

    def rounded(self, name: str, x: Array) -> Array:
        """The queries of a table, or of any other matrix, as they are multiplied."""
        found = x = self.changed(x)
        if name in self.names:
            edge = self._edges[self.names.index(name)]
            for way, rounding in enumerate(ROUNDINGS[1:], start=1):
                found = tf.where(tf.equal(self._way, way), rounded(x, rounding, edge), found)
        return found
