"""Two files side by side: what they weigh, how fast they are, and whether they agree."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.evaluation import Examples, evaluate_lists

from ..runtime import CompressedModelFile
from .measurement import REPEATS, THREADS, WARM_UP, sample_inputs

_NUM_HISTORIES = 64


@dataclass(frozen=True)
class FileFigures:
    """One of the files.

    Attributes:
        path: Where it is.
        name: The name of the model.
        bytes: "file", "graph", "tables", and "compressed" by zlib, as an app store delivers it.
        min_runtime_version: The oldest TensorFlow Lite that runs it.
        milliseconds: Median latency by signature and number of threads, on this machine, with the
            call from Python; `rank` of one history, `score` of up to 100 candidates, `embed` of
            one id, other signatures with sizes of 1 where they are free.
        metrics: "ndcg@k" and "recall@k" where examples were given.
    """

    path: str
    name: str
    bytes: dict[str, int]
    min_runtime_version: str
    milliseconds: dict[str, dict[int, float]]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Agreement:
    """How far two rankers of the same items agree.

    Attributes:
        num_histories: How many random histories were ranked by both.
        k: How many of each list count.
        common_share: Mean share of the first list's items that the second has, 0 to 1.
        largest_score_difference: Of the items of both lists, scored by both.
    """

    num_histories: int
    k: int
    common_share: float
    largest_score_difference: float


@dataclass(frozen=True)
class Comparison:
    """Two files side by side.

    Attributes:
        first: Figures of the first file.
        second: Figures of the second file.
        agreement: How far they agree; None where they are not rankers of the same items.
    """

    first: FileFigures
    second: FileFigures
    agreement: Agreement | None


def compare(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    *,
    examples: Examples | None = None,
    repeats: int = REPEATS,
) -> Comparison:
    """Compares two files of `memcom convert`. Needs LiteRT, no TensorFlow.

    Rankers are held against each other where both have vocabularies of the same items, whatever
    their order, or both have none and the same number of ids.

    Args:
        first: A `.tflite` file.
        second: Another one.
        examples: Examples with the ids of the first file, for the metrics of both.
        repeats: How many calls a median latency is of.

    Returns:
        Bytes, latencies, agreement and metrics.

    Raises:
        ImportError: If ai-edge-litert is not installed.
        ValueError: If a file is foreign or damaged, `repeats` is not positive, or examples are
            given of files that are not rankers of the same items.

    Example:
        >>> import pathlib, tempfile
        >>> from memcom_tf import MEmComEmbedding
        >>> from memcom_tf.converters import convert
        >>> from memcom_tf.models import NextItemRanker
        >>> ranker = NextItemRanker(MEmComEmbedding(500, 16, num_buckets=50), history_length=8)
        >>> ranker.build((None, 8))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = [pathlib.Path(folder) / name for name in ("a.tflite", "b.tflite")]
        ...     for path in paths:
        ...         convert(ranker, k=5, verify=False).save(path)
        ...     comparison = compare(*paths, repeats=1)
        >>> comparison.agreement.common_share, comparison.agreement.largest_score_difference
        (1.0, 0.0)
    """
    if repeats < 1:
        raise invalid(
            "`repeats` must be positive.", "Pass how many calls to time.", repeats=repeats
        )
    files = [CompressedModelFile(path) for path in (first, second)]
    ids = _same_ids(*files)
    if examples is not None and ids is None:
        raise invalid(
            "Examples must be of files that are rankers of the same items.",
            "Compare files of one vocabulary, or leave the examples out.",
            first=str(first),
            second=str(second),
        )
    metrics: list[dict[str, float]] = [{}, {}]
    if examples is not None and ids is not None:
        k = _common_k(files)
        numbered = [examples, _renumbered(examples, ids)]
        metrics = [
            evaluate_lists(_lists_of(file), some, k=k)
            for file, some in zip(files, numbered, strict=True)
        ]
    latencies = _latencies(files, repeats)
    ours, theirs = (
        _figures(file, milliseconds, measured)
        for file, milliseconds, measured in zip(files, latencies, metrics, strict=True)
    )
    return Comparison(ours, theirs, None if ids is None else _agreement(files, ids))


def _lists_of(file: CompressedModelFile) -> Callable[[np.ndarray], np.ndarray]:
    return lambda history: file.rank(history)[0]


def _figures(
    file: CompressedModelFile, milliseconds: dict[str, dict[int, float]], metrics: dict[str, float]
) -> FileFigures:
    report = file.report
    sizes = {
        "file": report["file_bytes"],
        "graph": report["graph_bytes"],
        "tables": sum(embedding["bytes"] for embedding in report["embeddings"]),
        "compressed": report["compressed_bytes"],
    }
    version = report["min_runtime_version"]
    return FileFigures(str(file.path), report["name"], sizes, version, milliseconds, metrics)


def _latencies(
    files: Sequence[CompressedModelFile], repeats: int
) -> list[dict[str, dict[int, float]]]:
    """Median milliseconds of each file's signatures; the files take turns, for the same noise."""
    found: list[dict[str, dict[int, float]]] = [
        {name: {} for name in sorted(file.signatures)} for file in files
    ]
    for threads in THREADS:
        opened = [CompressedModelFile(file.path, num_threads=threads) for file in files]
        for name in sorted({name for file in opened for name in file.signatures}):
            having = [place for place, file in enumerate(opened) if name in file.signatures]
            inputs = {place: sample_inputs(opened[place], name) for place in having}
            seconds: dict[int, list[float]] = {place: [] for place in having}
            for _ in range(WARM_UP + repeats):
                for place in having:
                    start = time.perf_counter()
                    opened[place].run(name, **inputs[place])
                    seconds[place].append(time.perf_counter() - start)
            for place in having:
                median = statistics.median(seconds[place][WARM_UP:])
                found[place][name][threads] = 1000 * median
    return found


def _same_ids(first: CompressedModelFile, second: CompressedModelFile) -> np.ndarray | None:
    """The second file's ids of the first one's items, `[input_dim]`; None where there are none."""
    descriptions = (first.description, second.description)
    if any(description.ranker is None for description in descriptions):
        return None
    of_first, of_second = first.archive.vocabulary, second.archive.vocabulary
    if of_first is None or of_second is None:
        sizes = {description.num_ids for description in descriptions}
        return np.arange(sizes.pop()) if of_first is of_second and len(sizes) == 1 else None
    if of_first.first_id != of_second.first_id or set(of_first) != set(of_second):
        return None
    return np.asarray(of_first.ids_in(of_second))


def _common_k(files: Sequence[CompressedModelFile]) -> int:
    return min(file.ranker.k for file in files)


def _renumbered(examples: Examples, ids: np.ndarray) -> Examples:
    for name in ("history", "target"):
        values = getattr(examples, name)
        outside = values[(values < 0) | (values >= len(ids))]
        if len(outside):
            raise invalid(
                f"Ids of the examples must be in [0, {len(ids)}).",
                "Take them from the vocabulary of the first file.",
                **{name: int(outside[0])},
            )
    return replace(examples, history=ids[examples.history], target=ids[examples.target])


def _agreement(files: Sequence[CompressedModelFile], ids: np.ndarray) -> Agreement:
    first, second = files
    k = _common_k(files)
    length = min(file.ranker.history_length for file in files)
    rng = np.random.default_rng(1)
    items = np.arange(first.ranker.reserved_ids, len(ids))
    items = np.setdiff1d(items, first.free_ids)
    back = np.zeros(int(ids.max()) + 1, np.int64)
    back[ids] = np.arange(len(ids))
    common, differences = [], []
    # None is empty: it may give all items one score, and a list of any of them.
    for known in rng.integers(min(1, length), length + 1, _NUM_HISTORIES):
        history = rng.choice(items, min(known, len(items)), replace=False)
        ours = first.rank(history)[0][:k]
        theirs = back[second.rank(ids[history])[0][:k]]
        common.append(len(np.intersect1d(ours, theirs)) / k)
        both = np.union1d(ours, theirs)
        differences.append(
            np.abs(_scores(first, history, both) - _scores(second, ids[history], ids[both])).max()
        )
    return Agreement(_NUM_HISTORIES, k, float(np.mean(common)), float(np.max(differences)))


def _scores(file: CompressedModelFile, history: np.ndarray, candidates: np.ndarray) -> Any:
    query = file.query_inputs(history)
    return file.run("score", **query, candidates=candidates.astype(np.int32))["scores"]
