"""Bytes of a ranker's file, tables and graph."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from memcom_tf.layers import FullEmbedding
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.models.rebuilding import ranker_with


def graph_bytes(ranker: CatalogueRanker, weights: Literal["int8", "float32"] = "int8") -> int:
    """Bytes of a ranker's file without its vocabulary."""
    from memcom_tf.converters import convert

    return int(convert(ranker, weights=weights, verify=False).report["graph_bytes"])


def fill_at_random(model: Any) -> None:
    """Gives a model of ours weights of which the converter leaves none out, as zeros and ones."""
    model.build_once()
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0.3, 0.1, weight.shape))


def graph_overhead(model: CatalogueRanker) -> int:
    """Bytes of the graph alone: those of a ranker of the same shape with hardly any items."""
    rows = 2 * model.history_length + 40
    toy = ranker_with(model, lambda layer: FullEmbedding(rows, layer.output_dim))
    fill_at_random(toy)
    values = sum(int(np.prod(weight.shape)) for weight in toy.weights)
    return graph_bytes(toy, "float32") - 4 * values
