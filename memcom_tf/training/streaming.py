"""Batches of a prepared data set, whose shards are read as training goes on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.data import PreparedSplit
from memcom_tf.data.prepared_sets import PreparedSets
from memcom_tf.data.sequences import Sequences, joined
from memcom_tf.evaluation.examples import Split
from memcom_tf.training.batches import Sets, TrainingBatches

EXAMPLES_AT_ONCE = 2**22
"""Examples of shards that are in memory together, and are shuffled with each other; of sets, whose
examples are users, interactions."""

_BATCHES_AT_ONCE = 16
"""Batches whose histories are cut together, which takes less time than one by one."""


def batches_of(split: Split, *, batch_size: int = 256, seed: int = 0) -> TrainingBatches:
    """The batches of a split: from its arrays, or of a prepared data set from its shards."""
    if isinstance(split, PreparedSplit):
        return StreamedBatches(split, batch_size=batch_size, seed=seed)
    return TrainingBatches(split, batch_size=batch_size, seed=seed)


class StreamedBatches(TrainingBatches):
    r"""Batches of `(history, target)` from the shards of a prepared data set.

    In every epoch the shards come in a new order. As many as hold about `EXAMPLES_AT_ONCE`
    examples are read together, while those before are trained on, and their examples are shuffled
    with each other; histories are cut and padded for a batch at a time. Memory does not grow with
    the number of rows. The order follows from the seed; where one reading takes all shards, as of
    a small log in one shard, it is that of the arrays. Of a log that says what is held out an
    example is a user, whose items are cut anew in every epoch.

    Args:
        split: The data set, opened.
        batch_size: As of `TrainingBatches`.
        seed: As of `TrainingBatches`.

    Raises:
        ValueError: As `TrainingBatches`.

    Example:
        >>> import pathlib, tempfile
        >>> from memcom_tf.data import prepare
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log = pathlib.Path(folder) / "log.csv"
        ...     _ = log.write_text("user,item\n" + "".join(f"1,{item}\n" for item in range(9)))
        ...     batches = StreamedBatches(prepare(log, log.with_name("data")), batch_size=2)
        ...     len(batches), [target.shape for history, target in batches.epoch()]
        (3, [(2,), (2,), (2,)])
    """

    split: PreparedSplit

    def __init__(self, split: PreparedSplit, *, batch_size: int = 256, seed: int = 0) -> None:
        super().__init__(split, batch_size=batch_size, seed=seed)
        self._seed = seed
        self._shards = np.arange(split.num_shards)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return max(1, int(self._sizes.sum()) // self.batch_size)

    def of_worker(self, index: int, count: int) -> TrainingBatches:
        """What one of several workers reads: shards of its own, where there are so many.

        Its batches are then its part of the batches of all. What is read at once is not shared:
        each worker reads all of it, and takes its rows of every batch.
        """
        own = self._shards[index::count]
        sizes = self.split.examples_of_shard
        every = [sizes[self._shards[number::count]].sum() for number in range(count)]
        if self._held.sum() <= EXAMPLES_AT_ONCE or min(every) < self.batch_size:
            return self
        size = (index + 1) * self.batch_size // count - index * self.batch_size // count
        part = StreamedBatches(self.split, batch_size=size, seed=self._seed)
        part._shards = own
        part._rng = np.random.default_rng([self._seed, index])
        return part

    @property
    def _sizes(self) -> npt.NDArray[np.int64]:
        return self.split.examples_of_shard[self._shards]

    def _sets_of(self, split: Split) -> Sets | None:
        return None  # those of some shards are, in `epoch`

    @property
    def _held(self) -> npt.NDArray[np.int64]:
        """What a shard takes in memory: its examples, or of sets its interactions."""
        if self.split.ordered:
            return self.split.examples_of_shard
        return np.array([shard.interactions for shard in self.split.manifest.shards], np.int64)

    def epoch(self) -> Iterator[tuple[Any, npt.NDArray[Any]]]:
        """As `TrainingBatches.epoch`."""
        size, groups = self.batch_size, self._groups()
        # What is drawn for a cut is drawn when its batch is due, as from the arrays.
        block = size * (_BATCHES_AT_ONCE if self.split.ordered else 1)
        left: tuple[Any, ...] | None = None
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self._read, groups[0])
            for following in [*groups[1:], None]:
                examples = coming.result()
                if following is not None:
                    coming = reader.submit(self._read, following)
                order = self._rng.permutation(len(examples))
                if following is None:
                    # What is left over at the end of an epoch is not cut: sets draw nothing for it.
                    left_over = (len(order) + (0 if left is None else len(left[1]))) % size
                    order = order[: max(0, len(order) - left_over)]
                for low in range(0, len(order), block):
                    part: tuple[Any, ...] = examples.cut(order[low : low + block], self._rng)
                    if left is not None:
                        part = tuple(map(np.concatenate, zip(left, part, strict=True)))
                    whole = len(part[1]) // size * size
                    for start in range(0, whole, size):
                        yield part[0][start : start + size], part[1][start : start + size]
                    left = (part[0][whole:], part[1][whole:]) if whole < len(part[1]) else None

    def skip(self, epochs: int) -> None:
        """As `TrainingBatches.skip`; nothing is read but sets, whose cuts are drawn."""
        if not self.split.ordered:
            super().skip(epochs)
            return
        for _ in range(epochs):
            for group in self._groups():
                self._rng.permutation(int(self.split.examples_of_shard[group].sum()))

    def _groups(self) -> list[npt.NDArray[np.int64]]:
        """The shards in a new order, by what is read together; those come in their own order."""
        sizes = self._held[self._shards]
        if sizes.sum() <= EXAMPLES_AT_ONCE:
            return [self._shards]
        order = self._rng.permutation(len(sizes))
        group = np.cumsum(sizes[order]) // EXAMPLES_AT_ONCE
        return [self._shards[np.sort(order[group == number])] for number in np.unique(group)]

    def _read(self, shards: npt.NDArray[np.int64]) -> _Sequences | Sets:
        split = self.split
        sequences = joined([split.sequences(shard) for shard in shards.tolist()])
        if isinstance(split, PreparedSets):
            return Sets(sequences.ids, sequences.offsets, split.history_length, split.longest)
        return _Sequences(split, sequences)


class _Sequences:
    """Examples of shards that are read together."""

    def __init__(self, split: PreparedSplit, sequences: Sequences) -> None:
        self._split, self._sequences = split, sequences
        self._places = split.places(sequences)

    def __len__(self) -> int:
        return len(self._places)

    def cut(
        self, rows: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Histories and targets; nothing is drawn."""
        history, target, _ = self._split.cut(self._sequences, self._places[rows])
        return history, target
