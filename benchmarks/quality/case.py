"""What the runs of the benchmark of quality share: settings, baselines, and sizes at bytes."""

from __future__ import annotations

import hashlib
import json
import os
from bisect import bisect_right
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.quality.data import Data
from memcom_tf._keras import keras
from memcom_tf.compression import Candidate
from memcom_tf.compression.file_size import fill_at_random, graph_bytes
from memcom_tf.compression.trials import BIASES
from memcom_tf.evaluation import Split
from memcom_tf.layers import CompressedEmbedding, FullEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.training import TrainingSettings, new_ranker, train
from memcom_tf.training.recipe import TUNED, start

_UNUSED = 0.005
"""Share of the bytes that may stay unused, so that few files are written to find a size."""


@dataclass(frozen=True)
class Settings:
    """What decides the result of a run, beside data, method, ratio and seed.

    Attributes:
        k: Length of the judged list.
        width: Width of an embedding.
        history_length: Items of a history.
        training: How baselines, and methods from scratch, are trained: for as many steps as the
            teacher and the students take together.
        teacher_steps: Steps of the teacher.
        student: How students are trained.
        file_users: Users that a file is run for, at most.
    """

    k: int
    width: int
    history_length: int
    training: TrainingSettings
    teacher_steps: int
    student: TrainingSettings
    file_users: int

    def fingerprint(self, trains_student: bool = True) -> str:
        """Twelve digits of what decides a run, which trains a student or does not."""
        values = asdict(self)
        if not trains_student:
            del values["student"]
        return _digest(values)


class Case:
    """A data set and settings, with what all runs share.

    Args:
        data: The data.
        settings: The settings.
        work: Folder for what was trained, so that a later run finds it.
    """

    def __init__(self, data: Data, settings: Settings, work: Path) -> None:
        self.data, self.settings, self.work = data, settings, work
        self.split = data.split
        self._sized: dict[tuple[str, int, bool], tuple[Candidate, int] | None] = {}

    @cached_property
    def untied_bytes(self) -> int:
        """Bytes of the float32 file with a table for each side: what ratios refer to."""
        return graph_bytes(self._built(self.baseline("untied")), "float32")

    @cached_property
    def tied_bytes(self) -> int:
        """Bytes of the float32 file with one table."""
        return graph_bytes(self._built(self.baseline("tied")), "float32")

    def baseline(self, kind: str) -> NextItemRanker:
        """An uncompressed ranker, not trained."""
        sides = 2 if kind.startswith("untied") else 1
        names = ("items", "scored_items")[:sides]
        tables = [self.layer(FullEmbedding, self.settings.width, name=name) for name in names]
        return self.ranker(self.split, *tables)

    def layer(
        self, method: type[CompressedEmbedding], width: int, **arguments: Any
    ) -> CompressedEmbedding:
        """A new table."""
        input_dim = self.split.vocabulary.input_dim
        return method(input_dim, width, start(), **{"name": "items", **arguments})

    def ranker(
        self,
        split: Split,
        item_embedding: CompressedEmbedding,
        output_embedding: CompressedEmbedding | None = None,
        **changed: Any,
    ) -> NextItemRanker:
        """A ranker of the one recipe that all share."""
        # A number in its name would count in the file's bytes.
        changed = {"output_embedding": output_embedding, "name": "ranker", **changed}
        return new_ranker(split, item_embedding, **changed)

    def trained_baseline(self, kind: str, seed: int) -> tuple[NextItemRanker, int]:
        """A trained "untied", "tied", "teacher" or "untied-teacher", and its best epoch.

        From the disk if there. A teacher is trained for as much less as its students take.
        """
        settings = replace(self.settings.training, seed=seed)
        if kind.endswith("teacher"):
            settings = replace(settings, steps=self.settings.teacher_steps)
        shape = [self.settings.width, self.settings.history_length, self.data.fingerprint]
        stem = f"{self.data.name}-{kind}-{_digest([asdict(settings), *shape])}"
        path, epoch = self.work / f"{stem}.keras", self.work / f"{stem}.json"
        if not path.exists():
            keras.utils.set_random_seed(seed)
            model = self.baseline(kind)
            record = train(model, self.split, settings)
            self.work.mkdir(parents=True, exist_ok=True)
            epoch.write_text(json.dumps(record))
            beside = path.with_name(f"unfinished-{path.name}")
            model.save(beside)
            os.replace(beside, path)
        return keras.models.load_model(path), json.loads(epoch.read_text())["epoch"]

    def sized(
        self, method: type[CompressedEmbedding], limit: int, biases: bool = False
    ) -> tuple[Candidate, int] | None:
        """The largest tied ranker of a method whose file fits: its layer and width.

        Args:
            method: The layer's class.
            limit: Bytes of the file, at most.
            biases: Whether the ranker has the biases of items that `compress` gives it.
        """
        key = (method.__name__, limit, biases)
        if key not in self._sized:
            self._sized[key] = self._largest(method, limit, BIASES if biases else {})
        return self._sized[key]

    def _largest(
        self, method: type[CompressedEmbedding], limit: int, changed: dict[str, Any]
    ) -> tuple[Candidate, int] | None:
        vocabulary, width = self.split.vocabulary, self.settings.width
        sizes = range(1, width + 1)  # what has no size of its own is narrower
        if method.size_argument:
            sizes = method.size_range(vocabulary.input_dim, width)
            # An order needs an item for every bucket.
            sizes = [size for size in sizes if size <= len(vocabulary)]

        def at(size: int) -> tuple[Candidate, int]:
            arguments = dict(TUNED.get(method.__name__, {}))
            if not method.size_argument:
                return Candidate(method, arguments), size
            return Candidate(method, {**arguments, method.size_argument: size}), width

        def stored_bytes(size: int) -> int:
            candidate, width = at(size)
            return candidate.stored_bytes(vocabulary.input_dim, width)

        def file_bytes(size: int) -> int:
            candidate, width = at(size)
            layer = self.layer(method, width, **candidate.arguments)
            return graph_bytes(self._built(self.ranker(self.split, layer, **changed)))

        def place(room: int) -> int:
            return bisect_right(sizes, room, key=stored_bytes) - 1

        low, high = -1, place(limit) + 1  # what fits, and what does not
        overhead = self.tied_bytes - 4 * vocabulary.input_dim * width
        guess = place(limit - overhead)
        while high - low > 1:
            middle = min(max(guess, low + 1), high - 1)
            room = limit - file_bytes(sizes[middle])
            low, high = (middle, high) if room >= 0 else (low, middle)
            if 0 <= room <= _UNUSED * limit:
                break
            guess = place(stored_bytes(sizes[middle]) + room)
        return at(sizes[low]) if low >= 0 else None

    @staticmethod
    def _built(ranker: NextItemRanker) -> NextItemRanker:
        fill_at_random(ranker)
        return ranker


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
