"""What a file holds: bytes of every table, and what quantization took."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from memcom_tf.ops.numpy_ops import NumpyOps

from ..model_file.description import EmbeddingDescription, TableDescription
from ..quantization.fold import ShippedEmbedding
from ..quantization.quantization_error import RowErrors
from ..quantization.quantize import QuantizedTable
from .trained_model import ShippedMatrix

_NUMPY = NumpyOps()
_ROWS_AT_A_TIME = 2**16


def describe_embedding(shipped: ShippedEmbedding) -> EmbeddingDescription:
    """The report on one embedding, for the file's description.

    Args:
        shipped: The folded and quantized embedding.

    Returns:
        Name, method, sizes, tables, and the shares of ids whose vector another id has as well.
    """
    layer = shipped.layer
    tables = [
        _describe_table(table, shipped.errors.get(name)) for name, table in shipped.tables.items()
    ]
    return EmbeddingDescription(
        name=shipped.trained.name,
        method=type(shipped.trained).__name__,
        ships_as=type(layer).__name__,
        input_dim=layer.input_dim,
        output_dim=layer.output_dim,
        parameters=layer.num_parameters,
        uncompressed_bytes=4 * layer.input_dim * layer.output_dim,
        bytes=sum(table.data_bytes + table.scale_bytes for table in tables),
        tables=tables,
        **_uniqueness(shipped),
    )


def describe_matrix(shipped: ShippedMatrix) -> EmbeddingDescription:
    """The report on a table, or a kernel, that no layer of `memcom_tf.layers` holds."""
    matrix, table = shipped.matrix, shipped.table
    name, _, variable = table.name.rpartition("/")
    described = replace(_describe_table(table, shipped.errors), name=variable)
    uses = {"lookup": matrix.is_looked_up, "product": matrix.is_multiplied}
    return EmbeddingDescription(
        name=name,
        method=" and ".join(use for use, is_so in uses.items() if is_so),
        ships_as="int8" if table.data.dtype == np.int8 else str(table.storage).partition("_")[0],
        input_dim=table.rows,
        output_dim=table.width,
        parameters=table.rows * table.width,
        uncompressed_bytes=4 * table.rows * table.width,
        bytes=described.data_bytes + described.scale_bytes,
        tables=[described],
    )


def _uniqueness(shipped: ShippedEmbedding) -> dict[str, float]:
    if shipped.layer.output_dim == 1:  # values of an id need not differ
        return {}
    trained = shipped.trained
    return {
        "share_not_unique_trained": share_not_unique(trained, trained.table_values()),
        "share_not_unique": share_not_unique(shipped.layer, shipped.dequantized()),
    }


def _describe_table(table: QuantizedTable, errors: RowErrors | None) -> TableDescription:
    rows, width = table.rows, table.width
    has_scales = errors is not None and not table.holds_floats
    return TableDescription(
        name=table.name,
        rows=rows,
        width=width,
        storage=str(table.storage),
        bits=table.bits,
        operator="EMBEDDING_LOOKUP" if table.is_embedding_lookup else "GATHER",
        data_bytes=table.data_bytes,
        scale_bytes=table.scale_bytes,
        # A single scale is a constant of the graph.
        metadata_bytes=(table.scale_bytes or table.scale.nbytes) if has_scales else 0,
        float32_bytes=4 * rows * width,
        median_error=0.0 if errors is None else errors.median,
        worst_error=0.0 if errors is None else errors.worst,
        error_quantiles=None if errors is None else list(errors.quantiles),
    )


def share_not_unique(layer: Any, tables: dict[str, np.ndarray]) -> float:
    """Share of ids whose vector is, to the bit, the vector of another id as well."""
    hashes = np.empty(layer.input_dim, np.uint64)
    for start in range(0, layer.input_dim, _ROWS_AT_A_TIME):
        ids = np.arange(start, min(start + _ROWS_AT_A_TIME, layer.input_dim))
        vectors = np.ascontiguousarray(layer.lookup(_NUMPY, ids, tables), np.float32)
        # -0.0 and 0.0 are the same number.
        bits = (vectors + 0.0).view(np.uint32).astype(np.uint64)
        # A random linear hash of the bits; 64 bits make an accidental match negligible.
        factors = np.random.default_rng(0).integers(1, 2**63, bits.shape[1], dtype=np.uint64)
        hashes[ids] = (bits * (factors | np.uint64(1))).sum(axis=1, dtype=np.uint64)
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    return float((counts[inverse] > 1).mean())
