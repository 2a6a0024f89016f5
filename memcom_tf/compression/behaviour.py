"""What became of a ranker's lists by compression: of new users, of rare items, of everybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from memcom_tf.compression.students import vectors_of
from memcom_tf.evaluation import Examples, Split, agreement, best_lists, list_metrics
from memcom_tf.layers import FullEmbedding
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.training import TrainingSettings
from memcom_tf.training.validation import validation_of

LEAST_OF_FIRST_LIST = 0.7
"""Of the list for a user without a history a compressed ranker should keep this share."""
_MOST_USERS = 2000
_WAYS = 0.25, 0.5, 0.75, 1.0


@dataclass(frozen=True)
class Behaviour:
    """What lists of a compressed ranker have of those of the original.

    Attributes:
        k: Length of the lists.
        first_list: The share of the list for a user without a history that is in it still; None of
            a ranker that takes no history, or more than one.
        lists: The same of users of the validation, in the mean.
        before: Metrics of the original's lists for these users, as of
            `memcom_tf.evaluation.list_metrics`.
        after: Those of the compressed ranker.
        shared: The share of the items whose vector is that of another item, too.
    """

    k: int
    first_list: float | None
    lists: float
    before: Mapping[str, float]
    after: Mapping[str, float]
    shared: float

    @property
    def keeps_first_list(self) -> bool:
        """Whether a new user sees much the same list."""
        return self.first_list is None or self.first_list >= LEAST_OF_FIRST_LIST

    def __str__(self) -> str:
        lines = [
            f"of the first {self.k} items, {self.k * self.lists:.1f} are those of the original"
        ]
        if self.first_list is not None:
            lines[0] += f", {self.k * self.first_list:.0f} without a history"
        for name, after in self.after.items():
            before = self.before[name]
            if not np.isnan(before):
                lines.append(f"{name} {after:.4f} (original {before:.4f})")
        lines.append(f"{100 * self.shared:.0f} % of the items share their vector with another one")
        return "; ".join(lines)


class OriginalLists:
    """The lists of a trained ranker, which those of compressed ones are held against.

    Args:
        model: The ranker, with its vocabulary.
        split: The interactions under its ids.
        settings: Length of the lists, and users of the validation at most.
    """

    def __init__(self, model: CatalogueRanker, split: Split, settings: TrainingSettings) -> None:
        self._model, self.k = model, settings.k
        most = min(settings.validation_users, _MOST_USERS)
        self._settings = replace(settings, validation_users=most)
        vocabulary = split.vocabulary
        self._counts = np.zeros(vocabulary.input_dim)
        counts = vocabulary.counts
        ids = vocabulary.ids(list(vocabulary))
        self._counts[ids] = 1.0 if counts is None or not counts.any() else counts
        self._targets = validation_of(split, self._settings).target
        self._lists, self._first = self._of(model, split)
        self._before = list_metrics(self._lists, self._targets, self._counts)

    def held_against(self, ranker: CatalogueRanker, split: Split) -> Behaviour:
        """What a compressed ranker, with the interactions under its own ids, has of them."""
        assert ranker.vocabulary is not None and self._model.vocabulary is not None
        ids = np.asarray(ranker.vocabulary.ids_in(self._model.vocabulary))
        lists, first = self._of(ranker, split)
        lists, first = ids[lists], None if first is None else ids[first]
        return Behaviour(
            self.k,
            None if first is None or self._first is None else agreement(first, self._first),
            agreement(lists, self._lists),
            self._before,
            list_metrics(lists, self._targets, self._counts),
            _shared(ranker),
        )

    def moved_towards_first_list(self, ranker: CatalogueRanker, split: Split) -> Iterator[float]:
        """Moves the biases of items, step by step, to where a user without a history sees the same.

        There a bias makes up for what the item's vector lost in the score without a history. Where
        it is now, it does so for the mean of all users: in between is a compromise.

        Args:
            ranker: A compressed ranker; its biases are changed in place.
            split: The interactions under its ids.

        Yields:
            The share of the way, once the biases are there; nothing of a ranker without biases, or
            whose queries are made of more than a history.
        """
        biases = ranker.item_bias_embedding
        without = nobody(validation_of(split, self._settings))
        if without is None or not isinstance(biases, FullEmbedding):
            return
        assert ranker.vocabulary is not None and self._model.vocabulary is not None
        items = ranker.vocabulary.ids(list(ranker.vocabulary))
        originals = np.asarray(ranker.vocabulary.ids_in(self._model.vocabulary))[items]
        lost = np.asarray(self._model(without.inputs))[0][originals]
        lost = lost - np.asarray(ranker(without.inputs))[0][items]
        (start,) = biases.table_values().values()
        for way in _WAYS:
            table = start.copy()
            table[items, 0] += way * (lost - lost.mean())
            biases.assign_tables({"embeddings": table})
            yield way

    def _of(self, ranker: CatalogueRanker, split: Split) -> tuple[Any, Any]:
        """Lists of the users, and of one without a history."""
        examples = validation_of(split, self._settings)
        lists = best_lists(ranker, examples, k=self.k)
        without = nobody(examples)
        return lists, None if without is None else best_lists(ranker, without, k=self.k)


def nobody(examples: Examples) -> Examples | None:
    """A user without a history; None where a query is made of more, or of no history."""
    if examples.context or not examples.history.shape[1]:
        return None
    return Examples(
        np.zeros_like(examples.history[:1]),
        examples.target[:1],
        examples.user[:1],
        examples.reserved,
        examples.free_ids,
    )


def _shared(ranker: CatalogueRanker) -> float:
    """The share of the items whose vector another item has, too."""
    assert ranker.vocabulary is not None
    vectors = vectors_of(ranker.scored_embedding)[ranker.vocabulary.ids(list(ranker.vocabulary))]
    rows = np.ascontiguousarray(vectors).view(np.dtype((np.void, vectors[0].nbytes))).reshape(-1)
    _, which, counts = np.unique(rows, return_inverse=True, return_counts=True)
    return float((counts[which] > 1).mean())
