"""Mutants of a converted file: one number changed, the checksums those of the change."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from memcom_tf.converters.tflite import editing
from tests.damage import Sample, sealed

_BUFFER_DATA, _QUANTIZATION_SCALE = 4, 8
"""Places of fields in the tables Buffer and QuantizationParameters of the schema."""
_TYPES = {
    number: name for name, number in vars(schema.TensorType).items() if not name.startswith("_")
}
_PACKED = ("UINT8", "INT4", "INT2")
_LOOKUPS = {"GATHER": 0, "EMBEDDING_LOOKUP": 1, "SLICE": 0}
_PRODUCTS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "BATCH_MATMUL")


class Constant(NamedTuple):
    """A constant tensor of a file.

    Attributes:
        type: Name of its type.
        shape: Its shape.
        start: Where its bytes are in the graph.
        size: How many there are.
        readers: Operators that read it, and as which input.
        scales: Where the float32 scales of its quantization are, and how many.
    """

    type: str
    shape: tuple[int, ...]
    start: int
    size: int
    readers: tuple[tuple[str, int], ...]
    scales: tuple[int, int]

    @property
    def matrix(self) -> tuple[int, ...]:
        """The shape without the axis in front that keeps the converter from computing."""
        return self.shape[1:] if len(self.shape) == 3 and self.shape[0] == 1 else self.shape

    @property
    def is_table(self) -> bool:
        return len(self.matrix) == 2 and any(
            _LOOKUPS.get(operator) == place for operator, place in self.readers
        )

    @property
    def is_kernel(self) -> bool:
        return any(operator in _PRODUCTS and place == 1 for operator, place in self.readers)

    @property
    def is_bias(self) -> bool:
        return any(operator in _PRODUCTS and place == 2 for operator, place in self.readers)

    @property
    def row_bytes(self) -> int:
        return self.size // self.matrix[0]


class Mutant(NamedTuple):
    """A changed file.

    Attributes:
        kind: What was changed.
        place: Where, in words.
        content: The bytes of the file.
        is_equivalent: Whether nothing in the file reads what was changed.
    """

    kind: str
    place: str
    content: bytes
    is_equivalent: bool


def constants(graph: bytes) -> list[Constant]:
    """Every constant of a graph, each with all that read its bytes."""
    model = schema.Model.GetRootAs(graph, 0)
    codes = [_operator_name(model.OperatorCodes(i)) for i in range(model.OperatorCodesLength())]
    found: dict[tuple[int, str], Constant] = {}
    for number in range(model.SubgraphsLength()):
        subgraph = model.Subgraphs(number)
        readers: dict[int, list[tuple[str, int]]] = {}
        for i in range(subgraph.OperatorsLength()):
            operator = subgraph.Operators(i)
            for place in range(operator.InputsLength()):
                reader = (codes[operator.OpcodeIndex()], place)
                readers.setdefault(operator.Inputs(place), []).append(reader)
        for place in subgraph.OutputsAsNumpy().tolist():
            readers.setdefault(place, []).append(("output", 0))
        for place in range(subgraph.TensorsLength()):
            tensor = subgraph.Tensors(place)
            buffer = model.Buffers(tensor.Buffer())
            if buffer.DataLength() == 0:
                continue
            key = (tensor.Buffer(), _TYPES[tensor.Type()])
            known = found.get(key)
            found[key] = Constant(
                key[1],
                tuple(tensor.ShapeAsNumpy().tolist()) if tensor.ShapeLength() else (),
                buffer._tab.Vector(buffer._tab.Offset(_BUFFER_DATA)),
                buffer.DataLength(),
                (*(known.readers if known else ()), *readers.get(place, ())),
                _scales(tensor) if known is None else known.scales,
            )
    return list(found.values())


def _operator_name(code) -> str:
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    return names[builtin]


def _scales(tensor) -> tuple[int, int]:
    quantization = tensor.Quantization()
    if quantization is None or quantization.ScaleLength() == 0:
        return 0, 0
    table = quantization._tab
    return table.Vector(table.Offset(_QUANTIZATION_SCALE)), quantization.ScaleLength()


Change = Callable[[bytearray, Constant, np.random.Generator], str | None]
"""Changes a constant in the bytes of a graph, and says where; None where there is nothing to."""


def _step(data, constant, rng):
    """One integer step of one value, or a hundredth of a float."""
    if constant.type not in ("INT8", "INT16", *_PACKED):
        return _hundredth(data, constant, rng)
    width = constant.row_bytes // (2 if constant.type == "INT16" else 1)
    row, column = int(rng.integers(constant.matrix[0])), int(rng.integers(width))
    if constant.type in _PACKED:
        # Of the first value of a byte, as others may be behind the end of a row: the two lowest
        # bits, so that it is one step whether values have two, four or eight.
        place = constant.start + row * constant.row_bytes + column
        data[place] += -1 if data[place] & 3 == 3 else 1
    else:
        dtype = np.int8 if constant.type == "INT8" else np.int16
        values = np.frombuffer(data, dtype, constant.size // dtype().nbytes, constant.start)
        place = row * width + column
        values[place] += -1 if values[place] > 0 else 1
    return f"row {row}, column {column}"


def _row_zeroed(data, constant, rng):
    for row in rng.permutation(constant.matrix[0]):
        start = constant.start + int(row) * constant.row_bytes
        if any(data[start : start + constant.row_bytes]):
            data[start : start + constant.row_bytes] = bytes(constant.row_bytes)
            return f"row {row}"
    return None


def _rows_swapped(data, constant, rng):
    size = constant.row_bytes
    for _ in range(20):
        pair = rng.integers(0, constant.matrix[0], 2)
        first, second = (constant.start + int(row) * size for row in pair)
        one, other = data[first : first + size], data[second : second + size]
        if one != other:
            data[first : first + size], data[second : second + size] = other, one
            return f"rows {pair[0]} and {pair[1]}"
    return None


def _column_zeroed(data, constant, rng):
    """What one input of a kernel is multiplied with."""
    rows = np.frombuffer(data, np.uint8, constant.size, constant.start)
    rows = rows.reshape(constant.matrix[0], -1)
    size = 4 if constant.type == "FLOAT32" else 1
    for column in rng.permutation(rows.shape[1] // size):
        part = rows[:, column * size : (column + 1) * size]
        if part.any():
            part[:] = 0
            return f"column {column}"
    return None


def _hundredth(data, constant, rng):
    """One percent of one float."""
    dtype = np.float16 if constant.type == "FLOAT16" else np.float32
    values = np.frombuffer(data, dtype, constant.size // dtype().nbytes, constant.start)
    return _float_changed(values, rng)


def _scale(data, constant, rng):
    start, count = constant.scales
    return _float_changed(np.frombuffer(data, np.float32, count, start), rng)


def _float_changed(values, rng):
    place = int(rng.integers(len(values)))
    before = values[place]
    values[place] = before * 1.01 if before and np.isfinite(before) else 0.01
    return None if values[place] == before else f"number {place}: {before} to {values[place]}"


def _integer(data, constant, rng):
    dtype = np.int32 if constant.type == "INT32" else np.int64
    values = np.frombuffer(data, dtype, constant.size // dtype().nbytes, constant.start)
    place = int(rng.integers(len(values)))
    before = values[place]
    values[place] += int(rng.choice([-1, 1]))
    return f"number {place}: {before} to {values[place]}"


def _is_scale_of_rows(constant):
    return constant.type == "FLOAT32" and constant.is_table and constant.matrix[1] == 1


def _is_rows(constant):
    return constant.is_table and not _is_scale_of_rows(constant) and constant.type[0] in "IUF"


KINDS: dict[str, tuple[Callable[[Constant], bool], Change]] = {
    "row: one step": (lambda c: _is_rows(c) and c.type not in ("INT32", "INT64"), _step),
    "row: zeroed": (_is_rows, _row_zeroed),
    "rows: swapped": (_is_rows, _rows_swapped),
    "kernel: one step": (lambda c: c.is_kernel and len(c.shape) > 1, _step),
    "kernel: an output zeroed": (lambda c: c.is_kernel and len(c.shape) > 1, _row_zeroed),
    "kernel: an input zeroed": (lambda c: c.is_kernel and len(c.shape) == 2, _column_zeroed),
    "scale of a row": (_is_scale_of_rows, _hundredth),
    "scale of a tensor": (lambda c: c.scales[1] > 0 and c.type in ("INT8", "INT16"), _scale),
    "bias": (lambda c: c.is_bias and c.type == "FLOAT32", _hundredth),
    "float constant": (
        lambda c: c.type == "FLOAT32" and not (c.is_table or c.is_kernel or c.is_bias),
        _hundredth,
    ),
    "integer constant": (lambda c: c.type in ("INT32", "INT64"), _integer),
}


def mutants(content: bytes, seed: int) -> list[Mutant]:
    """One mutant of each kind for which the file has something to change, and of its operators."""
    sample, rng = Sample(content), np.random.default_rng(seed)
    every = constants(sample.graph)
    found = []
    for kind, (fits, change) in KINDS.items():
        fitting = [constant for constant in every if fits(constant)]
        if not fitting:
            continue
        constant = fitting[rng.integers(len(fitting))]
        data = bytearray(sample.graph)
        place = change(data, constant, rng)
        if place is not None:
            where = f"{constant.type}{list(constant.shape)}: {place}"
            changed = sealed(bytes(data), sample.members)
            found.append(Mutant(kind, where, changed, not constant.readers))
    return [*found, *_with_another_activation(sample, rng)]


def _with_another_activation(sample: Sample, rng) -> list[Mutant]:
    """A product with a ReLU behind it that had none, or the other way round."""
    model = schema.ModelT.InitFromPackedBuf(sample.graph, 0)
    options = [
        operator.builtinOptions
        for graph in model.subgraphs
        for operator in graph.operators
        if hasattr(operator.builtinOptions, "fusedActivationFunction")
    ]
    if not options:
        return []
    place = int(rng.integers(len(options)))
    kinds = schema.ActivationFunctionType
    has_none = options[place].fusedActivationFunction == kinds.NONE
    options[place].fusedActivationFunction = kinds.RELU if has_none else kinds.NONE
    where = f"operator {place} of those with an activation"
    return [Mutant("activation", where, sealed(editing.pack(model), sample.members), False)]
