"""Trains a ranker by the recipe, alone or as one of several workers."""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.evaluation import leave_last_out
from memcom_tf.layers import MEmComEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.training import TrainingSettings, train
from tests.training.test_training import log_of_kinds

SETTINGS = TrainingSettings(epochs=3, evaluate_every=1, learning_rate=0.02, batch_size=33, k=5)
CHECKPOINT = Path("training.npz")


def split(users: int = 60) -> Any:
    """Users, whose items are of three kinds."""
    return leave_last_out(log_of_kinds(users=users), history_length=6)


def ranker(data: Any, num_negatives: int | None = 20) -> NextItemRanker:
    """A new ranker, without dropout, which draws other numbers for each part of a batch."""
    keras.utils.set_random_seed(4)
    start = keras.initializers.RandomNormal(stddev=0.15)
    items = MEmComEmbedding(data.vocabulary.input_dim, 6, start, num_buckets=12)
    made = NextItemRanker(
        items, history_length=6, num_negatives=num_negatives, vocabulary=data.vocabulary
    )
    made.build_once()
    return made


def trained(
    checkpoint: Path | None, strategy: Any = None, **kwargs: Any
) -> tuple[dict[str, Any], Any]:
    """The record of a training, and the ranker."""
    data = split(int(os.environ.get("USERS", "60")))
    with nullcontext() if strategy is None else strategy.scope():
        model = ranker(data, **kwargs)
        record = train(model, data, SETTINGS, checkpoint=checkpoint)
    return record, model


def written(record: dict[str, Any], model: Any) -> None:
    """Writes both to files of this folder."""
    Path("record.json").write_text(json.dumps(record))
    np.savez("weights.npz", *model.get_weights())


if __name__ == "__main__":
    if "--dies" in sys.argv:
        from memcom_tf.training import best_epoch

        save = best_epoch.BestEpoch._save

        def dying(self: Any, *words: Any, **named: Any) -> None:
            """As the power would end it, after the first epoch."""
            save(self, *words, **named)
            os._exit(9)

        best_epoch.BestEpoch._save = dying  # type: ignore[method-assign]
    # What is drawn at random goes on anew in a training that is resumed.
    drawn = {"num_negatives": None} if "--all-items" in sys.argv else {}
    written(*trained(CHECKPOINT, tf.distribute.MultiWorkerMirroredStrategy(), **drawn))
