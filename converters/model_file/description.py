"""The description of a file: read from JSON that anyone may have written, and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from memcom_tf.errors import invalid

from ..quantization.quantization_error import QUANTILES
from ..quantization.weights import Profile

if TYPE_CHECKING:
    from memcom_tf.vocabulary import Dictionary

    from ..graph_check.graph import Graph, Tensor

_LARGEST = 2**63
_LONGEST_HISTORY = 2**20
"""Ids that a ranker sees: a row of them is made for every call."""
_Specs = Mapping[str, tuple[str, tuple[int, ...]]]
"""Type and shape of tensors by name; -1 is a size that is not known."""

# name: (type, smallest value of an integer, or None)
_FIELDS: dict[str, tuple[type, int | None]] = {
    "name": (str, None),
    "kind": (str, None),
    "min_runtime_version": (str, None),
    "signatures": (list, None),
    "vector_signatures": (list, None),
    "embeddings": (list, None),
    "scores_in_integers": (bool, None),
    "parameters": (int, 0),
    "parameter_bytes": (int, 0),
    "uncompressed_parameters": (int, 0),
}
_RANKER_FIELDS: dict[str, tuple[type, int | None]] = {
    "k": (int, 1),
    "history_length": (int, 1),
    "reserved_ids": (int, 1),
}
_EMBEDDING_FIELDS: dict[str, tuple[type, int | None]] = {
    "name": (str, None),
    "method": (str, None),
    "tables": (list, None),
    "input_dim": (int, 1),
    "output_dim": (int, 1),
    "bytes": (int, 0),
}
_TABLE_FIELDS: dict[str, tuple[type, int | None]] = {
    "name": (str, None),
    "storage": (str, None),
    "rows": (int, 1),
    "width": (int, 1),
    "data_bytes": (int, 0),
    "scale_bytes": (int, 0),
    "float32_bytes": (int, 0),
}
# Files of earlier versions have none of these.
_LATER_TABLE_FIELDS: dict[str, tuple[type, int | None]] = {
    "bits": (int, 1),
    "metadata_bytes": (int, 0),
    "median_error": (float, 0),
    "worst_error": (float, 0),
    "operator": (str, None),
}


def parse_description(text: bytes) -> Any:
    """Parses the JSON of a description, None where it is none."""
    try:
        return json.loads(text.decode(), parse_constant=_refuse)
    # Also a number of thousands of digits, and brackets in brackets without end.
    except (ValueError, RecursionError):
        return None


def check_description(description: dict[str, Any], path: Path) -> None:
    """Requires the fields that this package reads, each of its type; others are left alone.

    Raises:
        ValueError: If one is missing or of another type, or out of range. Texts may be any: who
            shows one makes it `printable`.
    """
    _check_fields(description, _FIELDS, path)
    for names in ("signatures", "vector_signatures"):
        if not all(isinstance(name, str) for name in description[names]):
            raise _wrong(names, description[names], path)
    if description["kind"] == "ranker" and not description["embeddings"]:
        raise _wrong("embeddings", [], path)
    weights = description.get("weights")
    kinds = list(weights.values()) if isinstance(weights, dict) else [weights]
    if not all(isinstance(kind, str) for kind in kinds):
        raise _wrong("weights", weights, path)
    # Files of earlier versions have no profile.
    if description.get("profile", "portable") not in get_args(Profile):
        raise _wrong("profile", description["profile"], path)
    # Nor warnings.
    sentences = description.get("warnings", [])
    if not isinstance(sentences, list) or not all(
        isinstance(sentence, str) and sentence.isprintable() for sentence in sentences
    ):
        raise _wrong("warnings", sentences, path)
    for embedding in description["embeddings"]:
        _check_fields(embedding, _EMBEDDING_FIELDS, path)
        for share in ("share_not_unique", "share_not_unique_trained"):
            value = embedding.get(share, 0.0)
            both = ("share_not_unique" in embedding) == ("share_not_unique_trained" in embedding)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not both:
                raise _wrong(share, value, path)
        for table in embedding["tables"]:
            _check_fields(table, _TABLE_FIELDS, path)
            later = {name: of for name, of in _LATER_TABLE_FIELDS.items() if name in table}
            _check_fields(table, later, path)
            _check_quantiles(table.get("error_quantiles", [0.0] * len(QUANTILES)), path)
    if description["kind"] == "ranker":
        _check_fields(description, _RANKER_FIELDS, path)
        if description["history_length"] > _LONGEST_HISTORY:
            raise _wrong("history_length", description["history_length"], path)


def check_agreement(
    description: dict[str, Any], dictionary: Dictionary | None, graph: Graph, path: Path
) -> None:
    """Requires that description, vocabulary and graph are of one model.

    Raises:
        ValueError: If the graph has other signatures than the description says, or those that
            give vectors or rank have other inputs and outputs, or the vocabulary another size.
    """
    if set(description["signatures"]) != set(graph.signatures):
        raise _disagree("signatures", sorted(graph.signatures)[:10], path)
    vectors = description["vector_signatures"]
    for name in vectors:
        _require(graph, name, {"ids": ("int32", (-1,))}, {"vectors": ("float32", (-1, -1))}, path)
    if description["kind"] != "ranker":
        return
    if "embed" not in vectors:
        raise _disagree("signatures", sorted(graph.signatures)[:10], path)
    items = description["embeddings"][0]["input_dim"]
    k, length = description["k"], description["history_length"]
    if k + description["reserved_ids"] > items:
        raise _disagree("k", k, path)
    if dictionary is not None:
        sizes = (dictionary.input_dim, dictionary.first_id)
        if sizes != (items, description["reserved_ids"]):
            raise _disagree("vocabulary", sizes, path)
    history = {"history": ("int32", (1, length))}
    candidates = {"candidates": ("int32", (-1,))}
    ranked = {"ids": ("int32", (k,)), "scores": ("float32", (k,))}
    _require(graph, "rank", history, ranked, path)
    _require(graph, "score", {**history, **candidates}, {"scores": ("float32", (-1,))}, path)


def _require(graph: Graph, signature: str, inputs: _Specs, outputs: _Specs, path: Path) -> None:
    found = graph.signatures.get(signature)
    if found is None or set(found.inputs) != set(inputs) or set(found.outputs) != set(outputs):
        names = found and (sorted(found.inputs), sorted(found.outputs))
        raise _disagree(f"tensors of {signature}", names, path)
    for places, specs in ((found.inputs, inputs), (found.outputs, outputs)):
        for name, (dtype, shape) in specs.items():
            tensor = graph.subgraphs[found.subgraph].tensors[places[name]]
            if tensor.dtype != dtype or not _fits(tensor, shape):
                raise _disagree(f"{signature}: {name}", (tensor.dtype, tensor.shape), path)


def _fits(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether a shape is the wanted one, where both know it."""
    return len(tensor.shape) == len(shape) and all(
        found == wanted or -1 in (found, wanted)
        for found, wanted in zip(tensor.shape, shape, strict=True)
    )


def _check_quantiles(values: Any, path: Path) -> None:
    if not isinstance(values, list) or len(values) != len(QUANTILES):
        raise _wrong("error_quantiles", values, path)
    for value in values:
        _check_fields({"error_quantiles": value}, {"error_quantiles": (float, 0)}, path)


def _check_fields(values: Any, fields: dict[str, tuple[type, int | None]], path: Path) -> None:
    if not isinstance(values, dict):
        raise _wrong("embeddings", values, path)
    for name, (kind, smallest) in fields.items():
        value = values.get(name)
        # True is an int to Python.
        fits = type(value) is kind
        if fits and smallest is not None:
            fits = smallest <= value < _LARGEST  # type: ignore[operator]
        if not fits:
            raise _wrong(name, value, path)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _wrong(name: str, value: object, path: Path) -> ValueError:
    return invalid(
        f"The file must be undamaged: its description's `{name}` is not what it must be.",
        "Convert the model again, or copy the file again.",
        **{name: _short(value)},
        path=str(path),
    )


def _disagree(name: str, found: object, path: Path) -> ValueError:
    return invalid(
        f"The file's graph, vocabulary and description must be of one model: {name} differ.",
        "Convert the model again, or copy the file again.",
        found=_short(found),
        path=str(path),
    )


def _short(value: object) -> object:
    """A value as it may stand in a message."""
    return value if isinstance(value, (int, float, type(None))) else repr(value)[:80]
