"""Users with their sequences, as a shard holds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.data.held_out import TEST, TRAINING, VALIDATION
from memcom_tf.vocabulary import PADDING_ID

NO_EXAMPLE = -1
"""In place of the target of a user who has too few interactions to hold one out."""
MIN_INTERACTIONS = 3
"""Of users with fewer, all interactions are for training."""


@dataclass(frozen=True, eq=False)
class Lists:
    """A list of ids for each of some users.

    Attributes:
        ids: [m] one user's after the other's.
        offsets: [n + 1] where in `ids` those of a user begin and end.
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    @classmethod
    def chosen(
        cls,
        ids: npt.NDArray[np.int32],
        offsets: npt.NDArray[np.int64],
        which: npt.NDArray[np.bool_],
    ) -> Lists:
        """Some of the ids of each user."""
        before = np.concatenate([[0], np.cumsum(which)])
        return cls(ids[which].astype(np.int32, copy=False), before[offsets].astype(np.int64))

    @property
    def user(self) -> npt.NDArray[np.int64]:
        """[m] the place of the user of each id."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


@dataclass(frozen=True, eq=False)
class Sequences:
    """The sequences of some users.

    Attributes:
        users: An Arrow array of n users in rising order.
        ids: [m] ids of the interactions for training, one user's after the other's, in time order.
        offsets: [n + 1] where in `ids` those of a user begin and end.
        validation: [n] the id that is held out for validation; 0 of an item that has none,
            `NO_EXAMPLE` where nothing is held out. Where the log says what is held out, `Lists`
            of all ids that are, in the order of the log.
        test: [n] the same for test, the last interaction.
    """

    users: Any
    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    validation: Any
    test: Any

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def ordered(self) -> bool:
        """Whether the order of a user's interactions tells something."""
        return not isinstance(self.test, Lists)

    def places(self, first_id: int) -> npt.NDArray[np.int64]:
        """What the training examples of these users are.

        Args:
            first_id: That of the first item.

        Returns:
            Where in `ids` the targets of training are: all but a user's first, with an id of its
            own. Where the log says what is held out, users with at least two interactions.
        """
        if not self.ordered:
            return np.flatnonzero(np.diff(self.offsets) > 1)
        is_target = self.ids >= first_id
        starts = self.offsets[:-1]
        is_target[starts[starts < len(self.ids)]] = False
        return np.flatnonzero(is_target)

    def renumbered(self, ids: npt.NDArray[Any]) -> Sequences:
        """The same under other ids; what gets 0 is left out.

        Args:
            ids: For every id the new one.
        """
        found = ids[self.ids].astype(np.int32, copy=False)
        kept = Lists.chosen(found, self.offsets, found != PADDING_ID)
        held_out = (_renumbered(of, ids) for of in (self.validation, self.test))
        return Sequences(self.users, kept.ids, kept.offsets, *held_out)


def _renumbered(held_out: Any, ids: npt.NDArray[Any]) -> Any:
    if isinstance(held_out, Lists):
        return Lists(ids[held_out.ids].astype(np.int32), held_out.offsets)
    return np.where(held_out < 0, held_out, ids[np.maximum(held_out, 0)]).astype(np.int32)


def split_sequences(
    users: Any, lengths: npt.NDArray[np.int64], ids: npt.NDArray[np.int32]
) -> Sequences:
    """Splits sequences as `memcom_tf.evaluation.leave_last_out` does.

    Args:
        users: An Arrow array of n users in rising order.
        lengths: [n] how many interactions each has, at least 1.
        ids: Their ids in time order; 0 of items that are left out.

    Example:
        >>> found = split_sequences(["ann", "bob"], np.array([4, 1]), np.array([7, 8, 0, 9, 5]))
        >>> found.ids.tolist(), found.offsets.tolist(), found.test.tolist()
        ([7, 8, 5], [0, 2, 3], [9, -1])
    """
    ends = np.cumsum(lengths)
    splits = lengths >= MIN_INTERACTIONS
    held_out = [
        np.where(splits, ids[np.maximum(ends - back, 0)], NO_EXAMPLE).astype(np.int32)
        for back in (2, 1)
    ]
    kept = ~held_out_rows(lengths) & (ids != PADDING_ID)
    trained = Lists.chosen(ids, np.concatenate([[0], ends]), kept)
    return Sequences(users, trained.ids, trained.offsets, *held_out)


def split_sets(
    users: Any,
    lengths: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int32],
    part: npt.NDArray[np.int8],
) -> Sequences:
    """Splits sequences by what the log says is held out, as `memcom_tf.evaluation.hold_out` does.

    Args:
        users: As of `split_sequences`.
        lengths: As of `split_sequences`.
        ids: As of `split_sequences`, in the order of the log.
        part: [m] what each is for, as of `memcom_tf.data.held_out`.

    Example:
        >>> parts = np.array([0, 1, 0, 2, 0])
        >>> found = split_sets(["ann", "bob"], np.array([4, 1]), np.array([7, 8, 0, 9, 5]), parts)
        >>> found.ids.tolist(), found.validation.ids.tolist(), found.test.offsets.tolist()
        ([7, 5], [8], [0, 1, 1])
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    trained = Lists.chosen(ids, offsets, (part == TRAINING) & (ids != PADDING_ID))
    held_out = (Lists.chosen(ids, offsets, part == of) for of in (VALIDATION, TEST))
    return Sequences(users, trained.ids, trained.offsets, *held_out)


def held_out_rows(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """[m] which interactions are for validation or test: the last two of users with at least 3."""
    ends = np.cumsum(lengths)
    held_out = np.zeros(int(ends[-1]) if len(ends) else 0, np.bool_)
    of = ends[lengths >= MIN_INTERACTIONS]
    held_out[of - 1] = True
    held_out[of - 2] = True
    return held_out


def write_sequences(path: Path, sequences: Sequences) -> None:
    """Writes sequences as Parquet: `user`, `items`, `validation` and `test`.

    Where nothing is held out, `validation` and `test` are null; where the log says what is, they
    are lists.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    def list_of(lists: Lists) -> pa.Array:
        return pa.LargeListArray.from_arrays(lists.offsets, pa.array(lists.ids, pa.int32()))

    def held_out(of: Any) -> pa.Array:
        if isinstance(of, Lists):
            return list_of(of)
        return pa.array(of, pa.int32(), mask=of == NO_EXAMPLE)

    table = pa.table(
        {
            "user": sequences.users,
            "items": list_of(Lists(sequences.ids, sequences.offsets)),
            "validation": held_out(sequences.validation),
            "test": held_out(sequences.test),
        }
    )
    pq.write_table(table, path, compression="zstd", use_dictionary=False, row_group_size=2**16)


def read_sequences(path: Path) -> Sequences:
    """Reads what `write_sequences` wrote."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path, use_threads=False, memory_map=False).combine_chunks()

    def held_out(column: pa.Array) -> Any:
        if pa.types.is_nested(column.type):
            return _lists(column)
        return column.fill_null(NO_EXAMPLE).to_numpy(zero_copy_only=False)

    items, *others = (
        table[name].combine_chunks() for name in ("items", "validation", "test", "user")
    )
    trained, users = _lists(items), others.pop()
    return Sequences(users, trained.ids, trained.offsets, *map(held_out, others))


def _lists(column: Any) -> Lists:
    import pyarrow as pa

    if not pa.types.is_large_list(column.type):
        column = column.cast(pa.large_list(pa.int32()))
    if not len(column):
        return Lists(np.empty(0, np.int32), np.zeros(1, np.int64))
    offsets = column.offsets.to_numpy()
    ids = column.values.to_numpy()[offsets[0] : offsets[-1]]
    return Lists(ids, (offsets - offsets[0]).astype(np.int64))


def joined(parts: list[Sequences]) -> Sequences:
    """The sequences of several shards, one after the other."""
    import pyarrow as pa

    if len(parts) == 1:
        return parts[0]
    trained = _joined([Lists(part.ids, part.offsets) for part in parts])
    held_out = (_joined([getattr(part, name) for part in parts]) for name in ("validation", "test"))
    users = pa.chunked_array([part.users for part in parts])
    return Sequences(users, trained.ids, trained.offsets, *held_out)


def _joined(parts: list[Any]) -> Any:
    if not isinstance(parts[0], Lists):
        return np.concatenate(parts)
    starts = np.cumsum([0, *(len(part.ids) for part in parts)])
    offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts, strict=False)]
    return Lists(
        np.concatenate([part.ids for part in parts]), np.concatenate([*offsets, starts[-1:]])
    )
