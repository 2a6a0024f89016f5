"""The methods of the comparison: each trains a model of a seed, and is measured from its file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf._keras import keras
from memcom_tf.compression import TEXT_SETTINGS
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.evaluation import DocumentSplit, class_metrics, class_numbers
from memcom_tf.layers import ResidualQuantizedEmbedding
from memcom_tf.models import TextClassifier, save_model
from memcom_tf.models.text_model import POOLED
from memcom_tf.training import TextSettings, train_text_classifier, train_texts
from memcom_tf.training.text_tables import counts_of
from memcom_tf.training.texts import predictions

_SAMPLES = 256


@dataclass(frozen=True)
class Method:
    """A method of the comparison.

    Attributes:
        name: As the report calls it.
        layer: The layer; None is the full table.
        order: How words are numbered.
        from_full: Whether it starts from the full model of the seed, and is trained after it.
    """

    name: str
    layer: str | None = None
    order: str = "frequency"
    from_full: bool = False


METHODS = {
    method.name: method
    for method in (
        Method("full"),
        Method("memcom-classes", "MEmComEmbedding", "classes"),
        Method("memcom-documents", "MEmComEmbedding", "documents"),
        Method("memcom-frequency", "MEmComEmbedding"),
        Method("quotient-remainder", "QuotientRemainderEmbedding"),
        Method("hashed", "HashedEmbedding"),
        Method("low-rank", "LowRankEmbedding"),
        Method("residual-codes", "ResidualQuantizedEmbedding", from_full=True),
    )
}


@dataclass(frozen=True)
class Case:
    """What all runs have in common.

    Attributes:
        split: The documents.
        width: Width of the word vectors.
        epochs: Epochs of every training; None takes those of the recipe.
        work: A folder for the full models.
    """

    split: DocumentSplit
    width: int
    epochs: int | None
    work: Path

    def settings(self, seed: int) -> TextSettings:
        """How a model is trained."""
        return TextSettings(epochs=self.epochs, seed=seed)


def run(case: Case, method: Method, ratio: float | None, seed: int) -> dict[str, Any]:
    """Trains a model, and measures its file."""
    if method.from_full:
        model, epochs = _after_full(case, float(ratio or 1), seed)
    else:
        trained = train_text_classifier(
            case.split,
            width=case.width,
            ratio=ratio,
            method=method.layer,
            order=method.order,  # type: ignore[arg-type]
            settings=case.settings(seed),
        )
        model, epochs = trained.model, trained.record["epochs"]
        if method.layer is None:
            save_model(model, _full_path(case, seed))
    return {"epochs": epochs, **measure(model, case.split)}


def _full_path(case: Case, seed: int) -> Path:
    case.work.mkdir(parents=True, exist_ok=True)
    return case.work / f"full_{seed}.keras"


def _after_full(case: Case, ratio: float, seed: int) -> tuple[TextClassifier, int]:
    """Codes of the trained table, trained after the full model of the seed."""
    full = keras.models.load_model(_full_path(case, seed), compile=False)
    (vocabulary,) = full.features.vocabularies.values()
    layer = ResidualQuantizedEmbedding.from_table(
        full.embedding.table_values()["embeddings"],
        ratio=ratio,
        frequencies=counts_of(vocabulary),
        name="words",
        **POOLED,
    )
    model = full.with_embedding(layer)
    soft = predictions(full, full.features.encode(case.split.train.columns))
    settings = replace(TEXT_SETTINGS, seed=seed, epochs=case.epochs)
    record = train_texts(model, case.split, settings, teacher=soft)
    return model, record["epochs"]


def measure(model: TextClassifier, split: DocumentSplit) -> dict[str, Any]:
    """Bytes of the exported file, and what it says of the documents for test."""
    samples = model.features.encode(split.train[:_SAMPLES].columns)
    conversion = convert(model, samples=samples, verify=False)
    labels = class_numbers(split.test, model.classes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        conversion.save(path)
        file = CompressedModelFile(path)
        outputs = file.predict(split.test.columns)
        sizes = {name: file.report[name] for name in ("file_bytes", "graph_bytes")}
    right = outputs.argmax(axis=1) == labels
    validation = predictions(model, model.features.encode(split.validation.columns))
    chosen_by = class_metrics(validation, class_numbers(split.validation, model.classes))
    return {
        **sizes,
        "words": model.embedding.input_dim,
        "parameters": model.embedding.num_parameters,
        "test": class_metrics(outputs, labels),
        "validation": chosen_by,
        "right": np.packbits(right).tobytes().hex(),
    }
