"""What a click model is trained on and judged by: rows in memory, or shards of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from memcom_tf.data.prepared_rows import PreparedRows, StoredRows
from memcom_tf.data.row_blocks import joined
from memcom_tf.evaluation.rows import RowSplit
from memcom_tf.features import Features
from memcom_tf.models.click import ClickModel
from memcom_tf.training.epoch_rows import EpochRows, Inputs, Piece, ends_of

ROWS_AT_ONCE = 2**20
"""Rows of shards that are in memory together, and are shuffled with each other."""
MOST_HELD_OUT = 2**20
"""Rows of a data set that a model is judged by, at most: those of its first shards."""
_PREDICTED_AT_A_TIME = 8192

Part = Any
"""`memcom_tf.datasets.Rows`, or rows of a prepared data set."""
SplitRows = RowSplit | PreparedRows


def predictions(model: ClickModel, inputs: Inputs) -> np.ndarray:
    """Probabilities `[n]` of encoded rows."""
    return model.outputs_of(inputs, _PREDICTED_AT_A_TIME).reshape(-1)


def judged(part: Part) -> Part:
    """The rows of a part that a model is judged by: of a data set as many as fit into memory."""
    return part.first(MOST_HELD_OUT) if isinstance(part, StoredRows) else part


def names_of(part: Part) -> list[str]:
    """The names of the fields of a part."""
    if isinstance(part, StoredRows):
        return part.names
    return [*part.categorical, *part.numeric]


@dataclass(frozen=True)
class Teaching:
    """What another model makes of the labels.

    Attributes:
        teacher: What it predicts for all rows; or the model, which predicts them shard by shard.
        share: Its share in the target.
    """

    teacher: np.ndarray | ClickModel | None
    share: float

    def targets(self, block: Part) -> np.ndarray:
        """The targets of rows, in their order."""
        labels: np.ndarray = block.labels.astype(np.float32)
        if self.teacher is None:
            return labels
        soft = self.teacher
        if not isinstance(soft, np.ndarray):
            soft = predictions(soft, soft.features.encode(block))
        labels += np.float32(self.share) * (soft - labels)
        return labels


class TrainingRows(EpochRows):
    """The rows for training of a click model.

    Those of a data set are read while others are trained on: in every epoch its shards come in a
    new order, and the rows of those that are read together are shuffled with each other. What is
    read at once is read once, and trained on in the order that it would have from a file.

    Args:
        part: The rows.
        features: The fields of the model.
        teaching: What becomes of the labels.
    """

    def __init__(self, part: Part, features: Features, teaching: Teaching) -> None:
        self._part, self._features, self._teaching = part, features, teaching
        self._whole = None
        self._steps: int | None = None
        if not isinstance(part, StoredRows) or len(part) <= ROWS_AT_ONCE:
            self._whole = self._read(part)

    def of_worker(self, index: int, count: int, batch_size: int) -> TrainingRows:
        """Shards of its own, where there are so many.

        Its batches are then its part of the batches of all, and an epoch has as many of them for
        every worker: rows that are left over wait for another. What is read at once is not shared:
        each worker reads all of it, and takes its rows of every batch.
        """
        if self._whole is not None:
            return self
        shards = [self._part.shards[worker::count] for worker in range(count)]
        rows = [sum(shard.rows for shard in own) for own in shards]
        begins = [worker * batch_size // count for worker in range(count + 1)]
        sizes = [end - begin for begin, end in pairwise(begins)]
        steps = min(held // size for held, size in zip(rows, sizes, strict=True))
        if not steps:
            return self
        own = StoredRows(self._part.data, shards[index])
        found = TrainingRows(own, self._features, self._teaching)
        found.own_batch, found._steps = sizes[index], steps
        return found

    def _ends(self, parts: int) -> list[int]:
        if self._steps is None:
            return ends_of(len(self._part), parts)
        assert self.own_batch is not None
        return [steps * self.own_batch for steps in ends_of(self._steps, parts)]

    def _blocks(self, rng: np.random.Generator, skipped: int) -> Iterator[tuple[Piece, np.ndarray]]:
        if self._whole is not None:
            yield from super()._blocks(rng, skipped)
            return
        sizes = np.array([shard.rows for shard in self._part.shards])
        order = rng.permutation(len(sizes))
        group = (np.cumsum(sizes[order]) - 1) // ROWS_AT_ONCE
        groups = [np.sort(order[group == number]) for number in np.unique(group)]
        while groups and (held := int(sizes[groups[0]].sum())) <= skipped:
            rng.permutation(held)
            skipped -= held
            groups.pop(0)
        if not groups:
            return
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self._together, groups[0])
            for following in [*groups[1:], None]:
                block = coming.result()
                if following is not None:
                    coming = reader.submit(self._together, following)
                yield self._read(block), rng.permutation(len(block))[skipped:]
                skipped = 0

    def _together(self, shards: np.ndarray) -> Any:
        data, found = self._part.data, [self._part.shards[shard] for shard in shards.tolist()]
        return joined([data.read(shard) for shard in found])

    def _read(self, block: Part) -> Piece:
        if isinstance(block, StoredRows):
            block = joined(list(block.blocks()))
        return self._features.encode(block), self._teaching.targets(block)
