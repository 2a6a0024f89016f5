"""A trained click model in a file of a wanted size: its bytes shared over its tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memcom_tf.compression.candidates import Candidate
from memcom_tf.compression.search import largest_file
from memcom_tf.errors import invalid
from memcom_tf.evaluation.rows import RowSplit
from memcom_tf.features import Features
from memcom_tf.layers import (
    CompressedEmbedding,
    FullEmbedding,
    ResidualQuantizedEmbedding,
    TruncatedEmbedding,
)
from memcom_tf.models.click import ClickModel
from memcom_tf.models.click_tables import layer_name
from memcom_tf.seeding import seeded
from memcom_tf.training.clicks import ClickSettings, predictions, train_clicks

CLICK_SETTINGS = ClickSettings(epochs=3, learning_rate=3e-4)
"""Of the training after compression."""

_SAMPLE = 4096
"""Rows that losses are measured on."""
_SAMPLES = 256
_MIN_ROWS = 500
"""Of fewer rows a table of its own saves little more than a layer takes in the graph."""
_SPARE = 0.03
_SHARES = 2, 4, 8, 16, 32, 64
"""How many times fewer rows a truncated table keeps."""
_CODES = (2, 16), (3, 16), (1, 256), (2, 256), (4, 256)
_ROWS_A_CODE = 4
"""Fewer rows are no reason for a codebook."""
_LAYER_BYTES, _BOOK_BYTES = 1900, 500
_LOW = "int4_per_table"


@dataclass(frozen=True)
class Option:
    """A way to store a table.

    Attributes:
        candidate: The layer in its place; None where it stays in the table of all fields.
        bytes: Of the stored table, and about what the graph takes for a layer of its own.
        loss: What the log loss of the model rises by, measured with this table alone replaced.
    """

    candidate: Candidate | None
    bytes: int
    loss: float


@dataclass(frozen=True)
class TableChoice:
    """What became of a table.

    Attributes:
        name: Its name.
        rows: Its ids.
        chosen: How it is stored.
        rejected: The next larger way that there was no room for; None where the largest is taken.
    """

    name: str
    rows: int
    chosen: Option
    rejected: Option | None

    def __str__(self) -> str:
        text = (
            f"{self.name}, {self.rows:,} rows: {_named(self.chosen)}, {self.chosen.bytes:,} bytes, "
            f"log loss +{self.chosen.loss:.5f}"
        )
        if self.rejected is None:
            return text
        return (
            f"{text}; {_named(self.rejected)} would take {self.rejected.bytes:,} for "
            f"+{self.rejected.loss:.5f}"
        )


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

    def __str__(self) -> str:
        original, before, after = self.log_loss
        return "\n".join([
            *map(str, self.tables),
            f"log loss on validation {original:.4f}, compressed {before:.4f}, trained {after:.4f}",
        ])  # fmt: skip


def compress_clicks(
    model: ClickModel,
    split: RowSplit,
    *,
    ratio: float | None = None,
    max_bytes: int | None = None,
    min_rows: int = _MIN_ROWS,
    settings: ClickSettings = CLICK_SETTINGS,
    report: Callable[[str], object] = lambda line: None,
) -> ClickCompression:
    """Compresses a trained click model, and trains it after the original.

    Every large table is stored in several ways, in closed form: rows of 8, 4 and 2 bits, fewer
    rows, residual codes. By each of these, with that table alone replaced, the log loss of the
    model rises by about `mean(p (1 - p) d^2) / 2`, where `d` is by how much the logit of a row of
    training changes. The ways with the least sum are taken of which the file fits. Then all is
    trained on the labels and on what the original predicts, and the best weights on validation
    are kept.

    Source of the choice by the losses of single parts: Shoham and Gersho, Efficient bit allocation
    for an arbitrary set of quantizers, IEEE Trans. ASSP 1988.

    Args:
        model: The model; it is not changed.
        split: The rows that it was trained on. Those for test are not looked at.
        ratio: How many times smaller than the model's float32 file.
        max_bytes: Bytes of the file without vocabularies, at most, instead.
        min_rows: Tables of fewer rows stay in the table of all fields, at 8 bits.
        settings: How to train after it.
        report: Called with lines on what is done.

    Returns:
        The new model, and what became of its tables.

    Raises:
        ValueError: If not one of `ratio` and `max_bytes` is given, or there is no room for the
            rest of the model.
    """
    if (max_bytes is None) == (ratio is None):
        raise invalid(
            "Either `max_bytes` or `ratio` must be given.", "", max_bytes=max_bytes, ratio=ratio
        )
    if ratio is not None and not ratio >= 1:
        raise invalid("`ratio` must be 1 or more.", ratio=ratio)
    with seeded(settings.seed):
        work = _Work(model, split, min_rows, settings.seed)
        limit = max_bytes or int(work.file_bytes(model, "float32") / (ratio or 1))
        options = {name: work.options(name, report) for name in work.names}
        fitting = work.fitting(options, limit)
        if fitting is None:
            raise invalid(
                "`max_bytes` must leave room for the smallest tables.",
                f"The rest of the model takes about {work.rest:,} bytes.",
                max_bytes=limit,
            )
        chosen, made, file_bytes = fitting
    validation = model.features.encode(split.validation)
    original = _log_loss(model, validation, split)
    soft = predictions(model, model.features.encode(split.train))
    record = train_clicks(made, split, settings, teacher=soft, report=report)
    losses = original, record["log_loss"][0.0], record["best"]
    choices = [
        TableChoice(name, model.features.tables[name], option, _next_larger(options[name], option))
        for name, option in chosen.items()
    ]
    return ClickCompression(made, file_bytes, choices, losses, work.samples)


class _Work:
    """A model, its large tables, and rows to measure on."""

    def __init__(self, model: ClickModel, split: RowSplit, min_rows: int, seed: int) -> None:
        self.model, self.features = model, model.features
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(split.train))[:_SAMPLE]
        self.inputs = self.features.encode(split.train[np.sort(rows)])
        self.samples = {name: values[:_SAMPLES] for name, values in self.inputs.items()}
        self.names = [
            name
            for name, size in self.features.tables.items()
            if size >= min_rows and name not in model.tables
        ]
        self.rest = 0
        self._logits = self._logits_now()

    def _logits_now(self) -> np.ndarray:
        probabilities = predictions(self.model, self.inputs).astype(np.float64)
        probabilities = np.clip(probabilities, 1e-7, 1 - 1e-7)
        return np.log(probabilities / (1 - probabilities))

    def options(self, name: str, report: Callable[[str], object]) -> list[Option]:
        """The ways to store a table of which none is larger and worse than another."""
        joint = self.model.joint
        assert joint is not None
        (variable,) = joint.trainable_variables
        trained = joint.table_values()["embeddings"]
        place = self.model.rows_of(name)
        table = trained[place]
        counts = _counts(self.features, name)
        found = []
        for candidate in _candidates(*table.shape):
            if candidate is None:
                layer: CompressedEmbedding = _full(table)
            else:
                layer = candidate.method.from_table(
                    table, frequencies=counts, **candidate.arguments
                )
            changed = trained.copy()
            changed[place] = np.asarray(layer(np.arange(len(table))))
            variable.assign(changed)
            size = sum(part.stored_bytes for part in layer.stored_tables())
            found.append(Option(candidate, size + _graph_bytes(candidate), self._rise()))
        variable.assign(trained)
        report(f"{name}: {len(found)} ways measured")
        return _undominated(found)

    def _rise(self) -> float:
        """What the log loss rises by, to second order."""
        p = 1 / (1 + np.exp(-self._logits))
        return float((p * (1 - p) * (self._logits_now() - self._logits) ** 2).mean() / 2)

    def fitting(
        self, options: dict[str, list[Option]], limit: int
    ) -> tuple[dict[str, Option], ClickModel, int] | None:
        """The best ways of which the file takes at most so many bytes, and their model."""
        made: dict[str, ClickModel] = {}

        def make(room: int) -> dict[str, Option] | None:
            return best_within(options, room)

        def size(chosen: dict[str, Option]) -> int:
            made.clear()
            made[str(chosen)] = self.rebuilt(chosen)
            return self.file_bytes(made[str(chosen)])

        largest = {name: ways[-1] for name, ways in options.items()}
        self.rest = size(largest) - sum(way.bytes for way in largest.values())
        found = largest_file(limit, max(0, limit - self.rest), make, size, spare=_SPARE)
        if found is None:
            return None
        model = made.get(str(found.made)) or self.rebuilt(found.made)
        return found.made, model, found.file_bytes

    def rebuilt(self, chosen: dict[str, Option]) -> ClickModel:
        """The model with tables stored in other ways, and all else that was trained."""
        joint = self.model.joint
        assert joint is not None
        rows = joint.table_values()["embeddings"]
        layers = {}
        for name, option in chosen.items():
            if option.candidate is not None:
                layers[name] = option.candidate.method.from_table(
                    rows[self.model.rows_of(name)],
                    frequencies=_counts(self.features, name),
                    name=layer_name(self.features, name),
                    **option.candidate.arguments,
                )
        return self.model.with_tables(layers)

    def file_bytes(self, model: ClickModel, weights: Any = "int8") -> int:
        """Bytes of a model's file."""
        from memcom_tf.converters import convert

        converted = convert(model, weights=weights, samples=self.samples, verify=False)
        return int(converted.report["graph_bytes"])


def best_within(options: dict[str, list[Option]], room: float) -> dict[str, Option] | None:
    """The ways with the least sum of losses, of at most so many bytes in all; None if none fits.

    They are the best for a price of a byte, which is lowered as far as the room allows.

    Example:
        >>> ways = [Option(None, 10, 4.0), Option(None, 20, 1.0), Option(None, 40, 0.0)]
        >>> others = [Option(None, 10, 0.4), Option(None, 20, 0.1)]
        >>> found = best_within({"a": ways, "b": others}, 35)
        >>> {name: way.bytes for name, way in found.items()}
        {'a': 20, 'b': 10}
    """

    def at(price: float) -> dict[str, Option]:
        return {
            name: min(ways, key=lambda way: (way.loss + price * way.bytes, way.bytes))
            for name, ways in options.items()
        }

    def size(chosen: dict[str, Option]) -> int:
        return sum(way.bytes for way in chosen.values())

    smallest = {name: min(ways, key=lambda way: way.bytes) for name, ways in options.items()}
    if size(smallest) > room:
        return None
    low, high, best = 0.0, 1.0, smallest
    if size(at(low)) <= room:
        return at(low)
    for _ in range(100):
        middle = (low * high) ** 0.5 if low else high * 1e-3
        chosen = at(middle)
        if size(chosen) <= room:
            high, best = middle, chosen
        else:
            low = middle
    return best


def _candidates(rows: int, width: int) -> list[Candidate | None]:
    """Ways to store a table; None is rows of 8 bits in the table of all fields."""
    found: list[Candidate | None] = [None]
    for storage in (_LOW, "int2_per_table"):
        found.append(Candidate(FullEmbedding, {"storage": {"embeddings": storage}}))
    for share in _SHARES:
        if rows // share > 8:
            arguments = {"num_kept": rows // share, "storage": {"kept": _LOW}}
            found.append(Candidate(TruncatedEmbedding, arguments))
    for books, codes in _CODES:
        if _ROWS_A_CODE * codes <= rows:
            arguments = {
                "num_codebooks": books,
                "num_codes": codes,
                "storage": {"codebooks": "int4_per_row"},
            }
            found.append(Candidate(ResidualQuantizedEmbedding, arguments))
    return found


def _graph_bytes(candidate: Candidate | None) -> int:
    """About what the graph of a file takes for a layer."""
    if candidate is None:
        return 0
    return _LAYER_BYTES + _BOOK_BYTES * int(candidate.arguments.get("num_codebooks", 0))


def _full(table: np.ndarray) -> FullEmbedding:
    storage = {"embeddings": "int8_per_row"}
    return FullEmbedding.from_table(table, storage=storage)


def _counts(features: Features, table: str) -> np.ndarray:
    """How often each id occurs, those of missing and unknown values as often as a frequent one."""
    vocabulary = features.vocabularies.get(table)
    size = features.tables[table]
    if vocabulary is None or vocabulary.counts is None:
        return np.ones(size)
    counts = np.asarray(vocabulary.counts, np.float64)
    return np.concatenate([[counts.max(), counts.max()], counts])


def _undominated(ways: Sequence[Option]) -> list[Option]:
    """By rising bytes, each with less loss than all smaller ones."""
    found: list[Option] = []
    for way in sorted(ways, key=lambda way: (way.bytes, way.loss)):
        if not found or way.loss < found[-1].loss:
            found.append(way)
    return found


def _next_larger(ways: Sequence[Option], chosen: Option) -> Option | None:
    larger = [way for way in ways if way.bytes > chosen.bytes]
    return larger[0] if larger else None


def _named(option: Option) -> str:
    return "rows of 8 bits" if option.candidate is None else str(option.candidate)


def _log_loss(model: ClickModel, inputs: dict[str, np.ndarray], split: RowSplit) -> float:
    metrics: dict[str, float] = model.task.metrics(
        predictions(model, inputs), split.validation.labels
    )
    return metrics["log loss"]
