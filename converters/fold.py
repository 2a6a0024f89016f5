"""From the embeddings of a trained model to the tables that ship."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from memcom_tf.layers.base import CompressedEmbedding

from .quantize import QuantizedTable, quantize_table

Weights = Literal["int8", "float32"]
"""How tables are stored: as their method declares, int8 and int16, or as floats."""


def find_embeddings(model: Any) -> list[CompressedEmbedding]:
    """Every compressed embedding of a model, each once, in the order of the model."""
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else [model]
    found: list[CompressedEmbedding] = []
    for layer in layers:
        if isinstance(layer, CompressedEmbedding) and all(layer is not other for other in found):
            found.append(layer)
    return found


@dataclass(frozen=True)
class ShippedEmbedding:
    """What is exported of an embedding layer.

    Attributes:
        trained: The layer of the model.
        layer: The layer that computes with the stored tables, `trained.ships_as()`.
        tables: The stored tables by name.
    """

    trained: CompressedEmbedding
    layer: CompressedEmbedding
    tables: dict[str, QuantizedTable]

    def dequantized(self) -> dict[str, np.ndarray]:
        """The float32 values of the stored tables."""
        return {name: table.dequantized() for name, table in self.tables.items()}


def ship(trained: CompressedEmbedding, weights: Weights = "int8") -> ShippedEmbedding:
    """Folds the tables of a trained layer, and stores them as they declare or as float32."""
    layer = trained.ships_as()
    folded = trained.fold(trained.table_values())
    declared = layer.tables()
    if weights == "float32":
        declared = tuple(
            replace(table, storage="float32") if table.trainable else table for table in declared
        )
    tables = {table.name: quantize_table(table, folded[table.name]) for table in declared}
    return ShippedEmbedding(trained, layer, tables)
