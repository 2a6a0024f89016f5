"""Training of a click model, to its best weights on validation."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from memcom_tf.data.prepared_rows import PreparedRows
from memcom_tf.errors import argument, invalid
from memcom_tf.evaluation.clicks import click_metrics
from memcom_tf.features import Features, fit_features
from memcom_tf.models.click import ClickModel
from memcom_tf.models.click_tables import MIN_ROWS, compressed_tables
from memcom_tf.optimizers import LazyAdam
from memcom_tf.seeding import seeded
from memcom_tf.tables import check_positive
from memcom_tf.training.checkpoint import fingerprint
from memcom_tf.training.click_rows import (
    SplitRows,
    Teaching,
    TrainingRows,
    judged,
    names_of,
    predictions,
)
from memcom_tf.training.epoch_rows import Piece
from memcom_tf.training.field_training import Course, described_teacher, train_fields
from memcom_tf.training.workers import decided_once


@dataclass(frozen=True)
class ClickSettings:
    """How to train a click model.

    Attributes:
        epochs: Epochs at most.
        evaluations: Of an epoch, after each of which the mean of the last weights is a candidate:
            the best are often before the end of the third.
        patience: Evaluations without improvement after which training ends.
        batch_size: Rows of a step.
        learning_rate: Of `memcom_tf.optimizers.LazyAdam`.
        weight_decay: Decoupled decay, times the learning rate.
        distillation: Share of the teacher in the target, where there is one.
        seed: Seed of everything.

    Raises:
        ValueError: If a number is out of range.
    """

    epochs: int = 10
    evaluations: int = 3
    patience: int = 6
    batch_size: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 1.0
    distillation: float = 0.7
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(
            epochs=self.epochs,
            evaluations=self.evaluations,
            patience=self.patience,
            batch_size=self.batch_size,
        )
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            raise invalid(
                "`learning_rate` must be positive, and `weight_decay` 0 or more.",
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
            )
        if not 0 <= self.distillation <= 1:
            raise invalid("`distillation` must be in [0, 1].", distillation=self.distillation)


@dataclass(frozen=True)
class TrainedClickModel:
    """A trained click model.

    Attributes:
        model: The model, with its features.
        record: What `train_clicks` returned.
        metrics: Log loss, AUC and calibration on the rows for test.
    """

    model: ClickModel
    record: dict[str, Any]
    metrics: dict[str, float]


def train_click_model(
    split: SplitRows,
    *,
    width: int = 16,
    interaction: str = "deepfm",
    method: str | None = None,
    ratio: float | None = None,
    min_rows: int = MIN_ROWS,
    min_count: int | None = None,
    teacher: ClickModel | None = None,
    settings: ClickSettings | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> TrainedClickModel:
    """Trains a click model of the recipe, with full tables or with compressed ones.

    Args:
        split: The rows; fields are fitted on those for training alone. A data set opened by
            `memcom_tf.data.open_rows` has its fields already, and is read shard by shard.
        width: Width of the vectors.
        interaction: As of `ClickModel`.
        method: The method of large tables, where `ratio` is given; None takes
            QuotientRemainderEmbedding.
        ratio: How many times smaller than full ones large tables are; None trains full ones.
        min_rows: Tables of fewer rows are full in any case.
        min_count: As of `memcom_tf.features.fit_features`, 2 if None; not of a data set.
        teacher: A trained model of these rows: a part of the target is what it predicts. A model
            of compressed tables is often as good as a full one where that is its teacher.
        settings: How to train; None takes the defaults.
        checkpoint: A file to keep the state of the training in, and to go on from; see
            `train_clicks`.
        report: Called with a line for every evaluation.

    Returns:
        The model, and how good it is.

    Raises:
        ValueError: If an argument is out of range, or the rows lack a field of the teacher.

    Example:
        >>> from memcom_tf.datasets import Rows
        >>> from memcom_tf.evaluation import split_rows
        >>> rng = np.random.default_rng(0)
        >>> site = rng.integers(0, 30, 2000)
        >>> rows = Rows.of({"site": site}, label=rng.random(2000) < site / 30)
        >>> trained = train_click_model(split_rows(rows), settings=ClickSettings(epochs=3))
        >>> trained.metrics["AUC"] > 0.6
        True
    """
    settings = settings or ClickSettings()
    with seeded(settings.seed):
        features = _features_of(split, min_count)
        tables = None
        if ratio is not None or method is not None:
            tables = compressed_tables(
                features,
                method or "QuotientRemainderEmbedding",
                ratio or 1.0,
                width=width,
                min_rows=min_rows,
            )
        model = ClickModel(features, width=width, interaction=interaction, tables=tables)
    if teacher is not None:
        missing = set(teacher.features.names) - set(names_of(split.train))
        if missing:
            raise invalid(
                "The rows must have all fields of `teacher`.",
                "Take one that was trained on the same columns.",
                missing=sorted(missing),
            )
    record = train_clicks(
        model, split, settings, teacher=teacher, checkpoint=checkpoint, report=report
    )
    test = judged(split.test)
    _say_how_many(test, split.test, "test", report)
    metrics = decided_once(
        lambda: click_metrics(predictions(model, features.encode(test)), test.labels)
    )
    return TrainedClickModel(model, record, metrics)


def _features_of(split: SplitRows, min_count: int | None) -> Features:
    """The fields: those of a data set, or fitted on the rows for training."""
    if not isinstance(split, PreparedRows):
        return fit_features(split.train, min_count=2 if min_count is None else min_count)
    if min_count is not None:
        raise invalid(
            f"{argument('min_count')} must be left out with a prepared data set.",
            "Its values were counted when it was prepared.",
            min_count=min_count,
        )
    return split.features


def _say_how_many(looked_at: Any, part: Any, name: str, report: Callable[[str], object]) -> None:
    if len(looked_at) < len(part):
        report(f"{name}: {len(looked_at):,} of {len(part):,} rows")


def train_clicks(
    model: ClickModel,
    split: SplitRows,
    settings: ClickSettings | None = None,
    *,
    teacher: np.ndarray | ClickModel | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> dict[str, Any]:
    """Trains a click model, and leaves it with its best weights by log loss on validation.

    These are means over the last evaluations, which predict better than the weights of any one.

    Within the scope of a `tf.distribute.MultiWorkerMirroredStrategy` all its workers make each step
    together, as of `memcom_tf.training.train`, and end with the same weights.

    Args:
        model: The model; the weights that it comes with are a candidate where it is built.
        split: The rows, or a data set opened by `memcom_tf.data.open_rows`; those for test are not
            looked at.
        settings: How to train; None takes the defaults.
        teacher: Another model, or what it predicts for the rows of training: it is a part of the
            target. Of a data set it must be the model.
        checkpoint: A file that is written after every evaluation. If it is there, training goes on
            from it, and is at its end where it was finished: delete it afterwards. The order of
            the rows is that of a training in one go; what is drawn at random is not.
        report: Called with a line for every evaluation.

    Returns:
        "log_loss": on validation by epochs trained; "best": the smallest; "epochs": when it was.

    Raises:
        ValueError: If predictions for the rows of a data set are passed, or the checkpoint is that
            of another training; of several workers as of `memcom_tf.training.train`.
        ConnectionError: If another worker is gone.
    """
    settings = settings or ClickSettings()
    with seeded(settings.seed):
        return _train(model, split, settings, teacher, checkpoint, report)


def _train(
    model: ClickModel,
    split: SplitRows,
    settings: ClickSettings,
    teacher: np.ndarray | ClickModel | None,
    checkpoint: str | os.PathLike[str] | None,
    report: Callable[[str], object],
) -> dict[str, Any]:
    if isinstance(split, PreparedRows) and isinstance(teacher, np.ndarray):
        raise invalid("`teacher` must be a model where rows are read shard by shard.")
    held_out = judged(split.validation)
    _say_how_many(held_out, split.validation, "validation", report)
    rows = TrainingRows(split.train, model.features, Teaching(teacher, settings.distillation))
    validation, known = model.features.encode(held_out), held_out.labels
    optimizer = LazyAdam(settings.learning_rate, weight_decay=settings.weight_decay or None)
    best = train_fields(
        model,
        rows,
        Course(
            "binary_crossentropy",
            optimizer,
            settings.batch_size,
            settings.epochs,
            settings.evaluations,
            settings.patience,
            settings.seed,
        ),
        lambda: click_metrics(predictions(model, validation), known),
        lambda: _described(split, settings, rows, (validation, known), teacher),
        checkpoint=checkpoint,
        report=report,
    )
    return best.restore()


def _described(
    split: SplitRows,
    settings: ClickSettings,
    rows: TrainingRows,
    validation: Piece,
    teacher: np.ndarray | ClickModel | None,
) -> dict[str, Any]:
    """What tells a training from others, but for the model."""
    if isinstance(split, PreparedRows):
        data = split.fingerprint
    else:
        pieces = (rows.whole, validation)
        data = fingerprint([array for inputs, of in pieces for array in (*inputs.values(), of)])
    return {
        "settings": asdict(settings),
        "data": data,
        "teacher": described_teacher(teacher),
    }
