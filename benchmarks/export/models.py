"""The models of the benchmark of exports, trained on MovieLens 100K.

Each is a Keras model of named inputs, which is what a converter gets, and says how a catalogue is
ranked with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from memcom_tf import MEmComEmbedding
from memcom_tf._keras import keras
from memcom_tf.evaluation import Split

HISTORY_LENGTH = 50
WIDTH = 32
_BATCH = 256
_NEGATIVES = 4

Inputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Exported:
    """A trained model.

    Attributes:
        model: The Keras model, whose first output are scores.
        inputs: Takes a history `[L]` and all ids `[v]`; what the model scores them with.
    """

    model: Any
    inputs: Callable[[np.ndarray, np.ndarray], Inputs]


def plain(split: Split, epochs: int) -> Exported:
    """Mean of the history, a hidden layer, and a Dense layer over the catalogue."""
    history = keras.Input([HISTORY_LENGTH], dtype="int32", name="history")
    table = keras.layers.Embedding(split.vocabulary.input_dim, WIDTH, mask_zero=True, name="items")
    pooled = keras.layers.GlobalAveragePooling1D()(table(history))
    hidden = keras.layers.Dense(64, activation="relu", name="hidden")(pooled)
    scores = keras.layers.Dense(split.vocabulary.input_dim, name="scores")(hidden)
    model = keras.Model({"history": history}, scores, name="plain")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss)
    train = split.train
    model.fit({"history": train.history}, train.target, _BATCH, epochs, verbose=0)
    return Exported(model, lambda history, items: {"history": history[None]})


def memcom(split: Split, epochs: int) -> Exported:
    """The same with a MEmCom table for the history and a plain one for the scores."""
    history = keras.Input([HISTORY_LENGTH], dtype="int32", name="history")
    item = keras.Input([], dtype="int32", name="item")
    table = MEmComEmbedding.for_ratio(
        split.vocabulary.input_dim,
        WIDTH,
        8,
        combiner="mean",
        mask_zero=True,
        name="items",
        multiplier_learning_rate=10.0,
    )
    return _dot(split, epochs, history, item, table(history), "memcom")


def dlrm(split: Split, epochs: int) -> Exported:
    """keras-rs: tables of the history and of the item, their interaction, and a tower."""
    import keras_rs

    history = keras.Input([HISTORY_LENGTH], dtype="int32", name="history")
    item = keras.Input([], dtype="int32", name="item")
    input_dim = split.vocabulary.input_dim
    known = keras.ops.cast(history > 0, "float32")
    table = keras_rs.layers.EmbedReduce(input_dim, WIDTH, combiner="sqrtn", name="seen")
    seen = table(history, weights=known)
    taste = keras.layers.Dense(WIDTH, activation="relu")(seen)
    items = keras.layers.Embedding(input_dim, WIDTH, name="items")(item)
    crossed = keras_rs.layers.DotInteraction()([seen, taste, items])
    x = keras.layers.Concatenate()([seen, taste, items, crossed])
    for units in (64, 32):
        x = keras.layers.Dense(units, activation="relu")(x)
    score = keras.layers.Dense(1)(x)
    model = keras.Model({"history": history, "item": item}, score, name="dlrm")
    return _trained_on_pairs(split, epochs, model)


def two_tower(split: Split, epochs: int) -> Exported:
    """TensorFlow Recommenders: a tower of the history, one of the item, a retrieval task."""
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    history = keras.Input([HISTORY_LENGTH], dtype="int32", name="history")
    item = keras.Input([], dtype="int32", name="item")
    input_dim = split.vocabulary.input_dim
    table = keras.layers.Embedding(input_dim, WIDTH, mask_zero=True, name="seen")
    pooled = keras.layers.GlobalAveragePooling1D()(table(history))
    query = keras.Model(history, keras.layers.Dense(WIDTH)(pooled), name="query")
    candidate = keras.Model(item, keras.layers.Embedding(input_dim, WIDTH, name="items")(item))

    class TwoTower(tfrs.models.Model):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.candidate = query, candidate
            self.task = tfrs.tasks.Retrieval(remove_accidental_hits=True)

        def compute_loss(self, inputs: Any, training: bool = False) -> Any:
            histories, targets = inputs
            return self.task(
                self.query(histories),
                self.candidate(targets),
                candidate_ids=targets,
                compute_metrics=False,
            )

    trained = TwoTower()
    trained.compile(keras.optimizers.Adam(2e-3))
    data = tf.data.Dataset.from_tensor_slices((split.train.history, split.train.target))
    data = data.shuffle(1 << 17, seed=0).batch(_BATCH)
    trained.fit(data, epochs=epochs, verbose=0)
    score = keras.layers.Dot(1)([query(history), candidate(item)])
    return Exported(keras.Model([history, item], score, name="two_tower"), _pairs)


def _dot(split: Split, epochs: int, history: Any, item: Any, pooled: Any, name: str) -> Exported:
    hidden = keras.layers.Dense(WIDTH, name="query")(pooled)
    table = keras.layers.Embedding(split.vocabulary.input_dim, WIDTH, name="scored_items")
    score = keras.layers.Dot(1)([hidden, table(item)])
    model = keras.Model({"history": history, "item": item}, score, name=name)
    return _trained_on_pairs(split, epochs, model)


def _trained_on_pairs(split: Split, epochs: int, model: Any) -> Exported:
    """Trains on each target and on some items drawn at random."""
    rng = np.random.default_rng(0)
    train = split.train
    history = np.repeat(train.history, 1 + _NEGATIVES, axis=0)
    drawn = rng.integers(1, split.vocabulary.input_dim, (len(train.target), _NEGATIVES))
    item = np.concatenate([train.target[:, None], drawn], axis=1).reshape(-1)
    label = np.zeros((len(train.target), 1 + _NEGATIVES), np.float32)
    label[:, 0] = 1
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss)
    model.fit(
        {"history": history, "item": item},
        label.reshape(-1, 1),
        4 * _BATCH,
        epochs,
        verbose=0,
    )
    return Exported(model, _pairs)


def _pairs(history: np.ndarray, items: np.ndarray) -> Inputs:
    return {"history": np.repeat(history[None], len(items), axis=0), "item": items}


MODELS: dict[str, Callable[[Split, int], Exported]] = {
    "plain": plain,
    "dlrm": dlrm,
    "two_tower": two_tower,
    "memcom": memcom,
}
"""By name; `two_tower` needs TF_USE_LEGACY_KERAS=1."""
