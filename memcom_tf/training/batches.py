"""What a ranker sees in training, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.evaluation.examples import Split
from memcom_tf.tables import check_positive
from memcom_tf.vocabulary.items import IdArray, factorize, left_aligned

_TARGET_SHARE = 0.2
_MOST_TARGETS = 20


class TrainingBatches:
    """Batches of `(inputs, target)` in a new order, and for sets in a new cut, every epoch.

    With time, an example is an item and what came before it, and `target` is `[b]`. Of sets, an
    example is a user: a random fifth of the items, at most 20, are `target` `[b, 20]`, a random
    choice of the others is the history.

    Args:
        split: The interactions, split.
        batch_size: b; the examples that are left over at the end of an epoch wait for another.
        seed: Seed of the order and the cuts.

    Raises:
        ValueError: If there is no training example, or `batch_size` is not positive.

    Example:
        >>> from memcom_tf.datasets import Interactions
        >>> from memcom_tf.evaluation import leave_last_out
        >>> log = Interactions(user=[1, 1, 1, 1, 1], item=["a", "b", "c", "d", "e"])
        >>> batches = TrainingBatches(leave_last_out(log, history_length=4), batch_size=2)
        >>> len(batches), [target.shape for history, target in batches.epoch()]
        (1, [(2,)])
    """

    def __init__(self, split: Split, *, batch_size: int = 256, seed: int = 0) -> None:
        check_positive(batch_size=batch_size)
        if not len(split.train):
            raise invalid(
                "There must be training examples.",
                "Pass users with at least two interactions for training.",
                examples=0,
            )
        self.split = split
        self.batch_size = min(batch_size, len(split.train))
        self._rng = np.random.default_rng(seed)
        self._sets = None if split.ordered or split.train.context else self._sets_of(split)

    def _sets_of(self, split: Split) -> Sets | None:
        """What of sets is cut; None where they are read as training goes on."""
        log = split.train_interactions
        _, user = factorize(log.user.tolist())
        ids = split.vocabulary.ids(log.item)
        size = np.bincount(user)
        offsets = np.concatenate([[0], np.cumsum(size)])
        in_order = ids[np.argsort(user, kind="stable")]
        return Sets(in_order, offsets, split.train.history.shape[1], int(size.max()))

    def __len__(self) -> int:
        """Batches in an epoch."""
        return max(1, len(self.split.train) // self.batch_size)

    def epoch(self) -> Iterator[tuple[Any, npt.NDArray[Any]]]:
        """The batches of one epoch."""
        train = self.split.train
        order = self._rng.permutation(len(train))
        for number in range(len(self)):
            rows = order[number * self.batch_size : (number + 1) * self.batch_size]
            if self._sets is None:
                yield train[rows].inputs, train.target[rows]
            else:
                yield self._sets.cut(rows, self._rng)

    def of_worker(self, index: int, count: int) -> TrainingBatches:
        """What one of several workers reads.

        Args:
            index: The worker.
            count: How many there are.

        Returns:
            These batches themselves, of which it is to take its rows.
        """
        return self

    def skip(self, epochs: int) -> None:
        """Leaves out the next epochs, as a training that goes on has seen them."""
        for _ in range(epochs):
            for _ in self.epoch():
                pass

    def dataset(self, skipped: int = 0) -> tf.data.Dataset:
        """All epochs, one after the other, without end.

        Args:
            skipped: How many batches of the first one are left out.
        """

        def batches() -> Iterator[tuple[Any, npt.NDArray[Any]]]:
            yield from islice(self.epoch(), skipped, None)
            while True:
                yield from self.epoch()

        spec = tf.nest.map_structure(
            lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype), next(self.epoch())
        )
        return tf.data.Dataset.from_generator(batches, output_signature=spec).prefetch(2)


class Sets:
    """The items of some users, to be cut at random; users with one item are left out.

    Args:
        ids: [m] one user's after the other's.
        offsets: [n + 1] where in `ids` those of a user begin and end.
        length: L, the number of columns of the histories.
        longest: The most items that a user has, also of users that are not among these.
    """

    def __init__(
        self, ids: IdArray, offsets: npt.NDArray[np.int64], length: int, longest: int
    ) -> None:
        size = np.diff(offsets)
        self.ids, self.length = ids, length
        self.size, self.start = size[size > 1], offsets[:-1][size > 1]
        self.most_targets = int(min(_MOST_TARGETS, max(1, _TARGET_SHARE * longest)))

    def __len__(self) -> int:
        return len(self.size)

    def cut(
        self, users: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """A history and targets of each user."""
        size = self.size[users]
        stop = np.cumsum(size)
        start = stop - size
        row = np.repeat(np.arange(len(users)), size)
        places = np.arange(stop[-1]) - start[row] + self.start[users][row]
        shuffled = self.ids[places][np.lexsort((rng.random(len(row)), row))]
        middle = start + np.maximum((_TARGET_SHARE * size).round().astype(np.int64), 1)
        return (
            left_aligned(shuffled, middle, stop, self.length),
            left_aligned(shuffled, start, middle, self.most_targets),
        )
