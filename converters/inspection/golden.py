"""What a file answers, written down: for tests of an app that runs the same file elsewhere."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.errors import invalid

from ..runtime import CompressedModelFile

FORMAT = "memcom_tf.golden"
FORMAT_VERSION = 1
TOLERANCE = 1e-5
"""What another runtime may round otherwise, relative to the largest value."""

_NUM_HISTORIES = 8
_NUM_CANDIDATES = 16
_NUM_VECTORS = 12


def golden(file: CompressedModelFile) -> dict[str, Any]:
    """Answers of a ranker's file to chosen inputs: vectors, scores and ranked lists.

    The inputs depend on the sizes of the file alone, and hold the empty history, one longer than
    the model sees, the first and the last item. Another runtime's numbers should lie within
    "tolerance" times the largest absolute value of the array; items of a list whose scores are
    that close may change places.

    Args:
        file: A file of `memcom convert` that holds a ranker.

    Returns:
        A document to be saved as JSON: "sha256" of the file, "runtime", "tolerance", "embed" with
        "ids" [n] and "vectors" [n, d], and "cases", each with a "history" of ids in order of
        time, "candidates" and their "candidate_scores", and the list's "ids" and "scores".

    Raises:
        ValueError: If the file holds no ranker.

    Example:
        >>> import pathlib, tempfile
        >>> from memcom_tf import MEmComEmbedding
        >>> from memcom_tf.converters import convert
        >>> from memcom_tf.models import NextItemRanker
        >>> ranker = NextItemRanker(MEmComEmbedding(500, 16, num_buckets=50), history_length=8)
        >>> ranker.build((None, 8))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "ranker.tflite"
        ...     convert(ranker, k=5).save(path)
        ...     document = golden(CompressedModelFile(path))
        >>> [len(case["ids"]) for case in document["cases"]]
        [5, 5, 5, 5, 5, 5, 5, 5]
    """
    length = file.ranker.history_length
    items = np.arange(file.ranker.reserved_ids, file.description.num_ids)
    items = np.setdiff1d(items, file.free_ids)
    rng = np.random.default_rng(0)

    def draw(count: int) -> np.ndarray:
        return rng.choice(items, min(count, len(items)), replace=False)

    lengths = [0, 1, 2, 3, 5, min(10, length), length, length + 3]
    ids = np.unique([items[0], items[-1], *draw(_NUM_VECTORS - 2)]).astype(np.int32)
    vectors = file.run("embed", ids=ids)["vectors"]
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "file": file.path.name,
        "sha256": hashlib.sha256(file.path.read_bytes()).hexdigest(),
        "runtime": f"ai-edge-litert {version('ai-edge-litert')}",
        "tolerance": TOLERANCE,
        "embed": {"ids": ids.tolist(), "vectors": _numbers(vectors)},
        "cases": [
            _case(file, draw(size), draw(_NUM_CANDIDATES)) for size in lengths[:_NUM_HISTORIES]
        ],
    }


def differences(document: dict[str, Any], file: CompressedModelFile) -> list[str]:
    """What a file on this machine's runtime answers otherwise than the document says.

    Args:
        document: What `golden` returned.
        file: The file that it is of.

    Returns:
        A line for each difference; empty where all numbers lie within the tolerance.

    Raises:
        ValueError: If the document is of another file.
    """
    sha256 = hashlib.sha256(file.path.read_bytes()).hexdigest()
    if document.get("sha256") != sha256:
        raise invalid(
            "The golden values must be those of the file.",
            "Write them again with `memcom golden`.",
            sha256=document.get("sha256"),
            expected=sha256,
        )
    tolerance = document["tolerance"]
    embed = document["embed"]
    vectors = file.run("embed", ids=np.array(embed["ids"], np.int32))["vectors"]
    found = [_compare("vectors", embed["vectors"], vectors, tolerance)]
    for number, case in enumerate(document["cases"]):
        now = _case(file, np.array(case["history"], int), np.array(case["candidates"], int))
        for name in ("candidate_scores", "scores"):
            found.append(_compare(f"case {number}: {name}", case[name], now[name], tolerance))
        if now["ids"] != case["ids"] and not _ties(case, now, tolerance):
            found.append(f"case {number}: ids: {now['ids']} instead of {case['ids']}")
    return [line for line in found if line]


def _case(file: CompressedModelFile, history: np.ndarray, candidates: np.ndarray) -> dict[str, Any]:
    row = file.history_row(history)
    ids, scores = file.rank(history)
    candidate_scores = file.run("score", history=row, candidates=candidates.astype(np.int32))
    return {
        "history": history.tolist(),
        "candidates": candidates.tolist(),
        "candidate_scores": _numbers(candidate_scores["scores"]),
        "ids": ids.tolist(),
        "scores": _numbers(scores),
    }


def _numbers(values: np.ndarray) -> Any:
    """float32 as the shortest decimals that read back as the same float32."""
    if values.ndim > 1:
        return [_numbers(row) for row in values]
    return [float(str(value)) for value in values.astype(np.float32)]


def _compare(name: str, expected: Any, found: Any, tolerance: float) -> str:
    wanted = np.asarray(expected, np.float64)
    error = np.abs(np.asarray(found, np.float64) - wanted).max()
    allowed = tolerance * max(1.0, np.abs(wanted).max())
    return f"{name}: {error:.3g} off, {allowed:.3g} allowed" if error > allowed else ""


def _ties(case: dict[str, Any], now: dict[str, Any], tolerance: float) -> bool:
    """Whether each item stands where the scores are, but for rounding, those of its own place."""
    allowed = tolerance * max(1.0, np.abs(case["scores"]).max())
    scores = dict(zip(case["ids"], case["scores"], strict=True))
    return all(
        item in scores and abs(scores[item] - score) <= allowed
        for item, score in zip(now["ids"], case["scores"], strict=True)
    )


def golden_path(model: Path) -> Path:
    """Where the golden values of a file stand by default: beside it."""
    return model.with_suffix(".golden.json")
