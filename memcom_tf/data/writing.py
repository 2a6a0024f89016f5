"""From ordered interactions to the files of a prepared data set, shard by shard.

Two passes: the first writes the numbers of items in the order of each user and counts those for
training; the vocabulary follows from the counts; the second writes the shards under its ids. A
shard that a run which was killed has written is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.data.engine import Counts, Engine, Report
from memcom_tf.data.inputs import sha256_of
from memcom_tf.data.manifest import Shard
from memcom_tf.data.sequences import held_out_rows, split_sequences, write_sequences
from memcom_tf.files import write_atomically

_SHARDS = "shards.json"


class Finished:
    """The files of a folder that are finished, with their hashes; kept beside them."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _SHARDS
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
    parts = _by_shard(engine.ordered(first), ends, first)
    for shard, (users, items) in enumerate(parts, first):
        begin = int(ends[shard] - counts.users_of_shard[shard])
        lengths = np.bincount(users - begin, minlength=int(counts.users_of_shard[shard]))
        path = folder / _numbers(shard)
        with path.open("wb") as file:
            np.save(file, lengths.astype(np.int64))
            np.save(file, items.astype(np.int32))
        finished.add(path.name)
        if shards > 1:
            report(f"ordered {shard + 1} of {shards} shards")


def _numbers(shard: int) -> str:
    return f"numbers-{shard:05}.npy"


def read_numbers(folder: Path, shard: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Reads what `write_numbers` wrote: lengths, and numbers of items."""
    with (folder / _numbers(shard)).open("rb") as file:
        return np.load(file), np.load(file)


def _by_shard(
    batches: Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]],
    ends: npt.NDArray[np.int64],
    first: int,
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Batches of rows, cut where the users of a shard end."""
    shard = first
    users: list[npt.NDArray[Any]] = []
    items: list[npt.NDArray[Any]] = []
    nothing = np.empty(0, np.int64)

    def whole() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        found = np.concatenate([nothing, *users]), np.concatenate([nothing, *items])
        users.clear()
        items.clear()
        return found

    for of_user, of_item in batches:
        low = 0
        while len(of_user) and of_user[-1] >= ends[shard]:
            cut = int(np.searchsorted(of_user, ends[shard]))
            users.append(of_user[low:cut])
            items.append(of_item[low:cut])
            yield whole()
            low, shard = cut, shard + 1
        users.append(of_user[low:])
        items.append(of_item[low:])
    while shard < len(ends):
        yield whole()
        shard += 1


def training_counts(
    folder: Path, num_shards: int, num_items: int
) -> tuple[npt.NDArray[np.int64], int]:
    """Returns how often each item occurs in training, and how many users have held-out items."""
    counts = np.zeros(num_items, np.int64)
    holding_out = 0
    for shard in range(num_shards):
        lengths, items = read_numbers(folder, shard)
        held_out = held_out_rows(lengths)
        holding_out += int(held_out.sum()) // 2
        np.add.at(counts, items[~held_out], 1)
    return counts, holding_out


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
            lengths, items = read_numbers(folder, shard)
            sequences = split_sequences(engine.users(shard), lengths, id_of_number[items])
            write_sequences(out / name, sequences)
            noted = finished.add(
                name,
                users=len(sequences),
                interactions=len(sequences.ids),
                examples=len(example_places(sequences.ids, sequences.offsets, first_id)),
            )
            if number > 1:
                report(f"wrote {shard + 1} of {number} shards")
        shards.append(Shard(name, **noted))
    (out / _SHARDS).unlink(missing_ok=True)
    return shards


def example_places(
    ids: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], first_id: int
) -> npt.NDArray[np.int64]:
    """Where in `ids` the targets of training are: all but a user's first, with an id of its own."""
    is_target = ids >= first_id
    starts = offsets[:-1]
    is_target[starts[starts < len(ids)]] = False
    return np.flatnonzero(is_target)
