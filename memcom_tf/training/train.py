"""Training of a ranker on a split, to the best epoch on validation."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy.typing as npt

from memcom_tf._keras import keras
from memcom_tf.data import PreparedSplit
from memcom_tf.evaluation import Examples, Split
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.models.ranks import scores_at_once
from memcom_tf.optimizers import LazyAdam
from memcom_tf.optimizers.adaptation import adapted_layers, with_adaptation
from memcom_tf.progress import current
from memcom_tf.seeding import seeded
from memcom_tf.training.batches import TrainingBatches
from memcom_tf.training.best_epoch import BestEpoch
from memcom_tf.training.checkpoint import Checkpoint, fingerprint
from memcom_tf.training.distillation import DistilledRanker
from memcom_tf.training.loop import check_together, fit_together
from memcom_tf.training.progress import TrainingProgress, forecast
from memcom_tf.training.settings import EVALUATIONS, Schedule, TrainingSettings
from memcom_tf.training.streaming import batches_of
from memcom_tf.training.validation import most_users, num_users, validation_of
from memcom_tf.training.workers import Workers, current_workers

SCALARS = ("multiplier", "bias", "scale", "recency", "gate", "steps")
"""Variables that do not decay, by a part of their names: what is not a row of vectors."""

_WAYS = 0.25, 0.5, 0.75
"""Of the way from the weights before training to those after it: tried too, after a teacher."""


def train(
    model: CatalogueRanker,
    split: Split,
    settings: TrainingSettings | None = None,
    *,
    teacher: CatalogueRanker | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    verbose: int = 0,
    report: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Trains a ranker, and leaves it with its best weights on validation.

    The weights that it comes with are a candidate too: training never makes it worse there. After
    a teacher they are a good start, and weights between start and end are candidates as well:
    where rows are few they are often better than both.

    Source of the weights between: Wortsman et al., Robust fine-tuning of zero-shot models,
    arXiv:2109.01903.

    Within the scope of a `tf.distribute.MultiWorkerMirroredStrategy` all its workers make each step
    together, and each ends with the same weights. The chief judges them, and reads and writes the
    checkpoint.

    Args:
        model: The ranker, new or trained, with the vocabulary of the split.
        split: The interactions, split by `leave_last_out` or `hold_out`, or opened by
            `memcom_tf.data.open_dataset`, whose shards are read as training goes on. Only training
            and validation are looked at.
        settings: How to train; None takes the defaults.
        teacher: A trained ranker with the same ids, whose scores are learned too.
        checkpoint: A file that is written after every evaluation. If it is there, training goes on
            from it, and is at its end where it was finished: delete it afterwards. The order of
            the batches is that of a training in one go; what is drawn at random is not.
        verbose: As of `keras.Model.fit`.
        report: Called with lines on the memory that training will take, and every half minute on
            its speed and the time left, and on every evaluation.

    Returns:
        "ndcg": on validation by epoch, or by part of one where `settings.steps` end within it, the
        first before training; "best": of the weights kept; "epoch": when these were, 0 where no
        training helped; "way": their share of the way from the start.

    Raises:
        ValueError: If there is no validation example, ids do not fit, or the checkpoint is that of
            another training; if `TF_CONFIG` names several workers, and this is not within the
            scope of their strategy; if workers were given different data or settings.
        ConnectionError: If another worker is gone.

    Example:
        >>> from memcom_tf.datasets import Interactions
        >>> from memcom_tf.evaluation import leave_last_out
        >>> from memcom_tf.models import NextItemRanker
        >>> from memcom_tf.layers import FullEmbedding
        >>> rng = np.random.default_rng(0)
        >>> log = Interactions(user=np.arange(200) // 8, item=rng.integers(0, 20, 200))
        >>> split = leave_last_out(log, history_length=8)
        >>> model = NextItemRanker(FullEmbedding(split.vocabulary.input_dim, 8), history_length=8)
        >>> len(train(model, split, TrainingSettings(epochs=2, evaluate_every=1))["ndcg"])
        3
    """
    settings = settings or TrainingSettings()
    with seeded(settings.seed):
        return _train(model, split, settings, teacher, checkpoint, verbose, report)


def _train(
    model: CatalogueRanker,
    split: Split,
    settings: TrainingSettings,
    teacher: CatalogueRanker | None,
    checkpoint: str | os.PathLike[str] | None,
    verbose: int,
    report: Callable[[str], object] | None,
) -> dict[str, Any]:
    workers = current_workers()
    batches = batches_of(split, batch_size=settings.batch_size, seed=settings.seed)
    schedule = settings.schedule_of(batches)
    epochs = schedule.epochs
    every = settings.evaluate_every or max(1, epochs // EVALUATIONS)
    trained = DistilledRanker(model, teacher, settings.distillation, loss=settings.loss)
    rate = keras.optimizers.schedules.PolynomialDecay(
        settings.first_learning_rate, max(1, schedule.num_steps), 0.0
    )
    optimizer = LazyAdam(rate, weight_decay=settings.weight_decay or None)
    if settings.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=list(SCALARS))
    trained.compile(optimizer)
    examples = validation_of(split, settings)
    # Between tables of which rows have moved there is nothing.
    ways = () if teacher is None or adapted_layers(model) else _WAYS
    best = BestEpoch(model, examples, settings, epochs, every, ways, workers)
    done = 0
    if epochs and (checkpoint is not None or workers is not None):
        model.build_once()
        identity = _identity(model, split, settings, epochs, teacher)
        if workers is not None:
            check_together(workers, model, batches.batch_size, identity)
        optimizer.build(trained.trainable_variables)
        if checkpoint is not None:
            done = best.keep_in(Checkpoint(checkpoint, identity), optimizer)
    callbacks = with_adaptation(model, [best])
    if report is not None:
        report(forecast(model, split, batches, scores_at_once(model)).line())
        if num_users(split) > most_users(split, settings):
            report(f"validation: {len(examples):,} of {num_users(split):,} users")
    if report is not None or current() is not None:
        callbacks.append(TrainingProgress(schedule.num_steps, batches.batch_size, report))
    if done < epochs:
        _fit(trained, batches, schedule, workers, done, callbacks, verbose)
    elif not epochs:  # of which tf_keras knows nothing
        best.on_train_begin()
    return {"epoch": best.epoch, "ndcg": best.values, "best": best.ndcg, "way": best.way}


def _fit(
    trained: DistilledRanker,
    batches: TrainingBatches,
    schedule: Schedule,
    workers: Workers | None,
    done: int,
    callbacks: list[Any],
    verbose: int,
) -> None:
    """Trains after the epochs that are done."""
    own = batches if workers is None else batches.of_worker(workers.index, workers.count)
    steps = done * schedule.steps
    own.skip(steps // len(own))
    data = own.dataset(steps % len(own))
    if workers is None:
        trained.fit(
            data,
            initial_epoch=done,
            epochs=schedule.epochs,
            steps_per_epoch=schedule.steps,
            callbacks=callbacks,
            shuffle=False,  # the data set does it
            verbose=verbose,
        )
        return
    fit_together(
        trained,
        data,
        workers,
        of_whole=own is batches,
        initial_epoch=done,
        epochs=schedule.epochs,
        steps=schedule.steps,
        callbacks=callbacks,
        verbose=verbose,
    )


def _identity(
    model: CatalogueRanker,
    split: Split,
    settings: TrainingSettings,
    epochs: int,
    teacher: CatalogueRanker | None,
) -> dict[str, Any]:
    """What a checkpoint must have in common with a training that goes on from it."""
    if isinstance(split, PreparedSplit):
        data = split.fingerprint
    else:
        data = fingerprint([a for part in (split.train, split.validation) for a in _arrays(part)])
    return {
        "settings": asdict(settings),
        "epochs": epochs,
        "weights": [(tuple(w.shape), str(w.dtype)) for w in model.variables],
        # A student is what its teacher and its shapes make it, up to the last bits.
        "start": fingerprint(model.get_weights()) if teacher is None else "",
        "data": data,
        "vocabulary": split.vocabulary.fingerprint,
        "teacher": None if teacher is None else fingerprint(teacher.get_weights()),
    }


def _arrays(part: Examples) -> list[npt.NDArray[Any]]:
    return [part.history, part.target, *part.context.values()]
