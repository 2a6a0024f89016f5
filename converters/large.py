"""Tables that are too large for the graphs of TensorFlow, whose protobuf messages end at 2 GB.

A large table is no constant of a graph: it is a tensor, or a variable, that the graph captures.
TensorFlow's converter sees it as an input of its type and shape, of which it can compute nothing
beforehand, and `place_tables` puts the bytes into the file that it wrote.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from tensorflow.python.framework import convert_to_constants

from memcom_tf.errors import invalid
from memcom_tf.ops.interface import Array

from .graph_def import function_of, import_graph, outputs_of

LARGE_BYTES = 1 << 24
"""From which on a table is not a constant: what is smaller is converted in no time."""
LARGEST_FILE = (1 << 31) - (1 << 20)
"""Bytes that the offsets of a flatbuffer reach, less what else is in a file."""
_INPUT = "memcom_table_"

_tensors: dict[tuple[Any, ...], Any] = {}


def is_large(values: np.ndarray) -> bool:
    """Whether an array is too large for a constant."""
    return bool(values.nbytes >= LARGE_BYTES)


def handles_of(variable: Any) -> list[Any]:
    """What functions capture of a `tf.Variable`: of a mirrored one that of each replica."""
    return [part.handle for part in getattr(variable, "values", (variable,))]


def in_graph(values: np.ndarray) -> Array:
    """An array in a graph: a constant, or a captured tensor where it is large.

    The same array is the same tensor, as long as it lives.
    """
    if not is_large(values):
        return tf.constant(values)
    owner = values.base if isinstance(values.base, np.ndarray) else values
    key = (values.__array_interface__["data"][0], values.shape, values.strides, values.dtype.str)
    if key not in _tensors:
        with tf.init_scope():
            _tensors[key] = tf.constant(values)
        weakref.finalize(owner, _tensors.pop, key, None)
    return _tensors[key]


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
    """

    graph: Any
    inputs: list[Any]
    outputs: list[Any]
    captures: dict[str, Any]
    origins: dict[str, Any]


def freeze(function: Any) -> Frozen:
    """Turns the variables of a concrete function into constants; captures the large ones."""
    # A constant has the name of the placeholder that it takes the place of.
    origins = {placeholder.op.name: value for value, placeholder in function.graph.captures}
    variables = {id(variable.handle): variable for variable in function.graph.variables}
    large = {
        placeholder.op.name: value
        for value, placeholder in function.graph.captures
        if _num_bytes(variables.get(id(value), value)) >= LARGE_BYTES
    }
    if not large:
        frozen = convert_to_constants.convert_variables_to_constants_v2(
            function, lower_control_flow=False
        )
        return Frozen(frozen.graph, frozen.inputs, frozen.outputs, {}, origins)
    # What the public function does, with its converter's own list of what stays.
    data = convert_to_constants._FunctionConverterDataInEager(
        func=function,
        lower_control_flow=False,
        aggressive_inlining=False,
        variable_names_denylist=set(large),
    )
    graph_def, _ = convert_to_constants._replace_variables_by_constants(data)
    inputs = function.inputs[: len(function.inputs) - len(function.captured_inputs)]
    names = [tensor.op.name for tensor in inputs]
    specs = [tf.TensorSpec(x.shape, x.dtype, x.op.name) for x in inputs]
    outputs = [tensor.name for tensor in function.outputs]

    def run(*arguments: Array) -> list[Array]:
        return import_graph(graph_def, dict(zip(names, arguments, strict=True)), large, outputs, "")

    traced = tf.function(run, input_signature=specs, autograph=False).get_concrete_function()
    captures = {placeholder.op.name: value for value, placeholder in traced.graph.captures}
    inputs = traced.inputs[: len(specs)]
    return Frozen(traced.graph, inputs, traced.outputs, captures, {**origins, **captures})


def with_table_inputs(functions: Mapping[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Functions that take the large tensors that they captured as further inputs.

    Args:
        functions: Concrete functions by name.

    Returns:
        The functions, as they were where they captured none, and the arrays, of which number `i`
        is the input `memcom_table_<i>`.
    """
    tables: list[Any] = []
    found: dict[str, Any] = {}
    for name, function in functions.items():
        captured = {
            placeholder.op.name: value
            for value, placeholder in function.graph.captures
            if value.dtype != tf.resource and _num_bytes(value) >= LARGE_BYTES
        }
        for value in captured.values():
            if all(value is not table for table in tables):
                tables.append(value)
        found[name] = _with_inputs(function, captured, tables) if captured else function
    return found, [table.numpy() for table in tables]


def check_size(tables: Sequence[np.ndarray], variables: Sequence[Any]) -> None:
    """Requires that a file can hold large tables, and variables that stay as they are.

    Raises:
        ValueError: If there are more bytes than a file can hold.
    """
    total = sum(table.nbytes for table in tables) + sum(map(_num_bytes, variables))
    if total > LARGEST_FILE:
        raise invalid(
            f"The tables of a file must take at most {LARGEST_FILE:,} bytes, which the offsets in "
            "a .tflite file can reach.",
            "Store them in fewer bits, or make them smaller with `compress`.",
            bytes=total,
        )


def _with_inputs(function: Any, captured: Mapping[str, Array], tables: Sequence[Array]) -> Any:
    arguments = function.inputs[: len(function.inputs) - len(function.captured_inputs)]
    numbers = {
        name: next(i for i, table in enumerate(tables) if table is value)
        for name, value in captured.items()
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
        if placeholder.op.name not in captured
    }
    graph_def = function.graph.as_graph_def()
    return function_of(
        graph_def, names, specs, others, outputs_of(function)
    ).get_concrete_function()


def place_tables(model: Any, tables: Sequence[np.ndarray]) -> None:
    """Makes constants of the inputs that stand for tables.

    Args:
        model: The unpacked flatbuffer.
        tables: What `with_table_inputs` returned.
    """
    places: dict[int, int] = {}
    for signature in model.signatureDefs:
        graph = model.subgraphs[signature.subgraphIndex]
        for entry in [e for e in signature.inputs if e.name.startswith(_INPUT.encode())]:
            number = int(entry.name[len(_INPUT) :])
            if number not in places:
                content = np.ascontiguousarray(tables[number]).reshape(-1).view(np.uint8)
                places[number] = _buffer_with(model, content)
            tensor = graph.tensors[entry.tensorIndex]
            if tuple(tensor.shape) != tables[number].shape:
                raise RuntimeError(
                    f"A table of shape {tables[number].shape} must keep it, but the TensorFlow "
                    f"Lite converter made it {tuple(tensor.shape)}. Please report the model."
                )
            tensor.buffer, tensor.shapeSignature = places[number], None
            graph.inputs = np.setdiff1d(graph.inputs, [entry.tensorIndex], assume_unique=True)
            signature.inputs.remove(entry)


def _buffer_with(model: Any, content: np.ndarray) -> int:
    """The number of the buffer with these bytes, which an EMBEDDING_LOOKUP may read already."""
    for number, buffer in enumerate(model.buffers):
        if buffer.data is not None and np.array_equal(buffer.data, content):
            return number
    buffer = schema.BufferT()
    buffer.data = content
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _num_bytes(value: Any) -> int:
    """Bytes of a tensor or variable; 0 where they are not known."""
    if value.dtype in (tf.resource, tf.variant, tf.string) or not value.shape.is_fully_defined():
        return 0
    return math.prod(value.shape) * int(value.dtype.size)
