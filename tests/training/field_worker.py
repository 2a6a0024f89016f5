"""Trains a click model or a text classifier, alone or as one of several workers."""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.data import open_rows
from memcom_tf.evaluation import split_documents, split_rows
from memcom_tf.features import fit_features, fit_text
from memcom_tf.layers import MEmComEmbedding
from memcom_tf.models import ClickModel, TextClassifier
from memcom_tf.training import ClickSettings, TextSettings, click_rows, train_clicks, train_texts
from tests.training import test_clicks, test_texts
from tests.training.worker import CHECKPOINT, written

CLICKS = ClickSettings(epochs=3, evaluations=2, batch_size=91, learning_rate=3e-3)
TEXTS = TextSettings(epochs=4, batch_size=33)


def trained(
    task: str, checkpoint: Path | None = None, strategy: Any = None, data: Path | None = None
) -> tuple[dict[str, Any], Any]:
    """The record of a training, and the model: without dropout, which differs between parts."""
    keras.utils.set_random_seed(4)
    with nullcontext() if strategy is None else strategy.scope():
        return (_clicks if task == "click" else _texts)(checkpoint, data)


def _clicks(checkpoint: Path | None, data: Path | None) -> tuple[dict[str, Any], Any]:
    split: Any = split_rows(test_clicks.log(900)) if data is None else open_rows(data)
    features = fit_features(split.train) if data is None else split.features
    table = features.tables["site"]
    model = ClickModel(
        features,
        width=4,
        hidden_units=(8,),
        dropout=0.0,
        embedding_dropout=0.0,
        tables={"site": MEmComEmbedding(table, 4, num_buckets=20, combiner=None, mask_zero=False)},
    )
    teacher = None
    if data is not None:
        teacher = ClickModel(features, width=2, hidden_units=())
        teacher.build_once()
    return train_clicks(model, split, CLICKS, teacher=teacher, checkpoint=checkpoint), model


def _texts(checkpoint: Path | None, data: Path | None) -> tuple[dict[str, Any], Any]:
    split = split_documents(test_texts.documents())
    features = fit_text(split.train.text.array().tolist(), name="body")
    dropout = dict.fromkeys(("word_dropout", "vector_dropout", "dropout"), 0.0)
    model = TextClassifier(features, split.classes, width=6, hidden_units=(5,), **dropout)
    return train_texts(model, split, TEXTS, checkpoint=checkpoint), model


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", default="click")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rows-at-once", type=int, default=click_rows.ROWS_AT_ONCE)
    parser.add_argument("--dies-after", type=int, default=0)
    given = parser.parse_args()
    click_rows.ROWS_AT_ONCE = given.rows_at_once
    if given.dies_after:
        from memcom_tf.training import field_training

        save, saved = field_training._Kept.save, 0

        def dying(self: Any, *words: Any, **named: Any) -> None:
            """As the power would end it, after so many evaluations."""
            global saved
            save(self, *words, **named)
            saved += 1
            if saved == given.dies_after:
                os._exit(9)

        field_training._Kept.save = dying  # type: ignore[method-assign]
    found = tf.distribute.MultiWorkerMirroredStrategy()
    written(*trained(given.task, CHECKPOINT, found, given.data))
