"""A trained click model in a file of a wanted size: its bytes shared over its tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from memcom_tf.cluster import require_alone
from memcom_tf.compression.candidates import Candidate
from memcom_tf.compression.click_methods import STUDENTS, Student
from memcom_tf.compression.click_options import (
    Measured,
    Option,
    TableChoice,
    best_within,
    next_larger,
    options_of,
    rows_of_8_bits,
)
from memcom_tf.compression.search import largest_file
from memcom_tf.compression.time_budget import ENDED_EARLY, SEARCHING, TimeBudget
from memcom_tf.data.prepared_rows import PreparedRows, StoredRows
from memcom_tf.errors import invalid
from memcom_tf.features import Features
from memcom_tf.layers import CompressedEmbedding
from memcom_tf.models.click import ClickModel
from memcom_tf.models.click_tables import layer_name
from memcom_tf.progress import counted, doing, reporting
from memcom_tf.seeding import seeded
from memcom_tf.training.click_rows import ROWS_AT_ONCE, SplitRows, judged, predictions
from memcom_tf.training.clicks import ClickSettings, train_clicks

CLICK_SETTINGS = ClickSettings(patience=12, distillation=1.0)
"""Of the training after compression: labels add noise to what the original predicts."""

_MEASURED_ON = 16384
"""Rows that losses are measured on, at most."""
_SAMPLES = 256
_MIN_ROWS = 500
"""Of fewer rows a table of its own saves little more than a layer takes in the graph."""
_SPARE = 0.03
_MEASURING = 0.25
"""Share of the time in which tables are stored in several ways, about."""
_ROWS_OF_A_METHOD = 1000
"""Tables of fewer rows are of no method, as `memcom_tf.models.compressed_tables` says."""


@dataclass(frozen=True)
class ClickCompression:
    """A click model made smaller.

    Attributes:
        model: The model, trained after the original.
        file_bytes: Bytes of its file, without vocabularies.
        tables: What became of the large tables.
        log_loss: On validation: of the original, of the new one before training, and after.
        samples: Rows of training that the file is to be converted with.
    """

    model: ClickModel
    file_bytes: int
    tables: Sequence[TableChoice]
    log_loss: tuple[float, float, float]
    samples: dict[str, np.ndarray]

    def __repr__(self) -> str:
        return f"<ClickCompression: {self}>"

    def __str__(self) -> str:
        original, before, after = self.log_loss
        return "\n".join([
            *map(str, self.tables),
            f"log loss on validation {original:.4f}, compressed {before:.4f}, trained {after:.4f}",
        ])  # fmt: skip


def compress_clicks(
    model: ClickModel,
    split: SplitRows,
    *,
    ratio: float | None = None,
    max_bytes: int | None = None,
    min_rows: int = _MIN_ROWS,
    settings: ClickSettings = CLICK_SETTINGS,
    max_minutes: float | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> ClickCompression:
    """Compresses a trained click model, and trains it after the original.

    Every large table is stored in several ways, in closed form: rows of 8, 4 and 2 bits, fewer
    rows, residual codes. By each of these, with that table alone replaced, the log loss of the
    model rises by about `mean(p (1 - p) d^2) / 2`, where `d` is by how much the logit of a row for
    validation changes. The ways with the least sum are taken of which the file fits. Then all is
    trained on what the original predicts, and the best weights on validation are kept.

    Two more models of that size have other tables in the place of all large ones: complementary
    partitions in closed form, and tensor trains that begin at random, which end better than those
    in closed form. Both have far fewer numbers to learn by heart with, and learn from the labels
    as well. That of the least log loss on validation is returned.

    Source of the choice by the losses of single parts: Shoham and Gersho, Efficient bit allocation
    for an arbitrary set of quantizers, IEEE Trans. ASSP 1988.

    Args:
        model: The model; it is not changed.
        split: The rows that it was trained on, also as a data set opened by
            `memcom_tf.data.open_rows`. Those for test are not looked at.
        ratio: How many times smaller than the model's float32 file.
        max_bytes: Bytes of the file without vocabularies, at most, instead.
        min_rows: Tables of fewer rows stay in the table of all fields, at 8 bits.
        settings: How to train after it.
        max_minutes: About how long it may take: without time for them there are no other models.
        report: Called with lines on what is done.

    Returns:
        The new model, and what became of its tables.

    Raises:
        ValueError: If not one of `ratio` and `max_bytes` is given, or there is no room for the
            rest of the model.
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
        return _compressed(model, split, (ratio, max_bytes), min_rows, settings, budget, report)


def _compressed(
    model: ClickModel,
    split: SplitRows,
    size: tuple[float | None, int | None],
    min_rows: int,
    settings: ClickSettings,
    budget: TimeBudget,
    report: Callable[[str], object],
) -> ClickCompression:
    """What `compress_clicks` returns."""
    ratio, max_bytes = size
    with seeded(settings.seed):
        with doing("measuring the original"):
            work = _Work(model, split, min_rows, settings.seed)
            limit = max_bytes or int(work.file_bytes(model, "float32") / (ratio or 1))
        tables = counted(work.names, "table", 0.0, _MEASURING)
        options = {name: work.options(name, report) for name in tables}
        with doing("making tables that fit"):
            fitting = work.fitting(options, limit)
        if fitting is None:
            raise invalid(
                "`max_bytes` must leave room for the smallest tables.",
                f"The rest of the model takes about {work.rest:,} bytes.",
                max_bytes=limit,
            )
        students = [(fitting, settings)]
        for kind in counted(STUDENTS, "other method", _MEASURING, SEARCHING):
            of_method = work.of_method(kind, limit)
            if of_method is not None:
                taught = min(settings.distillation, kind.taught)
                students.append((of_method, replace(settings, distillation=taught)))
    original = _log_loss(model, judged(split.validation))
    teacher: Any = model  # of a data set it predicts the shards that are read
    if not isinstance(split, PreparedRows):
        teacher = predictions(model, model.features.encode(split.train))
    sizes, found = model.features.tables, []
    for student, how in budget.trained(counted(students, "training", SEARCHING, 1.0)):
        record = train_clicks(student.model, split, how, teacher=teacher, report=report)
        losses = original, record["log_loss"][0.0], record["best"]
        choices = [
            TableChoice(name, sizes[name], option, next_larger(options[name], option))
            for name, option in student.chosen.items()
        ]
        found.append(
            ClickCompression(student.model, student.file_bytes, choices, losses, work.samples)
        )
        report(f"{student.described}: log loss on validation {record['best']:.4f}")
    if budget.ended_early:
        report(ENDED_EARLY)
    return min(found, key=lambda compression: compression.log_loss[-1])


class _Fitting(NamedTuple):
    """Ways to store the tables of which a file fits, and the model of them."""

    described: str
    chosen: dict[str, Option]
    model: ClickModel
    file_bytes: int


class _Work:
    """A model, its large tables, and rows to measure on."""

    def __init__(self, model: ClickModel, split: SplitRows, min_rows: int, seed: int) -> None:
        self.model, self.features = model, model.features
        rng = np.random.default_rng(seed)
        self.samples = self.features.encode(_drawn(split.train, _SAMPLES, rng))
        self.names = [
            name
            for name, size in self.features.tables.items()
            if size >= min_rows and name not in model.tables
        ]
        self.rest = 0
        self._layers: dict[tuple[str, str], CompressedEmbedding] = {}
        held_out = self.features.encode(_drawn(split.validation, _MEASURED_ON, rng))
        self._measured = Measured(model, held_out)

    def _table(self, name: str) -> np.ndarray:
        """A table as it was trained."""
        joint = self.model.joint
        assert joint is not None
        return joint.table_values()["embeddings"][self.model.rows_of(name)]

    def options(self, name: str, report: Callable[[str], object]) -> list[Option]:
        """The ways to store a table."""
        counts = _counts(self.features, name)
        found = options_of(self._table(name), counts, partial(self._measured.rise, name))
        report(f"{name}: {len(found)} ways worth their bytes")
        return found

    def fitting(self, options: dict[str, list[Option]], limit: int) -> _Fitting | None:
        """The best ways of which the file takes at most so many bytes, and their model."""
        largest = {name: ways[-1] for name, ways in options.items()}
        self.rest = self.file_bytes(self.rebuilt(largest))
        self.rest -= sum(way.bytes for way in largest.values())
        return self._filling("a way for each table", limit, lambda room: best_within(options, room))

    def of_method(self, student: Student, limit: int) -> _Fitting | None:
        """All large tables of one method, as many numbers as the file has bytes for."""
        sizes = {name: self.features.tables[name] for name in self.names}
        sizes = {name: rows for name, rows in sizes.items() if rows >= _ROWS_OF_A_METHOD}
        if not sizes:
            return None
        width = self.model.width
        others = {
            name: rows_of_8_bits(self._table(name), partial(self._measured.rise, name))
            for name in self.names
            if name not in sizes
        }

        def make(room: int) -> dict[str, Option] | None:
            ratio = max(1.0, width * sum(sizes.values()) / max(1, room))
            found = dict(others)
            for name, rows in sizes.items():
                candidate = student.candidate(rows, width, ratio)
                stored = candidate.stored_bytes(rows, width)
                found[name] = Option(candidate, stored, float("nan"), student.anew)
            return found

        found = self._filling(student.described, limit, make)
        if found is None or student.anew:
            return found
        chosen = {
            name: option
            if option.candidate is None
            else replace(option, loss=self._measured.rise(name, found.model.tables[name]))
            for name, option in found.chosen.items()
        }
        return found._replace(chosen=chosen)

    def _filling(
        self, described: str, limit: int, make: Callable[[int], dict[str, Option] | None]
    ) -> _Fitting | None:
        """What `make` makes of so many bytes of tables that the file has room for."""
        made: dict[str, ClickModel] = {}

        def size(chosen: dict[str, Option]) -> int:
            made.clear()
            made[str(chosen)] = self.rebuilt(chosen)
            return self.file_bytes(made[str(chosen)])

        found = largest_file(limit, max(0, limit - self.rest), make, size, spare=_SPARE)
        if found is None:
            return None
        model = made.get(str(found.made)) or self.rebuilt(found.made)
        return _Fitting(described, found.made, model, found.file_bytes)

    def rebuilt(self, chosen: dict[str, Option]) -> ClickModel:
        """The model with tables stored in other ways, and all else that was trained."""
        layers = {}
        for name, option in chosen.items():
            key = name, str(option)
            if option.candidate is not None and key not in self._layers:
                self._layers[key] = self._layer(name, option.candidate, option.anew)
            if option.candidate is not None:
                layers[name] = self._layers[key]
        return self.model.with_tables(layers)

    def _layer(self, name: str, candidate: Candidate, anew: bool) -> CompressedEmbedding:
        """A layer in the place of a table, which it begins with unless it begins anew."""
        arguments = {"name": layer_name(self.features, name), **candidate.arguments}
        if anew:
            return candidate.method(self.features.tables[name], self.model.width, **arguments)
        frequencies = _counts(self.features, name)
        return candidate.method.from_table(self._table(name), frequencies=frequencies, **arguments)

    def file_bytes(self, model: ClickModel, weights: Any = "int8") -> int:
        """Bytes of a model's file."""
        from memcom_tf.converters import convert

        converted = convert(model, weights=weights, samples=self.samples, verify=False)
        return int(converted.report["graph_bytes"])


def _counts(features: Features, table: str) -> np.ndarray:
    """How often each id occurs, those of missing and unknown values as often as a frequent one."""
    vocabulary = features.vocabularies.get(table)
    size = features.tables[table]
    if vocabulary is None or vocabulary.counts is None:
        return np.ones(size)
    counts = np.asarray(vocabulary.counts, np.float64)
    return np.concatenate([[counts.max(), counts.max()], counts])


def _drawn(part: Any, count: int, rng: np.random.Generator) -> Any:
    """Some rows of a part, in their order; of a data set those of its first shards."""
    if isinstance(part, StoredRows):
        part = part.first(ROWS_AT_ONCE)
    return part[np.sort(rng.permutation(len(part))[:count])]


def _log_loss(model: ClickModel, part: Any) -> float:
    metrics: dict[str, float] = model.task.metrics(
        predictions(model, model.features.encode(part)), part.labels
    )
    return metrics["log loss"]
