"""A prepared log, opened: a split that is read from disk as it is needed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from memcom_tf.data.inputs import sha256_of
from memcom_tf.data.manifest import Manifest
from memcom_tf.data.sequences import Sequences, read_sequences
from memcom_tf.data.stored_examples import StoredExamples
from memcom_tf.datasets.interactions import Interactions
from memcom_tf.datasets.labels import Labels
from memcom_tf.errors import invalid
from memcom_tf.evaluation.examples import Examples, Split
from memcom_tf.evaluation.known import ids_of
from memcom_tf.vocabulary import PADDING_ID, OutOfVocabulary, Vocabulary
from memcom_tf.vocabulary.items import IdArray, left_aligned

if TYPE_CHECKING:
    from typing_extensions import Self

Part = Literal["validation", "test"]


class PreparedSplit(Split):
    """A `Split` whose parts are on disk.

    What takes a `Split` takes it. Training reads the shards as it goes (`memcom_tf.training`);
    `validation`, `test` and `train_interactions` are read when they are first asked for, and then
    stay in memory: `sample` reads as many users as are wanted.

    Attributes:
        folder: Where the data set is.
        manifest: What it says of itself.
        history_length: L, the number of columns of the histories.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        history_length: int,
        vocabulary: Vocabulary | None = None,
        ids: npt.NDArray[Any] | None = None,
        new: tuple[int, int] = (0, 0),
    ) -> None:
        # Not the fields of `Split`, which are read when they are asked for.
        state = {
            "folder": folder,
            "manifest": manifest,
            "_history_length": history_length,
            "_given": vocabulary,
            "_ids": ids,
            "ordered": self._ordered,
            "num_new_items": new[0],
            "num_new_interactions": new[1],
        }
        self.__dict__.update(state)

    _ordered = True
    folder: Path
    manifest: Manifest
    _history_length: int
    _given: Vocabulary | None
    _ids: npt.NDArray[Any] | None

    @property
    def history_length(self) -> int:
        """L, the number of columns of the histories."""
        return self._history_length

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The items and their ids."""
        return self._own_vocabulary if self._given is None else self._given

    @cached_property
    def _own_vocabulary(self) -> Vocabulary:
        import pyarrow.parquet as pq

        noted = self.manifest.vocabulary
        path = self.folder / noted["file"]
        check_hash(path, noted["sha256"])
        table = pq.read_table(path)
        return Vocabulary(
            table["item"].to_pylist(),
            counts=table["count"].to_pylist(),
            order="frequency",
            out_of_vocabulary=noted["out_of_vocabulary"],
        )

    @property
    def fingerprint(self) -> str:
        """A hash of the data, without the ids of the vocabulary."""
        hashes = [shard.sha256 for shard in self.manifest.shards]
        text = json.dumps([hashes, self.manifest.vocabulary["sha256"], self.history_length])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def num_shards(self) -> int:
        """How many shards there are."""
        return len(self.manifest.shards)

    def sequences(self, shard: int) -> Sequences:
        """Reads a shard, under the ids of the vocabulary.

        Raises:
            ValueError: If the file is not what the manifest says.
        """
        noted = self.manifest.shards[shard]
        path = self.folder / noted.file
        if noted.file not in self._checked:
            check_hash(path, noted.sha256)
            self._checked.add(noted.file)
        found = read_sequences(path)
        return found if self._ids is None else found.renumbered(self._ids)

    @cached_property
    def _checked(self) -> set[str]:
        return set()

    @cached_property
    def examples_of_shard(self) -> npt.NDArray[np.int64]:
        """[s] how many training examples each shard has."""
        if self._ids is None or not self._loses_items:
            return np.array([shard.examples for shard in self.manifest.shards], np.int64)
        found = map(self.sequences, range(self.num_shards))
        return np.array([len(self.places(sequences)) for sequences in found], np.int64)

    @property
    def _loses_items(self) -> bool:
        """Whether other ids than those of the data set leave some of its items out."""
        assert self._ids is not None
        first = self._own_vocabulary.first_id
        return bool((self._ids[first:] < self.vocabulary.first_id).any())

    def places(self, sequences: Sequences) -> npt.NDArray[np.int64]:
        """What the training examples of a shard are, as of `Sequences.places`."""
        return sequences.places(self.vocabulary.first_id)

    def cut(
        self, sequences: Sequences, places: npt.NDArray[np.int64]
    ) -> tuple[IdArray, IdArray, npt.NDArray[np.int64]]:
        """Some training examples of a shard.

        Args:
            sequences: The shard.
            places: [b] of those that `places` returned.

        Returns:
            [b, L] histories, padded with zeros, [b] targets, and [b] the places of the users.
        """
        user = np.searchsorted(sequences.offsets, places, side="right") - 1
        start = sequences.offsets[user]
        history = left_aligned(sequences.ids, start, places, self.history_length)
        return history, sequences.ids[places], user

    @cached_property
    def train(self) -> Examples:
        """The examples to train with; rows of them are read when they are asked for."""
        return StoredExamples(self)

    @cached_property
    def validation(self) -> Examples:
        """One example for each user, to choose by; read when it is first asked for."""
        return self._held_out("validation")

    @cached_property
    def test(self) -> Examples:
        """One example for each user, for the final numbers; read when it is first asked for."""
        return self._held_out("test")

    @cached_property
    def dropped(self) -> dict[str, int]:
        """How many examples of "validation" and "test" were left out."""
        wanted = self.manifest.statistics["users_with_held_out_items"]
        return {"validation": wanted - len(self.validation), "test": wanted - len(self.test)}

    def sample(self, part: Part, size: int) -> Examples:
        """Examples of some users: those of the first shards, which a hash of their names decides.

        Args:
            part: "validation" or "test".
            size: How many at most.

        Returns:
            The examples, users of a shard in rising order.
        """
        found: list[Examples] = []
        for shard in range(self.num_shards):
            if sum(map(len, found)) >= size:
                break
            found.append(self._examples(self.sequences(shard), part))
        whole = self._joined(found)
        if len(whole) <= size:
            return whole
        rows = np.random.default_rng(0).permutation(len(whole))[:size]
        return whole[np.sort(rows)]

    def _held_out(self, part: Part) -> Examples:
        shards = map(self.sequences, range(self.num_shards))
        whole = self._joined([self._examples(sequences, part) for sequences in shards])
        order = np.argsort(whole.user, kind="stable")
        return whole[order]

    def _examples(self, sequences: Sequences, part: Part) -> Examples:
        vocabulary, length = self.vocabulary, self.history_length
        target = sequences.validation if part == "validation" else sequences.test
        rows = np.flatnonzero(target >= vocabulary.first_id)
        start, stop = sequences.offsets[rows], sequences.offsets[rows + 1]
        history = left_aligned(sequences.ids, start, stop, length)
        if part == "test":
            # The item for validation was taken before: it is the newest of the history.
            before = sequences.validation[rows]
            size = np.minimum(stop - start, length)
            full = (size == length) & (before != PADDING_ID)
            history[full, :-1] = history[full, 1:]
            known = np.flatnonzero(before != PADDING_ID)
            history[known, np.minimum(size[known], length - 1)] = before[known]
        usable = (history != target[rows, None]).all(axis=1)
        rows, history = rows[usable], history[usable]
        users = users_at(sequences, rows)
        return Examples(history, target[rows], users, vocabulary.first_id, vocabulary.free_ids)

    def _joined(self, parts: list[Examples]) -> Examples:
        """The examples of several shards."""
        return replace(
            parts[0],
            history=np.concatenate([part.history for part in parts]),
            target=np.concatenate([part.target for part in parts]),
            user=np.concatenate([part.user for part in parts]),
        )

    @cached_property
    def train_interactions(self) -> Interactions:
        """The interactions for training, by user in time order; all of them, in memory."""
        users, user, ids = self.train_pairs()
        items = self.vocabulary.items(np.arange(self.vocabulary.input_dim))
        known = ids >= self.vocabulary.first_id
        labels = Labels.encode(users, "user")
        return Interactions(Labels(labels.values, labels.codes[user[known]]), items[ids[known]])

    def train_pairs(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """The interactions for training as numbers, in memory.

        Returns:
            [u] the users, [n] for each interaction the place of its user, [n] the ids.
        """
        users, user, ids, done = [], [], [], 0
        for shard in range(self.num_shards):
            found = self.sequences(shard)
            users.append(as_numpy(found.users))
            user.append(np.repeat(np.arange(done, done + len(found)), np.diff(found.offsets)))
            ids.append(found.ids)
            done += len(found)
        return np.concatenate(users), np.concatenate(user), np.concatenate(ids)

    def renumbered(self, vocabulary: Vocabulary) -> Self:
        """As `Split.renumbered`."""
        ids = self.vocabulary.ids_in(vocabulary)
        if self._ids is not None:
            ids = ids[self._ids]
        new = self.num_new_items, self.num_new_interactions
        return type(self)(self.folder, self.manifest, self.history_length, vocabulary, ids, new)

    def with_ids_of(self, vocabulary: Vocabulary, new_items: OutOfVocabulary | None) -> Self:
        """The same under the ids of another vocabulary, which may not know all items.

        Args:
            vocabulary: The vocabulary.
            new_items: As of `memcom_tf.evaluation.leave_last_out`.
        """
        own = self._own_vocabulary
        items = list(own)
        found = ids_of(Labels.encode(items, "item"), vocabulary, new_items)
        ids = np.zeros(own.input_dim, found.ids.dtype)
        ids[own.ids(items)] = found.ids
        policy = vocabulary.out_of_vocabulary if new_items is None else new_items
        if own.first_id > 1 and policy == "share":
            ids[1] = 1
        lost = ids[own.first_id :] < vocabulary.first_id
        counts = np.zeros(len(own), np.int64) if own.counts is None else own.counts
        new = int(lost.sum()), int(counts[lost].sum())
        return type(self)(self.folder, self.manifest, self.history_length, vocabulary, ids, new)

    def __repr__(self) -> str:
        found = self.manifest.statistics
        return (
            f"<PreparedSplit: {found['interactions']:,} interactions of {found['users']:,} users "
            f"with {found['items']:,} items, {self.num_shards:,} shards in {self.folder.name}>"
        )


def as_numpy(users: Any) -> npt.NDArray[Any]:
    """Users as today's splits have them: int64, or objects where they are strings."""
    return np.asarray(users.to_numpy(zero_copy_only=False))


def users_at(sequences: Sequences, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Some users of a shard, by their places."""
    import pyarrow as pa

    return as_numpy(sequences.users.take(pa.array(rows)))


def check_hash(path: Path, sha256: str) -> None:
    """Requires that a file of a data set is what its manifest says.

    Raises:
        ValueError: If it is not.
    """
    found = sha256_of(path)
    if found != sha256:
        raise invalid(
            "A file of a prepared data set must be as it was written.",
            "Prepare the log again, or copy the file again.",
            path=str(path),
            sha256=found,
            manifest=sha256,
        )
