"""Tables that are no constants of the graphs that TensorFlow converts.

A table is a tensor, or a variable, that a graph captures. TensorFlow's converter sees it as an
input of its type and shape, of which it can compute nothing beforehand, and `tflite.finish` puts
the bytes into the file that it wrote. So no table is mistaken for another of the same content, none
ends in the file as floats as well, and none meets the 2 GB at which protobuf messages end.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

from memcom_tf.errors import invalid
from memcom_tf.ops.interface import Array

from .file_ids import checks_of_layers
from .graph_def import function_of, import_graph, outputs_of, replaced, tensor_name
from .product_forms import plain_products
from .views import Views

LARGE_BYTES = 1 << 24
"""From which on a table is not a constant: what is smaller is converted in no time."""
LARGEST_FILE = (1 << 31) - (1 << 20)
"""Bytes that the offsets of a flatbuffer reach, less what else is in a file."""
IN_PRODUCT = "product"
"""The role of a table that a query is multiplied with in integers."""
_INPUT = "memcom_table_"

_tensors: dict[tuple[Any, ...], Any] = {}


def is_large(values: np.ndarray) -> bool:
    """Whether an array is too large for a constant."""
    return bool(values.nbytes >= LARGE_BYTES)


def handles_of(variable: Any) -> list[Any]:
    """What functions capture of a `tf.Variable`: of a mirrored one that of each replica."""
    return [part.handle for part in getattr(variable, "values", (variable,))]


def captured(values: np.ndarray, role: str = "") -> Array:
    """An array as a tensor that graphs capture.

    The same array in the same role is the same tensor, as long as it lives.
    """
    owner = values.base if isinstance(values.base, np.ndarray) else values
    address = values.__array_interface__["data"][0]
    key = (role, address, values.shape, values.strides, values.dtype.str)
    if key not in _tensors:
        with tf.init_scope():
            _tensors[key] = tf.constant(values)
        weakref.finalize(owner, _tensors.pop, key, None)
    return _tensors[key]


def in_graph(values: np.ndarray) -> Array:
    """An array in a graph that is not converted: a constant, or `captured` where it is large."""
    return captured(values) if is_large(values) else tf.constant(values)


class Frozen(NamedTuple):
    """A function whose variables are constants, but for the large ones.

    Attributes:
        graph: Its graph.
        inputs: Its inputs.
        outputs: Its outputs.
        captures: What it captures, tensors and handles of variables, by the name of the
            placeholder.
        origins: What the function captured before, by the name of the node that is it now: a
            constant, or the placeholder of a large one.
        traces: What has to live as long as the graph: functions of loops and conditions, which it
            calls by name, are forgotten with the trace that they are of.
    """

    graph: Any
    inputs: list[Any]
    outputs: list[Any]
    captures: dict[str, Any]
    origins: dict[str, Any]
    traces: tuple[Any, ...]


def freeze(function: Any) -> Frozen:
    """Turns the variables of a concrete function into constants; captures tables and large ones.

    What is `captured` stays so: a constant could be computed with, and could not be placed.
    Products with trained matrices are in the form of `product_forms`, and checks of ids in that of
    `file_ids`.
    """
    # A constant has the name of the placeholder that it takes the place of.
    origins = {placeholder.op.name: value for value, placeholder in function.graph.captures}
    variables = {id(variable.handle): variable for variable in function.graph.variables}
    tables = {id(tensor) for tensor in _tensors.values()}
    kept = {
        name: value
        for name, value in origins.items()
        if id(value) in tables or _num_bytes(variables.get(id(value), value)) >= LARGE_BYTES
    }
    # What the public function does, with its converter's own list of what stays.
    data = convert_to_constants._FunctionConverterDataInEager(
        func=function,
        lower_control_flow=False,
        aggressive_inlining=False,
        variable_names_denylist=set(kept),
    )
    graph_def, _ = convert_to_constants._replace_variables_by_constants(data)
    inputs = function.inputs[: len(function.inputs) - len(function.captured_inputs)]
    specs = [tf.TensorSpec(x.shape, x.dtype, x.op.name) for x in inputs]
    outputs = [tensor.name for tensor in function.outputs]
    frozen = _traced(graph_def, specs, kept, outputs, origins)
    nodes = {node.name: node for node in frozen.graph.as_graph_def().node}
    ranks = {
        name: len(variables.get(id(value), value).shape)
        for name, value in frozen.origins.items()
        if name in nodes
    }
    views = Views(nodes, ranks, partial(shape_of, frozen.graph))
    rewritten = [*plain_products(nodes, views), *checks_of_layers(nodes)]
    if not rewritten:
        return frozen._replace(traces=(function, *frozen.traces))
    graph_def, captures = replaced(frozen.graph, frozen.captures, rewritten)
    names = [tensor.name for tensor in frozen.outputs]
    again = _traced(graph_def, specs, captures, names, frozen.origins)
    return again._replace(traces=(function, *frozen.traces, *again.traces))


def _traced(
    graph_def: Any,
    specs: Sequence[Any],
    captures: Mapping[str, Any],
    outputs: Sequence[str],
    origins: Mapping[str, Any],
) -> Frozen:
    names = [spec.name for spec in specs]

    def run(*arguments: Array) -> list[Array]:
        inputs = dict(zip(names, arguments, strict=True))
        return import_graph(graph_def, inputs, captures, outputs, "")

    traced = tf.function(run, input_signature=specs, autograph=False).get_concrete_function()
    found = {placeholder.op.name: value for value, placeholder in traced.graph.captures}
    inputs = traced.inputs[: len(specs)]
    return Frozen(traced.graph, inputs, traced.outputs, found, {**origins, **found}, (traced,))


def shape_of(graph: Any, name: str) -> Sequence[int | None] | None:
    """The shape of a tensor, by the name that inputs of nodes give it; None where unknown."""
    shape = graph.get_tensor_by_name(tensor_name(name)).shape
    return None if shape.rank is None else shape.as_list()


def with_table_inputs(functions: Mapping[str, Any]) -> tuple[dict[str, Any], list[Array]]:
    """Functions that take the tables that they captured as further inputs.

    Args:
        functions: Concrete functions by name.

    Returns:
        The functions, as they were where they captured none, and the tensors, of which number `i`
        is the input `memcom_table_<i>`.
    """
    ours = {id(tensor) for tensor in _tensors.values()}
    tables: list[Any] = []
    found: dict[str, Any] = {}
    for name, function in functions.items():
        placed = {
            placeholder.op.name: value
            for value, placeholder in function.graph.captures
            if id(value) in ours
            or (value.dtype != tf.resource and _num_bytes(value) >= LARGE_BYTES)
        }
        for value in placed.values():
            if all(value is not table for table in tables):
                tables.append(value)
        found[name] = _with_inputs(function, placed, tables) if placed else function
    return found, tables


def check_size(tables: Sequence[Array], variables: Sequence[Any]) -> None:
    """Requires that a file can hold tables, and variables that stay as they are.

    Raises:
        ValueError: If there are more bytes than a file can hold.
    """
    total = sum(map(_num_bytes, [*tables, *variables]))
    if total > LARGEST_FILE:
        raise invalid(
            f"The tables of a file must take at most {LARGEST_FILE:,} bytes, which the offsets in "
            "a .tflite file can reach.",
            "Store them in fewer bits, or make them smaller with `compress`.",
            bytes=total,
        )


def _with_inputs(function: Any, placed: Mapping[str, Array], tables: Sequence[Array]) -> Any:
    arguments = function.inputs[: len(function.inputs) - len(function.captured_inputs)]
    numbers = {
        name: next(i for i, table in enumerate(tables) if table is value)
        for name, value in placed.items()
    }
    names = [tensor.op.name for tensor in arguments] + list(numbers)
    specs = [tf.TensorSpec(x.shape, x.dtype, x.op.name) for x in arguments]
    specs += [
        tf.TensorSpec(tables[number].shape, tables[number].dtype, f"{_INPUT}{number}")
        for number in numbers.values()
    ]
    others = {
        placeholder.op.name: value
        for value, placeholder in function.graph.captures
        if placeholder.op.name not in placed
    }
    graph_def = function.graph.as_graph_def()
    return function_of(
        graph_def, names, specs, others, outputs_of(function)
    ).get_concrete_function()


def table_inputs(model: Any) -> Iterator[tuple[Any, int, int]]:
    """Takes the inputs that stand for tables from the signatures of an unpacked flatbuffer.

    Yields:
        The subgraph, the place of the tensor in it, and the number of the table.
    """
    for signature in model.signatureDefs:
        graph = model.subgraphs[signature.subgraphIndex]
        for entry in [e for e in signature.inputs if e.name.startswith(_INPUT.encode())]:
            graph.inputs = np.setdiff1d(graph.inputs, [entry.tensorIndex], assume_unique=True)
            signature.inputs.remove(entry)
            yield graph, entry.tensorIndex, int(entry.name[len(_INPUT) :])


def _num_bytes(value: Any) -> int:
    """Bytes of a tensor or variable; 0 where they are not known."""
    if value.dtype in (tf.resource, tf.variant, tf.string) or not value.shape.is_fully_defined():
        return 0
    return math.prod(value.shape) * int(value.dtype.size)
