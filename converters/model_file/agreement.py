"""Description, vocabulary and graph of a file must be of one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from memcom_tf.errors import invalid

from .described import short
from .description import FieldDescription, FileDescription, RankerDescription

if TYPE_CHECKING:
    from memcom_tf.vocabulary import Dictionary

    from ..graph_check.graph import Graph, Tensor

_Specs = Mapping[str, tuple[str, tuple[int, ...]]]
"""Type and shape of tensors by name; -1 is a size that is not known."""


def check_agreement(
    description: FileDescription, dictionary: Dictionary | None, graph: Graph, path: Path
) -> None:
    """Requires that description, vocabulary and graph are of one model.

    Raises:
        ValueError: If the graph has other signatures than the description says, or those that
            give vectors or rank have other inputs and outputs, or the vocabulary another size.
    """
    if set(description.signatures) != set(graph.signatures):
        raise _disagree("signatures", sorted(graph.signatures)[:10], path)
    vectors = description.vector_signatures
    for name in vectors:
        _require(graph, name, {"ids": ("int32", (-1,))}, {"vectors": ("float32", (-1, -1))}, path)
    ranker = description.ranker
    if description.fields is not None and ranker is None:
        _check_fields(description, description.fields, graph, path)
    elif description.classes is not None or description.output_dim is not None:
        raise _disagree("classes", description.classes or description.output_dim, path)
    if ranker is None:
        return
    if "embed" not in vectors:
        raise _disagree("signatures", sorted(graph.signatures)[:10], path)
    items, k = description.num_ids, ranker.k
    if k + ranker.reserved_ids > items:
        raise _disagree("k", k, path)
    if dictionary is not None:
        sizes = (dictionary.input_dim, dictionary.first_id)
        if sizes != (items, ranker.reserved_ids):
            raise _disagree("vocabulary", sizes, path)
    history = _query_inputs(ranker, description.fields or (), graph)
    candidates = {"candidates": ("int32", (-1,))}
    ranked = {"ids": ("int32", (k,)), "scores": ("float32", (k,))}
    _require(graph, "rank", history, ranked, path)
    _require(graph, "score", {**history, **candidates}, {"scores": ("float32", (-1,))}, path)


def _check_fields(
    description: FileDescription, fields: Sequence[FieldDescription], graph: Graph, path: Path
) -> None:
    """Requires that a graph takes rows of such fields, and gives what it says for each."""
    classes, output_dim = description.classes, description.output_dim
    width = (output_dim or 1) if classes is None else len(classes)
    if classes is not None and (width < 2 or len(set(classes)) < width or output_dim is not None):
        raise _disagree("classes", width, path)
    inputs = _inputs_of(fields, -1)
    found = graph.signatures.get("serving_default")
    outputs = dict.fromkeys(found.outputs if found else ("",), ("float32", (-1, width)))
    if len(outputs) != 1 or len({of.name for of in fields}) < len(fields) or not inputs:
        raise _disagree("fields", len(fields), path)
    _require(graph, "serving_default", inputs, outputs, path)


def _inputs_of(
    fields: Sequence[FieldDescription], rows: int
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The inputs that rows of fields are."""
    slots = sum(of.length for of in fields if of.has_ids)
    numbers = sum(not of.has_ids for of in fields)
    inputs: dict[str, tuple[str, tuple[int, ...]]] = {}
    if slots:
        inputs["ids"] = ("int32", (rows, slots))
    if numbers:
        inputs["numbers"] = ("float32", (rows, numbers))
    return inputs


def _query_inputs(
    ranker: RankerDescription, fields: Sequence[FieldDescription], graph: Graph
) -> _Specs:
    """The inputs of a query: those that are described, and whatever else the graph takes.

    A graph does not take what its outputs do not depend on.
    """
    described = _inputs_of(fields, 1)
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {}
    if ranker.history_length:
        wanted["history"] = described["history"] = ("int32", (1, ranker.history_length))
    if (found := graph.signatures.get("rank")) is not None:
        tensors = graph.subgraphs[found.subgraph].tensors
        for name, place in found.inputs.items():
            own = (tensors[place].dtype, (1, *tensors[place].shape[1:]))
            wanted[name] = described.get(name, own)
    return wanted


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


def _disagree(name: str, found: object, path: Path) -> ValueError:
    return invalid(
        f"The file's graph, vocabulary and description must be of one model: {name} differ.",
        "Convert the model again, or copy the file again.",
        found=short(found),
        path=str(path),
    )
