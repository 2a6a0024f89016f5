"""Training of a text classifier, to its best epoch on validation."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.evaluation.documents import DocumentSplit, class_metrics, class_numbers
from memcom_tf.features import fit_text
from memcom_tf.features.texts import MAX_WORDS
from memcom_tf.models.text_classifier import TextClassifier
from memcom_tf.optimizers import LazyAdam
from memcom_tf.seeding import seeded
from memcom_tf.tables import check_positive
from memcom_tf.training.checkpoint import fingerprint
from memcom_tf.training.epoch_rows import EpochRows
from memcom_tf.training.field_training import Course, described_teacher, train_fields
from memcom_tf.training.text_tables import Order, check_order, ordered, word_table
from memcom_tf.training.workers import decided_once

_IDS_PREDICTED_AT_A_TIME = 1 << 17
_EPOCHS = 10, 60
_BATCH_SIZES = 16, 64
_RATE, _RATES = 0.3, (3e-3, 1e-2)
_STEPS_AN_EPOCH = 50
"""Of few documents, by smaller batches."""
_LEAST_PATIENCE = 5


@dataclass(frozen=True)
class TextSettings:
    """How to train a text classifier.

    Attributes:
        epochs: Epochs at most; None takes as many as make `steps`, from 10 to 60.
        steps: Steps of training, where `epochs` does not say.
        patience: Epochs without improvement after which training ends; None takes a quarter of
            the epochs, at least 5.
        batch_size: Documents of a step; None takes as many as make 50 steps of an epoch, from 16
            to 64.
        learning_rate: Of `memcom_tf.optimizers.LazyAdam`; None takes 0.3 over the root of the
            number of documents, from 0.003 to 0.01.
        distillation: Share of the teacher in the target, where there is one.
        seed: Seed of everything.

    Raises:
        ValueError: If a number is out of range.
    """

    epochs: int | None = None
    steps: int = 3000
    patience: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    distillation: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in ("epochs", "patience", "batch_size")}
        check_positive(
            steps=self.steps, **{name: size for name, size in given.items() if size is not None}
        )
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise invalid("`learning_rate` must be positive.", learning_rate=self.learning_rate)
        if not 0 <= self.distillation <= 1:
            raise invalid("`distillation` must be in [0, 1].", distillation=self.distillation)

    def rate_of(self, documents: int) -> float:
        """The learning rate of so many documents."""
        return self.learning_rate or float(np.clip(_RATE / documents**0.5, *_RATES))

    def batch_of(self, documents: int) -> int:
        """Documents of a step, of so many."""
        return self.batch_size or int(np.clip(documents // _STEPS_AN_EPOCH, *_BATCH_SIZES))

    def epochs_of(self, documents: int) -> int:
        """Epochs at most over so many documents."""
        if self.epochs is not None:
            return self.epochs
        steps = -(-documents // self.batch_of(documents))
        return int(np.clip(round(self.steps / steps), *_EPOCHS))


@dataclass(frozen=True)
class TrainedTextClassifier:
    """A trained text classifier.

    Attributes:
        model: The model, with its features and classes.
        record: What `train_texts` returned.
        metrics: Accuracy, log loss and macro F1 on the documents for test.
    """

    model: TextClassifier
    record: dict[str, Any]
    metrics: dict[str, float]


def train_text_classifier(
    split: DocumentSplit,
    *,
    width: int = 64,
    ratio: float | None = None,
    method: str | None = None,
    order: Order = "classes",
    min_count: int = 2,
    max_words: int = MAX_WORDS,
    teacher: TextClassifier | None = None,
    settings: TextSettings | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> TrainedTextClassifier:
    """Trains a text classifier of the recipe, with a full table of words or a compressed one.

    Where words share rows, as in MEmCom, which half of the rows share is decided by the order:
    "classes" by `memcom_tf.ordering.class_vectors` of the labels of training alone, "documents" by
    the documents for training that words occur in, "frequency" by their counts. The other half of
    the rows are those of the most frequent words.

    Args:
        split: The documents; words are counted in those for training alone.
        width: Width of the word vectors.
        ratio: How many times smaller than a full table of words; None trains a full one.
        method: The method of the table where `ratio` is given; None takes MEmComEmbedding.
        order: By what words share rows: "classes", "documents" or "frequency".
        min_count: As of `memcom_tf.features.fit_text`.
        max_words: As of `memcom_tf.features.fit_text`.
        teacher: A trained model of these documents: a part of the target is what it predicts.
        settings: How to train; None takes the defaults.
        checkpoint: A file to keep the state of the training in, and to go on from; see
            `train_texts`.
        report: Called with a line for every epoch.

    Returns:
        The model, and how good it is.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from memcom_tf.datasets import Documents
        >>> from memcom_tf.evaluation import split_documents
        >>> texts = ["green tea", "hot tea pot", "cold milk", "milk and cream"] * 60
        >>> documents = Documents.of(texts, label=["tea", "tea", "milk", "milk"] * 60)
        >>> trained = train_text_classifier(
        ...     split_documents(documents), width=8, settings=TextSettings(epochs=3)
        ... )
        >>> trained.metrics["accuracy"]
        1.0
    """
    settings = settings or TextSettings()
    check_order(order)
    with seeded(settings.seed):
        texts = split.train.text
        features = fit_text(
            texts.array().tolist(), name=split.train.name, min_count=min_count, max_words=max_words
        )
        table = None
        if ratio is not None or method is not None:
            table = word_table(features, width, ratio or 1.0, method)
            features = ordered(features, split, table, order, settings.seed)
        model = TextClassifier(features, split.classes, width=width, embedding=table)
    record = train_texts(
        model, split, settings, teacher=teacher, checkpoint=checkpoint, report=report
    )
    metrics = decided_once(
        lambda: class_metrics(
            predictions(model, model.features.encode(split.test.columns)),
            class_numbers(split.test, model.classes),
        )
    )
    return TrainedTextClassifier(model, record, metrics)


def train_texts(
    model: TextClassifier,
    split: DocumentSplit,
    settings: TextSettings | None = None,
    *,
    teacher: np.ndarray | TextClassifier | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> dict[str, Any]:
    """Trains a text classifier, and leaves it with its best weights by log loss on validation.

    These are means over the last epochs, which predict better than the weights of any one.
    Accuracy on some hundred documents is too coarse to tell epochs apart.

    Within the scope of a `tf.distribute.MultiWorkerMirroredStrategy` all its workers make each step
    together, as of `memcom_tf.training.train`, and end with the same weights.

    Args:
        model: The model; the weights that it comes with are a candidate where it is built.
        split: The documents; those for test are not looked at.
        settings: How to train; None takes the defaults.
        teacher: Another model, or what it gives for the documents of training: a part of the
            target.
        checkpoint: A file that is written after every epoch, and gone on from, as of
            `memcom_tf.training.train_clicks`.
        report: Called with a line for every epoch.

    Returns:
        "accuracy" and "log_loss": on validation by epochs trained; "best": the smallest log loss;
        "epochs": when it was.

    Raises:
        ValueError: If the classes are not those of the model, or the checkpoint is that of another
            training; of several workers as of `memcom_tf.training.train`.
        ConnectionError: If another worker is gone.
    """
    settings = settings or TextSettings()
    with seeded(settings.seed):
        return _train(model, split, settings, teacher, checkpoint, report)


def _train(
    model: TextClassifier,
    split: DocumentSplit,
    settings: TextSettings,
    teacher: np.ndarray | TextClassifier | None,
    checkpoint: str | os.PathLike[str] | None,
    report: Callable[[str], object],
) -> dict[str, Any]:
    ids = model.features.encode(split.train.columns)["ids"]
    rows = EpochRows({"ids": ids}, _targets(model, split, teacher, settings.distillation))
    validation = model.features.encode(split.validation.columns)
    numbers = class_numbers(split.validation, model.classes)
    epochs = settings.epochs_of(len(ids))
    best = train_fields(
        model,
        rows,
        Course(
            "categorical_crossentropy",
            LazyAdam(settings.rate_of(len(ids))),
            settings.batch_of(len(ids)),
            epochs,
            1,
            settings.patience or max(_LEAST_PATIENCE, epochs // 4),
            settings.seed,
        ),
        lambda: class_metrics(predictions(model, validation), numbers),
        lambda: {
            "settings": asdict(settings),
            "data": fingerprint(
                [
                    ids,
                    class_numbers(split.train, model.classes),
                    *validation.values(),
                    numbers,
                ]
            ),
            "teacher": described_teacher(teacher),
        },
        checkpoint=checkpoint,
        report=report,
    )
    accuracy = {epoch: metrics["accuracy"] for epoch, metrics in best.found.items()}
    return {"accuracy": accuracy, **best.restore()}


def _targets(
    model: TextClassifier,
    split: DocumentSplit,
    teacher: np.ndarray | TextClassifier | None,
    share: float,
) -> np.ndarray:
    """Probabilities `[n, classes]` to learn: 1 for the class of a document, in part a teacher's."""
    numbers = class_numbers(split.train, model.classes)
    if (numbers < 0).any():
        raise invalid(
            "The classes of the documents must be those of the model.",
            "Pass the split that the model was trained on.",
            unknown=sorted(set(split.classes) - set(model.classes))[:10],
        )
    targets = np.eye(len(model.classes), dtype=np.float32)[numbers]
    if isinstance(teacher, TextClassifier):
        if teacher.classes != model.classes:
            raise invalid(
                "`teacher` must have the classes of the documents.",
                f"They are {list(model.classes)}.",
                teacher_classes=list(teacher.classes),
            )
        teacher = predictions(teacher, teacher.features.encode(split.train.columns))
    if teacher is not None:
        targets += np.float32(share) * (teacher - targets)
    return targets


def predictions(model: TextClassifier, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Probabilities `[n, classes]` of encoded documents."""
    (ids,) = inputs.values()
    batch_size = max(1, _IDS_PREDICTED_AT_A_TIME // max(ids.shape[1], 1))
    return model.outputs_of(inputs, batch_size)
