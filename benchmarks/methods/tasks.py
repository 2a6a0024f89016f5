"""What the methods are compared on: click models, text classifiers and next-item rankers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.classification import data as text_data
from benchmarks.classification.methods import measure as measure_text
from benchmarks.click import data as click_data
from benchmarks.click.case import Case as ClickCase
from benchmarks.click.case import Settings as ClickCaseSettings
from benchmarks.click.outcome import Outcome as ClickOutcome
from benchmarks.click.outcome import measure as measure_clicks
from benchmarks.quality import data as ranking_data
from benchmarks.quality.__main__ import parser as quality_parser
from benchmarks.quality.__main__ import settings_of
from benchmarks.quality.case import Case as RankingCase
from benchmarks.quality.methods import contenders as ranking_contenders
from benchmarks.quality.methods import run as run_ranking
from memcom_tf._keras import keras
from memcom_tf.compression import CLICK_SETTINGS, TEXT_SETTINGS
from memcom_tf.compression.file_size import fill_at_random
from memcom_tf.compression.sizes import Sized, tables_within
from memcom_tf.converters import convert
from memcom_tf.layers import METHODS, CompressedEmbedding
from memcom_tf.layers.contract.method import Method
from memcom_tf.models import TextClassifier, save_model
from memcom_tf.models.click_tables import MIN_ROWS, better_arguments, layer_name
from memcom_tf.models.text_model import POOLED
from memcom_tf.seeding import seeded
from memcom_tf.training import (
    ClickSettings,
    TextSettings,
    train_clicks,
    train_text_classifier,
    train_texts,
)
from memcom_tf.training.clicks import predictions as click_predictions
from memcom_tf.training.recipe import TUNED
from memcom_tf.training.text_tables import counts_of, ordered
from memcom_tf.training.texts import predictions as text_predictions

SCRATCH, TABLE = "scratch", "table"
"""From random tables; from a trained one, in closed form, and then trained after its model."""
QUICK_ROWS = 3000

Row = dict[str, Any]


def has_closed_form(method: type[CompressedEmbedding]) -> bool:
    """Whether a trained table of full width can be put into it, at a size of its own."""
    return method.approximate is not Method.approximate and method.size_argument is not None


class Work:
    """Data, settings and full models of a task.

    Attributes:
        name: Of the data.
        fingerprint: Of data and settings: runs of another one do not belong to these.
        metric: What methods are compared by; more is better.
    """

    name: str
    fingerprint: str
    metric: str

    def full(self, seed: int) -> Row:
        """The figures of the full model of a seed, in float32."""
        raise NotImplementedError

    def run(
        self, method: type[CompressedEmbedding], start: str, ratio: float, seed: int
    ) -> Row | None:
        """The figures of a method at a share of the bytes of the full file; None if too small."""
        raise NotImplementedError


class Clicks(Work):
    """Click models: the large tables are of a method, the small ones stay full."""

    metric = "AUC"

    def __init__(self, path: Path, work: Path, quick: bool, **split: Any) -> None:
        most = QUICK_ROWS if quick else None
        data = click_data.load(path, None, most=most, **split)
        training, student = ClickSettings(), CLICK_SETTINGS
        if quick:
            training = replace(training, epochs=1, evaluations=1)
            student = replace(student, epochs=1, evaluations=1)
        min_rows = 50 if quick else MIN_ROWS
        settings = ClickCaseSettings(16, "deepfm", min_rows, training, student)
        self.case = ClickCase(data, settings, work)
        self.name, self.fingerprint = data.name, f"{data.fingerprint}-{settings.fingerprint}"
        self.shapes = {name: (self.case.features.tables[name], 16) for name in self.case.large}

    @cached_property
    def overhead(self) -> int:
        """Bytes of a file beside its large tables."""
        full = self._file_bytes({})
        return full - sum(rows * (width + 4) for rows, width in self.shapes.values())

    def full(self, seed: int) -> Row:
        model, _ = self.case.trained_full(seed)
        return measure_clicks(ClickOutcome(model, 0, "full", weights="float32"), self.case.split)

    def run(
        self, method: type[CompressedEmbedding], start: str, ratio: float, seed: int
    ) -> Row | None:
        arguments: dict[str, Any] = {}
        if start == SCRATCH:
            # A number is a byte in a file, and was four in that of the full model.
            better = better_arguments(method, 16, ratio / 4)
            arguments = {**better, **TUNED.get(method.__name__, {})}
        limit = int(self.case.full_bytes / ratio)
        sized = tables_within(
            method, self.shapes, limit, self.overhead, self._file_bytes, **arguments
        )
        if sized is None:
            return None
        settings = self.case.settings
        with seeded(seed):
            if start == SCRATCH:
                model = self.case.new_model(self._layers(sized))
                train_clicks(model, self.case.split, replace(settings.training, seed=seed))
            else:
                model = self._after_full(sized, seed)
        chosen = "; ".join(f"{name}: {table}" for name, table in sized.items())
        return {**measure_clicks(ClickOutcome(model, 0, chosen), self.case.split), "chosen": chosen}

    def _layers(self, sized: dict[str, Sized]) -> dict[str, CompressedEmbedding]:
        features = self.case.features
        return {name: of.layer(name=layer_name(features, name)) for name, of in sized.items()}

    def _after_full(self, sized: dict[str, Sized], seed: int) -> Any:
        model, _ = self.case.trained_full(seed)
        assert model.joint is not None
        table = model.joint.table_values()["embeddings"]
        layers = {
            name: of.candidate.method.from_table(
                table[model.rows_of(name)],
                name=layer_name(model.features, name),
                **of.candidate.arguments,
            )
            for name, of in sized.items()
        }
        student = model.with_tables(layers)
        split = self.case.split
        soft = click_predictions(model, model.features.encode(split.train))
        settings = replace(self.case.settings.student, seed=seed)
        train_clicks(student, split, settings, teacher=soft)
        return student

    def _file_bytes(self, sized: dict[str, Sized]) -> int:
        model = self.case.new_model(self._layers(sized))
        model.build_once()
        fill_at_random(model)
        return int(convert(model, verify=False).report["graph_bytes"])


class Texts(Work):
    """Text classifiers: the table of words is of a method."""

    metric = "accuracy"

    def __init__(self, path: Path, work: Path, quick: bool, **split: Any) -> None:
        documents = text_data.load(path, **split)
        self.split = text_data.split_of(documents, QUICK_ROWS // 2 if quick else None)
        self.name = path.stem
        self.epochs = 2 if quick else None
        self.work = work
        self.fingerprint = f"{text_data.name_of(self.split)}-{self.epochs}"

    def _settings(self, seed: int) -> TextSettings:
        return TextSettings(epochs=self.epochs, seed=seed)

    def _full_model(self, seed: int) -> TextClassifier:
        path = self.work / f"{self.name}-{self.fingerprint}-{seed}.keras"
        if not path.exists():
            self.work.mkdir(parents=True, exist_ok=True)
            trained = train_text_classifier(self.split, settings=self._settings(seed))
            save_model(trained.model, path)
        return keras.models.load_model(path, compile=False)

    @cached_property
    def _first(self) -> TextClassifier:
        return self._full_model(0)

    @cached_property
    def full_bytes(self) -> int:
        """Bytes of the float32 file of the full model."""
        return self._converted(self._first, "float32")

    def _converted(self, model: TextClassifier, weights: Any = "int8") -> int:
        samples = model.features.encode(self.split.train[:256].columns)
        found = convert(model, weights=weights, samples=samples, verify=False)
        return int(found.report["graph_bytes"])

    def full(self, seed: int) -> Row:
        model = self._full_model(seed)
        found = measure_text(model, self.split)
        return {**found, "bytes": self.full_bytes}

    def run(
        self, method: type[CompressedEmbedding], start: str, ratio: float, seed: int
    ) -> Row | None:
        arguments = TUNED.get(method.__name__, {}) if start == SCRATCH else {}
        shape = self._first.embedding.input_dim, self._first.embedding.output_dim
        limit = int(self.full_bytes / ratio)
        overhead = self._converted(self._first) - shape[0] * (shape[1] + 4)

        def file_bytes(sized: dict[str, Sized]) -> int:
            return self._converted(self._untrained(self._layer(sized)))

        sized = tables_within(
            method, {"words": shape}, limit, max(0, overhead), file_bytes, **arguments
        )
        if sized is None:
            return None
        with seeded(seed):
            make = self._from_scratch if start == SCRATCH else self._after_full
            model = make(sized, seed)
        found = measure_text(model, self.split)
        return {**found, "bytes": found["graph_bytes"], "chosen": str(sized["words"])}

    def _layer(self, sized: dict[str, Sized]) -> CompressedEmbedding:
        return sized["words"].layer(name="words", **POOLED)

    def _untrained(self, layer: CompressedEmbedding, features: Any = None) -> TextClassifier:
        features = features or self._first.features
        model = TextClassifier(features, self.split.classes, embedding=layer)
        model.build_once()
        return model

    def _from_scratch(self, sized: dict[str, Sized], seed: int) -> TextClassifier:
        layer = self._layer(sized)
        # Words that share rows are numbered by classes, as `memcom train --task text` does.
        features = ordered(self._first.features, self.split, layer, "classes", seed)
        model = self._untrained(layer, features)
        train_texts(model, self.split, self._settings(seed))
        return model

    def _after_full(self, sized: dict[str, Sized], seed: int) -> TextClassifier:
        full = self._full_model(seed)
        (vocabulary,) = full.features.vocabularies.values()
        candidate = sized["words"].candidate
        layer = candidate.method.from_table(
            full.embedding.table_values()["embeddings"],
            frequencies=counts_of(vocabulary),
            name="words",
            **POOLED,
            **candidate.arguments,
        )
        model = full.with_embedding(layer)
        soft = text_predictions(full, full.features.encode(self.split.train.columns))
        settings = replace(TEXT_SETTINGS, seed=seed, epochs=self.epochs)
        train_texts(model, self.split, settings, teacher=soft)
        return model


class NextItems(Work):
    """Rankers with one table for both sides, by the runs of `benchmarks.quality`."""

    def __init__(self, path: Path, work: Path, quick: bool, **split: Any) -> None:
        options = quality_parser().parse_args(
            ["--data", str(path), *(["--quick"] if quick else [])]
        )
        data = ranking_data.load(str(path), options.history_length)
        self.settings = settings_of(options, data)
        self.case = RankingCase(data, self.settings, work)
        self.name, self.metric = data.name, f"ndcg@{self.settings.k}"
        self.fingerprint = f"{data.fingerprint}-{self.settings.fingerprint()}"

    def full(self, seed: int) -> Row:
        return run_ranking(self.case, ranking_contenders()["tied"], None, seed)

    def run(
        self, method: type[CompressedEmbedding], start: str, ratio: float, seed: int
    ) -> Row | None:
        name = method.__name__ + ("" if start == SCRATCH else "+distilled")
        contender = ranking_contenders().get(name)
        if contender is None:
            return None
        # There, a ratio is one to the file with a table for each side.
        ratio *= self.case.untied_bytes / self.case.tied_bytes
        found = run_ranking(self.case, contender, ratio, seed)
        return found if found["reachable"] else None


TASKS: dict[str, Callable[..., Work]] = {"click": Clicks, "text": Texts, "next-item": NextItems}
METHODS_OF_START = {
    SCRATCH: list(METHODS),
    TABLE: [name for name, method in METHODS.items() if has_closed_form(method)],
}
