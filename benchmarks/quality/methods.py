"""The methods that the benchmark of quality compares, and how one of them is run and measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks.quality.case import Case
from benchmarks.quality.input import INPUT_RATIO, input_after_teacher
from benchmarks.quality.outcome import Outcome, measure
from memcom_tf._keras import keras
from memcom_tf.compression import SETTINGS, Candidate, compress_ranker
from memcom_tf.layers import (
    CompressedEmbedding,
    FullEmbedding,
    HashedEmbedding,
    MEmComEmbedding,
    QuotientRemainderEmbedding,
)
from memcom_tf.layers.contract.layer import METHODS
from memcom_tf.layers.contract.method import Method
from memcom_tf.tables import RowSharing
from memcom_tf.training import train
from memcom_tf.training.recipe import TUNED, by_similarity

FINALISTS = 2
_OVER = 0.005
"""Share of the bytes by which a file may be larger: constants of a graph depend on values."""
STUDENT_STEPS = 3 * SETTINGS.steps // 2
"""More than `compress` trains a student, so that baselines are trained for longer in all."""


@dataclass(frozen=True)
class Contender:
    """A method of the comparison.

    Attributes:
        name: Its name on the command line.
        run: Takes the case, a seed and the bytes of the file at most; None where no size fits.
        at_ratios: Whether its size is chosen.
        trains_student: Whether a compressed ranker is trained after a teacher.
    """

    name: str
    run: Callable[[Case, int, int], Outcome | None]
    at_ratios: bool = True
    trains_student: bool = False


_ORDERED = (MEmComEmbedding, QuotientRemainderEmbedding, HashedEmbedding)
"""Whose ids share rows by their remainder, and may be in an order of similarity."""


def contenders() -> dict[str, Contender]:
    """All methods by name: baselines, every registered layer in its ways, and `compress`."""
    found = [
        Contender("untied", partial(_baseline, kind="untied"), at_ratios=False),
        Contender("tied", partial(_baseline, kind="tied"), at_ratios=False),
        Contender("tied-int8", partial(_baseline, kind="tied", weights="int8"), at_ratios=False),
        Contender("compress", _compressed, trains_student=True),
    ]
    for name, method in METHODS.items():
        ways: dict[str, dict[str, Any]] = {name: {}}
        if method in _ORDERED:
            ways[f"{name}+order"] = {"ordered": True}
            if method is MEmComEmbedding:
                ways[f"{name}+order+unshared"] = {"ordered": True, "unshared": True}
        for way, options in ways.items():
            options = {"method": method, **options}
            found.append(Contender(way, partial(_from_scratch, **options)))
            if method.size_argument:
                run = partial(_input_alone, **options)
                found.append(Contender(f"{way}+input", run, at_ratios=False))
        if method.size_argument and method.approximate is not Method.approximate:
            for way, epochs in (("posthoc", 0), ("distilled", None)):
                run = partial(_from_teacher, method=method, epochs=epochs)
                found.append(Contender(f"{name}+{way}", run, trains_student=epochs is None))
    trained = Contender(
        "MEmComEmbedding+trained+input", input_after_teacher, at_ratios=False, trains_student=True
    )
    found.append(trained)
    return {contender.name: contender for contender in found}


def _baseline(case: Case, seed: int, limit: int, kind: str, weights: str = "float32") -> Outcome:
    model, epoch = case.trained_baseline(kind, seed)
    return Outcome(model, case.split, epoch, chosen="FullEmbedding", weights=weights)


def _from_scratch(
    case: Case, seed: int, limit: int, method: type[CompressedEmbedding], **order: bool
) -> Outcome | None:
    found = case.sized(method, limit)
    if found is None:
        return None
    outcome = _trained(case, seed, *found, **order)
    narrow = "" if method.size_argument else f", width {found[1]}"
    return replace(outcome, chosen=f"{outcome.chosen}{narrow}")


def _input_alone(
    case: Case, seed: int, limit: int, method: type[CompressedEmbedding], **order: bool
) -> Outcome:
    """The papers' setting: the table of the histories at a ratio of parameters, the scored full."""
    width, input_dim = case.settings.width, case.split.vocabulary.input_dim
    tuned = TUNED.get(method.__name__, {})
    size = getattr(method.for_ratio(input_dim, width, INPUT_RATIO, **tuned), method.size_argument)
    candidate = Candidate(method, {**tuned, method.size_argument: size})
    scored = case.layer(FullEmbedding, width, name="scored_items")
    return _trained(case, seed, candidate, width, scored, **order)


def _trained(
    case: Case,
    seed: int,
    candidate: Candidate,
    width: int,
    scored: CompressedEmbedding | None = None,
    ordered: bool = False,
    unshared: bool = False,
) -> Outcome:
    """A ranker from scratch; half of the rows are of single items where they are `unshared`."""
    split, sharing = case.split, candidate.sharing
    if unshared and sharing is not None:
        rows = sharing.num_buckets
        sharing = RowSharing(rows - rows // 2, rows // 2)
        arguments = {**candidate.arguments, **sharing.arguments()}
        candidate = replace(candidate, arguments=arguments)
    if ordered and sharing is not None:
        split = by_similarity(split, sharing, case.settings.width)
    keras.utils.set_random_seed(seed)
    layer = case.layer(candidate.method, width, **candidate.arguments)
    model = case.ranker(split, layer, scored)
    record = train(model, split, replace(case.settings.training, seed=seed))
    return Outcome(model, split, record["epoch"], chosen=str(candidate))


def _from_teacher(
    case: Case, seed: int, limit: int, method: type[CompressedEmbedding], epochs: int | None
) -> Outcome | None:
    found = case.sized(method, limit, biases=True)
    if found is None:
        return None
    most = case.settings.student.epochs if epochs is None else epochs
    return _after_teacher(case, seed, limit, most, candidates=[found[0]], finalists=1)


def _compressed(case: Case, seed: int, limit: int) -> Outcome | None:
    epochs = case.settings.student.epochs
    try:
        return _after_teacher(case, seed, limit, epochs, finalists=FINALISTS)
    except ValueError as error:
        if "must leave room" not in str(error):
            raise
        return None


def _after_teacher(
    case: Case, seed: int, limit: int, epochs: int | None, **options: Any
) -> Outcome:
    teacher, epoch = case.trained_baseline("teacher", seed)
    settings = replace(case.settings.student, epochs=epochs, seed=seed)
    found = compress_ranker(teacher, case.split, max_bytes=limit, settings=settings, **options)
    trained = max(trial.num_trained for trial in found.trials)
    return Outcome(found.model, found.split, epoch, trained, str(found.chosen))


def run(case: Case, contender: Contender, ratio: float | None, seed: int) -> dict[str, Any]:
    """Runs a method once.

    Args:
        case: The data and the settings.
        contender: The method.
        ratio: Bytes of the untied float32 file over those of the file, at least.
        seed: The seed.

    Returns:
        The figures of the run.
    """
    start = time.monotonic()
    limit = int(case.untied_bytes / (ratio or 1))
    outcome = contender.run(case, seed, limit)
    if outcome is None:
        return {"reachable": False}
    seconds = time.monotonic() - start
    figures = measure(outcome, case.settings)
    if contender.at_ratios and figures["bytes"] > (1 + _OVER) * limit:
        raise RuntimeError(f"The file must fit {limit} bytes. Received: bytes={figures['bytes']}.")
    return {
        "reachable": True,
        "untied_bytes": case.untied_bytes,
        "tied_bytes": case.tied_bytes,
        "epochs": outcome.epochs,
        "student_epochs": outcome.student_epochs,
        "chosen": outcome.chosen,
        "seconds": round(seconds, 1),
        **figures,
    }
