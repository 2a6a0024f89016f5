"""From traced functions to the bytes of a `.tflite` file."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from memcom_tf.errors import invalid

from .editing import (
    MIN_RUNTIME_VERSION,
    buffer_of,
    buffers_by_content,
    content_of,
    drop_unused_buffers,
    operator_code,
    pack,
)
from .embedding_lookup import SCALED_PRODUCT_VERSION, put_tables, quantization_of
from .large import check_size, is_large, place_tables, with_table_inputs
from .quantize import QuantizedTable
from .softplus import with_stable_softplus

if TYPE_CHECKING:
    from .prepared import Prepared

_SMALL = 64
"""Values of a table that may as well be floats."""
_LOCATION = re.compile(r'fused\["(\w+):", "([^"@]+)@')
"""In the converter's messages: an operator, and the node of the graph that it is of."""


class Converted(NamedTuple):
    """What TensorFlow's converter wrote, and the tables that it saw as inputs."""

    content: bytes
    large: Sequence[np.ndarray] = ()


def convert_signatures(signatures: dict[str, Any], prepared: Prepared) -> Converted:
    """Converts functions of a model to one file, float where the functions are.

    Args:
        signatures: `tf.function`s with input signatures, by name.
        prepared: The model whose variables they read.

    Returns:
        A flatbuffer with one signature for each function, without the large tables.

    Raises:
        ValueError: If the functions cannot be expressed in builtin operators.
    """
    traced = {
        name: with_stable_softplus(f.get_concrete_function()) for name, f in signatures.items()
    }
    concrete, large = with_table_inputs(traced)
    module = tf.Module()
    # The SavedModel must own what the functions capture, and should own nothing else.
    captured = {id(value) for f in concrete.values() for value in f.captured_inputs}
    module.captured = [
        variable
        for variable in prepared.source.variables.values()
        if id(variable.handle) in captured
    ]
    module.functions = list(concrete.values())
    check_size(large, module.captured)
    with tempfile.TemporaryDirectory() as directory:
        tf.saved_model.save(module, directory, signatures=concrete)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            directory, signature_keys=list(signatures)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            return Converted(bytes(converter.convert()), large)
        # Its own errors have no public name, and derive from nothing else.
        except Exception as error:
            raise invalid(
                "The model must be expressible in the builtin operators of TensorFlow Lite, whose "
                f"converter cannot write {_refused(str(error))}.",
                prepared.instead_of_what_is_refused,
                model=prepared.source.name,
            ) from error


def _refused(message: str) -> str:
    """The operator and the layer that the converter's message is about, else its first line."""
    if found := _LOCATION.search(message):
        operator, node = found.groups()
        return f"{operator} of {node.removeprefix('frozen/')}"
    return message.strip().partition("\n")[0]


def finish(converted: Converted, tables: Sequence[QuantizedTable]) -> bytes:
    """Puts the integers of the tables where the graph was traced with floats, and trims the file.

    EMBEDDING_LOOKUP takes the place of lookups in a stand-in. FULLY_CONNECTED over a whole table
    was traced with the float twin of an int8 table. The twin becomes an int8 tensor that shares
    the bytes which lookups read, and the runtime multiplies in 8 bits. Names of inner tensors,
    which nothing reads, are left out.

    Args:
        converted: What `convert_signatures` returned.
        tables: The quantized tables in it.

    Returns:
        The flatbuffer without float twins.

    Raises:
        RuntimeError: If a table is left as floats, which would undo the compression, or is not
            looked up as it is stored.
    """
    model = schema.ModelT.InitFromPackedBuf(converted.content, 0)
    small = [table for table in tables if not is_large(table.data)]
    twins = {table.score_twin.tobytes(): table for table in small if table.data.dtype == np.int8}
    shared = buffers_by_content(model)
    scales = {id(t): quantization_of(t) for t in tables if t.is_embedding_lookup}
    put_tables(model, tables, scales, shared)
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            if code.builtinCode != schema.BuiltinOperator.FULLY_CONNECTED:
                continue
            weights = graph.tensors[operator.inputs[1]]
            table = twins.get(content_of(model, weights))
            if table is None:
                continue
            weights.buffer = buffer_of(model, shared, table.data)
            _multiply_integers(model, operator, weights, table, scales)
    _require_integers(model, small)
    place_tables(model, converted.large)
    _multiply_large(model, tables, scales)
    for graph in model.subgraphs:
        _trim(graph)
    _drop_metadata(model, keep=MIN_RUNTIME_VERSION)
    drop_unused_buffers(model)
    return pack(model)


def _multiply_integers(
    model: Any, operator: Any, weights: Any, table: QuantizedTable, scales: Mapping[int, Any]
) -> None:
    """Lets a FULLY_CONNECTED operator multiply with the int8 integers in the weights' buffer."""
    weights.type = schema.TensorType.INT8
    weights.quantization = scales.get(id(table)) or _one_scale(table.score_scale)
    operator.builtinOptions.asymmetricQuantizeInputs = False
    version = SCALED_PRODUCT_VERSION if table.is_scaled_by_operator else 3
    code = schema.BuiltinOperator.FULLY_CONNECTED
    operator.opcodeIndex = operator_code(model, code, version)


def _one_scale(scale: float) -> Any:
    quantization = schema.QuantizationParametersT()
    quantization.scale = np.array([scale], np.float32)
    quantization.zeroPoint = np.zeros(1, np.int64)
    return quantization


def _multiply_large(
    model: Any, tables: Sequence[QuantizedTable], scales: Mapping[int, Any]
) -> None:
    """The same where the twin of a large table was traced as CAST of the table."""
    for graph in model.subgraphs:
        casts = {
            operator.outputs[0]: operator
            for operator in graph.operators
            if model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.CAST
        }
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex].builtinCode
            cast = casts.get(operator.inputs[1]) if len(operator.inputs) > 1 else None
            if code != schema.BuiltinOperator.FULLY_CONNECTED or cast is None:
                continue
            source = graph.tensors[cast.inputs[0]]
            content = model.buffers[source.buffer].data
            if source.type != schema.TensorType.INT8 or content is None:
                continue
            table = next(t for t in tables if _is_of(content, t))
            weights = graph.tensors[operator.inputs[1]]
            weights.buffer = source.buffer
            _multiply_integers(model, operator, weights, table, scales)
            graph.operators.remove(cast)
            del casts[operator.inputs[1]]


def _is_of(content: np.ndarray, table: QuantizedTable) -> bool:
    return len(content) == table.data.nbytes and np.array_equal(
        content, table.data.reshape(-1).view(np.uint8)
    )


def scores_in_integers(content: bytes) -> bool:
    """Whether a finished graph multiplies a float query with an int8 table."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    return any(
        graph.tensors[operator.inputs[1]].type == schema.TensorType.INT8
        for graph in model.subgraphs
        for operator in graph.operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode
        == schema.BuiltinOperator.FULLY_CONNECTED
    )


def runtime_version(content: bytes) -> str:
    """The oldest TensorFlow Lite that runs a file, as the converter recorded it."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for entry in model.metadata or []:
        if entry.name == MIN_RUNTIME_VERSION:
            return bytes(model.buffers[entry.buffer].data).rstrip(b"\0").decode()
    return "unknown"


def _trim(graph: Any) -> None:
    """Drops what no runtime reads: names of inner tensors, and quantization that says nothing."""
    outside = {*graph.inputs, *graph.outputs}
    for index, tensor in enumerate(graph.tensors):
        if index not in outside:
            tensor.name = None
        if tensor.quantization is not None and tensor.quantization.scale is None:
            tensor.quantization = None


def _drop_metadata(model: Any, keep: bytes) -> None:
    model.metadata = [entry for entry in model.metadata if entry.name == keep]


def _require_integers(model: Any, tables: Sequence[QuantizedTable]) -> None:
    """Looks for a table among the float constants, up to factors of its rows, and for codes."""
    stored = [t for t in tables if t.data.dtype != np.float32 and t.data.size >= _SMALL]
    integers = [table for table in stored if not table.holds_codes]
    _require_bytes(model, [table for table in stored if table.holds_codes])
    shapes = {(table.rows, table.width) for table in integers}
    # A value with a scale of its own is a multiple of the scale, which is a float.
    scales = {np.asarray(table.scale, np.float32).tobytes() for table in integers}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
            content = content_of(model, tensor)
            if tensor.type != schema.TensorType.FLOAT32 or shape not in shapes:
                continue
            if not content or content in scales:
                continue
            found = _rows_scaled(np.frombuffer(content, np.float32).reshape(shape))
            for table in integers:
                if (table.rows, table.width) == shape and np.allclose(
                    found, _rows_scaled(table.dequantized()), atol=1e-4
                ):
                    raise RuntimeError(
                        f"Table {table.name!r} must stay integer in the file, but the TensorFlow "
                        "Lite converter stored it as floats. Please report the model."
                    )


def _require_bytes(model: Any, tables: Sequence[QuantizedTable]) -> None:
    """Looks for codes, all or those of one book, among the int32 and float constants."""
    unpacked = {}
    for table in tables:
        codes = table.dequantized()
        for kind in (np.int32, np.float32):
            for part in (codes, *codes.T):
                unpacked[part.astype(kind).tobytes()] = table
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            if found := unpacked.get(content_of(model, tensor)):
                raise RuntimeError(
                    f"Table {found.name!r} must stay bytes in the file, but the TensorFlow Lite "
                    "converter unpacked it. Please report the model."
                )


def _rows_scaled(values: np.ndarray) -> np.ndarray:
    """Magnitudes relative to the largest of the row, of the table where a row is one value."""
    largest = np.abs(values).max(axis=1 if values.shape[1] > 1 else None, keepdims=True)
    return np.abs(values) / np.where(largest == 0, 1, largest)
