"""The vocabulary of a ranker renewed from a later log: which ids new items take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import argument, invalid
from memcom_tf.evaluation import Split
from memcom_tf.evaluation.known import of_kind
from memcom_tf.ordering import SimilarityOrder, interaction_vectors, measured_order
from memcom_tf.ordering.similarity import similarity_order
from memcom_tf.tables import RowSharing
from memcom_tf.training.recipe import training_pairs
from memcom_tf.vocabulary import Details, Vocabulary

Vectors = npt.NDArray[np.float32]
_SHOWN = 3


class LoggedItems:
    """The items of a log, as a vocabulary would call them.

    Args:
        split: The log, split under ids of its own.
        vocabulary: The vocabulary.
        width: Numbers by which items are compared.
        seed: Seed of these.

    Raises:
        ValueError: If an item is of another kind, or the vocabulary knows none of them.
    """

    def __init__(self, split: Split, vocabulary: Vocabulary, width: int, seed: int) -> None:
        own = split.vocabulary
        self._ids = own.ids(list(own)) - own.first_id
        self._places = own.input_dim - own.first_id
        self._user, ids = training_pairs(split)
        self._item = ids - own.first_id
        self._width, self._seed = width, seed
        kind = vocabulary.kind
        items = [of_kind(item, kind) for item in own]
        other = [item for item in items if not isinstance(item, kind)]
        if other:
            raise invalid(
                f"Items of the log must be {kind.__name__}, as those of the model.",
                "Write the log with the items that the model was trained with.",
                items=other[:_SHOWN],
            )
        counts = np.bincount(self._item, minlength=self._places)[self._ids]
        self.items: list[Any] = items
        self.counts = dict(zip(items, counts.tolist(), strict=True))
        if not any(item in vocabulary for item in items):
            raise invalid(
                "Some items of the log must be in the vocabulary of the model.",
                "Train a new model on a log of other items.",
                items=items[:_SHOWN],
                vocabulary=list(vocabulary)[:_SHOWN],
            )

    def share_of(self, items: Iterable[Any]) -> float:
        """The share of the interactions for training that some items have."""
        return sum(self.counts[item] for item in items) / max(1, sum(self.counts.values()))

    @cached_property
    def vectors(self) -> dict[Any, Vectors]:
        """A vector for each item with interactions for training."""
        found = interaction_vectors(
            self._user, self._item, self._places, self._width, seed=self._seed
        )
        rows = found[self._ids]
        return {item: row for item, row in zip(self.items, rows, strict=True) if self.counts[item]}

    def vectors_of(self, items: Iterable[Any]) -> Vectors:
        """Vectors of items `[n, d]`, zeros where there are none."""
        nothing = np.zeros_like(next(iter(self.vectors.values())))
        return np.array([self.vectors.get(item, nothing) for item in items], np.float32)


@dataclass(frozen=True)
class Renewal:
    """A vocabulary renewed: no item that stays has another id.

    Attributes:
        kept: The vocabulary so far; ids of items that are forgotten are free.
        vocabulary: The same with the new items, and counts of the log.
        new: Items that it did not know.
        gone: Items that the log does not have.
        sharing: How ids share rows.
    """

    kept: Vocabulary
    vocabulary: Vocabulary
    new: tuple[Any, ...]
    gone: tuple[Any, ...]
    sharing: RowSharing


@dataclass(frozen=True)
class OrderQuality:
    """How alike the items of a bucket are, by who took them in the log.

    Attributes:
        mean_similarity: Mean cosine between an item's vector and the mean of its bucket's.
        of_fresh: The same in an order that is made of these vectors.
        by_chance: The same where ids are dealt out at random.
        fresh: That fresh order of the vocabulary's items.
    """

    mean_similarity: float
    of_fresh: float
    by_chance: float
    fresh: SimilarityOrder = field(repr=False)

    @property
    def kept(self) -> float:
        """The part of what a fresh order gains over chance that this one has; 1 at best."""
        gain = self.of_fresh - self.by_chance
        return 1.0 if gain <= 0 else min(1.0, (self.mean_similarity - self.by_chance) / gain)


def renewed(
    before: Vocabulary,
    log: LoggedItems,
    sharing: RowSharing,
    *,
    details: Details | None = None,
    forget: bool = False,
) -> Renewal:
    """Renews a vocabulary from a log.

    New items, the most frequent first, take free ids: first those with a row of their own, then
    one in the bucket whose mean is nearest to them. Where free ids run out, one more id of every
    bucket is made as often as needed.

    Args:
        before: The vocabulary so far.
        log: The items of the log.
        sharing: How ids of the model share rows; `RowSharing(1)` where they do not.
        details: Detail name -> item -> text, of the log; it counts where both have one.
        forget: Whether items that the log does not have give their ids up.

    Returns:
        The vocabulary, and what changed.
    """
    logged = log.counts
    new = sorted((i for i in logged if i not in before), key=lambda item: (-logged[item], item))
    gone = tuple(item for item in before if item not in logged)
    slots = before.items(np.arange(before.first_id, before.input_dim)).tolist()
    if forget:
        slots = [item if item in logged else None for item in slots]
    filled = _with_new(slots, new, log, sharing, before.first_id)
    # Only an order by similarity has free ids; of one bucket it says nothing else.
    marked = before.sharing or (sharing if None in [*slots, *filled] else None)
    texts = {
        name: dict(zip(before, before.detail(name, before.ids(list(before))), strict=True))
        for name in before.details
    }
    for name, of_items in (details or {}).items():
        found = {of_kind(item, before.kind): text for item, text in of_items.items()}
        texts[name] = {**texts.get(name, {}), **found}
    unchanged = marked == before.sharing and not (forget and gone)
    return Renewal(
        before if unchanged else vocabulary_of(slots, {}, before, marked, {}),
        vocabulary_of(filled, logged, before, marked, texts),
        tuple(new),
        gone,
        sharing,
    )


def measured(renewal: Renewal, log: LoggedItems, seed: int) -> OrderQuality | None:
    """Measures the order of a renewed vocabulary against a fresh one of the same vectors.

    Items without interactions in the log have no vectors of its kind: for the fresh order they
    are like the mean of their bucket so far, whose row they share, and they are not measured.

    Args:
        renewal: The vocabulary.
        log: The items of the log.
        seed: Seed of the fresh order.

    Returns:
        What is measured; None where there are fewer items, or fewer with interactions, than
        it takes.
    """
    vocabulary, sharing = renewal.vocabulary, renewal.sharing
    items = list(vocabulary)
    ids, seen = vocabulary.ids(items), np.array([item in log.vectors for item in items])
    shared = ids >= sharing.num_dedicated
    apart = max(0, sharing.num_dedicated - vocabulary.first_id)
    if len(items) - apart < sharing.num_buckets or not (seen & shared).any() or seen.sum() <= apart:
        return None
    vectors = log.vectors_of(items)
    now = measured_order(vectors[seen], ids[seen], sharing)
    unseen = shared & ~seen
    vectors[unseen] = now.centres[now.buckets(ids[unseen])]
    fresh = similarity_order(
        vectors,
        sharing.num_buckets,
        num_dedicated=sharing.num_dedicated,
        counts=vocabulary.counts,
        first_id=vocabulary.first_id,
        seed=seed,
    )
    of_fresh = measured_order(vectors[seen], fresh.ids[seen], sharing)
    return OrderQuality(
        now.mean_similarity, of_fresh.mean_similarity, now.mean_similarity_by_chance, fresh
    )


def reordered(renewal: Renewal, before: Vocabulary, order: SimilarityOrder) -> Vocabulary:
    """The items of a renewed vocabulary in a fresh order, with as many ids as it had before.

    Args:
        renewal: The vocabulary.
        before: The vocabulary before it was renewed.
        order: The fresh order.
    """
    found = renewal.vocabulary.reordered(order)
    room = [None] * max(0, before.input_dim - found.input_dim)
    texts = {
        name: dict(zip(found, found.detail(name, found.ids(list(found))), strict=True))
        for name in found.details
    }
    counts = found.counts
    assert counts is not None
    counted = dict(zip(found, counts.tolist(), strict=True))
    return vocabulary_of([*found, *room], counted, before, order.sharing, texts)


def vocabulary_of(
    slots: list[Any],
    counts: Mapping[Any, int],
    like: Vocabulary,
    sharing: RowSharing | None,
    details: Details,
) -> Vocabulary:
    """A vocabulary of items in the order of their ids, None for a free one."""
    return Vocabulary(
        slots,
        counts=[counts.get(item, 0) for item in slots],
        order="given" if sharing is None else "similarity",
        **({} if sharing is None else sharing.arguments()),
        out_of_vocabulary=like.out_of_vocabulary,
        details=details,
    )


def sharing_of(vocabulary: Vocabulary, layers: Iterable[Any]) -> RowSharing:
    """How the ids of a vocabulary share rows of the layers that it is for.

    Raises:
        ValueError: If the layers differ, and the vocabulary does not say.
    """
    if vocabulary.sharing is not None:
        return vocabulary.sharing
    found = {layer.sharing for layer in layers if layer.sharing is not None}
    if len(found) > 1:
        raise invalid(
            "Tables of items must share rows alike.",
            f"Train with tables of one {argument('num_buckets')}.",
            sharing=sorted(map(str, found)),
        )
    return found.pop() if found else RowSharing(1)


def _with_new(
    slots: list[Any], new: list[Any], log: LoggedItems, sharing: RowSharing, first_id: int
) -> list[Any]:
    filled = list(slots)
    short = len(new) - filled.count(None)
    if short > 0:
        filled += [None] * (-(-short // sharing.num_buckets) * sharing.num_buckets)
    free = first_id + np.array([at for at, item in enumerate(filled) if item is None], np.int64)
    own = free[free < sharing.num_dedicated][: len(new)]
    shared, rest = free[free >= sharing.num_dedicated], new[len(own) :]
    ids = np.concatenate([own, _places(slots, rest, shared, log, sharing, first_id)])
    for item, id_ in zip(new, ids.tolist(), strict=True):
        filled[id_ - first_id] = item
    return filled


def _places(
    slots: list[Any],
    new: list[Any],
    free: npt.NDArray[np.int64],
    log: LoggedItems,
    sharing: RowSharing,
    first_id: int,
) -> npt.NDArray[np.int64]:
    """Free ids for new items, in the buckets that suit them."""
    if not new or sharing.num_buckets == 1:
        return free[: len(new)]
    known = {
        first_id + at: item
        for at, item in enumerate(slots)
        if item in log.vectors and first_id + at >= sharing.num_dedicated
    }
    if not known:
        return free[: len(new)]
    order = measured_order(log.vectors_of(known.values()), [*known], sharing, first_id=first_id)
    placed: npt.NDArray[np.int64] = order.place(log.vectors_of(new), free).ids
    return placed
