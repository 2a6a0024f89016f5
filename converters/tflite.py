"""From traced functions to the bytes of a `.tflite` file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from memcom_tf.converters.quantize import QuantizedTable

_IDENTIFIER = b"TFL3"


def convert_signatures(signatures: dict[str, Callable[..., Any]], model: Any) -> bytes:
    """Converts functions of a model to one file, float where the functions are.

    Args:
        signatures: `tf.function`s with input signatures, by name.
        model: The Keras model whose variables they read.

    Returns:
        A flatbuffer with one signature for each function.
    """
    module = tf.Module()
    # The SavedModel must own what the functions capture.
    module.captured = [
        variable if isinstance(variable, tf.Variable) else variable.value
        for variable in model.variables
    ]
    module.functions = list(signatures.values())
    concrete = {name: f.get_concrete_function() for name, f in signatures.items()}
    with tempfile.TemporaryDirectory() as directory:
        tf.saved_model.save(module, directory, signatures=concrete)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            directory, signature_keys=list(signatures)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return bytes(converter.convert())


def finish(content: bytes, tables: Sequence[QuantizedTable]) -> bytes:
    """Puts the integers of the tables where the graph was traced with floats, and trims the file.

    FULLY_CONNECTED over a whole table was traced with the float twin of an int8 table. The twin
    becomes an int8 tensor that shares the bytes which GATHER reads, and the runtime multiplies in
    8 bits. Names of inner tensors, which nothing reads, are left out.

    Args:
        content: A flatbuffer of `convert_signatures`.
        tables: The quantized tables in it.

    Returns:
        The flatbuffer without float twins.

    Raises:
        RuntimeError: If a table is left as floats, which would undo the compression.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    twins = {
        table.score_twin.tobytes(): table for table in tables if table.data.dtype == np.int8
    }
    shared = _buffers_by_content(model)
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            if code.builtinCode != schema.BuiltinOperator.FULLY_CONNECTED:
                continue
            weights = graph.tensors[operator.inputs[1]]
            table = twins.get(_content(model, weights))
            if table is None:
                continue
            weights.type = schema.TensorType.INT8
            weights.buffer = _buffer_of(model, shared, table.data)
            weights.quantization = schema.QuantizationParametersT()
            weights.quantization.scale = np.array([table.score_scale], np.float32)
            weights.quantization.zeroPoint = np.zeros(1, np.int64)
            operator.builtinOptions.asymmetricQuantizeInputs = False
            operator.opcodeIndex = _operator_code(model, code.builtinCode, version=3)
        _drop_inner_names(graph)
    _drop_metadata(model, keep=b"min_runtime_version")
    _drop_unused_buffers(model)
    _require_integers(model, tables)
    return _pack(model)


def _content(model: Any, tensor: Any) -> bytes:
    data = model.buffers[tensor.buffer].data
    return b"" if data is None else np.asarray(data).tobytes()


def _drop_inner_names(graph: Any) -> None:
    outside = {*graph.inputs, *graph.outputs}
    for index, tensor in enumerate(graph.tensors):
        if index not in outside:
            tensor.name = None


def _drop_metadata(model: Any, keep: bytes) -> None:
    model.metadata = [entry for entry in model.metadata if entry.name == keep]


def _require_integers(model: Any, tables: Sequence[QuantizedTable]) -> None:
    largest = {table.data.size: table for table in tables if table.data.dtype != np.float32}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            size = len(_content(model, tensor)) // 4
            if tensor.type == schema.TensorType.FLOAT32 and size > 64 and size in largest:
                table = largest[size]
                if np.array_equal(
                    np.frombuffer(_content(model, tensor), np.float32),
                    table.dequantized().ravel(),
                ):
                    raise RuntimeError(
                        f"Table {table.name!r} must stay integer in the file, but the TensorFlow "
                        "Lite converter stored it as floats. Please report the model."
                    )


def _buffers_by_content(model: Any) -> dict[bytes, int]:
    return {
        np.asarray(buffer.data).tobytes(): index
        for index, buffer in enumerate(model.buffers)
        if buffer.data is not None
    }


def _buffer_of(model: Any, shared: dict[bytes, int], values: np.ndarray) -> int:
    content = values.tobytes()
    if content not in shared:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        model.buffers.append(buffer)
        shared[content] = len(model.buffers) - 1
    return shared[content]


def _operator_code(model: Any, builtin: int, version: int) -> int:
    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == builtin and code.version == version:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = builtin
    code.deprecatedBuiltinCode = min(builtin, 127)
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _drop_unused_buffers(model: Any) -> None:
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {metadata.buffer for metadata in model.metadata or []}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None


def _pack(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())
