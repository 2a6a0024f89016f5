"""From a trained Keras model to a file that a phone's runtime ranks with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np

import memcom_tf
from memcom_tf._keras import keras
from memcom_tf.errors import invalid
from memcom_tf.evaluation import Examples
from memcom_tf.files import write_atomically
from memcom_tf.models import NextItemRanker

from .archive import append_members
from .fold import ShippedEmbedding, Weights, find_embeddings, ship
from .report import describe_embedding
from .signatures import model_signatures, ranker_signatures
from .sizes import compressed_bytes
from .tflite import (
    convert_signatures,
    finish,
    runtime_version,
    scores_in_integers,
)
from .verification import Verification, verify_content


@dataclass(frozen=True)
class Conversion:
    """A converted model.

    Attributes:
        content: The bytes of the file.
        report: Its description: signatures, tables, bytes, uniqueness of vectors.
        verification: How the file compares with the model, None where that was not asked for.
    """

    content: bytes = field(repr=False)
    report: dict[str, Any]
    verification: Verification | None

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes the file, whole or not at all.

        Args:
            path: Where to.
            overwrite: Whether a file of that name may be replaced.

        Raises:
            FileExistsError: If the file exists and may not be replaced.
            OSError: If it cannot be written.
        """
        if Path(path).exists() and not overwrite:
            raise FileExistsError(
                f"The output must not exist. Received: path={str(path)!r}. Allow to replace it."
            )
        write_atomically(path, self.content)


def convert(
    model: Any,
    *,
    k: int = 10,
    weights: Weights = "int8",
    verify: bool = True,
    examples: Examples | None = None,
) -> Conversion:
    """Converts a trained model to a `.tflite` file with integer tables.

    Tables of vectors are stored in int8, values of an id (MEmCom's multiplier, biases) in int16,
    codes as they are, and tables that a layer's `storage` names as it says; activations stay
    floats. The operators are those of TensorFlow Lite 2.8, and no table is turned into floats as
    a whole. A `NextItemRanker` gets the signatures `rank`, `score` and
    `embed`; any other functional or sequential model `serving_default` and `embed`.

    Args:
        model: A built Keras model with at least one embedding of `memcom_tf.layers`. The
            vocabulary in its attribute `vocabulary`, where it has one, goes into the file.
        k: Length of the list of `rank`.
        weights: "int8" stores tables as described, "float32" as they are, for comparisons.
        verify: Whether the file is run on LiteRT and compared with the model.
        examples: Evaluation examples for the comparison of a ranker's metrics.

    Returns:
        The bytes, the report and the verification; look at `verification.passed`.

    Raises:
        TypeError: If `model` is not a Keras model.
        ValueError: If it holds no compressed embedding, is not built, computes in half precision,
            or cannot be expressed in builtin operators.

    Example:
        >>> from memcom_tf import MEmComEmbedding
        >>> from memcom_tf.models import NextItemRanker
        >>> ranker = NextItemRanker(MEmComEmbedding(500, 16, num_buckets=50), history_length=8)
        >>> ranker.build((None, 8))
        >>> conversion = convert(ranker, k=5)
        >>> conversion.verification.passed
        True
    """
    if weights not in get_args(Weights):
        raise invalid(f"`weights` must be one of {get_args(Weights)}.", weights=weights)
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a Keras model. Received: {type(model).__name__}. Load a .keras file "
            "with keras.models.load_model, under the Keras that saved it."
        )
    embeddings = find_embeddings(model)
    if not embeddings:
        raise invalid(
            "The model must hold an embedding of memcom_tf.layers.",
            "Replace keras.layers.Embedding, for instance by FullEmbedding, which keeps the "
            "uncompressed table.",
            model=model.name,
        )
    if not isinstance(model, NextItemRanker) and not getattr(model, "inputs", None):
        raise invalid(
            "The model must know its inputs.",
            "Convert its functional or sequential parts, each on its own.",
            model=model.name,
        )
    if not model.built or not all(embedding.built for embedding in embeddings):
        raise invalid("The model must be built.", "Call it once on data.", model=model.name)
    for part in [model, *embeddings]:
        if part.compute_dtype in ("float16", "bfloat16"):
            raise invalid(
                "The model must compute in float32, as the runtime does.",
                "Build it again under that policy, and copy the weights with `set_weights`: those "
                "of a mixed policy are float32 already.",
                layer=part.name,
                compute_dtype=part.compute_dtype,
            )
    shipped = [ship(embedding, weights) for embedding in embeddings]
    if isinstance(model, NextItemRanker):
        signatures = ranker_signatures(model, shipped, k)
    else:
        signatures = model_signatures(model, shipped)
    stored = [table for embedding in shipped for table in embedding.tables.values()]
    graph = finish(convert_signatures(signatures, model), stored)
    description = _describe(model, shipped, list(signatures), k, weights) | {
        "min_runtime_version": runtime_version(graph),
        "scores_in_integers": scores_in_integers(graph),
    }
    content = append_members(graph, description, getattr(model, "vocabulary", None))
    report = {
        **description,
        "file_bytes": len(content),
        "graph_bytes": len(graph),
        "compressed_bytes": compressed_bytes([content]),
    }
    verification = verify_content(model, content, examples=examples) if verify else None
    return Conversion(content, report, verification)


def _describe(
    model: Any, shipped: Sequence[ShippedEmbedding], signatures: list[str], k: int, weights: Weights
) -> dict[str, Any]:
    described = [describe_embedding(embedding) for embedding in shipped]
    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    compressed = sum(embedding.trained.num_parameters for embedding in shipped)
    dense = sum(embedding["input_dim"] * embedding["output_dim"] for embedding in described)
    own_bytes = sum(embedding.trained.parameter_bytes for embedding in shipped)
    vocabulary = getattr(model, "vocabulary", None)
    description = {
        "producer": f"memcom_tf {memcom_tf.__version__}",
        "name": model.name,
        "kind": "ranker" if isinstance(model, NextItemRanker) else "model",
        "signatures": signatures,
        "weights": weights,
        "parameters": parameters,
        "parameter_bytes": 4 * (parameters - compressed) + own_bytes,
        "uncompressed_parameters": parameters - compressed + dense,
        "embeddings": described,
        "vocabulary_fingerprint": None if vocabulary is None else vocabulary.fingerprint,
    }
    if isinstance(model, NextItemRanker):
        description |= {
            "k": k,
            "history_length": model.history_length,
            "reserved_ids": 1 if vocabulary is None else vocabulary.first_id,
        }
    return description
