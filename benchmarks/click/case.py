"""What the runs of the benchmark of click models share: settings, features, the full model."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.click.data import Data
from memcom_tf._keras import keras
from memcom_tf.compression.file_size import fill_at_random
from memcom_tf.converters import convert
from memcom_tf.evaluation.rows import RowSplit
from memcom_tf.features import fit_features
from memcom_tf.models import ClickModel
from memcom_tf.seeding import seeded
from memcom_tf.training import ClickSettings, train_clicks


@dataclass(frozen=True)
class Settings:
    """What decides the result of a run, beside data, method, ratio and seed.

    Attributes:
        width: Width of the vectors.
        interaction: As of `memcom_tf.models.ClickModel`.
        min_rows: Tables of fewer rows are full in every method.
        training: How models are trained from scratch.
        student: How what is compressed is trained after the full model.
    """

    width: int
    interaction: str
    min_rows: int
    training: ClickSettings
    student: ClickSettings

    @property
    def fingerprint(self) -> str:
        """Twelve digits of what decides a run."""
        return _digest(asdict(self))


class Case:
    """Rows and settings, with what all runs share.

    Args:
        data: The rows.
        settings: The settings.
        work: Folder for what was trained, so that a later run finds it.
    """

    def __init__(self, data: Data, settings: Settings, work: Path) -> None:
        self.data, self.settings, self.work = data, settings, work

    @property
    def split(self) -> RowSplit:
        """The rows for three purposes."""
        return self.data.split

    @cached_property
    def features(self) -> Any:
        """The fields, of the rows of training."""
        return fit_features(self.split.train)

    @cached_property
    def large(self) -> list[str]:
        """The tables that methods are for."""
        tables = self.features.tables
        return [name for name, rows in tables.items() if rows >= self.settings.min_rows]

    @cached_property
    def full_bytes(self) -> int:
        """Bytes of the float32 file of the full model: what ratios of files refer to."""
        model = self.new_model()
        model.build_once()
        fill_at_random(model)
        return int(convert(model, weights="float32", verify=False).report["graph_bytes"])

    def new_model(self, tables: Any = None) -> ClickModel:
        """A model, not trained; full without `tables`."""
        width, interaction = self.settings.width, self.settings.interaction
        name = "clicks"  # a number in it would count in the file's bytes
        return ClickModel(
            self.features, width=width, interaction=interaction, tables=tables, name=name
        )

    def of_seed(self, seed: int) -> ClickSettings:
        """How a run of a seed is trained."""
        return replace(self.settings.training, seed=seed)

    def trained_full(self, seed: int) -> tuple[ClickModel, float]:
        """The full model, and its best epoch; from the disk if there."""
        settings = self.of_seed(seed)
        shape = [self.settings.width, self.settings.interaction, self.data.fingerprint]
        stem = f"{self.data.name}-full-{_digest([asdict(settings), *shape])}"
        path, record = self.work / f"{stem}.keras", self.work / f"{stem}.json"
        if not path.exists():
            with seeded(seed):
                model = self.new_model()
            found = train_clicks(model, self.split, settings)
            self.work.mkdir(parents=True, exist_ok=True)
            record.write_text(json.dumps(found["epochs"]))
            beside = path.with_name(f"unfinished-{path.name}")
            model.save(beside)
            os.replace(beside, path)
        return keras.models.load_model(path), json.loads(record.read_text())


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
