"""The rows that a model of fields is trained on, in a new order every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Self

Inputs = dict[str, np.ndarray]
Piece = tuple[Inputs, np.ndarray]


class EpochRows:
    """Rows in memory.

    Args:
        inputs: Arrays `[n, ...]` by their names.
        targets: `[n, ...]` what is learned.

    Attributes:
        own_batch: Rows of a batch, where one of several workers reads rows of its own; None where
            batches are those of all workers.

    Example:
        >>> rows = EpochRows({"ids": np.arange(5)}, np.zeros(5))
        >>> pieces = rows.pieces(np.random.default_rng(0), 2)
        >>> [(inputs["ids"].tolist(), ends) for inputs, _, ends in pieces]
        [([2, 4, 3], True), ([0, 1], True)]
    """

    own_batch: int | None = None

    def __init__(self, inputs: Inputs, targets: np.ndarray) -> None:
        self._whole: Piece | None = (inputs, targets)

    @property
    def whole(self) -> Piece:
        """All inputs and targets, in the order in which they came."""
        assert self._whole is not None
        return self._whole

    def of_worker(self, index: int, count: int, batch_size: int) -> Self:
        """What one of several workers reads.

        Args:
            index: The worker.
            count: How many there are.
            batch_size: Rows of a batch of all workers.

        Returns:
            These rows themselves, of whose batches it is to take its part.
        """
        return self

    def pieces(
        self, rng: np.random.Generator, parts: int, skipped: int = 0
    ) -> Iterator[tuple[Inputs, np.ndarray, bool]]:
        """The rows of one epoch.

        Args:
            rng: What the order is drawn by. As much is drawn whatever is left out.
            parts: How many parts the epoch has, as equal as can be.
            skipped: The first parts that are left out; what is read for them alone is not read.

        Yields:
            Inputs and targets, and whether a part ends with them. Of rows of a worker's own they
            are full batches.
        """
        ends, size = self._ends(parts), self.own_batch or 1
        done = ends[min(skipped, len(ends)) - 1] if skipped else 0
        left: Piece | None = None
        for (inputs, targets), order in self._blocks(rng, done):
            while len(order) and done < ends[-1]:
                room = next(end for end in ends if end > done) - done
                if left is not None:
                    room = size - len(left[1])  # with which a batch is full
                elif len(order) >= size:
                    room = min(room, len(order) // size * size)
                rows, order = order[:room], order[room:]
                piece = {name: values[rows] for name, values in inputs.items()}, targets[rows]
                if left is not None:
                    piece = _joined(left, piece)
                if len(piece[1]) < size:
                    left = piece
                    continue
                left = None
                done += len(piece[1])
                yield *piece, done in ends

    def steps(self, parts: int, batch_size: int) -> int:
        """About how many batches an epoch of so many parts has, at least."""
        ends, size = self._ends(parts), self.own_batch or batch_size
        return sum(-(-(end - begin) // size) for begin, end in pairwise([0, *ends]))

    def _ends(self, parts: int) -> list[int]:
        """How many rows are done where each part ends."""
        return ends_of(len(self.whole[1]), parts)

    def _blocks(self, rng: np.random.Generator, skipped: int) -> Iterator[tuple[Piece, np.ndarray]]:
        """What is in memory together, and the order of its rows but for the first so many."""
        yield self.whole, rng.permutation(len(self.whole[1]))[skipped:]


def ends_of(count: int, parts: int) -> list[int]:
    """Where so many things end that are cut into parts, as equal as can be."""
    return [count // parts * (part + 1) + min(part + 1, count % parts) for part in range(parts)]


def _joined(first: Piece, second: Piece) -> Piece:
    inputs = {name: np.concatenate([first[0][name], second[0][name]]) for name in first[0]}
    return inputs, np.concatenate([first[1], second[1]])
