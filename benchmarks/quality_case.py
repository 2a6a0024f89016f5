"""The methods that the benchmark of quality compares, and how one of them is run and measured."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality_data import Data
from memcom_tf._keras import keras
from memcom_tf.compression import Candidate, compress
from memcom_tf.compression.compress import SETTINGS, graph_bytes
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.fold import find_embeddings, ship
from memcom_tf.converters.signatures import dequantized_tables
from memcom_tf.evaluation import Examples, Split, evaluate_ranking
from memcom_tf.layers import CompressedEmbedding, FullEmbedding
from memcom_tf.layers.base import METHODS
from memcom_tf.method import Method
from memcom_tf.models import NextItemRanker
from memcom_tf.ops.reference import ReferenceOps
from memcom_tf.ordering import interaction_vectors, similarity_order
from memcom_tf.training import TrainingSettings, train

FINALISTS = 2
TRIAL_EPOCHS = 4
STUDENT_EPOCHS = SETTINGS.epochs + FINALISTS * TRIAL_EPOCHS
"""What `compress` trains in all: its finalists for a trial each, then the best of them."""
TUNED: dict[str, dict[str, Any]] = {"MEmComEmbedding": {"multiplier_learning_rate": 10.0}}
"""Arguments that a method is better with, in training from scratch, than by default."""
_LARGE_CATALOGUE = 8192
_NUM_NEGATIVES = 3000
_START = 0.1
_UNUSED = 0.005
"""Share of the bytes that may stay unused, so that few files are written to find a size."""


@dataclass(frozen=True)
class Settings:
    """What decides the result of a run, beside data, method, ratio and seed.

    Attributes:
        k: Length of the judged list.
        width: Width of an embedding.
        history_length: Items of a history.
        training: How baselines, and methods from scratch, are trained: for as many epochs as the
            teacher and the student take together.
        teacher_epochs: Epochs of the teacher, at most.
        student: How students are trained.
        file_users: Users that a file is run for, at most.
    """

    k: int
    width: int
    history_length: int
    training: TrainingSettings
    teacher_epochs: int
    student: TrainingSettings
    file_users: int

    @property
    def fingerprint(self) -> str:
        """Twelve digits that tell settings apart."""
        return _digest(asdict(self))


@dataclass(frozen=True)
class Outcome:
    """What a method made.

    Attributes:
        model: The ranker.
        split: The interactions under its ids.
        epochs: The best epoch of what was trained on targets alone.
        student_epochs: Epochs after the teacher, at most.
        chosen: The layer.
        weights: How the file stores tables.
    """

    model: NextItemRanker
    split: Split
    epochs: int
    student_epochs: int = 0
    chosen: str = ""
    weights: Any = "int8"


@dataclass(frozen=True)
class Contender:
    """A method of the comparison.

    Attributes:
        name: Its name on the command line.
        run: Takes the case, a seed and the bytes of the file at most; None where no size fits.
        at_ratios: Whether its size is chosen.
    """

    name: str
    run: Callable[[Case, int, int], Outcome | None]
    at_ratios: bool = True


def contenders() -> dict[str, Contender]:
    """All methods by name: baselines, every registered layer in its ways, and `compress`."""
    found = [
        Contender("untied", partial(_baseline, kind="untied"), at_ratios=False),
        Contender("tied", partial(_baseline, kind="tied"), at_ratios=False),
        Contender("tied-int8", partial(_baseline, kind="tied", weights="int8"), at_ratios=False),
        Contender("compress", _compressed),
    ]
    for name, method in METHODS.items():
        found.append(Contender(name, partial(_from_scratch, method=method)))
        if method.shares_by_remainder:
            found.append(
                Contender(f"{name}+order", partial(_from_scratch, method=method, ordered=True))
            )
        if method.size_argument and method.approximate is not Method.approximate:
            for way, epochs in (("posthoc", 0), ("distilled", None)):
                run = partial(_from_teacher, method=method, epochs=epochs)
                found.append(Contender(f"{name}+{way}", run))
    return {contender.name: contender for contender in found}


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
        self._sized: dict[tuple[str, int], tuple[Candidate, int] | None] = {}

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
        sides = 2 if kind == "untied" else 1
        names = ("items", "scored_items")[:sides]
        tables = [self.layer(FullEmbedding, self.settings.width, name=name) for name in names]
        return self.ranker(self.split, *tables)

    def layer(
        self, method: type[CompressedEmbedding], width: int, **arguments: Any
    ) -> CompressedEmbedding:
        """A new table."""
        start = keras.initializers.RandomNormal(stddev=_START)
        input_dim = self.split.vocabulary.input_dim
        return method(input_dim, width, start, **{"name": "items", **arguments})

    def ranker(
        self,
        split: Split,
        item_embedding: CompressedEmbedding,
        output_embedding: CompressedEmbedding | None = None,
    ) -> NextItemRanker:
        """A ranker of the one recipe that all share."""
        large = split.vocabulary.input_dim >= _LARGE_CATALOGUE
        return NextItemRanker(
            item_embedding,
            output_embedding=output_embedding,
            history_length=self.settings.history_length,
            dropout=0.3,
            item_bias=False,
            query_bias=True,
            recency=split.ordered,
            num_negatives=_NUM_NEGATIVES if large else None,
            vocabulary=split.vocabulary,
            name="ranker",  # a number in it would count in the file's bytes
        )

    def trained_baseline(self, kind: str, seed: int) -> tuple[NextItemRanker, int]:
        """A trained "untied", "tied" or "teacher", and its best epoch; from the disk if there."""
        settings = replace(self.settings.training, seed=seed)
        if kind == "teacher":
            settings = replace(settings, epochs=self.settings.teacher_epochs)
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

    def sized(self, method: type[CompressedEmbedding], limit: int) -> tuple[Candidate, int] | None:
        """The largest tied ranker of a method whose file fits: its layer and width."""
        key = (method.__name__, limit)
        if key not in self._sized:
            self._sized[key] = self._largest(method, limit)
        return self._sized[key]

    def _largest(
        self, method: type[CompressedEmbedding], limit: int
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
            return graph_bytes(self._built(self.ranker(self.split, layer)))

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

    def by_similarity(self, num_buckets: int) -> Split:
        """The split under ids that put items together which the same users took in training."""
        vocabulary, log = self.split.vocabulary, self.split.train_interactions
        item = vocabulary.ids(log.item) - vocabulary.first_id
        vectors = interaction_vectors(log.user, item, len(vocabulary))
        order = similarity_order(
            vectors,
            num_buckets,
            counts=vocabulary.counts,
            first_id=vocabulary.first_id,
            progress=False,
        )
        return self.split.renumbered(vocabulary.reordered(order))

    @staticmethod
    def _built(ranker: NextItemRanker) -> NextItemRanker:
        """Some weights, for zeros and ones at the start would be optimized out of the file."""
        ranker.build_once()
        rng = np.random.default_rng(0)
        for weight in ranker.trainable_weights:
            weight.assign(rng.normal(size=weight.shape))
        return ranker


def _baseline(case: Case, seed: int, limit: int, kind: str, weights: str = "float32") -> Outcome:
    model, epoch = case.trained_baseline(kind, seed)
    return Outcome(model, case.split, epoch, chosen="FullEmbedding", weights=weights)


def _from_scratch(
    case: Case,
    seed: int,
    limit: int,
    method: type[CompressedEmbedding],
    ordered: bool = False,
) -> Outcome | None:
    found = case.sized(method, limit)
    if found is None:
        return None
    candidate, width = found
    split = case.split
    if ordered:
        assert candidate.num_buckets is not None
        split = case.by_similarity(candidate.num_buckets)
    keras.utils.set_random_seed(seed)
    model = case.ranker(split, case.layer(method, width, **candidate.arguments))
    record = train(model, split, replace(case.settings.training, seed=seed))
    narrow = "" if method.size_argument else f", width {width}"
    return Outcome(model, split, record["epoch"], chosen=f"{candidate}{narrow}")


def _from_teacher(
    case: Case, seed: int, limit: int, method: type[CompressedEmbedding], epochs: int | None
) -> Outcome | None:
    found = case.sized(method, limit)
    if found is None:
        return None
    most = case.settings.student.epochs if epochs is None else epochs
    return _after_teacher(case, seed, limit, most, candidates=[found[0]], finalists=1)


def _compressed(case: Case, seed: int, limit: int) -> Outcome | None:
    epochs = case.settings.student.epochs
    try:
        return _after_teacher(case, seed, limit, epochs, finalists=FINALISTS)
    except ValueError as error:
        if "must leave room" not in str(error):
            raise
        return None


def _after_teacher(case: Case, seed: int, limit: int, epochs: int, **options: Any) -> Outcome:
    teacher, epoch = case.trained_baseline("teacher", seed)
    settings = replace(case.settings.student, epochs=epochs, seed=seed)
    found = compress(teacher, case.split, max_bytes=limit, settings=settings, **options)
    return Outcome(found.model, found.split, epoch, epochs, str(found.chosen))


def run(case: Case, contender: Contender, ratio: float | None, seed: int) -> dict[str, Any]:
    """Runs a method once.

    Args:
        case: The data and the settings.
        contender: The method.
        ratio: Bytes of the untied float32 file over those of the file, at least.
        seed: The seed.

    Returns:
        The figures of the run.
    """
    start = time.monotonic()
    limit = int(case.untied_bytes / (ratio or 1))
    outcome = contender.run(case, seed, limit)
    if outcome is None:
        return {"reachable": False}
    seconds = time.monotonic() - start
    figures = measure(outcome, case.settings)
    return {
        "reachable": True,
        "untied_bytes": case.untied_bytes,
        "tied_bytes": case.tied_bytes,
        "epochs": outcome.epochs,
        "student_epochs": outcome.student_epochs,
        "chosen": outcome.chosen,
        "seconds": round(seconds, 1),
        **figures,
    }


def measure(outcome: Outcome, settings: Settings) -> dict[str, Any]:
    """Bytes and metrics of the exported file, and of the model with the file's values."""
    model, split, k = outcome.model, outcome.split, settings.k
    conversion = convert(model, weights=outcome.weights, verify=False)
    ids = np.arange(model.item_embedding.input_dim, dtype=np.int32)
    figures: dict[str, Any] = {"bytes": conversion.report["graph_bytes"]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        conversion.save(path)
        file = CompressedModelFile(path)

        def score(histories: Any) -> Any:
            return np.stack([_scores(file, history, ids) for history in histories])

        for part in ("validation", "test"):
            examples = some(getattr(split, part), settings.file_users)
            figures[part] = evaluate_ranking(score, examples, k=k, batch_size=64)
            figures[f"{part}_users"] = len(examples)
    shipped = [ship(embedding, outcome.weights) for embedding in find_embeddings(model)]
    with dequantized_tables(shipped, ReferenceOps()):
        for part in ("validation", "test"):
            examples = getattr(split, part)
            figures[f"{part}_of_model"] = evaluate_ranking(model, examples, k=k, batch_size=256)
            figures[f"{part}_users_of_model"] = len(examples)
    return figures


def _scores(file: CompressedModelFile, history: Any, ids: Any) -> Any:
    return file.run("score", history=history[None].astype(np.int32), candidates=ids)["scores"]


def some(examples: Examples, most: int) -> Examples:
    """All examples, or so many of them, the same in every run."""
    rows = np.random.default_rng(0).permutation(len(examples))[:most]
    return examples[np.sort(rows)]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
