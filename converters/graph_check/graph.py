"""The graph of a `.tflite` file as plain records, read without trust and without the runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .flatbuffer import INT8, UINT8, UINT32, UINT64, DamagedError, FlatBuffer, Table

# Numbers of the TensorFlow Lite schema.
TYPE_NAMES = {
    0: "float32",
    1: "float16",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
    10: "float64",
    12: "uint64",
    15: "uint32",
    16: "uint16",
    17: "int4",
    19: "int2",
}
BITS = {
    "float32": 32,
    "float16": 16,
    "int32": 32,
    "uint8": 8,
    "int64": 64,
    "bool": 8,
    "int16": 16,
    "int8": 8,
    "float64": 64,
    "uint64": 64,
    "uint32": 32,
    "uint16": 16,
    "int4": 4,
    "int2": 2,
}
_INTEGERS = {"int32": "<i4", "int64": "<i8"}
_ZERO_POINTS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
_MOST_NUMBERS = 16
_SCHEMA_VERSION = 3
_LARGEST_RANK = 8
_PLACEHOLDER = 127
"""Operators above it are named by the newer of two fields."""


class Quantization(NamedTuple):
    """Scales of a tensor: how many there are, and whether 0 stands for 0 under all of them."""

    num_scales: int
    is_symmetric: bool


class Tensor(NamedTuple):
    """A tensor: `shape` has -1 where a size is not known before the inputs are."""

    dtype: str
    shape: tuple[int, ...]
    smallest: tuple[int, ...]
    """The shape where sizes that are not known count as 1."""
    start: int
    """Where the bytes of a constant are in the file."""
    size: int
    """How many there are, 0 where it is computed."""
    is_variable: bool
    quantization: Quantization | None = None
    numbers: tuple[int, ...] | None = None
    """The values of a small constant of integers."""

    @property
    def num_bytes(self) -> int:
        """Bytes that its smallest shape takes."""
        count = 1
        for size in self.smallest:
            count *= size
        return -(-count * BITS[self.dtype] // 8)


class Operator(NamedTuple):
    """An operator: its number in the schema, and the indices of its tensors, -1 for none."""

    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_type: int
    options: Table | None


@dataclass(frozen=True)
class Subgraph:
    """Tensors, and operators in the order in which they run."""

    tensors: list[Tensor]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: list[Operator]


@dataclass(frozen=True)
class Signature:
    """A function of the graph: tensors by the names of inputs and outputs."""

    subgraph: int
    inputs: dict[str, int]
    outputs: dict[str, int]


@dataclass(frozen=True)
class Graph:
    """What the file computes."""

    subgraphs: list[Subgraph]
    signatures: dict[str, Signature]
    is_known_to_be_safe: bool = False
    """Whether it may run in this process, as `known_graph` says."""


def read_graph(data: memoryview) -> Graph:
    """Reads the graph of a flatbuffer.

    Args:
        data: The flatbuffer, nothing behind it.

    Returns:
        Its subgraphs and signatures; nothing of the constants is read.

    Raises:
        DamagedError: If an offset leads outside, or the file needs what this package never writes.
    """
    model = FlatBuffer(data).root
    if model.number(0, UINT32) != _SCHEMA_VERSION:
        raise DamagedError(f"its schema has version {model.number(0, UINT32)}")
    # Constants in other files: a graph must not name files to be read.
    if model.is_set(8) or model.is_set(9):
        raise DamagedError("it has buffers in other files")
    codes = [_code(table) for table in model.tables(1)]
    buffers = [_buffer(table) for table in model.tables(4)]
    subgraphs = [_subgraph(table, codes, buffers) for table in model.tables(2)]
    _require_places([entry.number(1, UINT32) for entry in model.tables(6)], len(buffers), "buffer")
    signatures = {}
    for table in model.tables(7):
        name = table.text(2)
        if name in signatures:
            raise DamagedError(f"two signatures are called {name!r}")
        signatures[name] = _signature(table, subgraphs)
    return Graph(subgraphs, signatures)


def _code(table: Table) -> int:
    if table.is_set(1):
        raise DamagedError(f"it has the custom operator {table.text(1)[:50]!r}")
    deprecated = table.number(0, INT8)
    newer = table.number(3)
    # Runtimes take the larger of the two.
    return max(deprecated, newer) if deprecated <= _PLACEHOLDER else newer


def _buffer(table: Table) -> tuple[int, int]:
    # 0 and 1 are no offsets; others lead behind the flatbuffer.
    if table.number(1, UINT64) > 1 or table.number(2, UINT64) > 1:
        raise DamagedError("it has a buffer behind the flatbuffer")
    return table.vector(0, 1)


def _subgraph(table: Table, codes: list[int], buffers: list[tuple[int, int]]) -> Subgraph:
    tensors = [_tensor(entry, buffers) for entry in table.tables(0)]
    inputs, outputs = table.integers(1), table.integers(2)
    _require_places(inputs, len(tensors), "tensor")
    _require_places(outputs, len(tensors), "tensor")
    operators = [_operator(entry, codes, len(tensors)) for entry in table.tables(3)]
    return Subgraph(tensors, inputs, outputs, operators)


def _tensor(table: Table, buffers: list[tuple[int, int]]) -> Tensor:
    code = table.number(1, INT8)
    if code not in TYPE_NAMES:
        raise DamagedError(f"a tensor has the type {code}")
    if table.is_set(6) or table.is_set(9) or table.is_set(10):
        raise DamagedError("a tensor is sparse, or not in this file")
    place = table.number(2, UINT32)
    _require_places([place], len(buffers), "buffer")
    ranks = (table.vector(0, 4)[1], table.vector(7, 4)[1])
    if max(ranks) > _LARGEST_RANK or ranks[1] not in (0, ranks[0]):
        raise DamagedError(f"a tensor has {max(ranks)} dimensions")
    smallest = table.integers(0)
    shape = table.integers(7) if ranks[1] else smallest
    if any(
        known not in (size, -1) or size < 0 for size, known in zip(smallest, shape, strict=True)
    ):
        raise DamagedError(f"a tensor has the shapes {smallest} and {shape}")
    dtype, (start, size) = TYPE_NAMES[code], buffers[place]
    tensor = Tensor(
        dtype,
        shape,
        smallest,
        start,
        size,
        bool(table.number(5, UINT8)),
        _quantization(table, smallest, dtype),
    )
    if tensor.size and (tensor.is_variable or tensor.size != tensor.num_bytes or -1 in shape):
        raise DamagedError(f"a constant of shape {shape}, {tensor.dtype}, has {tensor.size} bytes")
    count = size // (BITS[dtype] // 8) if dtype in _INTEGERS else 0
    if 0 < count <= _MOST_NUMBERS:
        tensor = tensor._replace(
            numbers=tuple(table.array_at(start, count, _INTEGERS[dtype]).tolist())
        )
    return tensor


def _quantization(table: Table, shape: tuple[int, ...], dtype: str) -> Quantization | None:
    quantization = table.table(4)
    if quantization is None:
        return None
    if quantization.is_set(5):
        raise DamagedError("a tensor is quantized in a way of its own")
    start, scales = quantization.vector(2, 4)
    zero_start, zero_points = quantization.vector(3, 8)
    axis = quantization.number(6)
    # Kernels that take scales of rows do not ask of which axis they are, and read as many.
    by_axis = axis == 0 and len(shape) > 0 and scales == shape[0]
    if (scales > 1 and not by_axis) or zero_points not in (scales, 1 if scales else 0):
        raise DamagedError(f"a tensor of shape {shape} has {scales} scales on axis {axis}")
    if not scales:
        return None
    # Kernels divide by them, and take logarithms.
    values = table.array_at(start, scales, "<f4")
    if not (np.isfinite(values) & (values > 0)).all():
        raise DamagedError(f"a tensor of shape {shape} has scales that are not positive")
    zeros = table.array_at(zero_start, zero_points, "<i8")
    least, largest = _ZERO_POINTS.get(dtype, (0, 0))
    if not ((least <= zeros) & (zeros <= largest)).all():
        raise DamagedError(f"a tensor of {dtype} has zero points out of its range")
    return Quantization(scales, not zeros.any())


def _operator(table: Table, codes: list[int], num_tensors: int) -> Operator:
    place = table.number(0, UINT32)
    _require_places([place], len(codes), "operator")
    inputs, outputs, intermediates = (table.integers(index) for index in (1, 2, 8))
    for tensors in (inputs, outputs, intermediates):
        _require_places([tensor for tensor in tensors if tensor != -1], num_tensors, "tensor")
    if -1 in outputs or len(set(outputs)) < len(outputs):
        raise DamagedError(f"an operator has the outputs {outputs}")
    return Operator(codes[place], inputs, outputs, table.number(3, UINT8), table.table(4))


def _signature(table: Table, subgraphs: list[Subgraph]) -> Signature:
    place = table.number(4, UINT32)
    _require_places([place], len(subgraphs), "subgraph")
    graph = subgraphs[place]
    maps = []
    for index, tensors in ((0, graph.inputs), (1, graph.outputs)):
        entries = table.tables(index)
        named = {entry.text(0): entry.number(1, UINT32) for entry in entries}
        if any("\0" in name for name in named):
            raise DamagedError("a signature has a name with a zero byte")
        if len(named) < len(entries) or not set(named.values()) <= set(tensors):
            raise DamagedError(f"a signature has the tensors {sorted(named)[:5]}")
        maps.append(named)
    return Signature(place, *maps)


def _require_places(places: tuple[int, ...] | list[int], count: int, what: str) -> None:
    for place in places:
        if not 0 <= place < count:
            raise DamagedError(f"{what} {place} is one of {count}")
