"""What a file answers, written down: for tests of an app that runs the same file elsewhere."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.features import Categorical

from ..runtime import CompressedModelFile

FORMAT = "memcom_tf.golden"
FORMAT_VERSION = 1
TOLERANCE = 1e-5
"""What another runtime may round otherwise, relative to the largest value."""

_NUM_HISTORIES = 8
_NUM_CANDIDATES = 16
_NUM_VECTORS = 12
_NUM_ROWS = 32
_WORDS = (
    "Green tea",
    "Crème BRÛLÉE",
    "cafe\u0301",
    "\ufb01ne \uff21\uff22",
    "İzmir",
    "Привет",
    "हिन्दी",
    "سَلام",
    "東京都へ",
    "한국어",
    "🍵🙂",
    "2.0!",
)
"""Of texts that are hashed: scripts, marks, and what is no word."""
_IN_8_BITS = 5e-3
"""The tolerance of a model of rows that multiplies in 8 bits."""


def golden(file: CompressedModelFile) -> dict[str, Any]:
    """Answers of a file to chosen inputs: of a ranker, or of a model of rows of fields.

    The inputs depend on the sizes and the vocabularies of the file alone. Those of a ranker hold
    the empty history, one longer than the model sees, the first and the last item; those of rows
    hold fields that are missing, and categories that are unknown. Another runtime's numbers should
    lie within "tolerance" times the largest absolute value of the array; items of a list whose
    scores are that close may change places.

    Args:
        file: A file of `memcom convert` that holds a ranker, or a model of rows of fields.

    Returns:
        A document to be saved as JSON: "sha256" of the file, "runtime", "tolerance", and of a
        ranker "embed" with "ids" [n] and "vectors" [n, d], and "cases", each with a "history" of
        ids in order of time, "candidates" and their "candidate_scores", and the list's "ids" and
        "scores", and "lists", each of a "history" and of what was asked for: "k", ids to
        "exclude", and the "candidates" that alone are ranked, or null. Where a ranker takes fields,
        each has a "row" of values by field, too. Of a model of rows "rows", each an object of
        values by field: texts of categories, numbers, null where one is missing; the inputs that
        they become, "ids" and "numbers", with null for what is missing; and the "outputs", one a
        row, of a text classifier those of all classes, and of a model of vectors these.

    Raises:
        ValueError: If the file holds neither.

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
    if file.description.ranker is None and file.description.fields is not None:
        return {**_head(file), **_answers(file, _rows(file))}
    length = file.ranker.history_length
    items = np.arange(file.ranker.reserved_ids, file.description.num_ids)
    items = np.setdiff1d(items, file.free_ids)
    rng = np.random.default_rng(0)

    def draw(count: int) -> np.ndarray:
        return rng.choice(items, min(count, len(items)), replace=False)

    lengths = [0, 1, 2, 3, 5, min(10, length), length, length + 3]
    histories = [draw(size if length else 0) for size in lengths[:_NUM_HISTORIES]]
    fields = file.description.fields
    rows = _rows(file)[: len(histories)] if fields else [None] * len(histories)
    ids = np.unique([items[0], items[-1], *draw(_NUM_VECTORS - 2)]).astype(np.int32)
    vectors = file.run("embed", ids=ids)["vectors"]
    return {
        **_head(file),
        "embed": {"ids": ids.tolist(), "vectors": _numbers(vectors)},
        "cases": [
            _case(file, history, draw(_NUM_CANDIDATES), row)
            for history, row in zip(histories, rows, strict=True)
        ],
        "lists": _lists(file, histories[2], draw(_NUM_CANDIDATES), rows[2]),
    }


def _lists(
    file: CompressedModelFile, history: np.ndarray, drawn: np.ndarray, row: Any
) -> list[dict[str, Any]]:
    """Lists that are shorter, lack items, or are of some items only."""
    k = file.ranker.k
    best = file.rank(history, row=row)[0]
    asked: list[tuple[int, Any, Any]] = [
        (max(1, k // 2), [], None),
        (max(1, k - 2), best[:2], None),  # of which the graph's list has enough
        (k, best[1:], None),  # of which it has not
        (k, [], drawn),
        (len(drawn), drawn[:3], drawn),
    ]
    return [_list(file, history, row, *each) for each in asked]


def _list(
    file: CompressedModelFile,
    history: np.ndarray,
    row: Any,
    k: int,
    exclude: Any,
    candidates: Any,
) -> dict[str, Any]:
    ids, scores = file.rank(history, k=k, exclude=exclude, candidates=candidates, row=row)
    return {
        "history": history.tolist(),
        **({} if row is None else {"row": row}),
        "k": k,
        "exclude": np.asarray(exclude, int).tolist(),
        "candidates": None if candidates is None else np.asarray(candidates).tolist(),
        "ids": ids.tolist(),
        "scores": _numbers(scores),
    }


def _head(file: CompressedModelFile) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "file": file.path.name,
        "sha256": hashlib.sha256(file.path.read_bytes()).hexdigest(),
        "runtime": f"ai-edge-litert {version('ai-edge-litert')}",
        "tolerance": _IN_8_BITS if _rounds_products(file) else TOLERANCE,
    }


def _rounds_products(file: CompressedModelFile) -> bool:
    """Whether numbers come of products in 8 bits, before which runtimes round in their own ways.

    A list is found by such products, but scored without them.
    """
    has_function = {"query", "serving_default"} & set(file.signatures)
    return file.description.scores_in_integers and bool(has_function)


def _rows(file: CompressedModelFile) -> list[dict[str, Any]]:
    """Rows of known values, of unknown ones, and of missing ones; the first has nothing."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = [dict.fromkeys(file.fields.names)]
    for _ in range(_NUM_ROWS - 1):
        row: dict[str, Any] = {}
        for of in file.fields.categorical:
            row[of.name] = _text_of(of, rng)
        for number in file.fields.numeric:
            value = float(np.float32(rng.normal() * 10.0 ** rng.integers(-2, 4)))
            row[number.name] = None if rng.random() < 0.1 else value
        rows.append(row)
    return rows


def _text_of(of: Categorical, rng: np.random.Generator) -> str:
    """A text of a field: of values that it knows and others, or words of several scripts."""
    if of.is_hashed:
        return " ".join(rng.choice(_WORDS, rng.integers(0, 7)).tolist())
    ids = rng.integers(0, of.input_dim, rng.integers(1, of.length + 2))
    values = [_value(of.vocabulary, id_) for id_ in ids.tolist()]
    return (of.separator or " ").join(values) if of.has_several else values[0]


def _value(dictionary: Any, id_: int) -> str:
    """A text of an id; of that of unknown values one that is unknown."""
    return str(dictionary.item(id_)) if id_ > 1 else ("", "never seen before")[id_]


def _answers(file: CompressedModelFile, rows: list[dict[str, Any]]) -> dict[str, Any]:
    columns = {name: [row[name] for row in rows] for name in file.fields.names}
    inputs = file.fields.encode(columns)
    found: dict[str, Any] = {"rows": rows}
    if "ids" in inputs:
        found["ids"] = inputs["ids"].tolist()
    if "numbers" in inputs:
        numbers = inputs["numbers"]
        found["numbers"] = [
            [None if np.isnan(number) else float(number) for number in row] for row in numbers
        ]
    return {**found, "outputs": _numbers(file.predict(columns))}


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
    if "rows" in document:
        now = _answers(file, document["rows"])
        lines = [_compare("outputs", document["outputs"], now["outputs"], tolerance)]
        for name in ("ids", "numbers"):
            if now.get(name) != document.get(name):
                lines.append(f"{name}: {now.get(name)} instead of {document.get(name)}")
        return [line for line in lines if line]
    embed = document["embed"]
    vectors = file.run("embed", ids=np.array(embed["ids"], np.int32))["vectors"]
    found = [_compare("vectors", embed["vectors"], vectors, tolerance)]
    for number, case in enumerate(document["cases"]):
        history, candidates = (np.array(case[name], int) for name in ("history", "candidates"))
        now = _case(file, history, candidates, case.get("row"))
        found += _differences(f"case {number}", case, now, tolerance)
    for number, each in enumerate(document.get("lists", ())):
        history = np.array(each["history"], int)
        asked = (each["k"], each["exclude"], each["candidates"])
        now = _list(file, history, each.get("row"), *asked)
        found += _differences(f"list {number}", each, now, tolerance)
    return [line for line in found if line]


def _differences(
    name: str, wanted: dict[str, Any], now: dict[str, Any], tolerance: float
) -> list[str]:
    lines = [
        _compare(f"{name}: {what}", wanted[what], now[what], tolerance)
        for what in ("candidate_scores", "scores")
        if what in wanted
    ]
    if now["ids"] != wanted["ids"] and not _ties(wanted, now, tolerance):
        lines.append(f"{name}: ids: {now['ids']} instead of {wanted['ids']}")
    return lines


def _case(
    file: CompressedModelFile, history: np.ndarray, candidates: np.ndarray, row: Any
) -> dict[str, Any]:
    ids, scores = file.rank(history, row=row)
    query = file.query_inputs(history, row)
    candidate_scores = file.run("score", **query, candidates=candidates.astype(np.int32))
    return {
        "history": history.tolist(),
        **({} if row is None else {"row": row}),
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
    values = np.asarray(found, np.float64)
    if values.shape != wanted.shape:
        return f"{name}: {list(values.shape)} values instead of {list(wanted.shape)}"
    error = np.abs(values - wanted).max(initial=0.0)
    allowed = tolerance * max(1.0, np.abs(wanted).max(initial=0.0))
    return f"{name}: {error:.3g} off, {allowed:.3g} allowed" if error > allowed else ""


def _ties(case: dict[str, Any], now: dict[str, Any], tolerance: float) -> bool:
    """Whether each item stands where the scores are, but for rounding, those of its own place."""
    if len(case["ids"]) != len(now["ids"]):
        return False
    allowed = tolerance * max(1.0, np.abs(case["scores"]).max(initial=0.0))
    scores = dict(zip(case["ids"], case["scores"], strict=True))
    return all(
        item in scores and abs(scores[item] - score) <= allowed
        for item, score in zip(now["ids"], case["scores"], strict=True)
    )


def golden_path(model: Path) -> Path:
    """Where the golden values of a file stand by default: beside it."""
    return model.with_suffix(".golden.json")
