"""Graphs that no converter would write, by number: good ones changed, and single operators.

Everything that an operator has is drawn anew: its code, its options, the types, shapes, scales
and constants of its tensors. The same number is the same graph.
"""

from __future__ import annotations

from random import Random

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from memcom_tf.converters.graph_check.operators import RULES as KNOWN_CODES
from tests.graph_building import add_code, empty, packed, signed

TYPES = [0, 1, 2, 3, 4, 6, 7, 9, 10, 12, 15, 16, 17]
USUAL_TYPES = [0, 0, 0, 0, 2, 2, 4, 6, 9, 3, 7]
NUMPY = {0: "f4", 1: "f2", 2: "i4", 3: "u1", 4: "i8", 6: "?", 7: "i2", 9: "i1", 10: "f8"}
NUMPY |= {12: "u8", 15: "u4", 16: "u2"}
NUMBERS = [0, 1, -1, 2, 3, -2, 4, 7, 16, 100, 1000, 2**15, 2**31 - 1, -(2**31)]
SIZES = [1, 1, 1, 2, 2, 3, 3, 4, 5, 8, 16, 17, 64, -1]
OPTIONS = {
    value: name for name, value in vars(schema.BuiltinOptions).items() if isinstance(value, int)
}
CODES = sorted(KNOWN_CODES)
OPTION_OF = {0: 11, 41: 28, 18: 21, 42: 29, 25: 9, 36: 23, 9: 8, 126: 101, 22: 17, 77: 55, 45: 32}
OPTION_OF |= {2: 10, 83: 59, 49: 35, 88: 64, 43: 30, 53: 37, 1: 5, 17: 5, 3: 1, 4: 2, 85: 57}
OPTION_OF |= dict.fromkeys((74, 40, 81, 82, 89, 91, 140), 27)
# How often each operator has how many inputs and outputs.
INPUTS = {9: [2, 3, 3], 123: [3], 45: [4], 65: [3], 60: [3], 22: [2, 2, 1], 53: [1], 2: [1, 2, 3]}
INPUTS |= {83: [1, 2, 3], 88: [1], 77: [1], 85: [4]}
_OF_ONE = (8, 14, 19, 21, 25, 28, 47, 59, 73, 75, 76, 92, 101, 87, 6)
INPUTS |= {code: [1] for code in _OF_ONE}
OUTPUTS = {49: [1, 2, 3], 88: [1, 2, 3], 48: [2]}


def _content(rng: Random, dtype: int, shape: list[int]) -> np.ndarray:
    count = int(np.prod([max(size, 1) if size < 0 else size for size in shape]))
    kind = NUMPY.get(dtype, "u1")
    if dtype == 17:
        count = -(-count // 2)
    if kind[0] == "f":
        choices = [0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, 1e30]
        values = np.array([rng.choice(choices) for _ in range(min(count, 64))] or [0])
        return np.resize(values, count).astype(kind)
    with np.errstate(all="ignore"):
        few = rng.choice([NUMBERS, [0, 1], [0, 1, 2, 3], [1, 2, 4]])
        values = np.array([rng.choice(few) for _ in range(min(count, 64))] or [0], np.int64)
        return np.resize(values, count).astype(kind)


def _with_data(rng: Random, model, tensor) -> None:
    buffer = schema.BufferT()
    shape = [abs(int(size)) for size in tensor.shape]
    buffer.data = _content(rng, tensor.type, shape).reshape(-1).view(np.uint8)
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1


def _options(rng: Random, code: int):
    """Options of the right kind, mostly, with numbers that hurt."""
    kind = OPTION_OF.get(code, 0) if rng.random() < 0.9 else rng.choice(list(OPTIONS))
    if kind == 0:
        return 0, None
    options = getattr(schema, f"{OPTIONS[kind]}T")()
    if rng.random() < 0.9:
        _hurt(rng, options, few=rng.random() < 0.7)
    return kind, options


def _hurt(rng: Random, options, few: bool) -> None:
    for name, value in vars(options).items():
        if isinstance(value, bool):
            setattr(options, name, rng.random() < 0.3)
        elif isinstance(value, (int, np.integer)):
            numbers = [0, 0, 1, 2, 3, -1] if few else [0, 1, 2, 3, 4, -1, 5, 127]
            setattr(options, name, rng.choice(numbers))
    if hasattr(options, "outType"):
        options.outType = rng.choice([2, 2, 4, 0])


def _quantization(rng: Random, shape):
    found = schema.QuantizationParametersT()
    count = rng.choice([0, 1, 1, 1, shape[0] if len(shape) and 0 < shape[0] < 99 else 1])
    scales = [rng.choice([0.0, 1.0, 0.5, 1e-30, 1e30, -1.0, np.nan, np.inf]) for _ in range(count)]
    if rng.random() < 0.85:
        scales = [0.5] * count
    found.scale = np.array(scales, np.float32)
    zeros = [rng.choice([0] * 12 + [1, -1, 128, 2**40]) for _ in scales]
    found.zeroPoint = np.array(zeros, np.int64)
    found.quantizedDimension = rng.choice([0, 0, 0, 1, 7])
    return found


def _tensor(rng: Random, dtype: int, shape: list[int]):
    tensor = schema.TensorT()
    tensor.type, tensor.name, tensor.buffer = dtype, "t", 0
    tensor.shape = np.array([abs(size) for size in shape], np.int32)
    if -1 in shape:
        tensor.shapeSignature = np.array(shape, np.int32)
    if rng.random() < 0.03 or (dtype in (3, 7, 9) and rng.random() < 0.3):
        tensor.quantization = _quantization(rng, tensor.shape)
    return tensor


def _shape(rng: Random, rank: int | None = None) -> list[int]:
    rank = rng.choice([0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6]) if rank is None else rank
    return [rng.choice(SIZES) if rng.random() < 0.98 else 0 for _ in range(rank)]


def single(rng: Random, codes: list[int] = CODES):
    """A graph of one operator, its inputs drawn so that its kernel may well take them."""
    model, graph, _ = empty()
    graph.operators = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        _add_operator(rng, model, graph, rng.choice(codes))
    graph.outputs = [*graph.operators[-1].outputs]
    return signed(model)


def _add_operator(rng: Random, model, graph, code: int) -> None:
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes)
    add_code(model, code, rng.choice([1, 1, 1, 2, 3, 4, 5]))
    dtype, shape = rng.choice(USUAL_TYPES), _shape(rng)
    places = []
    for number in range(rng.choice(INPUTS.get(code, [2, 2, 2, 1, 3, 4]))):
        if rng.random() < 0.03:
            places.append(-1)
            continue
        earlier = [place for done in graph.operators for place in done.outputs]
        if earlier and rng.random() < 0.5:
            places.append(rng.choice(earlier))
            continue
        tensor, constant = _input(rng, code, number, dtype, shape)
        graph.tensors.append(tensor)
        if constant:
            _with_data(rng, model, tensor)
        else:
            graph.inputs.append(len(graph.tensors) - 1)
        places.append(len(graph.tensors) - 1)
    operator.inputs = places
    operator.builtinOptionsType, operator.builtinOptions = _options(rng, code)
    operator.outputs = []
    for number in range(rng.choice(OUTPUTS.get(code, [1] * 9 + [2]))):
        kinds = {58: 6, 61: 6, 62: 6, 63: 6, 71: 6, 72: 6, 77: 2, 9: 0, 126: 0, 7: 0}
        given = kinds.get(code, 2 if code == 48 and number else dtype)
        if rng.random() < 0.06 or code == 53:
            given = rng.choice(USUAL_TYPES)
        graph.tensors.append(_tensor(rng, given, _shape(rng)))
        operator.outputs.append(len(graph.tensors) - 1)
    graph.operators.append(operator)


def _input(rng: Random, code: int, number: int, dtype: int, shape: list[int]):
    """An input's tensor, and whether it is a constant."""
    parameter = number > 0 and code in (22, 36, 39, 40, 45, 48, 65, 69, 70, 74, 81, 82, 89, 91, 94)
    parameter |= (code == 49 and number == 0) or (code in (34, 60) and number == 1)
    parameter |= (code == 94 and number == 0) or (code == 90 and number == 1)
    if parameter:
        rank = len(shape)
        sizes = {34: [rank, 2], 60: [rank, 2], 70: [], 49: [], 48: []}.get(code, [rank])
        if rng.random() < 0.1:
            sizes = _shape(rng)
        return _tensor(rng, rng.choice([2, 2, 2, 2, 4]), sizes), rng.random() < 0.85
    if code == 123 and number == 0:
        return _tensor(rng, 6, shape), rng.random() < 0.3
    if code == 9 and number > 0:
        last = shape[-1] if shape else 3
        sizes = [4, last] if number == 1 else [4]
        return _tensor(rng, rng.choice([0, 0, 9]) if number == 1 else 0, sizes), rng.random() < 0.9
    if code == 7:
        if number == 0:
            return _tensor(rng, 2, [3]), False
        return _tensor(rng, rng.choice([0, 9, 17]), [5, 4]), True
    other = shape if rng.random() < 0.6 else [rng.choice([1, size]) for size in shape]
    if rng.random() < 0.08:
        other = _shape(rng)
    kind = dtype if rng.random() < 0.93 else rng.choice(TYPES)
    return _tensor(rng, kind, other), rng.random() < 0.35


def changed(content: bytes, rng: Random) -> bytes:
    """A good graph with one to three changes."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        graph = rng.choice(model.subgraphs)
        if graph.operators:
            _change(rng, model, graph, rng.choice(graph.operators))
    return packed(model)


def _change(rng: Random, model, graph, operator) -> None:
    used = [place for place in (*operator.inputs, *operator.outputs) if place >= 0]
    tensor = graph.tensors[rng.choice(used)] if used else graph.tensors[0]
    kind = rng.randrange(9)
    if kind == 0:
        code = rng.choice(CODES)
        add_code(model, code, rng.choice([1, 1, 2, 3]))
        operator.opcodeIndex = len(model.operatorCodes) - 1
        if rng.random() < 0.7:
            operator.builtinOptionsType, operator.builtinOptions = _options(rng, code)
    elif kind == 1:
        tensor.type = rng.choice(TYPES)
        if model.buffers[tensor.buffer].data is not None:
            _with_data(rng, model, tensor)
    elif kind == 2:
        shape = [] if tensor.shape is None else tensor.shape
        tensor.quantization = rng.choice([None, _quantization(rng, shape)])
    elif kind == 3 and operator.builtinOptions is not None:
        if rng.random() < 0.3:
            operator.builtinOptionsType, operator.builtinOptions = 0, None
        else:
            _hurt(rng, operator.builtinOptions, few=rng.random() < 0.5)
    elif kind == 4:
        tensor.shape = np.array([abs(size) for size in _shape(rng)], np.int32)
        tensor.shapeSignature = None
        if model.buffers[tensor.buffer].data is not None:
            _with_data(rng, model, tensor)
    elif kind == 5 and tensor.shape is not None and model.buffers[tensor.buffer].data is not None:
        _with_data(rng, model, tensor)
    elif kind == 6:
        places = [*operator.inputs]
        if places and rng.random() < 0.5:
            places[rng.randrange(len(places))] = rng.randrange(-1, len(graph.tensors))
        elif places and rng.random() < 0.5:
            del places[-1]
        else:
            places.append(rng.randrange(len(graph.tensors)))
        operator.inputs = places
    elif kind == 7 and tensor.shape is not None and len(tensor.shape):
        sizes = np.array(tensor.shape, np.int32)
        sizes[rng.randrange(len(sizes))] = abs(rng.choice(SIZES))
        tensor.shape = sizes
        if model.buffers[tensor.buffer].data is not None:
            _with_data(rng, model, tensor)
    elif kind == 8 and rng.random() < 0.1:
        rng.shuffle(graph.operators)


def inputs_of(rng: Random, shapes: dict[str, tuple[str, tuple[int, ...]]]) -> dict[str, np.ndarray]:
    """Inputs by name for types and shapes, with numbers that hurt."""
    free = rng.choice([0, 1, 2, 3])
    found = {}
    for name, (dtype, shape) in shapes.items():
        sizes = [free if size < 0 else size for size in shape]
        codes = {np.dtype(kind).name: code for code, kind in NUMPY.items()}
        values = _content(rng, codes[dtype], sizes)
        if rng.random() < 0.3 and dtype in ("int32", "int64"):
            values = np.abs(values) % 5
        found[name] = values.astype(dtype)[: int(np.prod(sizes))].reshape(sizes)
    return found
