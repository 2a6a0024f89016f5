"""Graphs of `.tflite` files, made by hand."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def packed(model) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def graph_of(code, takes, gives, kind=0, options=None):
    """A graph of one operator: inputs as (type, shape), constants as (type, shape, values)."""
    model, graph, operator = empty()
    add_code(model, code, 1)
    for place, (dtype, shape, *constant) in enumerate([*takes, *gives]):
        tensor = schema.TensorT()
        tensor.type, tensor.shape, tensor.name, tensor.buffer = dtype, shape, "t", 0
        graph.tensors.append(tensor)
        if constant:
            buffer = schema.BufferT()
            buffer.data = np.ascontiguousarray(constant[0]).reshape(-1).view(np.uint8)
            model.buffers.append(buffer)
            tensor.buffer = len(model.buffers) - 1
        elif place < len(takes):
            graph.inputs.append(place)
    operator.inputs = [*range(len(takes))]
    operator.outputs = graph.outputs = [*range(len(takes), len(takes) + len(gives))]
    operator.builtinOptionsType, operator.builtinOptions = kind, options
    return signed(model)


def empty():
    model, graph, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorT()
    model.version, model.buffers, model.operatorCodes = 3, [schema.BufferT()], []
    graph.tensors, graph.inputs, graph.outputs = [], [], []
    model.subgraphs, graph.operators, operator.opcodeIndex = [graph], [operator], 0
    return model, graph, operator


def add_code(model, code: int, version: int) -> None:
    entry = schema.OperatorCodeT()
    entry.builtinCode, entry.deprecatedBuiltinCode = code, min(code, 127)
    entry.version = version
    model.operatorCodes.append(entry)


def signed(model):
    """With one signature over all inputs and outputs."""
    graph = model.subgraphs[0]
    graph.inputs = [*dict.fromkeys(graph.inputs)]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "s", 0
    for name, places in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        entries = []
        for number, place in enumerate(places):
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = f"{name[0]}{number}", place
            entries.append(entry)
        setattr(signature, name, entries)
    model.signatureDefs = [signature]
    return model
