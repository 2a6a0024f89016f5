"""What a sweep makes of rows: click models of full tables, of a method, and compressed ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from memcom_tf.compression.clicks import CLICK_SETTINGS, compress_clicks
from memcom_tf.compression.file_size import fill_at_random
from memcom_tf.compression.sizes import Sized, tables_within
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.errors import argument, invalid
from memcom_tf.evaluation import RowSplit, click_metrics
from memcom_tf.features import Features, fit_features
from memcom_tf.layers import METHODS
from memcom_tf.models import ClickModel
from memcom_tf.models.click_tables import MIN_ROWS, better_arguments, layer_name
from memcom_tf.seeding import seeded
from memcom_tf.sweeps.work import Made, Report
from memcom_tf.training import ClickSettings, train_clicks
from memcom_tf.training.checkpoint import fingerprint
from memcom_tf.training.recipe import TUNED

_FLOAT = 4
"""Bytes of a number in the file of a full model, which is one in that of a compressed one."""


class Clicks:
    """Click models of rows, with the same fields and interactions.

    Args:
        split: The rows.
        width: Width of the vectors.
        settings: How models are trained, but for the seed.
        interaction: As of `ClickModel`.
        min_rows: Tables of fewer rows are full in any case.
        report: Called with lines on what is done.
    """

    metric = "AUC"

    def __init__(
        self,
        split: RowSplit,
        width: int,
        settings: ClickSettings,
        interaction: str = "deepfm",
        min_rows: int = MIN_ROWS,
        report: Report = lambda line: None,
    ) -> None:
        self.split, self.width, self.settings, self.report = split, width, settings, report
        self.interaction, self.min_rows = interaction, min_rows
        self.student = CLICK_SETTINGS
        if settings.epochs != ClickSettings().epochs:
            self.student = replace(self.student, epochs=settings.epochs)

    @cached_property
    def features(self) -> Features:
        """The fields, fitted on the rows for training."""
        return fit_features(self.split.train)

    @property
    def described(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What tells the data and the settings from others."""
        arrays = []
        for part in (self.split.train, self.split.validation, self.split.test):
            arrays += [*self.features.encode(part).values(), part.labels]
        data = {"fingerprint": fingerprint(arrays)[:16], "rows": len(self.split.train)}
        training, student = ({**asdict(each)} for each in (self.settings, self.student))
        del training["seed"], student["seed"]
        own = {"width": self.width, "interaction": self.interaction, "min_rows": self.min_rows}
        return data, {**own, "training": training, "compress": student}

    def full(self, seed: int) -> Made:
        """A model with full tables."""
        return self._trained({}, seed, "FullEmbedding()")

    def of_method(self, name: str, seed: int, limit: int, ratio: float) -> Made:
        """A model whose large tables are of a method, as `Work` has it."""
        method = METHODS[name]
        better = better_arguments(method, self.width, ratio / _FLOAT)
        arguments = {**better, **TUNED.get(name, {})}
        large = {
            table: (rows, self.width)
            for table, rows in self.features.tables.items()
            if rows >= self.min_rows
        }
        if not large:
            raise invalid(
                f"There must be a table of {self.min_rows:,} rows or more to compress.",
                "Leave all methods out but compress.",
                rows=max(self.features.tables.values(), default=0),
            )
        whole = sum(rows * (width + _FLOAT) for rows, width in large.values())
        overhead = self._file_bytes({}) - whole
        sized = tables_within(method, large, limit, overhead, self._file_bytes, **arguments)
        if sized is None:
            raise invalid(
                f"{argument('ratios')} must leave room for the smallest {name}.",
                f"A file without the large tables takes about {overhead:,} bytes.",
                max_bytes=limit,
            )
        chosen = "; ".join(f"{table}: {size}" for table, size in sized.items())
        return self._trained(sized, seed, chosen)

    def compressed(self, full: ClickModel, seed: int, limit: int) -> Made:
        """A full model compressed, as `Work` has it."""
        settings = replace(self.student, seed=seed)
        found = compress_clicks(
            full, self.split, max_bytes=limit, settings=settings, report=self.report
        )
        chosen = "; ".join(map(str, found.tables))
        loss = found.log_loss[-1]
        return Made(found.model, self.split, chosen, loss, {"samples": found.samples})

    def metrics(self, path: Path, made: Made) -> dict[str, float]:
        """What a file, by itself, predicts of the rows for test."""
        found = CompressedModelFile(path).predict(made.split.test)
        return click_metrics(found, made.split.test.labels)

    def keep_examples(self, folder: Path) -> None:
        """Writes nothing: files of click models are compared without."""

    def _trained(self, sized: Mapping[str, Sized], seed: int, chosen: str) -> Made:
        with seeded(seed):
            model = self._new(sized)
        settings = replace(self.settings, seed=seed)
        record = train_clicks(model, self.split, settings, report=self.report)
        return Made(model, self.split, chosen, float(record["best"]))

    def _new(self, sized: Mapping[str, Sized]) -> ClickModel:
        named = {table: layer_name(self.features, table) for table in sized}
        tables = {table: size.layer(name=named[table]) for table, size in sized.items()}
        return ClickModel(
            self.features,
            width=self.width,
            interaction=self.interaction,
            tables=tables,
            name="clicks",
        )

    def _file_bytes(self, sized: Mapping[str, Sized]) -> int:
        model = self._new(sized)
        fill_at_random(model)
        return int(convert(model, verify=False).report["graph_bytes"])
