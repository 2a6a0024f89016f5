"""From ordered interactions to the files of a prepared data set, shard by shard.

Two passes: the first writes the numbers of items in the order of each user and counts those for
training; the vocabulary follows from the counts; the second writes the shards under its ids. A
shard that a run which was killed has written is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from memcom_tf.data.engine import Counts, Engine, Ordered, Report
from memcom_tf.data.held_out import TEST, TRAINING, VALIDATION, Coin
from memcom_tf.data.inputs import sha256_of
from memcom_tf.data.manifest import Shard
from memcom_tf.data.sequences import (
    Sequences,
    held_out_rows,
    split_sequences,
    split_sets,
    write_sequences,
)
from memcom_tf.files import write_atomically

SHARDS = "shards.json"


class Finished:
    """The files of a folder that are finished, with their hashes; kept beside them."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / SHARDS
        self._folder = folder
        try:
            self._found: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._found = {}

    def add(self, name: str, **figures: Any) -> dict[str, Any]:
        """Notes a file that was written, with further figures."""
        self._found[name] = {"sha256": sha256_of(self._folder / name), **figures}
        write_atomically(self._path, json.dumps(self._found).encode())
        return dict(self._found[name])

    def get(self, name: str) -> dict[str, Any] | None:
        """What was noted of a file, if it is as it was."""
        noted = self._found.get(name)
        path = self._folder / name
        if noted is None or not path.is_file() or sha256_of(path) != noted["sha256"]:
            return None
        return dict(noted)


class Numbers(NamedTuple):
    """The ordered interactions of a shard.

    Attributes:
        lengths: [n] how many each user has.
        items: [m] the numbers of their items.
        part: [m] what each is for; None where the last of each user are held out.
    """

    lengths: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    part: npt.NDArray[np.int8] | None = None

    @property
    def trains(self) -> npt.NDArray[np.bool_]:
        """[m] which of them are for training."""
        if self.part is None:
            return ~held_out_rows(self.lengths)
        return self.part == TRAINING

    @property
    def users_holding_out(self) -> int:
        """How many users have interactions that are held out."""
        user = np.repeat(np.arange(len(self.lengths)), self.lengths)
        return len(np.unique(user[~self.trains]))

    def split(self, users: Any, ids: npt.NDArray[np.int32]) -> Sequences:
        """The sequences of the users, with other ids in place of the numbers."""
        if self.part is None:
            return split_sequences(users, self.lengths, ids[self.items])
        return split_sets(users, self.lengths, ids[self.items], self.part)


def write_numbers(engine: Engine, counts: Counts, folder: Path, report: Report) -> None:
    """Writes for each shard the lengths of its users' sequences and the numbers of their items."""
    finished = Finished(folder)
    shards = len(counts.users_of_shard)
    first = 0
    while first < shards and finished.get(_numbers(first)):
        first += 1
    if first:
        report(f"{first} of {shards} shards are ordered already")
    if first == shards:
        return
    ends = np.cumsum(counts.users_of_shard)
    coin = Coin(folder, counts.num_interactions) if engine.says_what_is_held_out else None
    blocks = (_with_parts(block, coin) for block in engine.ordered(first))
    columns = 2 if coin is None else 3
    for shard, (users, items, *part) in enumerate(_by_shard(blocks, ends, first, columns), first):
        begin = int(ends[shard] - counts.users_of_shard[shard])
        lengths = np.bincount(users - begin, minlength=int(counts.users_of_shard[shard]))
        path = folder / _numbers(shard)
        with path.open("wb") as file:
            np.save(file, lengths.astype(np.int64))
            np.save(file, items.astype(np.int32))
            for of_items in part:
                np.save(file, of_items.astype(np.int8))
        finished.add(path.name)
        if shards > 1:
            report(f"ordered {shard + 1} of {shards} shards")


def _with_parts(block: Ordered, coin: Coin | None) -> tuple[npt.NDArray[Any], ...]:
    """Users and items, and of a log that says what is held out what they are for."""
    if coin is None or block.row is None or block.held_out is None:
        return block.user, block.item
    return block.user, block.item, coin.parts(block.row, block.held_out)


def _numbers(shard: int) -> str:
    return f"numbers-{shard:05}.npy"


def read_numbers(folder: Path, shard: int, *, with_parts: bool) -> Numbers:
    """Reads what `write_numbers` wrote."""
    with (folder / _numbers(shard)).open("rb") as file:
        arrays = [np.load(file) for _ in range(3 if with_parts else 2)]
    return Numbers(*arrays)


def _by_shard(
    blocks: Iterator[tuple[npt.NDArray[Any], ...]],
    ends: npt.NDArray[np.int64],
    first: int,
    columns: int,
) -> Iterator[list[npt.NDArray[Any]]]:
    """Columns of interactions, that of the users first, cut where the users of a shard end."""
    shard = first
    nothing = (np.empty(0, np.int64),) * columns
    parts = [nothing]

    def whole() -> list[npt.NDArray[Any]]:
        found = [np.concatenate(column) for column in zip(*parts, strict=True)]
        parts[:] = [nothing]
        return found

    for block in blocks:
        low = 0
        while len(block[0]) and block[0][-1] >= ends[shard]:
            cut = int(np.searchsorted(block[0], ends[shard]))
            parts.append(tuple(column[low:cut] for column in block))
            yield whole()
            low, shard = cut, shard + 1
        parts.append(tuple(column[low:] for column in block))
    while shard < len(ends):
        yield whole()
        shard += 1


def training_counts(
    folder: Path, num_shards: int, num_items: int, *, with_parts: bool
) -> tuple[npt.NDArray[np.int64], dict[str, int]]:
    """Counts interactions by what they are for.

    Returns:
        How often each item occurs in training; and of "users_with_held_out_items", and where the
        log says what is held out of interactions for "validation" and "test", how many there are.
    """
    counts = np.zeros(num_items, np.int64)
    found = {"users_with_held_out_items": 0}
    for shard in range(num_shards):
        numbers = read_numbers(folder, shard, with_parts=with_parts)
        found["users_with_held_out_items"] += numbers.users_holding_out
        np.add.at(counts, numbers.items[numbers.trains], 1)
        if numbers.part is not None:
            for name, part in (("validation", VALIDATION), ("test", TEST)):
                found[name] = found.get(name, 0) + int((numbers.part == part).sum())
    return counts, found


def write_shards(
    engine: Engine,
    id_of_number: npt.NDArray[np.int32],
    first_id: int,
    counts: Counts,
    folder: Path,
    out: Path,
    report: Report,
) -> list[Shard]:
    """Writes the shards under the ids of the vocabulary."""
    shards: list[Shard] = []
    finished = Finished(out)
    number = len(counts.users_of_shard)
    for shard in range(number):
        name = f"users-{shard:05}-of-{number:05}.parquet"
        noted = finished.get(name)
        if noted is None:
            numbers = read_numbers(folder, shard, with_parts=engine.says_what_is_held_out)
            sequences = numbers.split(engine.users(shard), id_of_number)
            write_sequences(out / name, sequences)
            noted = finished.add(
                name,
                users=len(sequences),
                interactions=len(sequences.ids),
                examples=len(sequences.places(first_id)),
                longest=int(np.diff(sequences.offsets).max(initial=0)),
            )
            if number > 1:
                report(f"wrote {shard + 1} of {number} shards")
        shards.append(Shard(name, **noted))
    (out / SHARDS).unlink(missing_ok=True)
    return shards
