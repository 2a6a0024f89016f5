"""A sketch of the ids that matter most: some cells, whatever the number of ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from memcom_tf.ops.hashing import UniversalHash
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables

CELLS = 4
"""Cells of a bucket."""


class SketchNames(NamedTuple):
    """Names of the tables of a sketch, each `[num_buckets, 4]`.

    Attributes:
        ids: The id of each cell + 1; 0 where the cell is empty.
        rows: The row of its own that the id has + 1; 0 where it has none.
        scores: What was counted for it, at most; for training alone.
        errors: What of its score may have been counted for others; for training alone.
    """

    ids: str = "cell_ids"
    rows: str = "cell_rows"
    scores: str = "cell_scores"
    errors: str = "cell_errors"


_NAMES = SketchNames()


@dataclass(frozen=True)
class Sketch:
    """Where ids are counted, each in one of the 4 cells of its bucket.

    Of each id in a batch the values are summed first. Ids are inserted in the order in which they
    first come. Where an id has a cell, its score grows by the sum; else the id takes an empty cell;
    else it replaces the one of the smallest score, which it inherits, among the cells without a
    row of their own: the first of several. What an id finds as the score of its cell is its error.
    Where all cells have rows the id is not counted. Nor is one whose sum is not a positive number.

    Of `k` cells without a row, an id whose sum of values is above `1 / k` of what its bucket has
    got has one, for sure. What was counted for an id is at most its score, and at least the score
    without the error.

    Sources: A. Metwally, D. Agrawal, A. El Abbadi: Efficient computation of frequent and top-k
    elements in data streams, ICDT 2005 (SpaceSaving). Buckets of cells: Zhang et al., CAFE, SIGMOD
    2024, arXiv:2312.03256.

    Attributes:
        bucket_of: The hash function from ids to buckets.
        names: Names of the tables.

    Example:
        >>> sketch = Sketch(UniversalHash(input_dim=100, num_buckets=1, index=0))
        >>> ids, rows = np.zeros((2, 1, 4), np.int32)
        >>> scores, errors = np.zeros((2, 1, 4), np.float32)
        >>> batch = np.array([7, 3, 7, 5, 2, 8])
        >>> ids, scores, errors = sketch.inserted((ids, rows, scores, errors), batch, np.ones(6))
        >>> (ids - 1).tolist(), scores.tolist()  # 8 takes the place of 3, whose score it inherits
        ([[7, 8, 5, 2]], [[2.0, 2.0, 1.0, 1.0]])
        >>> errors.tolist()
        [[0.0, 1.0, 0.0, 0.0]]
    """

    bucket_of: UniversalHash
    names: SketchNames = _NAMES

    def tables(self, num_rows: int) -> tuple[Table, ...]:
        """The tables, for ids that may have one of so many rows of their own."""
        rows = self.bucket_of.num_buckets
        ids, owned, scores, errors = self.names
        return (
            Table.of_index(
                ids, rows, CELLS, num_values=self.bucket_of.input_dim + 1, initializer="zeros"
            ),
            Table.of_index(owned, rows, CELLS, num_values=num_rows + 1, initializer="zeros"),
            Table.of_statistics(scores, rows, CELLS),
            Table.of_statistics(errors, rows, CELLS),
        )

    def find_rows(self, xp: Ops, ids: Array, t: Tables, buckets: Array | None = None) -> Array:
        """The row of its own of each id + 1, 0 where it has none: int32 of the shape of the ids.

        Args:
            xp: What computes.
            ids: Integers.
            t: The tables by name.
            buckets: Those of the ids, where they are known.

        Returns:
            The rows.
        """
        ids = xp.to_int32(ids)
        if buckets is None:
            buckets = self.bucket_of(ids)
        found = xp.gather(t[self.names.ids], buckets) == (ids + 1)[..., None]
        rows = xp.where(found, xp.gather(t[self.names.rows], buckets), 0)
        first = xp.maximum(rows[..., 0], rows[..., 1])
        return xp.maximum(first, xp.maximum(rows[..., 2], rows[..., 3]))

    def inserted(
        self, cells: Sequence[np.ndarray], ids: np.ndarray, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A batch inserted, in NumPy: the same sketch as that of the C++ op, to the last bit.

        Args:
            cells: The ids and rows, int32, and the scores and errors, float32, of the cells.
            ids: Integers in `[0, input_dim)` of any shape.
            values: Numbers of the shape of the ids.

        Returns:
            The cells' ids, scores and errors after it.
        """
        cell_ids, cell_rows, cell_scores, cell_errors = map(np.array, cells)
        flat = np.asarray(ids).reshape(-1).astype(np.int64)
        unique, first, inverse = np.unique(flat, return_index=True, return_inverse=True)
        weights = np.asarray(values, np.float64).reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.bincount(inverse, weights, len(unique)).astype(np.float32)
            order = np.argsort(first)
            order = order[(sums[order] > 0) & np.isfinite(sums[order])]
            unique, sums = unique[order], sums[order]
            buckets = self.bucket_of.of_int64(unique)
            # The first id of every bucket, then the second of every bucket, and so on.
            by_bucket = np.argsort(buckets, kind="stable")
            sorted_buckets = buckets[by_bucket]
            start = np.searchsorted(sorted_buckets, sorted_buckets)
            turn = np.arange(len(buckets)) - start
            by_turn = np.argsort(turn, kind="stable")
            for part in np.split(by_bucket[by_turn], np.cumsum(np.bincount(turn))[:-1]):
                some, new, value = buckets[part], (unique[part] + 1).astype(np.int32), sums[part]
                place, where = _cells_of(cell_ids[some], cell_rows[some], cell_scores[some], new)
                some, new, value = some[place], new[place], value[place]
                comes = cell_ids[some, where] != new
                cell_errors[some[comes], where[comes]] = cell_scores[some[comes], where[comes]]
                cell_ids[some, where] = new
                cell_scores[some, where] += value
        return cell_ids, cell_scores, cell_errors


def _cells_of(
    ids: np.ndarray, rows: np.ndarray, scores: np.ndarray, new: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of ids in buckets of their own those that take a cell, and which."""
    known = ids == new[:, None]
    open_cells = rows == 0
    empty = open_cells & (ids == 0)
    ranks = np.where(open_cells & ~np.isnan(scores), scores, np.float32(np.inf))
    smallest = np.where(np.isinf(ranks.min(axis=1)) & (ranks.min(axis=1) > 0), -1, ranks.argmin(1))
    smallest = np.where(smallest < 0, open_cells.argmax(axis=1), smallest)
    cells = np.where(empty.any(axis=1), empty.argmax(axis=1), smallest)
    cells = np.where(known.any(axis=1), known.argmax(axis=1), cells)
    place = np.flatnonzero(known.any(axis=1) | open_cells.any(axis=1))
    return place, cells[place]
