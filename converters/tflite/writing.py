"""The graph of a file: what a model's functions become."""

from __future__ import annotations

from ..model_file.description import FileDescription
from ..preparation.prepared import Prepared
from .converter import convert_signatures, finish, runtime_version, scores_in_integers


def write_graph(prepared: Prepared) -> bytes:
    """The flatbuffer of a model: the same bytes for the same model, however often it is written."""
    return finish(convert_signatures(prepared.signatures, prepared), prepared.tables)


def describe(prepared: Prepared, graph: bytes) -> FileDescription:
    """What a file with that graph says of itself."""
    return prepared.description(
        min_runtime_version=runtime_version(graph), scores_in_integers=scores_in_integers(graph)
    )
