"""The operator EMBEDDING_LOOKUP over integer tables, for runtimes of LiteRT.

TensorFlow's converter has no way to say it. A graph is traced with a GATHER of a stand-in, one row
of the table's own, and the flatbuffer gets the operator and the table in its place.

The values are those of GATHER and CAST, to the bit. Rows of int8 come scaled by the operator, whose
tensor has a scale and a zero point for each row, 12 bytes: one zero point for all is refused. Fewer
bits are only unpacked by it, and their scales gathered: levels lie between multiples of the scale.

Source: embedding_lookup.cc, op_version.cc and runtime_version.cc of LiteRT. Before version 4,
kernels took the first scale of a tensor for all rows. What reads 2 bits has that version too;
runtimes that do not refuse the type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from memcom_tf.errors import invalid

from ..quantization.quantize import QuantizedTable
from .editing import MIN_RUNTIME_VERSION, operator_code, operator_name

VERSION = 4
SCALED_PRODUCT_VERSION = 12
"""Of FULLY_CONNECTED, from which on it takes a scale for each row; of TensorFlow Lite 2.17."""
_TYPES = {8: schema.TensorType.INT8, 4: schema.TensorType.INT4, 2: schema.TensorType.INT2}
_RUNTIMES = {8: "2.18.0", 4: "2.18.0", 2: "2.21.0"}
"""TensorFlow Lite that first read tables of so many bits."""


class _SharedQuantization(schema.QuantizationParametersT):
    """Scales that are written once for all tensors that have them: one in each signature."""

    _builder: Any = None
    _offset = 0

    def Pack(self, builder: Any) -> int:  # noqa: N802
        if self._builder is not builder:
            self._builder, self._offset = builder, super().Pack(builder)
        return self._offset


def put_lookups(model: Any, graph: Any, lookups: Mapping[int, QuantizedTable]) -> None:
    """Puts EMBEDDING_LOOKUP where a subgraph gathers from the stand-ins of tables.

    Args:
        model: The unpacked flatbuffer, changed in place.
        graph: The subgraph.
        lookups: Tables by the places of their tensors.

    Raises:
        ValueError: If the converter made something else of a lookup.
    """
    for operator in graph.operators:
        read = [lookups[place] for place in operator.inputs if place in lookups]
        if read:
            _look_up(model, graph, operator, read[0])
    if lookups:
        versions = (_RUNTIMES[table.bits] for table in lookups.values())
        _require_runtime(model, max(versions, key=_numbers))


def type_of(table: QuantizedTable) -> int:
    """The type of the tensor that the operator reads."""
    return int(_TYPES[table.bits])


def _look_up(model: Any, graph: Any, operator: Any, table: QuantizedTable) -> None:
    code = model.operatorCodes[operator.opcodeIndex].builtinCode
    rows, ids = operator.inputs[0], operator.inputs[-1]
    tensor = graph.tensors[ids]
    if (
        code != schema.BuiltinOperator.GATHER
        or tensor.type != schema.TensorType.INT32
        or len(tensor.shape) != 1
    ):
        raise _other(table, code)
    operator.inputs = [ids, rows]
    operator.builtinOptions, operator.builtinOptionsType = None, schema.BuiltinOptions.NONE
    operator.opcodeIndex = operator_code(model, schema.BuiltinOperator.EMBEDDING_LOOKUP, VERSION)


def quantization_of(table: QuantizedTable) -> Any:
    """The quantization of a table's tensor: a scale for each row of int8, 1 for fewer bits."""
    scale = table.scale[:, 0] if table.is_scaled_by_operator else np.ones(1, np.float32)
    quantization = _SharedQuantization()
    quantization.scale = np.ascontiguousarray(scale, np.float32)
    quantization.zeroPoint = np.zeros(len(scale), np.int64)
    quantization.quantizedDimension = 0
    return quantization


def _require_runtime(model: Any, version: str) -> None:
    """Raises the runtime that the file says it needs."""
    for entry in model.metadata:
        if entry.name == MIN_RUNTIME_VERSION:
            buffer = model.buffers[entry.buffer]
            written = bytes(buffer.data).rstrip(b"\0").decode()
            if _numbers(written) < _numbers(version):
                buffer.data = np.frombuffer(version.encode().ljust(16, b"\0"), np.uint8)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _other(table: QuantizedTable, code: int) -> ValueError:
    return invalid(
        f"Table {table.name!r} must be looked up by EMBEDDING_LOOKUP, of which the TensorFlow Lite "
        "converter made something else.",
        'Convert the model with the profile "portable", and please report it.',
        operator=operator_name(code),
    )
