"""Compressed embeddings for Keras recommenders, from training to a proven file on the phone.

Nothing is imported before it is used: what only reads files (`memcom rank`) never loads
TensorFlow. Keras knows the layers, models and optimizers of saved models by this import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from memcom_tf._version import __version__
from memcom_tf.errors import message
from memcom_tf.saved_names import tell_keras

if TYPE_CHECKING:
    from memcom_tf.compression import compress
    from memcom_tf.converters import compare
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
    from memcom_tf.models import load_model, save_model
    from memcom_tf.sweeps import sweep
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
    "compare",
    "compress",
    "fine_tune",
    "load_model",
    "save_model",
    "sweep",
]

_HOMES = {
    **dict.fromkeys(__all__, "memcom_tf.layers"),
    "Vocabulary": "memcom_tf.vocabulary",
    "compare": "memcom_tf.converters",
    "compress": "memcom_tf.compression",
    "fine_tune": "memcom_tf.training",
    "load_model": "memcom_tf.models",
    "save_model": "memcom_tf.models",
    "sweep": "memcom_tf.sweeps",
}
_MODULES = ("converters", "datasets", "evaluation", "layers", "models", "ops", "optimizers")

tell_keras()


def __getattr__(name: str) -> Any:
    try:
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise ImportError(
            message(
                f"TensorFlow must be installed for `memcom_tf.{name}`.",
                'Run: pip install "memcom_tf[tensorflow]".',
            )
        ) from error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
