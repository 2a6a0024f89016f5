"""The proof: the file runs on LiteRT and is held against the model.

Three comparisons. The vectors of the file must lie within a bound that is derived from the
quantization steps. The outputs of the file must be those of the model computing with the file's
own values, up to float32 rounding. And what quantization does to scores, lists and metrics is
measured, not bounded.
"""

from __future__ import annotations

import os
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
from .fold import ShippedEmbedding
from .prepared import Prepared, prepare
from .row_splits import ROW_SPLITS
from .runtime import CompressedModelFile
from .signatures import dequantized_tables, vector_signatures
from .trained_model import TrainedModel

_NUM_HISTORIES = 64
_NUM_IDS = 1000
_BATCH = 4
_SPLITS = np.array([0, 2, 2, 3, 4], np.int32)
"""Of four ids into as many ragged rows, one of them empty."""
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


def verify(
    model: Any,
    path: str | Path,
    *,
    inputs: Any = None,
    allow_unsafe_deserialization: bool = False,
    examples: Examples | None = None,
) -> Verification:
    """Compares a file with the model that it was converted from.

    Args:
        model: The model, as `convert` takes it.
        path: The file of `memcom convert`.
        inputs: What a subclassed model is called with, as `convert` takes it.
        allow_unsafe_deserialization: As for `convert`.
        examples: Evaluation examples; a ranker's metrics are then compared too.

    Returns:
        The comparisons; `passed` says whether all bounds hold.

    Raises:
        ValueError: If the file is foreign or damaged, or was converted from a model of other
            shapes or with another vocabulary.
    """
    file = CompressedModelFile(path)
    weights, k = file.description["weights"], file.description.get("k", 0)
    # Files of earlier versions have no profile.
    profile = file.description.get("profile", "portable")
    is_saved_model = isinstance(model, (str, os.PathLike))
    prepared = prepare(
        model,
        weights=weights,
        profile=profile,
        inputs=inputs,
        k=k,
        signatures=file.description["signatures"] if is_saved_model else None,
        allow_unsafe_deserialization=allow_unsafe_deserialization,
    )
    return _verify(prepared, file, examples)


def verify_content(
    prepared: Prepared, content: bytes, *, examples: Examples | None = None
) -> Verification:
    """`verify` of the bytes of a file."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.tflite"
        path.write_bytes(content)
        return _verify(prepared, CompressedModelFile(path), examples)


def _verify(
    prepared: Prepared, file: CompressedModelFile, examples: Examples | None
) -> Verification:
    verification = Verification()
    _require_same_model(prepared, file)
    shipped = prepared.shipped
    names = vector_signatures(prepared.model, [embedding.trained for embedding in shipped])
    for embedding, name in zip(shipped, names, strict=True):
        if name is not None:
            _verify_vectors(verification, file, embedding, name)
    if prepared.is_ranker:
        _verify_ranker(verification, prepared.model, file, shipped, examples)
    else:
        _verify_outputs(verification, prepared.functions, file)
    return verification


def _require_same_model(prepared: Prepared, file: CompressedModelFile) -> None:
    theirs, ours = file.description, prepared.description()
    keys = ("method", "input_dim", "output_dim")
    compared = ("kind", "history_length", "vocabulary_fingerprint")
    pairs = {name: (ours.get(name), theirs.get(name)) for name in compared}
    shapes = [
        [{key: described[key] for key in keys} for described in description["embeddings"]]
        for description in (ours, theirs)
    ]
    pairs["embeddings"] = (shapes[0], shapes[1])
    for name, (value, found) in pairs.items():
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
    verification: Verification, functions: TrainedModel, file: CompressedModelFile
) -> None:
    scores = file.description["scores_in_integers"]
    relative = _QUERY_TOLERANCE if scores else _FLOAT_TOLERANCE
    references, original = functions.references(), functions.original()
    for signature in references:
        inputs = _inputs(functions, signature)
        arguments = [tf.constant(x) for x in inputs.values()]
        # A file does not take what its outputs do not depend on.
        taken = file.signatures[signature]["inputs"]
        found = file.run(signature, **{name: inputs[name] for name in taken})
        trained = original[signature].get_concrete_function()(*arguments)
        expected = [f.get_concrete_function()(*arguments) for f in references[signature]]
        several = f"{signature}: " if len(references) > 1 else ""
        for name, output in sorted(found.items()):
            rounding, tolerance = min(
                _compared(output, np.asarray(outputs[name], np.float64), relative)
                for outputs in expected
            )
            verification.bounded(
                f"{several}{name} against the file's own values", rounding, tolerance
            )
            original_output = np.asarray(trained[name], np.float64)
            error = _differences(output, original_output).max(initial=0.0)
            verification.measured(f"{several}{name}: largest error against the model", error)
            if missing := np.isnan(original_output).mean():
                verification.measured(f"{several}{name}: share without a number", missing)


def _compared(output: np.ndarray, wanted: np.ndarray, relative: float) -> tuple[float, float]:
    """The largest difference, and what it may be; no number where nothing could be compared."""
    known = wanted[np.isfinite(wanted)]
    if wanted.size and not known.size:
        return float("nan"), relative
    largest = float(np.abs(known).max(initial=0.0))
    return float(_differences(output, wanted).max(initial=0.0)), relative * max(1.0, largest)


def _differences(output: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Absolute differences, 0 where the model has no number.

    The mean of a history that is masked throughout is such a case, 0 / 0: products in 8 bits make
    of it what they may.
    """
    same = (output == wanted) | np.isnan(wanted)
    return np.abs(np.where(same, 0.0, output) - np.where(same, 0.0, wanted))


def _inputs(functions: TrainedModel, signature: str) -> dict[str, np.ndarray]:
    """A batch for a function: ids of its tables, the first and the last among them, and floats."""
    rng = np.random.default_rng(1)
    limits = functions.limits(signature)
    sizes = [embedding.layer.input_dim for embedding in functions.shipped]
    inputs: dict[str, np.ndarray] = {}
    for spec in functions.specs(signature):
        if spec.name.endswith(ROW_SPLITS):
            inputs[spec.name] = _SPLITS
            continue
        shape = [_BATCH if size is None else size for size in spec.shape]
        dtype = np.dtype(spec.dtype.as_numpy_dtype)
        limit = min([*sizes, limits.get(spec.name, 2**31 - 1)])
        if spec.name in limits or (sizes and np.issubdtype(dtype, np.integer)):
            ids = rng.integers(0, limit, shape)
            edges = np.array([0, limit - 1, 1, limit // 2])[: ids.size]
            np.put(ids, np.arange(len(edges)), edges % limit)
            inputs[spec.name] = ids.astype(dtype)
        elif np.issubdtype(dtype, np.floating):
            # Floats may be ids as well: 0 to 3 are some of every table.
            inputs[spec.name] = rng.uniform(0, min(limit, 4), shape).astype(dtype)
        else:
            inputs[spec.name] = rng.integers(0, 2, shape).astype(dtype)
    return inputs
