"""Tables in a flatbuffer, where its graph was traced with inputs that stand for them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from memcom_tf.errors import invalid
from memcom_tf.ops.interface import Array

from ..quantization.quantize import QuantizedTable
from ..tracing.large import IN_PRODUCT, captured, table_inputs
from .editing import buffer_of, operator_code, operator_name
from .embedding_lookup import SCALED_PRODUCT_VERSION, put_lookups, quantization_of, type_of

Places = dict[int, QuantizedTable]
"""Tables by the places of their tensors in a subgraph."""


def put_tables(model: Any, tensors: Sequence[Array], tables: Sequence[QuantizedTable]) -> None:
    """Makes constants of the inputs that stand for tables.

    Args:
        model: The unpacked flatbuffer, changed in place.
        tensors: What the inputs stand for, by their number.
        tables: The quantized tables of the file.

    Raises:
        ValueError: If the converter made something else of a lookup or a product.
    """
    looked_up = {id(captured(t.stand_in)): t for t in tables if t.is_embedding_lookup}
    integers = [table for table in tables if table.data.dtype == np.int8]
    multiplied = {id(captured(table.data, IN_PRODUCT)): table for table in integers}
    scales = {id(table): quantization_of(table) for table in looked_up.values()}
    lookups: dict[int, Places] = {}
    products: dict[int, Places] = {}
    for graph, place, number in table_inputs(model):
        tensor, value = graph.tensors[place], tensors[number]
        tensor.shapeSignature = None
        table = looked_up.get(id(value))
        if table is not None:
            lookups.setdefault(id(graph), {})[place] = table
            tensor.type, tensor.shape = type_of(table), [table.rows, table.file_width]
            tensor.buffer, tensor.quantization = buffer_of(model, table.data), scales[id(table)]
            continue
        if id(value) in multiplied:
            products.setdefault(id(graph), {})[place] = multiplied[id(value)]
        tensor.buffer = buffer_of(model, value.numpy())
    for graph in model.subgraphs:
        put_lookups(model, graph, lookups.get(id(graph), {}))
        _put_products(model, graph, products.get(id(graph), {}), scales)


def _put_products(model: Any, graph: Any, products: Places, scales: Mapping[int, Any]) -> None:
    """Lets FULLY_CONNECTED multiply with integers where it does with what they are cast to."""
    casts: Places = {}
    for operator in list(graph.operators):
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        read = [place for place in operator.inputs if place in products]
        if read:
            if code != schema.BuiltinOperator.CAST:
                raise _other(products[read[0]], code)
            casts[operator.outputs[0]] = products[read[0]]
            weights = graph.tensors[operator.outputs[0]]
            weights.buffer = graph.tensors[read[0]].buffer
            graph.operators.remove(operator)
    for operator in list(graph.operators):
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        if operator.inputs[0] in casts and _is_of_one_vector(graph, operator, code):
            _swap_operands(model, graph, operator)
        for position, place in enumerate(operator.inputs):
            if place not in casts:
                continue
            if code != schema.BuiltinOperator.FULLY_CONNECTED or position != 1:
                raise _other(casts[place], code)
            _multiply_integers(model, operator, graph.tensors[place], casts[place], scales)


def _is_of_one_vector(graph: Any, operator: Any, code: int) -> bool:
    """Whether an operator multiplies with one vector, and adds nothing."""
    if code != schema.BuiltinOperator.FULLY_CONNECTED or any(p >= 0 for p in operator.inputs[2:]):
        return False
    return list(graph.tensors[operator.inputs[1]].shape[:-1]) == [1]


def _swap_operands(model: Any, graph: Any, operator: Any) -> None:
    """Has an operator multiply a vector with weights, where the converter took it for the weights.

    So it does with a constant, such as the state that a recurrent layer begins with. The numbers of
    the product are the same, in one line in place of one column.
    """
    weights, vector = operator.inputs[:2]
    (column,) = operator.outputs
    line = copy.copy(graph.tensors[column])
    line.name = line.name + b"/line"
    line.shape, line.shapeSignature = [1, graph.tensors[weights].shape[0]], None
    shape = schema.TensorT()
    shape.name, shape.type = line.name + b"/shape", schema.TensorType.INT32
    shape.shape, shape.buffer = [2], buffer_of(model, np.int32(graph.tensors[column].shape))
    places = [len(graph.tensors), len(graph.tensors) + 1]
    graph.tensors += [line, shape]
    operator.inputs, operator.outputs = [vector, weights, *operator.inputs[2:]], places[:1]
    reshape = schema.OperatorT()
    reshape.inputs, reshape.outputs = places, [column]
    reshape.opcodeIndex = operator_code(model, schema.BuiltinOperator.RESHAPE, 1)
    graph.operators.insert(graph.operators.index(operator) + 1, reshape)


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


def _other(table: QuantizedTable, code: int) -> ValueError:
    return invalid(
        f"The product with table {table.name!r} must be FULLY_CONNECTED, of which the TensorFlow "
        "Lite converter made something else.",
        "Store the table as float16 or float32, and please report the model.",
        operator=operator_name(code),
    )
