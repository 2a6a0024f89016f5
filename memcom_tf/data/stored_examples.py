"""Training examples on disk, of which rows are read when they are asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from memcom_tf.data.sequences import Sequences
from memcom_tf.evaluation.examples import Examples
from memcom_tf.vocabulary import Vocabulary
from memcom_tf.vocabulary.items import IdArray


class Shards(Protocol):
    """What examples are read from: `PreparedSplit`."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The items and their ids."""

    @property
    def examples_of_shard(self) -> npt.NDArray[np.int64]:
        """How many training examples each shard has."""

    def sequences(self, shard: int) -> Sequences:
        """Reads a shard."""

    def places(self, sequences: Sequences) -> npt.NDArray[np.int64]:
        """What the training examples of a shard are, as of `Sequences.places`."""

    def cut(
        self, sequences: Sequences, places: npt.NDArray[np.int64]
    ) -> tuple[IdArray, IdArray, npt.NDArray[np.int64]]:
        """Histories, targets and the places of the users of some training examples of a shard."""


class StoredExamples(Examples):
    """Examples of a prepared data set.

    `history`, `target` and `user` hold all of them, and are made when they are first asked for: of
    a large log take rows, `examples[:1000]`, or the batches of `memcom_tf.training`.

    Args:
        split: The data set.
    """

    def __init__(self, split: Shards) -> None:
        vocabulary = split.vocabulary
        state = {
            "_split": split,
            "reserved": vocabulary.first_id,
            "free_ids": vocabulary.free_ids,
            "seen": None,
            "context": {},
        }
        self.__dict__.update(state)

    _split: Shards

    def __len__(self) -> int:
        return int(self._split.examples_of_shard.sum())

    def __getitem__(self, rows: Any) -> Examples:
        wanted = np.arange(len(self))[rows]
        split = self._split
        starts = np.concatenate([[0], np.cumsum(split.examples_of_shard)])
        user: npt.NDArray[Any] = np.empty(len(wanted), object)
        history, target, _ = split.cut(split.sequences(0), np.empty(0, np.int64))
        history, target = (
            np.zeros((len(wanted), *part.shape[1:]), np.int32) for part in (history, target)
        )
        for shard in np.unique(np.searchsorted(starts, wanted, side="right") - 1).tolist():
            of_shard = np.flatnonzero((wanted >= starts[shard]) & (wanted < starts[shard + 1]))
            sequences = split.sequences(shard)
            places = split.places(sequences)[wanted[of_shard] - starts[shard]]
            history[of_shard], target[of_shard], who = split.cut(sequences, places)
            user[of_shard] = np.asarray(sequences.users.to_numpy(zero_copy_only=False))[who]
        if len(user) and isinstance(user[0], int | np.integer):
            user = user.astype(np.int64)
        return Examples(history, target, user, self.reserved, self.free_ids)

    @cached_property
    def _all(self) -> Examples:
        return self[:]

    @property
    def history(self) -> IdArray:
        """[n, L] all histories."""
        return self._all.history

    @property
    def target(self) -> IdArray:
        """[n] all targets."""
        return self._all.target

    @property
    def user(self) -> npt.NDArray[Any]:
        """[n] the user of every example."""
        return self._all.user
