"""Compression of a trained ranker to a number of bytes, with the method that loses least."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

from memcom_tf.cluster import require_alone
from memcom_tf.compression.behaviour import LEAST_OF_FIRST_LIST
from memcom_tf.compression.candidates import Candidate
from memcom_tf.compression.file_size import graph_bytes, graph_overhead
from memcom_tf.compression.result import Compression, Trial
from memcom_tf.compression.time_budget import ENDED_EARLY, SEARCHING, TimeBudget
from memcom_tf.compression.trials import Trials
from memcom_tf.datasets import Interactions
from memcom_tf.errors import invalid, message
from memcom_tf.evaluation import Split, leave_last_out
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.progress import counted, doing, reporting
from memcom_tf.tasks import NextItem, task_of
from memcom_tf.training import TrainingSettings

SETTINGS = TrainingSettings(
    steps=2_500,
    learning_rate=3e-3,
    weight_decay=0.0,
    distillation=0.7,
    validation_users=100_000,
)
"""How a compressed ranker is trained after the original, and what the candidates are chosen by.

They differ by a percent or two, which ten thousand users do not tell apart.
"""


_BEHIND = 0.06
"""Relative nDCG that a candidate may be behind the best before training, and still be trained."""

_OTHER_FIRST_LIST = (
    f"All candidates show a new user other items: less than {100 * LEAST_OF_FIRST_LIST:.0f} % of "
    "the list without a history is kept. A larger file keeps more."
)


def compress_ranker(
    model: CatalogueRanker,
    interactions: Interactions | Split,
    *,
    max_bytes: int | None = None,
    ratio: float | None = None,
    settings: TrainingSettings = SETTINGS,
    candidates: Sequence[Candidate] | None = None,
    finalists: int = 2,
    checkpoints: str | os.PathLike[str] | None = None,
    max_minutes: float | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> Compression:
    """Compresses a trained ranker so that its file fits a number of bytes.

    1. Every candidate method takes the size that the bytes allow. Where its rows are shared by
       `id % num_buckets`, the items are numbered by the similarity of their trained vectors.
    2. Its tables are set in closed form from the trained ones, weighted by how often items occur,
       biases such that items stay as likely as they were, and its nDCG on validation is measured.
    3. The best `finalists`, each the best of its layer and nearly as good, learn from the trained
       ranker's scores and the interactions, and the best of these is taken: a part of the training
       does not tell which that is. Weights before training and on the way are candidates too, so
       that training never makes a model worse on validation. One whose list for a user without a
       history has less than seven tenths of the original's is taken only where all are so.

    Args:
        model: A trained ranker with its vocabulary.
        interactions: What it was trained on: `Interactions`, which are split by `leave_last_out`,
            or a `Split` with the model's vocabulary. Only training and validation are looked at.
        max_bytes: Bytes of the exported file without its vocabulary, at most.
        ratio: The same as a share of the model's own float32 file: one of both must be given.
        settings: How to train.
        candidates: Methods to try, of any size; None takes those of `candidates_for`.
        finalists: How many candidates are trained, at most.
        checkpoints: A folder to keep the state of the trainings in, and to go on from; see
            `memcom_tf.training.train`. It is made, and may be deleted afterwards.
        max_minutes: About how long it may take: candidates that there is no time for are left out.
            None takes all.
        report: Called with a line for each thing done.

    Returns:
        The compressed ranker, the candidates and their measures. Holes of the vocabulary are not
        kept: make room anew with `Vocabulary.with_reserve` and `extended_ranker`.

    Raises:
        ValueError: If the model has no vocabulary, the interactions are not its own, both or none
            of `max_bytes` and `ratio` is given, or no method fits.
        ImportError: If what clusters (`memcom_tf[order]`) or converts (`memcom_tf[convert]`) is
            not installed.
    """
    require_alone("Compression")
    with reporting(report):
        with doing("measuring the original"):
            wanted = _checked(model, interactions, max_bytes, ratio)
        return _compressed(
            model,
            wanted,
            settings,
            candidates,
            finalists,
            checkpoints,
            TimeBudget(max_minutes),
            report,
        )


def _compressed(
    model: CatalogueRanker,
    wanted: tuple[Split, int, int],
    settings: TrainingSettings,
    candidates: Sequence[Candidate] | None,
    finalists: int,
    checkpoints: str | os.PathLike[str] | None,
    budget: TimeBudget,
    report: Callable[[str], object],
) -> Compression:
    """What `compress_ranker` returns."""
    split, limit, original_bytes = wanted
    work = Trials(model, split, settings, report, checkpoints, budget)
    tried = work.in_closed_form(limit, candidates)
    if not tried:
        raise invalid(
            "`max_bytes` must leave room for the smallest method.",
            f"The ranker without its tables takes about {work.overhead:,} bytes.",
            max_bytes=limit,
        )
    tried.sort(key=lambda trial: -trial.ndcg_before)
    count = finalists if work.epochs else 1
    chosen = finalists_of(tried, count)
    while candidates is None and (beyond := [t for t in chosen if work.too_large(t, limit)]):
        tried = [trial for trial in tried if trial not in beyond]
        chosen = finalists_of(tried, count)
    trainings = counted(chosen, "training", SEARCHING, 1.0) if work.epochs else chosen
    finals = [work.final(trial) for trial in budget.trained(trainings)]
    if budget.ended_early:
        report(ENDED_EARLY)
    best = max(finals, key=lambda final: (final.behaviour.keeps_first_list, final.ndcg))
    if not best.behaviour.keeps_first_list:
        report(_OTHER_FIRST_LIST)
    trials = {trial.candidate: trial for trial in tried}
    trials |= {final.trial.candidate: final.trial for final in finals}
    return Compression(
        best.model,
        best.split,
        tuple(trials.values()),
        best.trial.candidate,
        settings.k,
        work.ndcg_of_teacher,
        best.ndcg,
        original_bytes,
        graph_bytes(best.model),
        best.behaviour,
    )


def finalists_of(tried: Sequence[Trial], count: int) -> list[Trial]:
    """The best candidates, one of each layer, and none that training would hardly bring to the top.

    Within a layer training changes the order little.
    """
    best: dict[type, Trial] = {}
    for trial in tried:
        best.setdefault(trial.candidate.method, trial)
    near = (1 - _BEHIND) * tried[0].ndcg_before
    return [trial for trial in best.values() if trial.ndcg_before >= near][: max(1, count)]


def _checked(
    model: CatalogueRanker,
    interactions: Interactions | Split,
    max_bytes: int | None,
    ratio: float | None,
) -> tuple[Split, int, int]:
    if task_of(model).name != NextItem.name:
        raise TypeError(
            message(
                "`model` must be a NextItemRanker or a RetrievalModel.",
                "",
                received=type(model).__name__,
            )
        )
    if model.vocabulary is None:
        raise invalid("The model must have a vocabulary.", "Pass it when the ranker is made.")
    if (max_bytes is None) == (ratio is None):
        raise invalid(
            "Either `max_bytes` or `ratio` must be given.", "", max_bytes=max_bytes, ratio=ratio
        )
    if isinstance(interactions, Split):
        split = interactions
        if split.vocabulary.fingerprint != model.vocabulary.fingerprint:
            raise invalid(
                "The split must have the model's vocabulary.",
                "Split with `vocabulary=model.vocabulary`.",
                split=split.vocabulary,
                model=model.vocabulary,
            )
    else:
        split = leave_last_out(
            interactions, history_length=model.history_length, vocabulary=model.vocabulary
        )
    model.build_once()
    values = sum(int(np.prod(weight.shape)) for weight in model.weights)
    original_bytes = 4 * values + graph_overhead(model)
    limit = max_bytes if max_bytes is not None else int(original_bytes / (ratio or 1))
    return split, limit, original_bytes
