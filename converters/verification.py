"""The proof: the file runs on LiteRT and is held against the model.

Three comparisons. The vectors of the file must lie within a bound that is derived from the
quantization steps. The outputs of the file must be those of the model computing with the file's
own values, up to float32 rounding. And what quantization does to scores, lists and metrics is
measured, not bounded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.evaluation import Examples, evaluate_lists, evaluate_ranking
from memcom_tf.models import NextItemRanker
from memcom_tf.ops.reference import ReferenceOps

from .bounds import embedding_ball
from .fold import ShippedEmbedding, find_embeddings, ship
from .runtime import CompressedModelFile
from .signatures import dequantized_tables, input_name, packed_inputs, vector_signatures

_NUM_HISTORIES = 64
_NUM_IDS = 1000
_FLOAT_TOLERANCE = 1e-4
"""float32 rounding of a whole model, relative to its largest output."""
_QUERY_TOLERANCE = 2e-2
"""The same where a model outputs scores of the whole vocabulary, multiplied in 8 bits."""


_EMBEDDING_ERROR = "largest error of a vector"


@dataclass(frozen=True)
class Check:
    """One comparison.

    Attributes:
        name: What was compared.
        value: What was found.
        bound: What it may be; None for what is only measured.
        passed: Whether it is within the bound.
    """

    name: str
    value: float
    bound: float | None = None
    passed: bool = True


@dataclass
class Verification:
    """All comparisons of a file with its model."""

    checks: list[Check] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every bounded comparison is within its bound."""
        return all(check.passed for check in self.checks)

    def measured(self, name: str, value: float) -> None:
        """Adds a value without a bound."""
        self.checks.append(Check(name, float(value)))

    def bounded(self, name: str, value: float, bound: float, passed: bool | None = None) -> None:
        """Adds a value and its bound."""
        within = value <= bound if passed is None else passed
        self.checks.append(Check(name, float(value), float(bound), bool(within)))

    def value(self, name: str) -> float:
        """The value of the comparison of that name."""
        return next(check.value for check in self.checks if check.name == name)


def verify(model: Any, path: str | Path, *, examples: Examples | None = None) -> Verification:
    """Compares a file with the Keras model that it was converted from.

    Args:
        model: The model.
        path: The file of `memcom convert`.
        examples: Evaluation examples; a ranker's metrics are then compared too.

    Returns:
        The comparisons; `passed` says whether all bounds hold.

    Raises:
        ValueError: If the file is foreign or damaged, or was converted from a model of other
            shapes or with another vocabulary.
    """
    file = CompressedModelFile(path)
    weights = file.description["weights"]
    shipped = [ship(embedding, weights) for embedding in find_embeddings(model)]
    verification = Verification()
    _require_same_model(model, file, shipped)
    names = vector_signatures(model, [embedding.trained for embedding in shipped])
    for embedding, name in zip(shipped, names, strict=True):
        if name is not None:
            _verify_vectors(verification, file, embedding, name)
    if isinstance(model, NextItemRanker):
        _verify_ranker(verification, model, file, shipped, examples)
    else:
        _verify_outputs(verification, model, file, shipped)
    return verification


def verify_content(model: Any, content: bytes, *, examples: Examples | None = None) -> Verification:
    """`verify` of the bytes of a file."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.tflite"
        path.write_bytes(content)
        return verify(model, path, examples=examples)


def _require_same_model(
    model: Any, file: CompressedModelFile, shipped: Sequence[ShippedEmbedding]
) -> None:
    theirs = file.description
    ours: dict[str, Any] = {
        "kind": "ranker" if isinstance(model, NextItemRanker) else "model",
        "embeddings": [
            {
                "method": type(embedding.trained).__name__,
                "input_dim": embedding.layer.input_dim,
                "output_dim": embedding.layer.output_dim,
            }
            for embedding in shipped
        ],
    }
    if isinstance(model, NextItemRanker):
        ours["history_length"] = model.history_length
        ours["vocabulary_fingerprint"] = model.vocabulary and model.vocabulary.fingerprint
    keys = ("method", "input_dim", "output_dim")
    embeddings = [{key: described[key] for key in keys} for described in theirs["embeddings"]]
    for name, value in ours.items():
        found = embeddings if name == "embeddings" else theirs.get(name)
        if value != found:
            raise invalid(
                f"The file must have been converted from this model: its `{name}` differs.",
                "Convert the model again.",
                model=value,
                file=found,
            )


def sample_ids(input_dim: int, rng: np.random.Generator) -> np.ndarray:
    """First, last, odd, even, frequent and random ids, int32."""
    edges = [0, 1, 2, 3, input_dim // 2, input_dim // 2 + 1, input_dim - 2, input_dim - 1]
    frequent = np.arange(min(input_dim, 100))
    drawn = rng.integers(0, input_dim, _NUM_IDS)
    ids = np.concatenate([edges, frequent, drawn])
    return np.unique(ids[(ids >= 0) & (ids < input_dim)]).astype(np.int32)


def _verify_vectors(
    verification: Verification,
    file: CompressedModelFile,
    shipped: ShippedEmbedding,
    signature: str,
) -> None:
    ids = sample_ids(shipped.layer.input_dim, np.random.default_rng(0))
    vectors = file.run(signature, ids=ids)["vectors"]
    trained = shipped.trained
    combiner, trained.combiner = trained.combiner, None
    try:
        expected = np.asarray(trained(ids), np.float64)
    finally:
        trained.combiner = combiner
    ball = embedding_ball(shipped, ids)
    error = np.abs(vectors - expected)
    excess = error / np.maximum(np.broadcast_to(ball.radius, error.shape), 1e-30)
    verification.bounded(f"{signature}: error over its derived bound", excess.max(), 1.0)
    verification.measured(f"{signature}: {_EMBEDDING_ERROR}", error.max())


def _histories(model: NextItemRanker, examples: Examples | None) -> np.ndarray:
    if examples is not None:
        return np.asarray(examples.history[:_NUM_HISTORIES], np.int32)
    rng = np.random.default_rng(1)
    length = model.history_length
    ids = np.setdiff1d(np.arange(1, model.item_embedding.input_dim, dtype=np.int32), model.holes)
    histories = ids[rng.integers(0, len(ids), (_NUM_HISTORIES, length))].astype(np.int32)
    for row, known in enumerate(rng.integers(0, length + 1, _NUM_HISTORIES)):
        histories[row, known:] = 0
    histories[0], histories[1, 0] = ids[-1], ids[0]
    return histories


def _verify_ranker(
    verification: Verification,
    model: NextItemRanker,
    file: CompressedModelFile,
    shipped: Sequence[ShippedEmbedding],
    examples: Examples | None,
) -> None:
    k, reserved = file.description["k"], file.description["reserved_ids"]
    histories = _histories(model, examples)
    original = np.array(model.predict_on_batch(histories), np.float64)
    with dequantized_tables(shipped, ReferenceOps()):
        reference = np.array(model(histories), np.float64)
    items = np.setdiff1d(np.arange(reserved, reference.shape[1]), model.holes)
    tolerance = _FLOAT_TOLERANCE * max(1.0, np.abs(reference[:, items]).max())
    candidates = sample_ids(model.item_embedding.input_dim, np.random.default_rng(2))
    candidates = candidates[np.isin(candidates, items)]
    # Kept by np.maximum, which does not lose a NaN as max() does.
    score_rounding = list_rounding = list_gap = score_error = np.float64(0.0)
    overlaps = []
    for row, history in enumerate(histories):
        scores = file.run("score", history=history[None], candidates=candidates)["scores"]
        score_rounding = np.maximum(
            score_rounding, np.abs(scores - reference[row, candidates]).max()
        )
        score_error = np.maximum(score_error, np.abs(scores - original[row, candidates]).max())
        ids, values = file.rank(history)
        for scored in (reference, original):
            scored[row, :reserved] = -np.inf
            scored[row, history] = -np.inf
        list_rounding = np.maximum(list_rounding, np.abs(values - reference[row, ids]).max())
        best = -np.sort(-reference[row])[:k]
        list_gap = np.maximum(list_gap, np.abs(best - values).max())
        overlaps.append(len(set(ids) & set(np.argsort(-original[row], kind="stable")[:k])) / k)
    verification.bounded("scores against the file's own values", score_rounding, tolerance)
    verification.bounded("scores of the ranked list", list_rounding, tolerance)
    verification.bounded("ranked list below the exact list by", list_gap, tolerance)
    verification.measured("largest score error against the model", score_error)
    verification.measured(f"share of the model's top {k} in the list", float(np.mean(overlaps)))
    if examples is not None:
        in_keras = evaluate_ranking(model.predict_on_batch, examples, k=k)
        in_file = evaluate_lists(lambda history: file.rank(history)[0], examples, k=k)
        for name in (f"ndcg@{k}", f"recall@{k}"):
            verification.measured(f"{name} of the model", in_keras[name])
            verification.measured(f"{name} of the file", in_file[name])


def _verify_outputs(
    verification: Verification,
    model: Any,
    file: CompressedModelFile,
    shipped: Sequence[ShippedEmbedding],
) -> None:
    rng = np.random.default_rng(1)
    smallest = min(embedding.layer.input_dim for embedding in shipped)
    names = file.signatures["serving_default"]["inputs"]
    inputs = {}
    for tensor in model.inputs:
        shape = [4 if size is None else size for size in tensor.shape]
        dtype = np.dtype(str(getattr(tensor.dtype, "name", tensor.dtype)))
        integers = np.issubdtype(dtype, np.integer)
        # Floats may be ids as well: 0 to 3 are some of every table.
        high = smallest if integers else min(smallest, 4)
        drawn = rng.integers(0, high, shape) if integers else rng.uniform(0, high, shape)
        inputs[input_name(tensor)] = drawn.astype(dtype)
    if set(inputs) != set(names):
        raise invalid("The inputs of the file must be the model's.", model=list(inputs), file=names)
    packed = packed_inputs(model, [tf.constant(x) for x in inputs.values()])
    original = tf.nest.flatten(model(packed, training=False))
    with dequantized_tables(shipped, ReferenceOps()):
        reference = tf.nest.flatten(model(packed, training=False))
    found = file.run("serving_default", **inputs)
    scores = file.description["scores_in_integers"]
    relative = _QUERY_TOLERANCE if scores else _FLOAT_TOLERANCE
    for (name, output), ours, trained in zip(
        sorted(found.items()), reference, original, strict=True
    ):
        expected = np.asarray(ours, np.float64)
        tolerance = relative * max(1.0, np.abs(expected).max())
        rounding = np.abs(output - expected).max()
        verification.bounded(f"{name} against the file's own values", rounding, tolerance)
        error = np.abs(output - np.asarray(trained, np.float64)).max()
        verification.measured(f"{name}: largest error against the model", error)
