"""What a method of the comparison made, and what its file is worth."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.evaluation import click_metrics
from memcom_tf.evaluation.rows import RowSplit
from memcom_tf.models import ClickModel
from memcom_tf.training.clicks import predictions

RESAMPLES = 200
"""Of the rows for test, by which differences are judged; the same in every run."""
_LEAST = 1e-7


@dataclass(frozen=True)
class Outcome:
    """What a method made.

    Attributes:
        model: The model.
        epochs: Of training, to the best weights on validation.
        chosen: Its tables, in words.
        weights: How the file stores tables.
        samples: Rows that the file is converted with; None draws some.
    """

    model: ClickModel
    epochs: float
    chosen: str
    weights: Any = "int8"
    samples: Any = None


def measure(outcome: Outcome, split: RowSplit) -> dict[str, Any]:
    """Bytes of the exported file, and metrics of what the file predicts."""
    model = outcome.model
    conversion = convert(model, weights=outcome.weights, samples=outcome.samples, verify=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        conversion.save(path)
        whole = path.stat().st_size
        found = CompressedModelFile(path).predict(split.test)
    of_model = predictions(model, model.features.encode(split.test))
    validation = predictions(model, model.features.encode(split.validation))
    return {
        "bytes": conversion.report["graph_bytes"],
        "whole_bytes": whole,
        "file_and_model_differ": float(np.abs(found - of_model).max()),
        **figures(validation, found, split),
    }


def figures(validation: np.ndarray, test: np.ndarray, split: RowSplit) -> dict[str, Any]:
    """Metrics of predictions for the rows for validation and for test, and of resampled ones."""
    return {
        "validation": click_metrics(validation, split.validation.labels),
        "test": click_metrics(test, split.test.labels),
        "resampled": resampled(test, split.test.labels),
    }


def resampled(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, list[float]]:
    """AUC and log loss of rows drawn with replacement.

    All runs draw the same rows: the differences of two runs, draw by draw, are a paired bootstrap.

    Source: Efron and Tibshirani, An introduction to the bootstrap, 1993.
    """
    clipped = np.clip(np.asarray(probabilities, np.float64), _LEAST, 1 - _LEAST)
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {"AUC": [], "log loss": []}
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(labels), len(labels))
        if labels[rows].all() or not labels[rows].any():
            continue
        found["AUC"].append(round(float(roc_auc_score(labels[rows], clipped[rows])), 7))
        found["log loss"].append(round(float(log_loss(labels[rows], clipped[rows])), 7))
    return found
