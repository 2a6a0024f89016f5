"""A trained ranker brought up to date by a later log."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from memcom_tf.cluster import require_alone
from memcom_tf.data import PreparedSplit, open_dataset
from memcom_tf.datasets import Interactions, Log
from memcom_tf.errors import argument, invalid, message
from memcom_tf.evaluation import Split, split_log
from memcom_tf.models.carry_over import extended_ranker, refreshed_ranker
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.models.ranks import evaluate_ranker
from memcom_tf.models.rebuilding import copy_of, rebuilt_ranker
from memcom_tf.seeding import seeded
from memcom_tf.training.renewal import (
    LoggedItems,
    OrderQuality,
    Renewal,
    measured,
    renewed,
    reordered,
    sharing_of,
)
from memcom_tf.training.settings import TrainingSettings
from memcom_tf.training.streaming import batches_of
from memcom_tf.training.train import train
from memcom_tf.training.validation import validation_of
from memcom_tf.vocabulary import Details, Vocabulary

LEAST_RATE = 1e-3
"""The learning rate where no item is new, a quarter of that from scratch. Adam starts without
memory, so that its first steps move every number that they touch by about the rate, however small
the gradient. A tenth of the steps should move weights that are good already by less than steps that
begin at random."""
LEAST_STEPS = 0.1
"""The steps where no item is new, of those of a training from scratch on the same log."""
_STEPS_OF_NEW = 4.0
"""Steps for what is new, in its share of the log: rows of new items have learned nothing yet. Of
news, where an eighth of the clicks of three days went to articles of the last one, half of the
steps came near a training from scratch, and a tenth did not."""
LEAST_QUALITY = 0.5
"""Part of what a fresh order gains over chance below which the order is refreshed."""
MUCH_NEW = 1 / _STEPS_OF_NEW
"""From this share of new items in the log on training is as long as one from scratch, and the order
is refreshed too: items that stay have the time to learn again what they lose by it."""


@dataclass(frozen=True)
class UpdatedRanker:
    """A ranker that was updated.

    Attributes:
        model: The ranker, with its vocabulary.
        split: The log under the ids of that vocabulary.
        record: What was done; see `update_ranker`.
    """

    model: CatalogueRanker
    split: Split
    record: dict[str, Any]


def update_ranker(
    model: CatalogueRanker,
    log: Interactions | Log | Split,
    *,
    settings: TrainingSettings | None = None,
    forget: bool = False,
    least_quality: float = LEAST_QUALITY,
    checkpoint: str | os.PathLike[str] | None = None,
    verbose: int = 0,
    report: Callable[[str], object] | None = None,
) -> UpdatedRanker:
    """Brings a trained ranker up to date: new items, a fresh order where it is due, new steps.

    New items take free ids, in the bucket that suits them, and start as its mean; no id of another
    item moves. Which bucket suits is told by `interaction_vectors` of the log. Trained vectors
    cannot tell: items of a bucket share a row, so that their vectors are alike however ill they
    suit each other, and new items have none.

    Where items share rows, the order is measured by the same vectors. A fresh order is made of
    them, and what it gains over chance in the mean cosine of an item with its bucket is compared
    with what the order so far does. Below `least_quality` the ranker is refreshed: all items get
    new ids, and its tables are approximated anew. So it is where a quarter of the interactions are
    with new items. Where rows are not shared, or `least_quality` is 0, ids never move, and nothing
    is measured.

    Training then goes on from the old weights. It keeps the best on validation, those before
    training among them.

    Args:
        model: The ranker, with its vocabulary; it is not changed.
        log: The interactions of the days that are to count, which must have some items of the
            model; also what `load_log` read, a split, or a data set opened by `open_dataset`.
            Counts of the new vocabulary are those of this log.
        settings: How to train. Where neither `epochs` nor `steps` say, a tenth of the steps of a
            training from scratch, and 4 times as large a share as interactions with new items have
            of the log, if that is more. Where `learning_rate` does not, from 0.001 for a tenth to
            0.004 for all.
        forget: Whether items that the log does not have lose their ids to new ones. The ranker has
            as many ids as before, unless more new items come than there is room for.
        least_quality: In [0, 1]; the default is a half. An order that was made of the first half
            of a log, and one of other users, keep more than that; see `docs/large_logs.md`.
        checkpoint: As of `train`.
        verbose: As of `keras.Model.fit`.
        report: Called with lines on what is done; see `train`.

    Returns:
        The ranker, and the log under its ids. The record has, beside that of `train`, "new" and
        "gone": numbers of items; "input_dim": before and after; "refreshed", and "why";
        "order": what was measured, or None; "ndcg_before": on validation with the new items, in
        the order so far and before training, or None where the tables cannot take these.

    Raises:
        TypeError: If the model is no ranker.
        ValueError: If it has no vocabulary, if the log has none of its items or others than it
            could have, if a split has another history length, if there is no validation example,
            if its tables cannot take new items, or a number is out of range.

    Example:
        >>> import numpy as np
        >>> from memcom_tf.training import train_ranker
        >>> from memcom_tf.evaluation import leave_last_out
        >>> rng = np.random.default_rng(0)
        >>> log = Interactions(user=np.arange(400) // 8, item=rng.integers(0, 20, 400))
        >>> split = leave_last_out(log, history_length=8)
        >>> trained = train_ranker(split, width=8, settings=TrainingSettings(epochs=1))
        >>> later = Interactions(user=np.arange(400) // 8, item=rng.integers(0, 22, 400))
        >>> updated = update_ranker(trained.model, later, settings=TrainingSettings(epochs=1))
        >>> updated.record["new"], updated.record["best"] >= updated.record["ndcg_before"]
        (2, True)
    """
    require_alone("An update")
    settings = settings or TrainingSettings()
    before = vocabulary_of_ranker(model)
    if not 0 <= least_quality <= 1:
        raise invalid("`least_quality` must be in [0, 1].", least_quality=least_quality)
    with seeded(settings.seed):
        model.build_once()
        own, details = _own_split(log, model)
        items = LoggedItems(own, before, model.item_embedding.output_dim, settings.seed)
        sharing = sharing_of(before, model.item_tables)
        renewal = renewed(before, items, sharing, details=details, forget=forget)
        split = _under(renewal.vocabulary, log, own, model.history_length)
        new = items.share_of(renewal.new)
        quality, why = _quality(model, renewal, items, least_quality, settings.seed)
        refreshed = quality is not None and _is_refreshed(quality, least_quality, new)
        ndcg_before, updated = None, None
        if all(_takes(layer, renewal) for layer in model.item_tables):
            updated = _extended(model, renewal)
            if refreshed:
                ndcg_before = _ndcg(updated, split, settings)
        if refreshed and quality is not None:
            vocabulary = reordered(renewal, before, quality.fresh)
            split, updated = split.renumbered(vocabulary), _refreshed(model, vocabulary)
        elif updated is None:
            updated = _refreshed(model, renewal.vocabulary)
            why += "; tables that cannot take new ids as they are were approximated"
        if report is not None:
            report(f"{len(renewal.new):,} items are new, {len(renewal.gone):,} gone; {why}")
        settings = _for_update(settings, split, new)
    record = train(updated, split, settings, checkpoint=checkpoint, verbose=verbose, report=report)
    changes = {
        "new": len(renewal.new),
        "gone": len(renewal.gone),
        "input_dim": (before.input_dim, split.vocabulary.input_dim),
        "refreshed": refreshed,
        "why": why,
        "order": None if quality is None else _numbers(quality),
        "ndcg_before": ndcg_before if refreshed else record["ndcg"][0],
    }
    return UpdatedRanker(updated, split, {**record, **changes})


def vocabulary_of_ranker(model: Any) -> Vocabulary:
    """The vocabulary of a model that may be updated.

    Raises:
        TypeError: If it is no ranker.
        ValueError: If it has no vocabulary.
    """
    if not isinstance(model, CatalogueRanker):
        raise TypeError(
            message(
                "`model` must be a NextItemRanker or a RetrievalModel.",
                "",
                received=type(model).__name__,
            )
        )
    if model.vocabulary is None:
        raise invalid("The model must have a vocabulary.", "Train it with one.", model=model.name)
    return model.vocabulary


def _own_split(log: Interactions | Log | Split, model: CatalogueRanker) -> tuple[Split, Details]:
    """The log under ids of its own, and what it knows of its items."""
    if isinstance(log, PreparedSplit):
        return open_dataset(log.folder, history_length=model.history_length), {}
    if isinstance(log, Split):
        if log.history_length != model.history_length:
            raise invalid(
                f"The split must have the model's {argument('history_length')}.",
                "Split the log anew.",
                split=log.history_length,
                model=model.history_length,
            )
        return log, log.train_interactions.details
    found = Log(log, None) if isinstance(log, Interactions) else log
    split = split_log(found, history_length=model.history_length)
    return split, found.interactions.details


def _under(
    vocabulary: Vocabulary, log: Interactions | Log | Split, own: Split, length: int
) -> Split:
    """The log under the ids of a vocabulary that has all of its items."""
    if isinstance(log, PreparedSplit):
        return open_dataset(log.folder, history_length=length, vocabulary=vocabulary)
    if isinstance(log, Split):
        return own.renumbered(vocabulary)
    found = Log(log, None) if isinstance(log, Interactions) else log
    return split_log(found, history_length=length, vocabulary=vocabulary)


def _quality(
    model: CatalogueRanker, renewal: Renewal, items: LoggedItems, least: float, seed: int
) -> tuple[OrderQuality | None, str]:
    """The quality of the order, where it counts, and what is to be said of it."""
    if (
        all(layer.sharing is None for layer in model.item_tables)
        or renewal.sharing.num_buckets == 1
    ):
        return None, "items do not share rows"
    if not least:
        return None, "the order was not measured"
    found = measured(renewal, items, seed)
    if found is None:
        return None, "the order stays: the log has too few items to measure it"
    new = items.share_of(renewal.new)
    has = f"the order has {found.kept:.2f} of what a fresh one gains over chance"
    if found.kept >= least and _is_refreshed(found, least, new):
        much = f"{100 * new:.0f} % of the interactions are with new items"
        return found, f"{has}, and was refreshed, since {much}"
    became = "was refreshed" if found.kept < least else "stays"
    return found, f"{has}, and {became}: the bound is {least:g}"


def _is_refreshed(quality: OrderQuality, least: float, share_of_new: float) -> bool:
    return quality.kept < least or share_of_new >= MUCH_NEW


def _numbers(quality: OrderQuality) -> dict[str, float]:
    names = "mean_similarity", "of_fresh", "by_chance", "kept"
    return {name: float(getattr(quality, name)) for name in names}


def _takes(layer: Any, renewal: Renewal) -> bool:
    """Whether a layer can have the new ids, with rows of which a mean makes sense."""
    size = renewal.vocabulary.input_dim
    of_ids = [table for table in layer.tables() if table.rows == layer.input_dim]
    return (layer.can_grow or size == layer.input_dim) and (
        not renewal.new or all(table.kind == "weights" for table in of_ids)
    )


def _extended(model: CatalogueRanker, renewal: Renewal) -> CatalogueRanker:
    if renewal.kept is not model.vocabulary:
        model = rebuilt_ranker(model, renewal.kept, copy_of)
    return extended_ranker(model, renewal.vocabulary)


def _refreshed(model: CatalogueRanker, vocabulary: Vocabulary) -> CatalogueRanker:
    try:
        return refreshed_ranker(model, vocabulary)
    except NotImplementedError as error:
        raise invalid(
            "The tables of a ranker that is updated must take other ids than they were trained "
            f"with: {error}",
            "Train it anew, or by another method.",
            method=type(model.item_embedding).__name__,
        ) from error


def _ndcg(model: CatalogueRanker, split: Split, settings: TrainingSettings) -> float:
    found = evaluate_ranker(model, validation_of(split, settings), k=settings.k)
    return found[f"ndcg@{settings.k}"]


def share_of_steps(share_of_new: float) -> float:
    """The steps of an update, of those from scratch.

    Args:
        share_of_new: The share of the interactions for training that new items have.
    """
    return min(1.0, max(LEAST_STEPS, _STEPS_OF_NEW * share_of_new))


def _for_update(settings: TrainingSettings, split: Split, share_of_new: float) -> TrainingSettings:
    """Settings with the steps and the learning rate of an update, where they do not say."""
    share = share_of_steps(share_of_new)
    if settings.learning_rate is None:
        part = (share - LEAST_STEPS) / (1 - LEAST_STEPS)
        rate = LEAST_RATE + part * (settings.first_learning_rate - LEAST_RATE)
        settings = replace(settings, learning_rate=rate)
    if settings.epochs is not None or settings.steps is not None:
        return settings
    batches = batches_of(split, batch_size=settings.batch_size)
    steps = settings.schedule_of(batches).num_steps
    return replace(settings, steps=max(1, round(share * steps)))
