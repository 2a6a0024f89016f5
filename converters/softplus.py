"""Softplus of large values, which TensorFlow's converter gets wrong.

It writes `log(1 + exp(x))`, which in float32 is never more than 88. `log_sigmoid` is one too.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from memcom_tf.ops.interface import Array

from .graph_def import Replacement, function_of, outputs_of, replaced


def with_stable_softplus(function: Any) -> Any:
    """A concrete function whose softplus holds for all values.

    Args:
        function: The concrete function.

    Returns:
        The same function where it has none.
    """
    nodes = [
        node
        for node in function.graph.as_graph_def().node
        if node.op == "Softplus" and node.attr["T"].type == tf.float32.as_datatype_enum
    ]
    if not nodes:
        return function
    inputs = function.inputs[: len(function.inputs) - len(function.captured_inputs)]
    captures = {placeholder.op.name: value for value, placeholder in function.graph.captures}
    graph_def, captures = replaced(
        function.graph,
        captures,
        [Replacement(node.name, node.input[:1], _softplus) for node in nodes],
    )
    return function_of(
        graph_def,
        [tensor.op.name for tensor in inputs],
        [tf.TensorSpec(x.shape, x.dtype, x.op.name) for x in inputs],
        captures,
        outputs_of(function),
    ).get_concrete_function()


def _softplus(x: Array) -> Array:
    return tf.nn.relu(x) + tf.math.log(1.0 + tf.exp(-tf.abs(x)))
