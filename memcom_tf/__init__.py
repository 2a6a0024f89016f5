"""Compressed embeddings for Keras recommenders, from training to a proven file on the phone.

Nothing is imported before it is used: what only reads files (`memcom rank`) never loads
TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from memcom_tf._version import __version__

if TYPE_CHECKING:
    from memcom_tf.compression import compress
    from memcom_tf.layers import (
        METHODS,
        CAFEEmbedding,
        ClusteredEmbedding,
        CompositionalEmbedding,
        CompressedEmbedding,
        DeepHashEmbedding,
        DoubleHashedEmbedding,
        DPQEmbedding,
        FullEmbedding,
        HashedEmbedding,
        HashWeightedEmbedding,
        LowRankEmbedding,
        MEmComEmbedding,
        MemRecEmbedding,
        MGQEEmbedding,
        MixedDimensionEmbedding,
        MultiGranularEmbedding,
        MultiLayerEmbedding,
        PathBasedEmbedding,
        ProductQuantizedEmbedding,
        PrunedEmbedding,
        QuotientRemainderEmbedding,
        ResidualQuantizedEmbedding,
        ROBEEmbedding,
        SparseDictionaryEmbedding,
        StaircaseEmbedding,
        TensorTrainEmbedding,
        TrainedResidualQuantizedEmbedding,
        TruncatedEmbedding,
    )
    from memcom_tf.models import save_model
    from memcom_tf.training import fine_tune
    from memcom_tf.vocabulary import Vocabulary


__all__ = [
    "METHODS",
    "CAFEEmbedding",
    "ClusteredEmbedding",
    "CompositionalEmbedding",
    "CompressedEmbedding",
    "DPQEmbedding",
    "DeepHashEmbedding",
    "DoubleHashedEmbedding",
    "FullEmbedding",
    "HashWeightedEmbedding",
    "HashedEmbedding",
    "LowRankEmbedding",
    "MEmComEmbedding",
    "MGQEEmbedding",
    "MemRecEmbedding",
    "MixedDimensionEmbedding",
    "MultiGranularEmbedding",
    "MultiLayerEmbedding",
    "PathBasedEmbedding",
    "ProductQuantizedEmbedding",
    "PrunedEmbedding",
    "QuotientRemainderEmbedding",
    "ROBEEmbedding",
    "ResidualQuantizedEmbedding",
    "SparseDictionaryEmbedding",
    "StaircaseEmbedding",
    "TensorTrainEmbedding",
    "TrainedResidualQuantizedEmbedding",
    "TruncatedEmbedding",
    "Vocabulary",
    "__version__",
    "compress",
    "fine_tune",
    "save_model",
]

_HOMES = {
    **dict.fromkeys(__all__, "memcom_tf.layers"),
    "Vocabulary": "memcom_tf.vocabulary",
    "compress": "memcom_tf.compression",
    "fine_tune": "memcom_tf.training",
    "save_model": "memcom_tf.models",
}
_MODULES = ("converters", "datasets", "evaluation", "layers", "models", "ops", "optimizers")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
