"""A trained text classifier in a file of a wanted size: a smaller table of words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from memcom_tf.cluster import require_alone
from memcom_tf.compression.candidates import Candidate, Family, families, worth_trying
from memcom_tf.compression.search import largest_file
from memcom_tf.compression.time_budget import ENDED_EARLY, SEARCHING, TimeBudget
from memcom_tf.errors import invalid
from memcom_tf.evaluation.documents import DocumentSplit, class_metrics, class_numbers
from memcom_tf.features import Features
from memcom_tf.models.text_classifier import TextClassifier
from memcom_tf.models.text_model import POOLED
from memcom_tf.ordering import similarity_order
from memcom_tf.progress import counted, doing, reporting
from memcom_tf.seeding import seeded
from memcom_tf.training.text_tables import counts_of
from memcom_tf.training.texts import TextSettings, predictions, train_texts
from memcom_tf.vocabulary import PADDING_ID

TEXT_SETTINGS = TextSettings(steps=1500, learning_rate=1e-3)
"""Of the training after compression."""

_SAMPLES = 256
_SPARE = 0.04
"""Share of the bytes that may be left over."""
_FINALISTS = 2
_DEDICATED_SHARES = 0.0, 0.5
"""Shares of the rows that belong to single words: others differ little from these."""


@dataclass(frozen=True)
class TextTrial:
    """What became of a way to store the words.

    Attributes:
        candidate: The method and its size.
        file_bytes: Bytes of the file, without the vocabulary.
        before: Metrics on validation in closed form.
        after: The same after training; None without any.
    """

    candidate: Candidate
    file_bytes: int
    before: dict[str, float]
    after: dict[str, float] | None = None

    def __str__(self) -> str:
        trained = "" if self.after is None else f", trained {_shown(self.after)}"
        return (
            f"{self.candidate}: {self.file_bytes:,} bytes, on validation in closed form "
            f"{_shown(self.before)}{trained}"
        )


@dataclass(frozen=True)
class TextCompression:
    """A text classifier made smaller.

    Attributes:
        model: The model, trained after the original, with the vocabulary in the order that its
            table needs.
        file_bytes: Bytes of its file, without the vocabulary.
        trials: The ways to store the words, the chosen one first.
        metrics: On validation: of the original, and of the new model.
        samples: Documents of training that the file is to be converted with.
    """

    model: TextClassifier
    file_bytes: int
    trials: Sequence[TextTrial]
    metrics: tuple[dict[str, float], dict[str, float]]
    samples: dict[str, np.ndarray]

    def __repr__(self) -> str:
        return f"<TextCompression: {self}>"

    def __str__(self) -> str:
        original, new = map(_shown, self.metrics)
        return "\n".join([
            *map(str, self.trials),
            f"on validation {original}, compressed {new}",
        ])  # fmt: skip


def compress_texts(
    model: TextClassifier,
    split: DocumentSplit,
    *,
    ratio: float | None = None,
    max_bytes: int | None = None,
    settings: TextSettings = TEXT_SETTINGS,
    max_minutes: float | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> TextCompression:
    """Compresses a trained text classifier, and trains it after the original.

    Every way to store the words takes the size that the bytes allow: rows of 8 and 4 bits, low
    rank, MEmCom, and residual codes. Where words share rows, they are numbered by the similarity
    of their trained vectors. Of the ways in closed form the two of least log loss on validation,
    of different methods, are trained on the labels and on what the original predicts; that of less
    log loss is kept.

    Args:
        model: The model; it is not changed.
        split: The documents that it was trained on. Those for test are not looked at.
        ratio: How many times smaller than the model's float32 file.
        max_bytes: Bytes of the file without the vocabulary, at most, instead.
        settings: How to train after it.
        max_minutes: About how long it may take: ways that there is no time for are left out.
        report: Called with lines on what is done.

    Returns:
        The new model, and what was tried.

    Raises:
        ValueError: If not one of `ratio` and `max_bytes` is given, or no method is that small.
    """
    require_alone("Compression")
    if (max_bytes is None) == (ratio is None):
        raise invalid(
            "Either `max_bytes` or `ratio` must be given.", "", max_bytes=max_bytes, ratio=ratio
        )
    if ratio is not None and not ratio >= 1:
        raise invalid("`ratio` must be 1 or more.", ratio=ratio)
    budget = TimeBudget(max_minutes)
    with reporting(report):
        return _compressed(model, split, (ratio, max_bytes), settings, budget, report)


def _compressed(
    model: TextClassifier,
    split: DocumentSplit,
    size: tuple[float | None, int | None],
    settings: TextSettings,
    budget: TimeBudget,
    report: Callable[[str], object],
) -> TextCompression:
    """What `compress_texts` returns."""
    ratio, max_bytes = size
    with seeded(settings.seed):
        with doing("measuring the original"):
            work = _Work(model, split, settings.seed)
            limit = max_bytes or int(work.file_bytes(model, "float32") / (ratio or 1))
        tried = work.in_closed_form(limit, budget, report)
    if not tried:
        raise invalid(
            "`max_bytes` must leave room for the smallest table.",
            f"The rest of the model takes about {work.overhead:,} bytes.",
            max_bytes=limit,
        )
    tried.sort(key=lambda made: _loss(made[0].before))
    soft = predictions(model, model.features.encode(split.train.columns))
    finals = []
    trainings = counted(_finalists(tried), "training", SEARCHING, 1.0)
    for trial, student in budget.trained(trainings):
        train_texts(student, split, settings, teacher=soft, report=report)
        finals.append((replace(trial, after=work.metrics(student)), student))
        report(str(finals[-1][0]))
    if budget.ended_early:
        report(ENDED_EARLY)
    best, student = min(finals, key=lambda made: _loss(made[0].after))
    others = [trial for trial, _ in finals if trial is not best]
    named = {trial.candidate for trial, _ in finals}
    rest = [trial for trial, _ in tried if trial.candidate not in named]
    metrics = work.metrics(model), work.metrics(student)
    samples = student.features.encode(work.sampled.columns)
    return TextCompression(student, best.file_bytes, [best, *others, *rest], metrics, samples)


_Made = tuple[TextTrial, TextClassifier]


def _finalists(tried: Sequence[_Made]) -> list[_Made]:
    """The best of each method, and of these the best."""
    best: dict[type, _Made] = {}
    for made in tried:
        best.setdefault(made[0].candidate.method, made)
    return list(best.values())[:_FINALISTS]


class _Work:
    """A model, the vectors of its words, and documents to measure on."""

    def __init__(self, model: TextClassifier, split: DocumentSplit, seed: int) -> None:
        self.model, self.split, self.seed = model, split, seed
        ((self.table, self.vocabulary),) = model.features.vocabularies.items()
        ids = np.arange(model.embedding.input_dim)
        self.vectors = np.asarray(model.embedding(ids[:, None]), np.float32)
        self.counts = counts_of(self.vocabulary)
        rng = np.random.default_rng(seed)
        self.sampled = split.train[np.sort(rng.permutation(len(split.train))[:_SAMPLES])]
        self.overhead = self.file_bytes(model) - _stored(model)
        self._overheads: dict[Any, int] = {}
        self._orders: dict[Any, Features] = {}

    def in_closed_form(
        self, limit: int, budget: TimeBudget, report: Callable[[str], object]
    ) -> list[_Made]:
        """Every way that fits, with its model and what that is worth on validation."""
        rows = len(self.vectors)
        # One after the other: behind rows of all words that fit nothing is looked for.
        tried = counted([*filter(_is_tried, families(rows))], "candidate", 0.0, SEARCHING)
        wanted = (self._sized(family, limit) for family in tried)
        found = []
        for candidate in budget.searched(worth_trying(wanted)):
            student = self.student(candidate)
            size = self.file_bytes(student)
            if size <= limit:
                found.append((TextTrial(candidate, size, self.metrics(student)), student))
                report(str(found[-1][0]))
        return found

    def _sized(self, family: Family, limit: int) -> Candidate | None:
        """The candidate of a family whose file takes the bytes, or a little less."""
        method, (rows, width) = getattr(family, "func", family), self.vectors.shape
        found = largest_file(
            limit,
            limit - self._overheads.get(method, self.overhead),
            lambda room: family(rows, width, room),
            lambda candidate: self.file_bytes(self._untrained(candidate)),
            spare=_SPARE,
        )
        if found is None:
            return None
        self._overheads[method] = found.file_bytes - int(found.room)
        return found.made

    def _untrained(self, candidate: Candidate) -> TextClassifier:
        """A model of a candidate whose file is as large as that of any with the same sizes."""
        arguments = {**candidate.arguments, **POOLED, "name": "words"}
        return self.model.with_embedding(candidate.method(*self.vectors.shape, **arguments))

    def student(self, candidate: Candidate) -> TextClassifier:
        """The model of a candidate, its table in closed form."""
        features = self._ordered(candidate)
        ids = self.vocabulary.ids_in(features.vocabularies[self.table])
        vectors, counts = np.empty_like(self.vectors), np.empty_like(self.counts)
        vectors[ids], counts[ids] = self.vectors, self.counts
        counts[PADDING_ID] = 0.0
        layer = candidate.method.from_table(
            vectors, frequencies=counts, name="words", **POOLED, **candidate.arguments
        )
        return self.model.with_embedding(layer, features)

    def _ordered(self, candidate: Candidate) -> Features:
        """The words numbered by what is alike, where they share rows."""
        sharing = candidate.sharing
        features = self.model.features
        if sharing is None or sharing.num_rows >= len(self.vocabulary):
            return features
        if sharing not in self._orders:
            known = self.vocabulary.ids(list(self.vocabulary))
            vectors, counts = self.vectors[known], self.counts[known]
            order = similarity_order(
                vectors,
                sharing.num_buckets,
                num_dedicated=sharing.num_dedicated,
                counts=counts,
                importance=(counts + 1.0) * np.einsum("nd,nd->n", vectors, vectors),
                first_id=self.vocabulary.first_id,
                seed=self.seed,
            )
            reordered = self.vocabulary.reordered(order)
            self._orders[sharing] = features.with_vocabularies({self.table: reordered})
        return self._orders[sharing]

    def metrics(self, model: TextClassifier) -> dict[str, float]:
        """Accuracy and log loss on validation."""
        found = predictions(model, model.features.encode(self.split.validation.columns))
        return class_metrics(found, class_numbers(self.split.validation, model.classes))

    def file_bytes(self, model: TextClassifier, weights: Any = "int8") -> int:
        """Bytes of a model's file, without its vocabulary."""
        from memcom_tf.converters import convert

        samples = model.features.encode(self.sampled.columns)
        converted = convert(model, weights=weights, samples=samples, verify=False)
        return int(converted.report["graph_bytes"])


def _is_tried(family: Family) -> bool:
    """Whether a family differs enough from others; none that hashes, which loses most of words."""
    given = getattr(family, "keywords", {})
    return "item_bias" not in given and given.get("dedicated", 0.0) in _DEDICATED_SHARES


def _loss(metrics: dict[str, float] | None) -> float:
    return (metrics or {}).get("log loss", float("inf"))


def _shown(metrics: dict[str, float]) -> str:
    return f"accuracy {metrics['accuracy']:.4f}, log loss {_loss(metrics):.4f}"


def _stored(model: TextClassifier) -> int:
    return sum(table.stored_bytes for table in model.embedding.stored_tables())
