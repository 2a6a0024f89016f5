"""Users with their sequences, as a shard holds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.vocabulary import PADDING_ID

NO_EXAMPLE = -1
"""In place of the target of a user who has too few interactions to hold one out."""
MIN_INTERACTIONS = 3
"""Of users with fewer, all interactions are for training."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """The sequences of some users.

    Attributes:
        users: An Arrow array of n users in rising order.
        ids: [m] ids of the interactions for training, one user's after the other's, in time order.
        offsets: [n + 1] where in `ids` those of a user begin and end.
        validation: [n] the id that is held out for validation; 0 of an item that has none,
            `NO_EXAMPLE` where nothing is held out.
        test: [n] the same for test, the last interaction.
    """

    users: Any
    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int32]
    test: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.validation)

    def renumbered(self, ids: npt.NDArray[Any]) -> Sequences:
        """The same under other ids; what gets 0 is left out.

        Args:
            ids: For every id the new one.
        """
        found = ids[self.ids].astype(np.int32, copy=False)
        offsets = self.offsets
        kept = found != PADDING_ID
        if not kept.all():
            offsets = np.concatenate([[0], np.cumsum(kept)])[offsets]
            found = found[kept]
        held_out = (
            np.where(of < 0, of, ids[np.maximum(of, 0)]).astype(np.int32)
            for of in (self.validation, self.test)
        )
        return Sequences(self.users, found, offsets, *held_out)


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
    kept = held_out_rows(lengths)
    np.logical_not(kept, out=kept)
    kept &= ids != PADDING_ID
    offsets = np.concatenate([[0], np.cumsum(kept)])[np.concatenate([[0], ends])]
    return Sequences(users, ids[kept].astype(np.int32), offsets.astype(np.int64), *held_out)


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

    Where nothing is held out, `validation` and `test` are null.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    def held_out(ids: npt.NDArray[np.int32]) -> pa.Array:
        return pa.array(ids, pa.int32(), mask=ids == NO_EXAMPLE)

    items = pa.LargeListArray.from_arrays(sequences.offsets, pa.array(sequences.ids, pa.int32()))
    table = pa.table(
        {
            "user": sequences.users,
            "items": items,
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
    items = table["items"].combine_chunks()
    if not pa.types.is_large_list(items.type):
        items = items.cast(pa.large_list(pa.int32()))
    offsets = items.offsets.to_numpy()
    ids = items.values.to_numpy()[offsets[0] : offsets[-1]] if len(items) else np.empty(0, np.int32)
    held_out = [
        table[name].combine_chunks().fill_null(NO_EXAMPLE).to_numpy(zero_copy_only=False)
        for name in ("validation", "test")
    ]
    start = offsets[0] if len(offsets) else 0
    return Sequences(
        table["user"].combine_chunks(), ids, (offsets - start).astype(np.int64), *held_out
    )


def joined(parts: list[Sequences]) -> Sequences:
    """The sequences of several shards, one after the other."""
    import pyarrow as pa

    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(len(part.ids) for part in parts)])
    offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts, strict=False)]
    return Sequences(
        pa.chunked_array([part.users for part in parts]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([*offsets, starts[-1:]]),
        np.concatenate([part.validation for part in parts]),
        np.concatenate([part.test for part in parts]),
    )
