"""A process of a cluster with parameter servers: the one that coordinates, or a server."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.converters import convert
from memcom_tf.layers import MEmComEmbedding
from memcom_tf.optimizers import LazyAdam

ROWS, WIDTH, BATCH, STEPS = 300, 8, 16, 12
_THREADS = 4
"""Of a server. TensorFlow takes as many as there are cores, and one alone waits for itself."""


def batches() -> tf.data.Dataset:
    """Ids and numbers to predict of them."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, ROWS, (BATCH * STEPS, 5)).astype(np.int32)
    return tf.data.Dataset.from_tensor_slices((ids, rng.normal(size=(len(ids), 1)))).batch(BATCH)


def trained() -> Any:
    """A model that learned them."""
    ids = keras.Input((5,), dtype="int32")
    layer = MEmComEmbedding(ROWS, WIDTH, num_buckets=40, combiner="mean")
    model = keras.Model(ids, keras.layers.Dense(1, kernel_initializer="ones")(layer(ids)))
    # Shards draw other numbers than a whole table.
    rng = np.random.default_rng(1)
    layer.assign_tables(
        {name: rng.normal(size=v.shape) for name, v in layer.table_values().items()}
    )
    model.compile(LazyAdam(0.05), "mse")
    model.fit(batches().repeat(), epochs=1, steps_per_epoch=STEPS, verbose=0)
    return model


def main() -> None:
    """Serves, or trains by the servers and writes what came of it."""
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if resolver.task_type != "chief":
        config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=_THREADS)
        tf.distribute.Server(
            resolver.cluster_spec(), resolver.task_type, resolver.task_id, "grpc", config
        ).join()
    halves = tf.distribute.experimental.partitioners.FixedShardsPartitioner(2)
    with tf.distribute.ParameterServerStrategy(resolver, halves).scope():
        model = trained()
    convert(model).save("model.tflite")
    layer = next(layer for layer in model.layers if isinstance(layer, MEmComEmbedding))
    np.savez("tables.npz", **layer.table_values())


if __name__ == "__main__":
    main()
