"""The proof: a file is held against the model, by what it stores and by what it computes.

Content: every constant of the file is, to the byte, what converting the model writes, and every
row of every table lies within a bound of the trained one that is derived from the quantization.
Behaviour: the outputs of the file on LiteRT are those of the model computing with the file's own
values, up to rounding, relative to how much they vary. What quantization does to scores, lists and
metrics is measured, not bounded.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memcom_tf.errors import invalid
from memcom_tf.tasks import Task

from ..inputs import Samples
from ..preparation.forms import ModelForm
from ..preparation.prepared import Prepared, prepare
from ..runtime import CompressedModelFile
from ..sources.saved_model import chosen_signatures
from ..tflite.writing import write_graph
from .behaviour import verify_functions
from .metrics import verify_metrics
from .ranker import verify_ranker
from .result import Verification
from .tables import verify_description, verify_graph, verify_tables
from .vectors import verify_vectors


def verify(
    model: Any,
    path: str | Path,
    *,
    inputs: Any = None,
    allow_unsafe_deserialization: bool = False,
    samples: Samples = None,
    signatures: Sequence[str] | None = None,
    examples: Any = None,
    task: Task | None = None,
) -> Verification:
    """Compares a file with the model that it was converted from.

    Args:
        model: The model, as `convert` takes it.
        path: The file of `memcom convert`.
        inputs: What a subclassed model is called with, as `convert` takes it.
        allow_unsafe_deserialization: As for `convert`.
        samples: Inputs that the model is made for, as `convert` takes them.
        signatures: Of a SavedModel, names of the signatures of the file that are run and compared;
            None takes all of them. What the file stores is compared in any case.
        examples: Evaluation examples of the task; its metrics are then compared too.
        task: What the model is for, as `convert` takes it.

    Returns:
        The comparisons; `passed` says whether all bounds hold.

    Raises:
        ValueError: If the file is foreign or damaged, or was converted from a model of other
            shapes or with another vocabulary, or has no such signature.
    """
    file = CompressedModelFile(path)
    described = file.description
    if isinstance(model, str | os.PathLike):
        if signatures is not None:
            signatures = chosen_signatures(signatures, described.signatures)
        converted: Sequence[str] | None = described.signatures
    else:
        converted = signatures
    prepared = prepare(
        model,
        weights=described.weights,
        profile=described.profile,
        inputs=inputs,
        k=0 if described.ranker is None else described.ranker.k,
        samples=samples,
        signatures=converted,
        allow_unsafe_deserialization=allow_unsafe_deserialization,
        described=described,
        task=task,
    )
    _require_same_model(prepared, file)
    verification = Verification()
    expected = write_graph(prepared)
    with file.path.open("rb") as stream:
        size = file.archive.graph_bytes
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            view = memoryview(content)
            verify_graph(verification, prepared, expected, view[:size], described)
            view.release()
    verify_description(verification, prepared, expected, described)
    _verify(verification, prepared, file, examples, signatures)
    return verification


def verify_content(prepared: Prepared, content: bytes, *, examples: Any = None) -> Verification:
    """`verify` of bytes that converting this very model has just written."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.tflite"
        path.write_bytes(content)
        verification = Verification()
        _verify(verification, prepared, CompressedModelFile(path), examples)
        return verification


def _verify(
    verification: Verification,
    prepared: Prepared,
    file: CompressedModelFile,
    examples: Any,
    signatures: Sequence[str] | None = None,
) -> None:
    verify_tables(verification, prepared, file)
    shipped = prepared.shipped
    for embedding, name in zip(shipped, prepared.form.vector_signatures(), strict=True):
        if name is not None:
            verify_vectors(verification, file, embedding, name)
    form = prepared.form
    if isinstance(form, ModelForm):
        verify_functions(verification, form.functions, file, signatures)
    if form.ranker is not None:
        verify_ranker(verification, prepared, file, examples)
    elif isinstance(form, ModelForm) and examples is not None:
        verify_metrics(verification, prepared.task, form.functions, file, examples)


def _require_same_model(prepared: Prepared, file: CompressedModelFile) -> None:
    ours, theirs = prepared.form, file.description
    lengths = [of.ranker and of.ranker.history_length for of in (ours, theirs)]
    shapes = [
        [(of.method, of.input_dim, of.output_dim) for of in described.embeddings]
        for described in (prepared, theirs)
    ]
    fingerprint = prepared.vocabulary and prepared.vocabulary.fingerprint
    for name, value, found in (
        ("kind", ours.kind, theirs.kind),
        ("history_length", *lengths),
        ("vocabulary_fingerprint", fingerprint, theirs.vocabulary_fingerprint),
        ("embeddings", *shapes),
    ):
        if value != found:
            raise invalid(
                f"The file must have been converted from this model: its `{name}` differs.",
                "Convert the model again.",
                model=value,
                file=found,
            )
