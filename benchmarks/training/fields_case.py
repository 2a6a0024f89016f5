"""One way to train on rows of fields, each with a table, timed inside `model.fit`; a worker.

The model: a vector of each field, joined; a dense layer; the probability of a click.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.common.workload import draw, num_buckets
from benchmarks.training.step_case import fit

FIELDS, BATCH_SIZE, OUTPUT_DIM, HIDDEN_UNITS = 26, 2048, 16, 64
_NUM_BATCHES = 20
_LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Case:
    """A way to train.

    Attributes:
        label: What the report says.
        tables: "memcom" or "quotient_remainder", a layer a field; "memcom_joint", one table of
            the ids of all fields; "stock" (Keras' Embedding), "distributed" (keras-rs') or "none".
        optimizer: "lazy_adam" or "adagrad".
        legacy: Whether it runs on tf_keras.
        native: Whether memcom_tf's layers and optimizer run their fused ops.
    """

    label: str
    tables: str
    optimizer: str = "lazy_adam"
    legacy: bool = False
    native: bool = True

    @property
    def environment(self) -> dict[str, str]:
        """What must be set before TensorFlow is imported."""
        return {
            "TF_USE_LEGACY_KERAS": str(int(self.legacy)),
            "MEMCOM_TF_OPS": "native" if self.native else "reference",
        }


CASES = {
    "ours": Case("MEmCom, fused ops, field by field", "memcom"),
    "joint": Case("MEmCom, fused ops, one table of all fields", "memcom_joint"),
    "plain_ops": Case("MEmCom, plain ops, field by field", "memcom", native=False),
    "quotient_remainder": Case("quotient-remainder, fused ops", "quotient_remainder"),
    "quotient_remainder_plain": Case(
        "quotient-remainder, plain ops", "quotient_remainder", native=False
    ),
    "tf_keras": Case("tf_keras Embedding (as TFRS has it), Adagrad", "stock", "adagrad", True),
    "keras": Case("Keras Embedding, Adagrad", "stock", "adagrad"),
    "keras_rs": Case("keras-rs DistributedEmbedding, Adagrad", "distributed", "adagrad"),
    "no_embedding": Case("no table: the fixed cost of a step", "none"),
}


def dataset(distribution: str, input_dim: int) -> Any:
    """The batches, without end; what is to be predicted is noise."""
    import tensorflow as tf

    clicks = np.random.default_rng(1).integers(0, 2, (_NUM_BATCHES, BATCH_SIZE, 1))
    ids = draw((_NUM_BATCHES, BATCH_SIZE, FIELDS), distribution, input_dim)
    rows = tf.data.Dataset.from_tensor_slices((ids, clicks.astype(np.float32)))
    return rows.repeat().prefetch(4)


def build_model(case: Case, input_dim: int) -> Any:
    """The compiled model of a case."""
    from memcom_tf._keras import keras
    from memcom_tf.optimizers import LazyAdam

    optimizers = {"lazy_adam": LazyAdam, "adagrad": keras.optimizers.Adagrad}
    hidden = keras.layers.Dense(HIDDEN_UNITS, "relu")
    click = keras.layers.Dense(1, "sigmoid")
    vectors = _vectors_of(case.tables, input_dim)

    class Clicks(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.tables, self.hidden, self.click = vectors.layers, hidden, click

        def call(self, ids: Any) -> Any:
            return self.click(self.hidden(vectors.look_up(ids)))

    model = Clicks()
    options = {} if case.legacy else {"jit_compile": False}
    optimizer = optimizers[case.optimizer](_LEARNING_RATE)
    model.compile(optimizer, "binary_crossentropy", **options)
    return model


@dataclass(frozen=True)
class _Vectors:
    layers: list[Any]
    look_up: Callable[[Any], Any]
    """Ids `[b, FIELDS]` to vectors `[b, FIELDS * OUTPUT_DIM]`."""


def _vectors_of(tables: str, input_dim: int) -> _Vectors:
    import tensorflow as tf

    from memcom_tf import MEmComEmbedding, QuotientRemainderEmbedding
    from memcom_tf._keras import keras

    if tables == "none":
        return _Vectors([], lambda ids: 1e-9 * tf.tile(tf.cast(ids, tf.float32), [1, OUTPUT_DIM]))
    if tables == "distributed":
        return _distributed(input_dim)
    if tables == "memcom_joint":
        buckets = FIELDS * num_buckets(input_dim)
        joint = MEmComEmbedding(FIELDS * input_dim, OUTPUT_DIM, num_buckets=buckets)
        first = np.arange(FIELDS, dtype=np.int32) * input_dim
        return _Vectors(
            [joint], lambda ids: tf.reshape(joint(ids + first), [-1, FIELDS * OUTPUT_DIM])
        )
    make = {
        "memcom": lambda: MEmComEmbedding(
            input_dim, OUTPUT_DIM, num_buckets=num_buckets(input_dim)
        ),
        "quotient_remainder": lambda: QuotientRemainderEmbedding(
            input_dim, OUTPUT_DIM, num_buckets=num_buckets(input_dim)
        ),
        "stock": lambda: keras.layers.Embedding(input_dim, OUTPUT_DIM),
    }[tables]
    fields = [make() for _ in range(FIELDS)]
    return _Vectors(
        fields, lambda ids: tf.concat([of(ids[:, f]) for f, of in enumerate(fields)], axis=1)
    )


def _distributed(input_dim: int) -> _Vectors:
    """Plain tables on this machine: keras-rs has its own for TPUs alone."""
    import keras_rs
    import tensorflow as tf

    layers = keras_rs.layers
    features = {
        f"field_{f}": layers.FeatureConfig(
            name=f"field_{f}",
            table=layers.TableConfig(
                name=f"table_{f}",
                vocabulary_size=input_dim,
                embedding_dim=OUTPUT_DIM,
                optimizer="adagrad",
                placement="default_device",
            ),
            input_shape=(BATCH_SIZE,),
            output_shape=(BATCH_SIZE, OUTPUT_DIM),
        )
        for f in range(FIELDS)
    }
    layer = layers.DistributedEmbedding(features)

    def look_up(ids: Any) -> Any:
        found = layer({name: ids[:, f] for f, name in enumerate(features)})
        return tf.concat([found[name] for name in features], axis=1)

    return _Vectors([layer], look_up)


def main() -> None:
    """Trains and prints the times."""
    arguments = json.loads(sys.argv[1])
    case = CASES[arguments["case"]]
    # A fused case that fell back to plain ops would be a figure of something else.
    if case.native:
        warnings.filterwarnings("error", ".*plain TensorFlow ops", RuntimeWarning)
    data = dataset(arguments["distribution"], arguments["input_dim"])
    model = build_model(case, arguments["input_dim"])
    times = fit(model, data, **arguments["steps"])
    print(json.dumps({"ms": float(np.median(times)), "steps": len(times)}))


if __name__ == "__main__":
    main()
