"""The compressed embeddings of a model."""

from __future__ import annotations

from typing import Any

from memcom_tf.layers.contract.layer import CompressedEmbedding


def find_embeddings(model: Any) -> list[CompressedEmbedding]:
    """Every compressed embedding of a model, each once, in the order of the model."""
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else [model]
    found: list[CompressedEmbedding] = []
    for layer in layers:
        if isinstance(layer, CompressedEmbedding) and all(layer is not other for other in found):
            found.append(layer)
    return found
