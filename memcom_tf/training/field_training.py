"""Training of a model of fields, alone or in step with other workers, to its best weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.models.field_model import FieldModel
from memcom_tf.optimizers import LazyAdam
from memcom_tf.training.best_weights import BestWeights
from memcom_tf.training.checkpoint import Checkpoint, TrainingState, fingerprint
from memcom_tf.training.epoch_rows import EpochRows, Inputs
from memcom_tf.training.loop import check_together, steps_together
from memcom_tf.training.progress import TrainingProgress
from memcom_tf.training.with_loss import ModelWithLoss
from memcom_tf.training.workers import Workers, current_workers, kept_state, together, values_of


@dataclass(frozen=True)
class Course:
    """How a model of fields is trained.

    Attributes:
        loss: Name of the loss, a function of Keras.
        optimizer: The optimizer.
        batch_size: Rows of a step, those of all workers together.
        epochs: Epochs at most.
        evaluations: Of an epoch.
        patience: Evaluations without improvement after which training ends.
        seed: Seed of the order of the rows.
    """

    loss: str
    optimizer: LazyAdam
    batch_size: int
    epochs: int
    evaluations: int
    patience: int
    seed: int


def train_fields(
    model: FieldModel,
    rows: EpochRows,
    course: Course,
    metrics: Callable[[], dict[str, float]],
    training: Callable[[], dict[str, Any]],
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> BestWeights:
    """Trains a model, and finds the best means of its weights over evaluations.

    Within the scope of a `tf.distribute.MultiWorkerMirroredStrategy` all its workers make each
    step together, and end with the same weights. The chief judges them, and writes the checkpoint.

    Args:
        model: The model; the weights that it comes with are a candidate where it is built.
        rows: The rows to train on.
        course: How to train.
        metrics: Gives the metrics of the model on validation.
        training: Gives what tells this training from others but for the model, as JSON takes it.
        checkpoint: A file that is written after every evaluation. If it is there, training goes on
            from it.
        report: Called with a line for every evaluation.

    Returns:
        What was found; its `restore` gives the model its best weights.

    Raises:
        ValueError: As `memcom_tf.training.train`.
        ConnectionError: If another worker is gone.
    """
    workers = current_workers()
    came_built = model.built
    model.build_once()
    model.compile(course.optimizer, course.loss)
    seed: Any = course.seed
    identity: dict[str, Any] = {}
    if checkpoint is not None or workers is not None:
        identity = {**training(), **_described(model, course)}
        course.optimizer.build(model.trainable_variables)
    if workers is not None:
        check_together(workers, model, course.batch_size, identity)
        rows = rows.of_worker(workers.index, workers.count, course.batch_size)
        if rows.own_batch is not None:
            seed = [course.seed, workers.index]
    judge = metrics if workers is None else partial(workers.decided_by_chief, metrics)
    best = BestWeights(model, judge, report)
    kept = _Kept(model, course, best, workers)
    if checkpoint is not None and kept.take_up(Checkpoint(checkpoint, identity)):
        return best
    rng = np.random.default_rng(seed)
    with nullcontext() if workers is None else together():
        if came_built and not best.found:
            best.evaluate(0.0)
        steps = rows.steps(course.evaluations, course.batch_size)
        progress = TrainingProgress(course.epochs * steps, course.batch_size, None)
        progress.begins_after(kept.steps_of(steps))
        fit = _fitting(model, rows, course, workers, progress)
        for epoch in range(course.epochs):
            part = kept.parts_of(epoch)
            for inputs, targets, part_ends in rows.pieces(rng, course.evaluations, part):
                fit(inputs, targets)
                if not part_ends:
                    continue
                part += 1
                best.evaluate(epoch + part / course.evaluations)
                ends = best.waited >= course.patience
                kept.save(epoch, part, finished=ends)
                if ends:
                    return best
        kept.save(course.epochs, 0, finished=True)
    return best


def _fitting(
    model: FieldModel,
    rows: EpochRows,
    course: Course,
    workers: Workers | None,
    progress: TrainingProgress,
) -> Callable[[Inputs, npt.NDArray[Any]], None]:
    """What trains on some rows, in their order."""
    if workers is None:

        def fit(inputs: Inputs, targets: npt.NDArray[Any]) -> None:
            model.fit(
                inputs,
                targets,
                batch_size=course.batch_size,
                shuffle=False,
                verbose=0,
                callbacks=[progress],
            )

        return fit
    trained = ModelWithLoss(model, keras.losses.get(course.loss))
    trained.compile(course.optimizer)
    step = steps_together(trained, workers)
    size = rows.own_batch or course.batch_size

    def fit_in_step(inputs: Inputs, targets: npt.NDArray[Any]) -> None:
        for begin in range(0, len(targets), size):
            part = slice(begin, begin + size)
            batch = {name: tf.constant(of[part]) for name, of in inputs.items()}
            step((batch, tf.constant(targets[part])), rows.own_batch is None)
            progress.on_train_batch_end(begin)

    return fit_in_step


class _Kept:
    """The state of a training in a checkpoint, where there is one.

    Args:
        model: The model.
        course: How it is trained.
        best: Its best weights so far.
        workers: The workers that train it, of which the chief writes.
    """

    def __init__(
        self, model: FieldModel, course: Course, best: BestWeights, workers: Workers | None
    ) -> None:
        of_metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
        own = [variable for variable in model.variables if id(variable) not in of_metrics]
        self._state = [*own, *course.optimizer.variables]
        self._evaluations, self._best, self._workers = course.evaluations, best, workers
        self._checkpoint: Checkpoint | None = None
        self._epoch = self._part = 0

    def take_up(self, checkpoint: Checkpoint) -> bool:
        """Writes this checkpoint from now on, and goes on from what is in it.

        Returns:
            Whether the training is finished.
        """
        self._checkpoint = checkpoint
        state = kept_state(checkpoint, self._workers)
        if state is None:
            return False
        for variable, value in zip(self._state, state.arrays.pop("state"), strict=True):
            variable.assign(value)
        self._epoch, self._part = state.epoch, state.record["part"]
        self._best.take_up(state.record, state.arrays)
        return state.finished

    def parts_of(self, epoch: int) -> int:
        """How many parts of an epoch were trained on before."""
        if epoch < self._epoch:
            return self._evaluations
        return self._part if epoch == self._epoch else 0

    def steps_of(self, steps: int) -> int:
        """How many steps were made before, where an epoch has so many."""
        return self._epoch * steps + self._part * steps // self._evaluations

    def save(self, epoch: int, part: int, finished: bool) -> None:
        """Writes the state after so many parts of an epoch."""
        if self._checkpoint is None:
            return
        state = values_of(self._state)
        if self._workers is not None and not self._workers.is_chief:
            return
        record, arrays = self._best.kept()
        self._checkpoint.save(
            TrainingState(epoch, finished, {**record, "part": part}, {**arrays, "state": state})
        )


def described_teacher(teacher: npt.NDArray[Any] | FieldModel | None) -> str | None:
    """What tells a teacher from others: a hash of what it predicts, or of its weights."""
    if teacher is None:
        return None
    return fingerprint(teacher.get_weights() if isinstance(teacher, FieldModel) else [teacher])


def _described(model: FieldModel, course: Course) -> dict[str, Any]:
    """What tells a training from others: the model and its course."""
    numbers = {
        name: getattr(course, name)
        for name in ("loss", "batch_size", "epochs", "evaluations", "patience", "seed")
    }
    return {
        **numbers,
        "features": model.features.to_config(),
        "vocabularies": [
            None if of.vocabulary is None else of.vocabulary.fingerprint
            for of in model.features.categorical
        ],
        "weights": [(tuple(w.shape), str(w.dtype)) for w in model.weights],
        "start": fingerprint(model.get_weights()),
    }
