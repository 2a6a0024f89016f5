"""Trains a small model by a loop of its own, alone or as one of several workers."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.datasets import Rows
from memcom_tf.features import fit_features
from memcom_tf.layers import FullEmbedding, MEmComEmbedding
from memcom_tf.models import ClickModel, NextItemRanker
from memcom_tf.optimizers import SGD, Adagrad, LazyAdam

BATCH, STEPS = 8, 6

# What is clipped has to be the gradient of the whole batch, and these limits are reached.
OPTIMIZERS: dict[str, Any] = {
    "adam": lambda: LazyAdam(0.05, weight_decay=0.1, clipnorm=0.05),
    "rowwise": lambda: Adagrad(0.1, row_wise=True, global_clipnorm=0.1),
    "nesterov": lambda: SGD(0.5, momentum=0.9, nesterov=True, clipvalue=0.01),
}


def ranker() -> Any:
    """A ranker of drawn negatives, with a MEmCom."""
    table = MEmComEmbedding(30, 4, num_buckets=9, name="items")
    model = NextItemRanker(table, history_length=5, hidden_units=(6,), num_negatives=12)
    model.build_once()
    return model, None


def layers() -> Any:
    """A table of ours beside Keras' own."""
    ids = keras.Input((5,), dtype="int32")
    ours = FullEmbedding(30, 4, combiner="mean", mask_zero=True, name="ours")(ids)
    theirs = keras.layers.Flatten()(keras.layers.Embedding(30, 4, name="theirs")(ids))
    logits = keras.layers.Dense(30)(keras.layers.Concatenate()([ours, theirs]))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return keras.Model(ids, logits), loss


class Clicks(keras.Model):
    """A click model whose one field has the ids of a history, and a label from its target."""

    def __init__(self) -> None:
        super().__init__()
        rows = Rows.of({"site": [str(number) for number in range(30)] * 2})
        features = fit_features(rows, min_count=1)
        tables = {"site": MEmComEmbedding(features.tables["site"], 4, num_buckets=9)}
        self.clicks = ClickModel(
            features, width=4, tables=tables, hidden_units=(6,), dropout=0.0, embedding_dropout=0.0
        )
        self.clicks.build_once()

    def call(self, history: Any, training: bool = False) -> Any:
        """The probability of a click on the first item."""
        return self.clicks({"ids": history[:, :1]}, training=training)


def clicks() -> Any:
    """A click model with a MEmCom."""
    return Clicks(), "binary_crossentropy"


MODELS: dict[str, Any] = {"ranker": ranker, "layers": layers, "clicks": clicks}


def train(case: str, strategy: Any, index: int = 0, count: int = 1) -> dict[str, np.ndarray]:
    """The weights after some steps on this worker's part of every batch."""
    name, optimizer = case.split("/")
    rng = np.random.default_rng(0)
    history = rng.integers(1, 30, (STEPS * BATCH, 5)).astype(np.int32)
    target = rng.integers(1, 30, STEPS * BATCH).astype(np.int32)
    if name == "layers":
        history[BATCH : 2 * BATCH] = 0  # of which no worker has a row to send
    with strategy.scope():
        keras.utils.set_random_seed(3)
        model, loss = MODELS[name]()
        model.compile(OPTIMIZERS[optimizer](), loss)
        model.optimizer.build(model.trainable_variables)

    @tf.function
    def step(data: Any) -> Any:
        return strategy.run(model.train_step, args=(data,))

    for begin in range(0, STEPS * BATCH, BATCH):
        rows = slice(begin + index * BATCH // count, begin + (index + 1) * BATCH // count)
        labels = target[rows] % 2 if name == "clicks" else target[rows]
        data = tf.constant(history[rows]), tf.constant(labels)
        step(data)
    variables = [*model.trainable_variables, *model.optimizer.variables]
    if not isinstance(variables[-1], tf.Variable) and hasattr(variables[-1], "value"):
        variables = [variable.value for variable in variables]
    found = {f"weight_{n}": np.asarray(tf.convert_to_tensor(v)) for n, v in enumerate(variables)}
    graph = step.get_concrete_function(data).graph.as_graph_def()
    ops = {node.op for part in (graph, *graph.library.function) for node in nodes(part)}
    return {**found, "is_fused": np.array(any("Memcom>Lookup" in op for op in ops))}


def nodes(graph: Any) -> Any:
    """The nodes of a graph or of a function."""
    return graph.node if hasattr(graph, "node") else graph.node_def


if __name__ == "__main__":
    task = json.loads(os.environ["TF_CONFIG"])
    of_workers = tf.distribute.MultiWorkerMirroredStrategy()
    for asked in sys.argv[1:]:
        ops, _, trained = asked.partition("/")
        os.environ["MEMCOM_TF_OPS"] = ops
        place = task["task"]["index"], len(task["cluster"]["worker"])
        np.savez(asked.replace("/", "_"), **train(trained, of_workers, *place))
