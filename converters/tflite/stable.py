"""Operators whose numbers are others in a runtime than in TensorFlow, written so that they agree.

- TensorFlow's converter writes softplus as `log(1 + exp(x))`, which in float32 is never more than
  88. `log_sigmoid` is one too.
- XNNPACK's RSQRT of 0 is no number where TensorFlow's is infinite: of an empty history, say, whose
  vector has the norm 0. The converter makes `1 / sqrt(x)` an RSQRT as well.
- XNNPACK's SQRT is half as large again from 2^126 on, and its LOG infinite at 3e38.
- FLOOR_DIV of floats stops at a division by 0; and there is none of 64-bit integers.
- The sign of 0, for which `keras.ops.argmax` asks, is a bit of an integer, and runtimes have no AND
  of bits.
- Keras 3 adds a vector to ids, the offsets of fields in one table, as a BiasAdd, of which the
  converter writes that of floats alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import log
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.ops.interface import Array

from ..tracing.graph_def import Replacement, function_of, node_of, outputs_of, replaced

_SMALLEST = float(np.finfo(np.float32).tiny)
_LARGE = 2.0**125
_SIGN_BIT = -(2**31)
_FLOAT32, _INT32, _INT64 = (dtype.as_datatype_enum for dtype in (tf.float32, tf.int32, tf.int64))

Nodes = Mapping[str, Any]


def with_stable_numbers(function: Any) -> Any:
    """A concrete function that computes in a runtime what it computes in TensorFlow.

    Args:
        function: The concrete function.

    Returns:
        The same function where nothing has to be written otherwise.
    """
    nodes = {node.name: node for node in function.graph.as_graph_def().node}
    rewritten = list(_rewritten(nodes))
    if not rewritten:
        return function
    inputs = function.inputs[: len(function.inputs) - len(function.captured_inputs)]
    captures = {placeholder.op.name: value for value, placeholder in function.graph.captures}
    graph_def, captures = replaced(function.graph, captures, rewritten)
    return function_of(
        graph_def,
        [tensor.op.name for tensor in inputs],
        [tf.TensorSpec(x.shape, x.dtype, x.op.name) for x in inputs],
        captures,
        outputs_of(function),
    ).get_concrete_function()


def _rewritten(nodes: Nodes) -> Iterator[Replacement]:
    for node in nodes.values():
        data = [name for name in node.input if not name.startswith("^")]
        dtype = node.attr["T"].type if "T" in node.attr else None
        if dtype == _INT64 and node.op == "FloorDiv":
            yield Replacement(node.name, data, floor_div)
        if node.op == "BitwiseAnd" and (source := _signed(nodes, data)) is not None:
            yield Replacement(node.name, [source], _sign_bit)
        if dtype in (_INT32, _INT64) and node.op == "BiasAdd":
            yield Replacement(node.name, data, tf.add)
        if dtype != _FLOAT32:
            continue
        if node.op == "RealDiv" and (square := _square(nodes, data[1])) is not None:
            yield Replacement(node.name, [data[0], square], _divided_by_root)
        elif node.op == "Rsqrt" and not _is_positive(nodes, data[0]):
            yield Replacement(node.name, data, _rsqrt)
        elif node.op == "Pow" and (root := _ROOTS.get(_scalar(nodes, data[1]))) is not None:
            yield Replacement(node.name, data[:1], root)
        elif node.op in _STABLE:
            yield Replacement(node.name, data, _STABLE[node.op])


def _scalar(nodes: Nodes, name: str) -> float | None:
    """The value of a constant number."""
    node = nodes[node_of(name)]
    if node.op != "Const" or node.attr["dtype"].type != _FLOAT32:
        return None
    value = tf.make_ndarray(node.attr["value"].tensor)
    return float(value) if value.size == 1 and value.ndim == 0 else None


def _signed(nodes: Nodes, data: list[str]) -> str | None:
    """The floats whose bits are asked for their sign."""
    bits, mask = (nodes[node_of(name)] for name in data)
    if bits.op != "Bitcast" or bits.attr["T"].type != _FLOAT32 or mask.op != "Const":
        return None
    value = tf.make_ndarray(mask.attr["value"].tensor)
    return str(bits.input[0]) if value.size == 1 and value == _SIGN_BIT else None


def _square(nodes: Nodes, name: str) -> str | None:
    """What a divisor is the square root of, where that may be 0."""
    node = nodes[node_of(name)]
    if node.op != "Sqrt" or _is_positive(nodes, node.input[0]):
        return None
    return str(node.input[0])


def _is_positive(nodes: Nodes, name: str) -> bool:
    """Whether a value that is not negative, or no number, is not 0 either: something is added."""
    node = nodes[node_of(name)]
    if node.op not in ("Add", "AddV2", "Maximum"):
        return False
    for source in map(node_of, node.input[:2]):
        constant = nodes[source]
        if constant.op == "Const":
            return bool((tf.make_ndarray(constant.attr["value"].tensor) >= _SMALLEST).all())
    return False


def _softplus(x: Array) -> Array:
    return tf.nn.relu(x) + tf.math.log(1.0 + tf.exp(-tf.abs(x)))


def _rsqrt(x: Array) -> Array:
    # What is no normal number is 0 to TensorFlow.
    return tf.where(x < _SMALLEST, np.float32(np.inf), tf.math.rsqrt(tf.maximum(x, _SMALLEST)))


def _sign_bit(x: Array) -> Array:
    return tf.where((x < 0.0) | (1.0 / x < 0.0), np.int32(_SIGN_BIT), np.int32(0))


def _divided_by_root(x: Array, square: Array) -> Array:
    return x * _rsqrt(square)


def _sqrt(x: Array) -> Array:
    return 2.0 * tf.sqrt(0.25 * x)


def _log(x: Array) -> Array:
    return tf.where(x > _LARGE, tf.math.log(0.25 * x) + log(4.0), tf.math.log(x))


def _log1p(x: Array) -> Array:
    return _log(1.0 + x)


def _floor_div_of_floats(x: Array, y: Array) -> Array:
    return tf.floor(x / y)


def floor_div(x: Array, y: Array) -> Array:
    """`x // y` of int64, exact below 2^62 in size, by operators that runtimes have for them.

    The quotient of floats is near; what is left of `x` is divided in turn.
    """
    quotient, rest = tf.constant(0, tf.int64), x
    divisor = tf.cast(y, tf.float32)
    for _ in range(3):
        step = tf.cast(tf.round(tf.cast(rest, tf.float32) / divisor), tf.int64)
        quotient, rest = quotient + step, rest - step * y
    # The rest is less than a divisor in size: below 0 it is of the other sign than the divisor.
    others = tf.cast(tf.cast(rest, tf.float32) / divisor < 0.0, tf.int64)
    return quotient - others


_ROOTS: dict[float | None, Callable[[Array], Array]] = {0.5: _sqrt, -0.5: _rsqrt}
"""Powers that the converter makes a square root."""
_STABLE: dict[str, Callable[..., Array]] = {
    "Softplus": _softplus,
    "Sqrt": _sqrt,
    "Log": _log,
    "Log1p": _log1p,
    "FloorDiv": _floor_div_of_floats,
}
