"""The methods that the benchmark of click models compares, and how one of them is run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.click.case import Case
from benchmarks.click.logistic import best_on_validation
from benchmarks.click.outcome import Outcome, figures, measure
from memcom_tf.compression import compress_clicks
from memcom_tf.layers import ResidualQuantizedEmbedding
from memcom_tf.models import ClickModel, compressed_tables
from memcom_tf.models.click_tables import layer_name
from memcom_tf.seeding import seeded
from memcom_tf.training import train_clicks
from memcom_tf.training.clicks import predictions

LOGISTIC = "logistic regression"
FROM_SCRATCH = {
    "narrow": ("FullEmbedding", {}),
    "hashing": ("HashedEmbedding", {}),
    "QR": ("QuotientRemainderEmbedding", {}),
    "k-ary": ("CompositionalEmbedding", {"operation": "concat"}),
    "MLET": ("MultiLayerEmbedding", {}),
    "MEmCom": ("MEmComEmbedding", {"multiplier_learning_rate": 10.0}),
    "low rank": ("LowRankEmbedding", {}),
    "tensor train": ("TensorTrainEmbedding", {}),
}
"""The layer of each method, and arguments that it is better with than by default."""
TAUGHT = "hashing", "QR", "MLET"
"""Methods that are trained after the full model too: a part of the target is what it predicts."""
_CODES = (4, 256), (3, 256), (2, 256), (1, 256), (1, 16)
"""Codes an id, and rows of a book, from the largest table to the smallest."""


class UnreachableError(Exception):
    """A method cannot be as small as asked."""


@dataclass(frozen=True)
class Contender:
    """A method of the comparison.

    Attributes:
        name: Its name on the command line.
        run: Takes the case, the ratio and a seed.
        at_ratios: Whether its size is chosen.
        of_file: Whether the ratio is that of the whole file and not that of the large tables.
    """

    name: str
    run: Callable[[Case, float, int], Outcome]
    at_ratios: bool = True
    of_file: bool = False


def contenders() -> dict[str, Contender]:
    """All methods with a model, by name."""
    found = [
        Contender("full", partial(_full, weights="float32"), at_ratios=False),
        Contender("full int8", partial(_full, weights="int8"), at_ratios=False),
        Contender("compress", _compressed, of_file=True),
        *(
            Contender(name, partial(_trained, method=method, arguments=arguments))
            for name, (method, arguments) in FROM_SCRATCH.items()
        ),
        *(Contender(f"{name} taught", _taught(name)) for name in TAUGHT),
        Contender("residual codes", _codes),
    ]
    return {contender.name: contender for contender in found}


def _full(case: Case, ratio: float, seed: int, weights: str) -> Outcome:
    model, epochs = case.trained_full(seed)
    return Outcome(model, epochs, "full tables", weights=weights)


def _taught(name: str) -> Callable[[Case, float, int], Outcome]:
    method, arguments = FROM_SCRATCH[name]
    return partial(_trained, method=method, arguments=arguments, taught=True)


def _trained(
    case: Case,
    ratio: float,
    seed: int,
    method: str,
    arguments: dict[str, Any],
    taught: bool = False,
) -> Outcome:
    """From its start; `taught`, after the full model of the seed."""
    width, min_rows = case.settings.width, case.settings.min_rows
    teacher = _predicted(case.trained_full(seed)[0], case) if taught else None
    with seeded(seed):
        tables = compressed_tables(
            case.features, method, ratio, width=width, min_rows=min_rows, **arguments
        )
        model = case.new_model(tables)
    sizes = [layer.input_dim * width for layer in tables.values()]
    numbers = sum(layer.ships_as().num_parameters for layer in tables.values())
    reached = sum(sizes) / max(1, numbers)
    record = train_clicks(model, case.split, case.of_seed(seed), teacher=teacher)
    return Outcome(model, record["epochs"], f"{method}, {reached:.3g}x fewer numbers")


def _codes(case: Case, ratio: float, seed: int) -> Outcome:
    """Codes of the trained table, then trained after the full model; a number counts a byte."""
    width, settings = case.settings.width, case.settings
    fitting = [code for code in _CODES if code[0] * (1 if code[1] > 16 else 0.5) <= width / ratio]
    if not fitting:
        raise UnreachableError
    books, rows = fitting[0]
    model, _ = case.trained_full(seed)
    assert model.joint is not None
    table = model.joint.table_values()["embeddings"]
    with seeded(seed):
        layers = {
            name: ResidualQuantizedEmbedding.from_table(
                table[model.rows_of(name)],
                num_codebooks=books,
                num_codes=rows,
                name=layer_name(model.features, name),
            )
            for name in case.large
        }
        student = model.with_tables(layers)
    student_of_seed = replace(settings.student, seed=seed)
    record = train_clicks(student, case.split, student_of_seed, teacher=_predicted(model, case))
    return Outcome(student, record["epochs"], f"{books} codes of {rows} an id")


def _predicted(model: ClickModel, case: Case) -> np.ndarray:
    """What a model predicts for the rows of training."""
    return predictions(model, model.features.encode(case.split.train))


def _compressed(case: Case, ratio: float, seed: int) -> Outcome:
    model, _ = case.trained_full(seed)
    settings = replace(case.settings.student, seed=seed)
    try:
        found = compress_clicks(model, case.split, ratio=ratio, settings=settings)
    except ValueError as error:
        if "must leave room" not in str(error):
            raise
        raise UnreachableError from error
    chosen = "; ".join(f"{choice.name}: {choice.chosen}" for choice in found.tables)
    return Outcome(found.model, 0.0, chosen, samples=found.samples)


def run(case: Case, contender: Contender, ratio: float | None, seed: int) -> dict[str, Any]:
    """Runs a method once, and returns its figures."""
    start = time.monotonic()
    try:
        outcome = contender.run(case, ratio or 1.0, seed)
    except UnreachableError:
        return {"reachable": False}
    return {
        "reachable": True,
        "full_bytes": case.full_bytes,
        "epochs": outcome.epochs,
        "chosen": outcome.chosen,
        "seconds": round(time.monotonic() - start, 1),
        **measure(outcome, case.split),
    }


def run_logistic(case: Case) -> dict[str, Any]:
    """Runs the baseline, which has no seed and no file."""
    start = time.monotonic()
    validation, test, chosen = best_on_validation(case.split)
    return {
        "reachable": True,
        "chosen": chosen,
        "seconds": round(time.monotonic() - start, 1),
        **figures(validation, test, case.split),
    }
