"""What a file stores, held against what converting the model writes: every byte of every constant.

Converting is a function of the model: the same model gives the same bytes. So a file is compared
with what its model becomes today, as a scan of memory. Where a byte differs, the constant that it
is of is named, with the row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ..quantization.quantize import QuantizedTable
from ..tflite.editing import key_of

_ROUNDING = 1e-6
"""Of float constants that the converter computed, on another processor: relative to the largest."""
_SHOWN = 20
_BYTES_AT_A_TIME = 1 << 26


@dataclass(frozen=True)
class Difference:
    """A constant of a file that is not the model's.

    Attributes:
        name: Of the table, kernel or other constant.
        row: The first row that differs, None where it has none.
        count: How many rows differ.
    """

    name: str
    row: int | None = None
    count: int = 1

    def __str__(self) -> str:
        if self.row is None:
            return self.name
        others = f" and {self.count - 1:,} more" if self.count > 1 else ""
        return f"{self.name}, row {self.row:,}{others}"


class OtherGraphError(Exception):
    """The graph is not what converting the model writes; `str()` says what differs."""


def compare_graphs(
    expected: bytes, found: memoryview, names: Callable[[], Mapping[bytes, str]]
) -> list[Difference]:
    """Compares the graph of a file with the one that converting its model writes.

    Args:
        expected: The flatbuffer of the model.
        found: The flatbuffer of the file.
        names: Gives names of constants by the `digest_of` their bytes, where one differs.

    Returns:
        The constants that differ; none where all are the same.

    Raises:
        OtherGraphError: If operators, types or shapes differ.
    """
    if _same_bytes(memoryview(expected), found):
        return []
    models = [schema.ModelT.InitFromPackedBuf(content, 0) for content in (expected, found)]
    return list(_differences(models[0], models[1], names()))


def _same_bytes(a: memoryview, b: memoryview) -> bool:
    if len(a) != len(b):
        return False
    starts = range(0, len(a), _BYTES_AT_A_TIME)
    ends = [(i, min(i + _BYTES_AT_A_TIME, len(a))) for i in starts]
    ours, theirs = (np.frombuffer(content, np.uint8) for content in (a, b))
    return all(np.array_equal(ours[i:j], theirs[i:j]) for i, j in ends)


def _differences(ours: Any, theirs: Any, names: Mapping[bytes, str]) -> Iterator[Difference]:
    _require_equal("signatures", _signatures(ours), _signatures(theirs))
    _require_equal("number of subgraphs", len(ours.subgraphs), len(theirs.subgraphs))
    seen: set[tuple[int, int]] = set()
    for graph, other in zip(ours.subgraphs, theirs.subgraphs, strict=True):
        _require_equal("operators", _operators(ours, graph), _operators(theirs, other))
        _require_equal("shapes and types", _forms(graph), _forms(other))
        for place, (tensor, found) in enumerate(zip(graph.tensors, other.tensors, strict=True)):
            name = _name(ours, tensor, names) or f"constant {place}"
            for what, a, b in _scales(tensor, found):
                yield from _of_rows(f"{name} ({what})", np.atleast_2d(a).T, np.atleast_2d(b).T)
            buffers = (tensor.buffer, found.buffer)
            if buffers in seen:
                continue
            seen.add(buffers)
            data, theirs_data = ours.buffers[buffers[0]].data, theirs.buffers[buffers[1]].data
            if (data is None) != (theirs_data is None):
                raise OtherGraphError(f"{name} is a constant in one of them alone")
            if data is not None:
                yield from _of_constant(name, tensor, np.asarray(data), np.asarray(theirs_data))


def _require_equal(what: str, ours: Any, theirs: Any) -> None:
    if ours != theirs:
        raise OtherGraphError(f"its {what} differ")


def _signatures(model: Any) -> Any:
    return [
        (
            signature.signatureKey,
            signature.subgraphIndex,
            [
                sorted((entry.name, entry.tensorIndex) for entry in entries or [])
                for entries in (signature.inputs, signature.outputs)
            ],
        )
        for signature in model.signatureDefs or []
    ]


def _operators(model: Any, graph: Any) -> list[Any]:
    found = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        tensors = (np.asarray(operator.inputs).tolist(), np.asarray(operator.outputs).tolist())
        options = None if operator.builtinOptions is None else key_of(operator.builtinOptions)
        found.append((code.builtinCode, code.version, tensors, options))
    return [found, np.asarray(graph.inputs).tolist(), np.asarray(graph.outputs).tolist()]


def _forms(graph: Any) -> list[Any]:
    return [
        (tensor.type, [] if tensor.shape is None else np.asarray(tensor.shape).tolist())
        for tensor in graph.tensors
    ]


def _scales(ours: Any, theirs: Any) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    quantizations = (ours.quantization, theirs.quantization)
    for what, field in (("scales", "scale"), ("zero points", "zeroPoint")):
        a, b = (_array(getattr(q, field, None)) for q in quantizations)
        if len(a) != len(b):
            raise OtherGraphError(f"a tensor has {len(b)} {what}, not {len(a)}")
        yield what, a, b


def _array(values: Any) -> np.ndarray:
    return np.empty(0, np.float32) if values is None else np.asarray(values)


def _name(model: Any, tensor: Any, names: Mapping[bytes, str]) -> str:
    data = model.buffers[tensor.buffer].data
    return "" if data is None else names.get(digest_of(np.asarray(data)), "")


def _of_constant(
    name: str, tensor: Any, ours: np.ndarray, theirs: np.ndarray
) -> Iterator[Difference]:
    if len(ours) != len(theirs):
        raise OtherGraphError(f"{name} has {len(theirs)} bytes, not {len(ours)}")
    rows = int(tensor.shape[0]) if tensor.shape is not None and len(tensor.shape) else 1
    if rows == 0 or len(ours) % rows:
        rows = 1
    if tensor.type == schema.TensorType.FLOAT32 and len(ours) % (4 * rows) == 0:
        ours, theirs = ours.view(np.float32), theirs.view(np.float32)
    yield from _of_rows(name, ours.reshape(rows, -1), theirs.reshape(rows, -1))


def _of_rows(name: str, ours: np.ndarray, theirs: np.ndarray) -> Iterator[Difference]:
    """The rows in which two constants differ; rounding of floats is none."""
    if not ours.size:
        return
    step = max(1, _BYTES_AT_A_TIME // max(1, ours[:1].nbytes))
    found = []
    for start in range(0, len(ours), step):
        a, b = ours[start : start + step], theirs[start : start + step]
        differs = a != b
        if a.dtype.kind == "f":
            largest = np.abs(a).max(axis=1, keepdims=True)
            # No number is equal to no number, and to nothing else.
            differs &= ~(np.isnan(a) & np.isnan(b)) & ~(np.abs(a - b) <= _ROUNDING * largest)
        found.append(start + np.flatnonzero(differs.any(axis=1)))
    rows = np.concatenate(found)
    if len(rows):
        yield Difference(name, int(rows[0]) if len(ours) > 1 else None, len(rows))


def digest_of(data: np.ndarray) -> bytes:
    """What tells the bytes of constants apart."""
    found = hashlib.blake2b(digest_size=16)
    found.update(np.ascontiguousarray(data).reshape(-1).view(np.uint8).data)
    return found.digest()


def missing_tables(found: memoryview, tables: Sequence[QuantizedTable]) -> list[Difference]:
    """The tables of a model that a file, of whatever graph, does not store to the byte.

    Args:
        found: The flatbuffer of the file.
        tables: The tables as they are stored.

    Returns:
        Tables, and scales of tables, that it lacks, with the rows in which the nearest constant of
        as many bytes differs.
    """
    model = schema.ModelT.InitFromPackedBuf(found, 0)
    constants = [np.asarray(buffer.data) for buffer in model.buffers if buffer.data is not None]
    constants += [
        np.asarray(tensor.quantization.scale, np.float32).view(np.uint8)
        for graph in model.subgraphs
        for tensor in graph.tensors
        if tensor.quantization is not None and tensor.quantization.scale is not None
    ]
    missing: list[Difference] = []
    for table in tables:
        missing += _nearest(table.name, table.data, constants)
        if len(table.scale) > 1:
            missing += _nearest(f"{table.name} (scales)", table.scale, constants)
    return missing


def _nearest(name: str, values: np.ndarray, constants: Sequence[np.ndarray]) -> list[Difference]:
    """How the nearest constant differs from values; nothing where one is equal."""
    stored = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    differences = []
    for data in constants:
        if len(data) == len(stored):
            pair = (x.view(values.dtype).reshape(len(values), -1) for x in (stored, data))
            found = list(_of_rows(name, *pair))
            if not found:
                return []
            differences += found
    return [min(differences, key=lambda found: found.count, default=Difference(name))]


def shown(differences: Sequence[Difference]) -> str:
    """Some of them, for a reader."""
    more = f"; and {len(differences) - _SHOWN} more constants" if len(differences) > _SHOWN else ""
    return "; ".join(map(str, differences[:_SHOWN])) + more
