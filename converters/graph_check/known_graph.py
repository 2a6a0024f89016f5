"""Whether a graph may run in this process: whether every use of an operator in it is known.

From the inputs on, whose shapes callers must keep to, and the constants, whose sizes are checked,
the shape of every tensor is derived anew. What the file says of computed tensors is not believed.
"""

from __future__ import annotations

from . import known_layouts  # noqa: F401  adds its rules
from .graph import BITS, Graph, Subgraph, Tensor
from .known_operators import RULES
from .known_values import NotKnownError, Use, Value, checked_shape, require

LARGEST_TENSOR = 2**31
LARGEST_SUBGRAPH = 2**32
"""Bytes of a subgraph's computed tensors."""


def is_known_to_be_safe(graph: Graph) -> bool:
    """Whether no kernel can end the process, as far as rules for operators can tell.

    Args:
        graph: A graph that `graph_check` found sound.
    """
    try:
        for subgraph in graph.subgraphs:
            _walk(subgraph)
    except NotKnownError:
        return False
    return True


def _walk(subgraph: Subgraph) -> None:
    values: dict[int, Value | None] = {-1: None}
    for place, tensor in enumerate(subgraph.tensors):
        require(not tensor.is_variable)
        if tensor.size:
            values[place] = Value(tensor.dtype, tensor.shape, tensor.numbers, tensor)
        elif place in subgraph.inputs:
            require(tensor.quantization is None)
            values[place] = Value(tensor.dtype, checked_shape(tensor.shape))
    total = 0
    for operator in subgraph.operators:
        rule = RULES.get(operator.code)
        if rule is None:
            raise NotKnownError
        outputs = [subgraph.tensors[place] for place in operator.outputs]
        # An empty constant has no bytes to be known by.
        require(all(place in values for place in operator.inputs))
        found = rule(Use(operator, [values[place] for place in operator.inputs], outputs))
        require(len(found) == len(outputs))
        for place, output, value in zip(operator.outputs, outputs, found, strict=True):
            _check_output(output, value)
            size = value.num_values * BITS[value.dtype] // 8
            total += size
            require(size <= LARGEST_TENSOR and total <= LARGEST_SUBGRAPH)
            values[place] = value


def _check_output(output: Tensor, value: Value) -> None:
    require(output.dtype == value.dtype and output.quantization is None)
