"""The graph of a file: what a model's functions become."""

from __future__ import annotations

from .prepared import Prepared
from .tflite import convert_signatures, finish


def write_graph(prepared: Prepared) -> bytes:
    """The flatbuffer of a model: the same bytes for the same model, however often it is written."""
    return finish(convert_signatures(prepared.signatures, prepared), prepared.tables)
