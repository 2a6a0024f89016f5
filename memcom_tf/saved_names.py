"""What saved models name of this package: known to Keras once both are imported.

`import memcom_tf` loads neither TensorFlow nor Keras. When Keras is imported, before or after, it
is told the names. What a name stands for is imported when a saved model asks for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

HOMES: dict[str, tuple[str, ...]] = {
    "memcom_tf.layers": (
        "CAFEEmbedding",
        "ClusteredEmbedding",
        "CompositionalEmbedding",
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
    ),
    "memcom_tf.models": (
        "ClickModel",
        "NextItemRanker",
        "RetrievalModel",
        "TextClassifier",
        "TextVectors",
    ),
    "memcom_tf.optimizers": ("Adagrad", "LazyAdam", "SGD"),
}
"""Names that this package registers with Keras, by the module that has them."""


class _OnDemand:
    """Stands for a class in Keras' registry until a saved model asks for it."""

    def __init__(self, home: str, name: str) -> None:
        self._home = home
        self.__name__ = name

    def from_config(self, config: dict[str, Any]) -> Any:
        """What Keras makes of a configuration; importing the class registers it."""
        return getattr(import_module(self._home), self.__name__).from_config(config)


def tell_keras() -> None:
    """Registers the names with Keras and tf_keras, with each as soon as it is imported."""
    try:
        from wrapt import register_post_import_hook
    except ImportError:  # it comes with TensorFlow: without that there is no Keras to tell
        return
    for module in ("keras", "tf_keras"):
        register_post_import_hook(_register, module)


def _register(keras: Any) -> None:
    if not hasattr(keras, "saving"):  # Keras 2.11 and before
        return
    registered = keras.saving.get_custom_objects()
    for home, names in HOMES.items():
        for name in names:
            registered.setdefault(f"memcom_tf>{name}", _OnDemand(home, name))
