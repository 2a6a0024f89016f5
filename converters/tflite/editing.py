"""An unpacked flatbuffer of TensorFlow Lite, to be changed: its constants, operators and bytes."""

from __future__ import annotations

from copy import copy
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_IDENTIFIER = b"TFL3"
MIN_RUNTIME_VERSION = b"min_runtime_version"


def buffer_of(model: Any, values: np.ndarray) -> int:
    """The number of the buffer with an array's bytes; a new one where there was none."""
    content = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    for number, buffer in enumerate(model.buffers):
        if buffer.data is not None and np.array_equal(buffer.data, content):
            return number
    buffer = schema.BufferT()
    buffer.data = content
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def operator_name(builtin: int) -> str:
    """The name of a builtin operator."""
    names = vars(schema.BuiltinOperator).items()
    return next(name for name, code in names if code == builtin)


def operator_code(model: Any, builtin: int, version: int) -> int:
    """The number of an operator, of that version, among those of a file."""
    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == builtin and code.version == version:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = builtin
    code.deprecatedBuiltinCode = min(builtin, 127)
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def drop_unused_buffers(model: Any) -> None:
    """Drops constants that nothing reads, and numbers the others anew."""
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    used = {tensor.buffer for tensor in tensors} | {entry.buffer for entry in model.metadata}
    kept = [0] + [
        index
        for index, buffer in enumerate(model.buffers)
        if index in used and index > 0 and buffer.data is not None
    ]
    # Buffer 0 is the empty one, which all tensors without constant data may share.
    numbers = {before: after for after, before in enumerate(kept)}
    for owner in (*tensors, *model.metadata):
        owner.buffer = numbers.get(owner.buffer, 0)
    model.buffers = [model.buffers[index] for index in kept]


def pack(model: Any) -> bytes:
    """The bytes of a flatbuffer, in which what is equal is written once.

    Of a graph with small tables, most bytes describe tensors, and most of these say the same.
    """
    # Grown from less, it would be copied again and again.
    size = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = _SharingBuilder(size + (1 << 16))
    model = copy(model)
    model.subgraphs = [_with_shared_tables(graph) for graph in model.subgraphs]
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


class _SharingBuilder(flatbuffers.Builder):
    """Writes vectors of numbers, such as shapes, and `_Shared` tables once."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.written: dict[Any, int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802, the name of the library's
        if x.dtype == np.uint8:  # a constant, which may be large
            return int(super().CreateNumpyVector(x))
        key = x.dtype.str, x.tobytes()
        if key not in self.written:
            self.written[key] = super().CreateNumpyVector(x)
        return self.written[key]


class _Shared:
    """A table of a flatbuffer, to be written where none that equals it was."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def Pack(self, builder: _SharingBuilder) -> int:  # noqa: N802, the name of the schema's
        key = key_of(self.table)
        if key not in builder.written:
            builder.written[key] = self.table.Pack(builder)
        return builder.written[key]


def key_of(value: Any) -> Any:
    """What equal tables have in common: type and fields, down to the numbers."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.tobytes()
    if isinstance(value, list):
        return tuple(map(key_of, value))
    if hasattr(value, "Pack"):
        return type(value), *(key_of(field) for field in vars(value).values())
    return value


def _with_shared_tables(graph: Any) -> Any:
    graph = copy(graph)
    graph.tensors = [_Shared(tensor) for tensor in graph.tensors]
    graph.operators = [copy(operator) for operator in graph.operators]
    for operator in graph.operators:
        if operator.builtinOptions is not None:
            operator.builtinOptions = _Shared(operator.builtinOptions)
    return graph
