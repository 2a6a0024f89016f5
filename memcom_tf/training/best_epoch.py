"""The best epoch of a ranker's training, and the state that another process goes on from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.errors import message
from memcom_tf.evaluation import Examples
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.models.ranks import evaluate_ranker
from memcom_tf.training.checkpoint import Checkpoint, TrainingState
from memcom_tf.training.settings import TrainingSettings
from memcom_tf.training.workers import Workers, kept_state, values_of


class BestEpoch(keras.callbacks.Callback):
    """Keeps the best weights on validation, those before training among them.

    Args:
        ranker: The ranker, whose weights they are.
        examples: The examples of validation.
        settings: How it is trained.
        epochs: When training ends.
        every: Epochs between evaluations.
        ways: Shares of the way from the weights before training to those after it, of which the
            weights are candidates too.
        workers: The workers that train it, of which the chief evaluates and writes.
    """

    def __init__(
        self,
        ranker: CatalogueRanker,
        examples: Examples,
        settings: TrainingSettings,
        epochs: int,
        every: int,
        ways: Sequence[float] = (),
        workers: Workers | None = None,
    ) -> None:
        super().__init__()
        self.workers = workers
        self._score = tf.function(lambda inputs: ranker(inputs, training=False))
        self.epochs, self.every, self.ways = epochs, every, ways
        self.ranker, self.examples, self.settings = ranker, examples, settings
        self.values: dict[int, float] = {}
        self.ndcg, self.epoch, self.way = -1.0, 0, 1.0
        self._start: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []
        self._checkpoint: Checkpoint | None = None
        self._state: list[Any] = []

    def keep_in(self, checkpoint: Checkpoint, optimizer: Any) -> int:
        """Writes checkpoints from now on, and takes up the training where the last one was.

        Args:
            checkpoint: The file.
            optimizer: The optimizer, built, whose state is kept too.

        Returns:
            Epochs that are done.
        """
        self._checkpoint = checkpoint
        self._state = [*self.ranker.variables, *optimizer.variables]
        state = kept_state(checkpoint, self.workers)
        if state is None:
            return 0
        for variable, value in zip(self._state, state.arrays["state"], strict=True):
            variable.assign(value)
        self._start, self._weights = state.arrays["start"], state.arrays["best"]
        self.values = {int(epoch): ndcg for epoch, ndcg in state.record["values"].items()}
        self.ndcg, self.epoch, self.way = (state.record[name] for name in ("ndcg", "epoch", "way"))
        if state.finished:
            self.ranker.set_weights(self._weights)
            return self.epochs
        return state.epoch

    def _save(self, epoch: int, finished: bool = False) -> None:
        if self._checkpoint is None:
            return
        record = {"values": self.values, "ndcg": self.ndcg, "epoch": self.epoch, "way": self.way}
        arrays = {
            "state": values_of(self._state),
            "start": self._start,
            "best": self._weights,
        }
        # All workers have read the state: what a replica has of it is summed over all of them.
        if self.workers is None or self.workers.is_chief:
            self._checkpoint.save(TrainingState(epoch, finished, record, arrays))

    def on_train_begin(self, logs: Any = None) -> None:
        """Evaluates what came; Keras calls this."""
        if self.values:
            return  # of a training that goes on
        self.ranker.build_once()
        self._start = self._current()
        self._evaluate(0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates every few epochs; Keras calls this."""
        done = epoch + 1
        if done % self.every and done != self.epochs:
            return
        if not self._is_finite():
            warnings.warn(
                message(
                    "Training must not diverge.",
                    f"Lower the learning rate; the weights of epoch {self.epoch} are kept.",
                    epoch=done,
                    learning_rate=self.settings.first_learning_rate,
                ),
                RuntimeWarning,
                stacklevel=2,
            )
            self.model.stop_training = True
            return
        self._evaluate(done)
        if logs is not None:
            logs[f"val_ndcg@{self.settings.k}"] = self.values[done]
        evaluations = [number for number in self.values if number > self.epoch]
        if len(evaluations) >= self.settings.patience:
            self.model.stop_training = True
        self._save(done)

    def on_train_end(self, logs: Any = None) -> None:
        """Tries weights between, and puts the best back; Keras calls this."""
        if self.ways and self._is_finite():
            end, last = self._current(), max(self.values)
            for way in self.ways:
                self.ranker.set_weights(_between(self._start, end, way))
                self._keep_if_best(self._ndcg(), last, way)
        self.ranker.set_weights(self._weights)
        self._save(self.epochs, finished=True)

    def _evaluate(self, epoch: int) -> None:
        self.values[epoch] = self._ndcg()
        self._keep_if_best(self.values[epoch], epoch, 1.0)

    def _keep_if_best(self, ndcg: float, epoch: int, way: float) -> None:
        if ndcg > self.ndcg:
            self.ndcg, self.epoch, self.way = ndcg, epoch, way
            self._weights = self._current()

    def _ndcg(self) -> float:
        if self.workers is None:
            return self._evaluated(self.ranker.predict_on_batch)
        # `predict_on_batch` of Keras would gather what every worker predicts.
        return float(self.workers.decided_by_chief(lambda: self._evaluated(self._score)))

    def _evaluated(self, score: Callable[[Any], Any]) -> float:
        k = self.settings.k
        return evaluate_ranker(self.ranker, self.examples, k=k, score=score)[f"ndcg@{k}"]

    def _current(self) -> list[np.ndarray]:
        return [np.array(weight) for weight in self.ranker.get_weights()]

    def _is_finite(self) -> bool:
        return all(np.isfinite(weight).all() for weight in self._current())


def _between(start: list[np.ndarray], end: list[np.ndarray], way: float) -> list[np.ndarray]:
    """Weights on the straight line from some to others; codes are the same in both."""
    return [
        (a + way * (b - a)).astype(a.dtype) if a.dtype.kind == "f" else b
        for a, b in zip(start, end, strict=True)
    ]
