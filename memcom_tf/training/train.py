"""Training of a ranker on a split, to the best epoch on validation."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.data import PreparedSplit
from memcom_tf.errors import message
from memcom_tf.evaluation import Examples, Split, evaluate_ranking
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.optimizers import LazyAdam
from memcom_tf.optimizers.adaptation import adapted_layers, with_adaptation
from memcom_tf.seeding import seeded
from memcom_tf.training.checkpoint import Checkpoint, TrainingState, fingerprint
from memcom_tf.training.distillation import DistilledRanker
from memcom_tf.training.progress import TrainingProgress, forecast
from memcom_tf.training.settings import EVALUATIONS, TrainingSettings
from memcom_tf.training.streaming import batches_of
from memcom_tf.training.validation import num_users, scores_at_once, validation_of

SCALARS = ("multiplier", "bias", "scale", "recency", "gate", "steps")
"""Variables that do not decay, by a part of their names: what is not a row of vectors."""

_WAYS = 0.25, 0.5, 0.75
"""Of the way from the weights before training to those after it: tried too, after a teacher."""


def train(
    model: CatalogueRanker,
    split: Split,
    settings: TrainingSettings | None = None,
    *,
    teacher: CatalogueRanker | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    verbose: int = 0,
    report: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Trains a ranker, and leaves it with its best weights on validation.

    The weights that it comes with are a candidate too: training never makes it worse there. After
    a teacher they are a good start, and weights between start and end are candidates as well:
    where rows are few they are often better than both.

    Source of the weights between: Wortsman et al., Robust fine-tuning of zero-shot models,
    arXiv:2109.01903.

    Args:
        model: The ranker, new or trained, with the vocabulary of the split.
        split: The interactions, split by `leave_last_out` or `hold_out`, or opened by
            `memcom_tf.data.open_dataset`, whose shards are read as training goes on. Only training
            and validation are looked at.
        settings: How to train; None takes the defaults.
        teacher: A trained ranker with the same ids, whose scores are learned too.
        checkpoint: A file that is written after every evaluation. If it is there, training goes on
            from it, and is at its end where it was finished: delete it afterwards. The order of
            the batches is that of a training in one go; what is drawn at random is not.
        verbose: As of `keras.Model.fit`.
        report: Called with lines on the memory that training will take, and every half minute on
            its speed and the time left.

    Returns:
        "ndcg": on validation by epoch, or by part of one where `settings.steps` end within it, the
        first before training; "best": of the weights kept; "epoch": when these were, 0 where no
        training helped; "way": their share of the way from the start.

    Raises:
        ValueError: If there is no validation example, ids do not fit, or the checkpoint is that of
            another training.

    Example:
        >>> from memcom_tf.datasets import Interactions
        >>> from memcom_tf.evaluation import leave_last_out
        >>> from memcom_tf.models import NextItemRanker
        >>> from memcom_tf.layers import FullEmbedding
        >>> rng = np.random.default_rng(0)
        >>> log = Interactions(user=np.arange(200) // 8, item=rng.integers(0, 20, 200))
        >>> split = leave_last_out(log, history_length=8)
        >>> model = NextItemRanker(FullEmbedding(split.vocabulary.input_dim, 8), history_length=8)
        >>> len(train(model, split, TrainingSettings(epochs=2, evaluate_every=1))["ndcg"])
        3
    """
    settings = settings or TrainingSettings()
    with seeded(settings.seed):
        return _train(model, split, settings, teacher, checkpoint, verbose, report)


def _train(
    model: CatalogueRanker,
    split: Split,
    settings: TrainingSettings,
    teacher: CatalogueRanker | None,
    checkpoint: str | os.PathLike[str] | None,
    verbose: int,
    report: Callable[[str], object] | None,
) -> dict[str, Any]:
    batches = batches_of(split, batch_size=settings.batch_size, seed=settings.seed)
    schedule = settings.schedule_of(batches)
    epochs = schedule.epochs
    every = settings.evaluate_every or max(1, epochs // EVALUATIONS)
    trained = DistilledRanker(model, teacher, settings.distillation, loss=settings.loss)
    rate = keras.optimizers.schedules.PolynomialDecay(
        settings.learning_rate, max(1, schedule.num_steps), 0.0
    )
    optimizer = LazyAdam(rate, weight_decay=settings.weight_decay or None)
    if settings.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=list(SCALARS))
    trained.compile(optimizer)
    examples = validation_of(split, settings)
    # Between tables of which rows have moved there is nothing.
    ways = () if teacher is None or adapted_layers(model) else _WAYS
    best = _BestWeights(model, examples, settings, epochs, every, ways)
    done = 0
    if checkpoint is not None and epochs:
        model.build_once()
        file = Checkpoint(checkpoint, _identity(model, split, settings, epochs, teacher))
        done = best.keep_in(file, optimizer, trained.trainable_variables)
        batches.skip(min(done, epochs) * schedule.steps // len(batches))
    callbacks = with_adaptation(model, [best])
    if report is not None:
        report(forecast(model, split, batches, scores_at_once(model)).line())
        if num_users(split) > settings.validation_users:
            report(f"validation: {len(examples):,} of {num_users(split):,} users")
        callbacks.append(TrainingProgress(schedule.num_steps, batches.batch_size, report))
    if done < epochs:
        trained.fit(
            batches.dataset(done * schedule.steps % len(batches)),
            initial_epoch=done,
            epochs=epochs,
            steps_per_epoch=schedule.steps,
            callbacks=callbacks,
            shuffle=False,  # the data set does it
            verbose=verbose,
        )
    elif not epochs:  # of which tf_keras knows nothing
        best.on_train_begin()
    return {"epoch": best.epoch, "ndcg": best.values, "best": best.ndcg, "way": best.way}


def _identity(
    model: CatalogueRanker,
    split: Split,
    settings: TrainingSettings,
    epochs: int,
    teacher: CatalogueRanker | None,
) -> dict[str, Any]:
    """What a checkpoint must have in common with a training that goes on from it."""
    if isinstance(split, PreparedSplit):
        data = split.fingerprint
    else:
        data = fingerprint([a for part in (split.train, split.validation) for a in _arrays(part)])
    return {
        "settings": asdict(settings),
        "epochs": epochs,
        "weights": [(tuple(w.shape), str(w.dtype)) for w in model.variables],
        # A student is what its teacher and its shapes make it, up to the last bits.
        "start": fingerprint(model.get_weights()) if teacher is None else "",
        "data": data,
        "vocabulary": split.vocabulary.fingerprint,
        "teacher": None if teacher is None else fingerprint(teacher.get_weights()),
    }


def _arrays(part: Examples) -> list[npt.NDArray[Any]]:
    return [part.history, part.target, *part.context.values()]


class _BestWeights(keras.callbacks.Callback):
    """Keeps the best weights on validation, those before training among them."""

    def __init__(
        self,
        ranker: CatalogueRanker,
        examples: Examples,
        settings: TrainingSettings,
        epochs: int,
        every: int,
        ways: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.epochs, self.every, self.ways = epochs, every, ways
        self.ranker, self.examples, self.settings = ranker, examples, settings
        self.values: dict[int, float] = {}
        self.ndcg, self.epoch, self.way = -1.0, 0, 1.0
        self._start: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []
        self._checkpoint: Checkpoint | None = None
        self._state: list[Any] = []

    def keep_in(self, checkpoint: Checkpoint, optimizer: Any, trained: Sequence[Any]) -> int:
        """Writes checkpoints from now on, and takes up the training where the last one was.

        Args:
            checkpoint: The file.
            optimizer: The optimizer, whose state is kept too.
            trained: The variables that it trains.

        Returns:
            Epochs that are done.
        """
        optimizer.build(trained)
        self._checkpoint = checkpoint
        self._state = [*self.ranker.variables, *optimizer.variables]
        state = checkpoint.load()
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
            "state": [tf.convert_to_tensor(variable).numpy() for variable in self._state],
            "start": self._start,
            "best": self._weights,
        }
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
                    learning_rate=self.settings.learning_rate,
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
        k = self.settings.k
        size = scores_at_once(self.ranker)
        score = self.ranker.predict_on_batch
        return evaluate_ranking(score, self.examples, k=k, batch_size=size)[f"ndcg@{k}"]

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
