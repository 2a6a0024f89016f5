"""What a method of the comparison made, and what its file is worth."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality.case import Settings
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.quantization.fold import ship
from memcom_tf.converters.tracing.signatures import dequantized_tables
from memcom_tf.evaluation import Examples, Split, evaluate_ranking
from memcom_tf.layers.contract.finding import find_embeddings
from memcom_tf.models import NextItemRanker
from memcom_tf.ops.reference import ReferenceOps


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


def measure(outcome: Outcome, settings: Settings) -> dict[str, Any]:
    """Bytes of the exported file, and metrics with its values.

    A file scores one user at a time. All users are scored by the model with the file's values, and
    some of them by the file too, which tells whether the two are the same.
    """
    model, split, k = outcome.model, outcome.split, settings.k
    conversion = convert(model, weights=outcome.weights, verify=False)
    ids = np.arange(model.item_embedding.input_dim, dtype=np.int32)
    figures: dict[str, Any] = {"bytes": conversion.report["graph_bytes"]}
    sample = some(split.test, settings.file_users)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        conversion.save(path)
        file = CompressedModelFile(path)

        def score(histories: Any) -> Any:
            return np.stack([_scores(file, history, ids) for history in histories])

        figures["file_sample"] = evaluate_ranking(score, sample, k=k, batch_size=64)
    shipped = [ship(embedding, outcome.weights) for embedding in find_embeddings(model)]
    parts = {"validation": split.validation, "test": split.test, "model_sample": sample}
    with dequantized_tables(shipped, ReferenceOps()):
        for part, examples in parts.items():
            figures[part] = evaluate_ranking(model, examples, k=k, batch_size=256)
    return figures


def _scores(file: CompressedModelFile, history: Any, ids: Any) -> Any:
    return file.run("score", history=history[None].astype(np.int32), candidates=ids)["scores"]


def some(examples: Examples, most: int) -> Examples:
    """All examples, or so many of them, the same in every run."""
    rows = np.random.default_rng(0).permutation(len(examples))[:most]
    return examples[np.sort(rows)]
