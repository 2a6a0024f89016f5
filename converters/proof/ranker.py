"""The lists and scores of a ranker's file held against the ranker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.errors import for_reader, invalid
from memcom_tf.evaluation import Examples, evaluate_lists, evaluate_ranking
from memcom_tf.ops.reference import ReferenceOps
from memcom_tf.tasks.queries import draw_histories

from ..inputs import Samples
from ..inputs.files import read_columns
from ..preparation.forms import ModelForm
from ..preparation.prepared import Prepared
from ..preparation.spread import FLOAT_ROUNDING, FLOAT_TOLERANCE
from ..runtime import CompressedModelFile
from ..tracing.signatures import dequantized_tables
from .result import Verification
from .vectors import sample_ids

_NUM_HISTORIES = 64


def verify_ranker(
    verification: Verification,
    prepared: Prepared,
    file: CompressedModelFile,
    examples: Examples | None,
) -> None:
    """Compares scores and lists of queries, and metrics where there are examples.

    Raises:
        ValueError: If samples or examples are none of a ranker.
    """
    if examples is not None and not isinstance(examples, Examples):
        raise invalid(
            "The examples of a ranker must be memcom_tf.evaluation.Examples.",
            "Take them from a split: `split.test`.",
            examples=type(examples).__name__,
        )
    model = prepared.model
    k, reserved = file.ranker.k, file.ranker.reserved_ids
    queries = _queries(prepared, examples)
    rows = _rows(queries)
    original = np.array(model.predict_on_batch(queries), np.float64)
    with dequantized_tables(prepared.shipped, ReferenceOps()):
        reference = np.array(model.score_all(_query_vectors(prepared, file, queries)), np.float64)
    items = np.setdiff1d(np.arange(reserved, reference.shape[1]), model.free_ids)
    # Scores are compared relative to how far items are apart in the list of a history.
    spread = float(np.median(reference[:, items].std(axis=1)))
    largest = np.abs(reference[:, items]).max()
    if not spread > FLOAT_ROUNDING * largest:
        verification.bounded(
            "scores do not vary over the items, which proves nothing",
            1,
            0,
            "A trained ranker has scores that do.",
        )
        spread = 1.0
    tolerance = FLOAT_TOLERANCE + FLOAT_ROUNDING * largest / spread
    candidates = sample_ids(model.item_embedding.input_dim, np.random.default_rng(2))
    candidates = candidates[np.isin(candidates, items)]
    # Kept by np.maximum, which does not lose a NaN as max() does.
    score_rounding = list_rounding = list_gap = score_error = np.float64(0.0)
    overlaps = []
    for row, query in enumerate(rows):
        taken = {name: query[name] for name in file.signatures["rank"]["inputs"]}
        scores = file.run("score", **taken, candidates=candidates)["scores"]
        score_rounding = np.maximum(
            score_rounding, np.abs(scores - reference[row, candidates]).max()
        )
        score_error = np.maximum(score_error, np.abs(scores - original[row, candidates]).max())
        ranked = file.run("rank", **taken)
        ids, values = ranked["ids"], ranked["scores"]
        for scored in (reference, original):
            scored[row, :reserved] = -np.inf
            scored[row, query.get("history", [])] = -np.inf
        list_rounding = np.maximum(list_rounding, np.abs(values - reference[row, ids]).max())
        best = -np.sort(-reference[row])[:k]
        list_gap = np.maximum(list_gap, np.abs(best - values).max())
        overlaps.append(len(set(ids) & set(np.argsort(-original[row], kind="stable")[:k])) / k)
    for name, value in (
        ("scores against the file's own values, in spreads", score_rounding),
        ("scores of the ranked list, in spreads", list_rounding),
        ("ranked list below the exact list by, in spreads", list_gap),
    ):
        verification.bounded(name, value / spread, tolerance)
    verification.measured("largest score error against the model", score_error)
    verification.measured(f"share of the model's top {k} in the list", float(np.mean(overlaps)))
    if examples is not None:
        in_keras = evaluate_ranking(model.predict_on_batch, examples, k=k)
        in_file = evaluate_lists(lambda inputs: rank(file, inputs), examples, k=k)
        for name in (f"ndcg@{k}", f"recall@{k}"):
            verification.measured(f"{name} of the model", in_keras[name])
            verification.measured(f"{name} of the file", in_file[name])


def rank(file: CompressedModelFile, inputs: Any) -> np.ndarray:
    """The ids of the list of one query, given by a history or by a dict of inputs."""
    if not isinstance(inputs, dict):
        return file.rank(inputs)[0]
    return file.rank(**{name: values[None] for name, values in inputs.items()})[0]


def _query_vectors(
    prepared: Prepared, file: CompressedModelFile, queries: dict[str, np.ndarray] | np.ndarray
) -> Any:
    """Queries as the file makes them, or where it has no signature of them, the model.

    What the file makes of inputs is held against the model for itself.
    """
    if not isinstance(prepared.form, ModelForm) or not isinstance(queries, dict):
        return prepared.model.query(queries)
    taken = file.signatures["query"]["inputs"]
    return file.run("query", **{name: queries[name] for name in taken})["query"]


def _rows(queries: dict[str, np.ndarray] | np.ndarray) -> list[dict[str, np.ndarray]]:
    """Inputs of single queries."""
    named = queries if isinstance(queries, dict) else {"history": queries}
    count = len(next(iter(named.values())))
    return [{name: values[i : i + 1] for name, values in named.items()} for i in range(count)]


def _queries(prepared: Prepared, examples: Examples | None) -> dict[str, np.ndarray] | np.ndarray:
    """Inputs of some queries, of samples or examples where there are any."""
    form = prepared.form
    if not isinstance(form, ModelForm):
        return _histories(prepared.model, examples, prepared.samples)
    if examples is not None and prepared.samples is None:
        inputs = examples[:_NUM_HISTORIES].inputs
        inputs = inputs if isinstance(inputs, dict) else {"history": inputs}
        specs = prepared.model.query_specs
        return {name: np.asarray(x, specs[name].dtype.as_numpy_dtype) for name, x in inputs.items()}
    calls = [call for group in form.functions.groups("query") for call in group.calls]
    return {
        name: np.concatenate([call[name] for call in calls])[:_NUM_HISTORIES] for name in calls[0]
    }


def _histories(model: Any, examples: Examples | None, samples: Samples) -> np.ndarray:
    """An empty history, full ones and those between, of samples or examples where there are any."""
    given, of = (None, "samples") if examples is None else (examples.history, "examples")
    if isinstance(samples, str | Path):
        samples = read_columns(Path(samples), ["history"])
    if samples is not None:
        given, of = samples["history"] if isinstance(samples, dict) else samples, "samples"
    if given is not None:
        known: np.ndarray = np.asarray(given)
        num_ids = model.item_embedding.input_dim
        if known.dtype.kind not in "iu" or not ((known >= 0) & (known < num_ids)).all():
            raise invalid(
                f"Ids of the {of} must be integers in [0, {num_ids}).",
                "Give histories of the ids that the ranker was trained with.",
                dtype=known.dtype.name,
            )
        if known.ndim != 2 or known.shape[1] != model.history_length or not len(known):
            raise invalid(
                f"The {of} must be histories [n, {model.history_length}] of ids.",
                for_reader(
                    "Give the array that `predict` takes, or a dict of it as `history`.",
                    "Give a file with that array as `history`.",
                ),
                shape=known.shape,
            )
        return np.concatenate([np.zeros_like(known[:1]), known[: _NUM_HISTORIES - 1]]).astype(
            np.int32
        )
    ids = np.setdiff1d(np.arange(1, model.item_embedding.input_dim, dtype=np.int32), model.free_ids)
    histories = draw_histories(ids, model.history_length, _NUM_HISTORIES)
    histories[2] = 0
    return histories
