"""Every row of every table of a file, held against the trained one; and every constant."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from memcom_tf.tables import FLOAT32

from ..model_file.description import FileDescription
from ..preparation.prepared import Prepared, versions
from ..quantization.fold import values_in_use
from ..quantization.quantize import QuantizedTable
from ..runtime import CompressedModelFile
from ..tflite.writing import describe
from .content import OtherGraphError, compare_graphs, digest_of, missing_tables, shown
from .result import Verification

_ROWS_AT_A_TIME = 1 << 16
_LEAST_BYTES = 64
_ROUNDING = 2.0**-22
"""Of a float32 product of integer and scale, relative."""


def verify_tables(
    verification: Verification, prepared: Prepared, file: CompressedModelFile
) -> None:
    """Requires that every row that the file stores is the trained one, within its bound.

    The bound is half a step of the row's scale, or with less than 8 bits the error that the nearest
    levels leave.
    """
    content = np.memmap(file.path, np.uint8, "r")
    stored = {
        digest_of(content[tensor.start : tensor.start + tensor.size])
        for graph in file.graph.subgraphs
        for tensor in graph.tensors
        if tensor.size
    }
    worst, where, rows, missing = 0.0, "", 0, []
    for name, values, table in trained_tables(prepared):
        # With floats, and with what is small, the converter computes: a kernel takes up the factors
        # of a normalization behind it.
        is_kept = table.storage != FLOAT32 and table.data.nbytes >= _LEAST_BYTES
        if is_kept and digest_of(table.data) not in stored:
            missing.append(name)
        excess, row = _largest_excess(values, table)
        rows += table.rows
        if excess > worst:
            worst, where = excess, f"{name}, row {row:,}"
    verification.bounded(
        "tables that the file does not store as quantized", len(missing), 0, "; ".join(missing[:20])
    )
    verification.bounded(
        f"largest error of {rows:,} stored rows over its derived bound",
        worst,
        1.0,
        where if worst > 1.0 else "",
    )


def trained_tables(prepared: Prepared) -> Iterator[tuple[str, np.ndarray, QuantizedTable]]:
    """Name, trained values and what is stored, of every table."""
    for embedding in prepared.shipped:
        trained = embedding.trained
        values = values_in_use(trained)
        for name, table in embedding.tables.items():
            yield f"{trained.name}/{name}", values[name], table
    for shipped in prepared.form.matrices:
        yield shipped.table.name, shipped.matrix.values, shipped.table


def _largest_excess(values: np.ndarray, table: QuantizedTable) -> tuple[float, int]:
    """The largest error of a row over its bound, and the row."""
    worst, at = 0.0, 0
    for start in range(0, table.rows, _ROWS_AT_A_TIME):
        rows = np.arange(start, min(start + _ROWS_AT_A_TIME, table.rows))
        trained = np.asarray(values[rows], np.float64)
        stored = table.take(rows).astype(np.float64)
        bound = table.radius[rows % len(table.radius)] + _ROUNDING * np.abs(stored)
        excess = (np.abs(stored - trained) / np.maximum(bound, 1e-300)).max(axis=1, initial=0.0)
        excess = np.where(np.isnan(excess), np.inf, excess)
        if len(excess) and excess.max() > worst:
            worst, at = float(excess.max()), int(rows[excess.argmax()])
    return worst, at


def verify_graph(
    verification: Verification,
    prepared: Prepared,
    expected: bytes,
    found: memoryview,
    described: FileDescription,
) -> None:
    """Requires that a graph is the one that converting its model writes.

    A file that another version of memcom_tf or TensorFlow wrote may have another graph for the same
    model: of it every table is compared, and how many other constants are not is measured.
    """
    try:
        differences = compare_graphs(expected, found, lambda: _names(prepared))
    except OtherGraphError as error:
        written = _versions_of(described)
        if written == versions():
            verification.bounded("graph that converting the model does not write", 1, 0, str(error))
            return
        missing = missing_tables(found, prepared.tables)
        verification.bounded("tables that differ", len(missing), 0, shown(missing))
        verification.measured(
            "constants of a graph of another version, not compared",
            _num_constants(found) - len(prepared.tables),
            f"written by {written}, compared by {versions()}",
        )
        return
    verification.bounded(
        f"constants that differ, of {_num_constants(found):,}",
        len(differences),
        0,
        shown(differences),
    )


def verify_description(
    verification: Verification, prepared: Prepared, expected: bytes, described: FileDescription
) -> None:
    """Requires that a file says of itself what converting its model does, of the same versions."""
    if _versions_of(described) != versions():
        return
    ours = _nameless(describe(prepared, expected).to_json())
    theirs = _nameless(described.to_json())
    differ = [key for key, value in ours.items() if not _same(value, theirs.get(key))]
    verification.bounded(
        "entries of the description that differ", len(differ), 0, ", ".join(differ)
    )


def _versions_of(described: FileDescription) -> dict[str, Any]:
    return {key: getattr(described, key) for key in versions()}


def _nameless(description: Mapping[str, Any]) -> dict[str, Any]:
    """A description without names, which layers of a model have anew when it is built again.

    Nor does it matter on which inputs it was decided what is multiplied in floats.
    """
    found = {key: value for key, value in description.items() if key not in _NAMES}
    for key in ("left_as_floats", "multiplied_in_floats"):
        found[key] = sorted(found.get(key, {}).values())
    found["embeddings"] = [
        {**embedding, "name": "", "tables": [{**t, "name": ""} for t in embedding["tables"]]}
        for embedding in found["embeddings"]
    ]
    return found


_NAMES = ("name", "signatures", "vector_signatures", "warnings", "weights", "inputs")


def _same(ours: Any, theirs: Any) -> bool:
    """Whether two values are equal, floats up to the rounding of another processor."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, int | float):
        return math.isclose(ours, theirs, rel_tol=1e-4, abs_tol=1e-9)
    return bool(ours == theirs)


def _num_constants(content: memoryview) -> int:
    model = schema.Model.GetRootAs(content, 0)
    return sum(model.Buffers(i).DataLength() > 0 for i in range(model.BuffersLength()))


def _names(prepared: Prepared) -> dict[bytes, str]:
    """Names of constants, by their content."""
    found: dict[bytes, str] = {}
    for name, variable in prepared.source.variables.items():
        values = np.asarray(variable)
        found[digest_of(values)] = name
        if values.ndim == 2:
            found[digest_of(np.ascontiguousarray(values.T))] = f"{name}, transposed"
    for name, _, table in trained_tables(prepared):
        found[digest_of(table.scale)] = f"{name} (scales)"
        found[digest_of(table.data)] = name
    return found
