"""What a click model is trained on and judged by: rows in memory, or shards of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from memcom_tf.data.prepared_rows import PreparedRows, StoredRows
from memcom_tf.data.row_blocks import joined
from memcom_tf.evaluation.rows import RowSplit
from memcom_tf.features import Features
from memcom_tf.models.click import ClickModel

ROWS_AT_ONCE = 2**20
"""Rows of shards that are in memory together, and are shuffled with each other."""
MOST_HELD_OUT = 2**20
"""Rows of a data set that a model is judged by, at most: those of its first shards."""
_PREDICTED_AT_A_TIME = 8192

Inputs = dict[str, np.ndarray]
Part = Any
"""`memcom_tf.datasets.Rows`, or rows of a prepared data set."""
SplitRows = RowSplit | PreparedRows


def predictions(model: ClickModel, inputs: Inputs) -> np.ndarray:
    """Probabilities `[n]` of encoded rows."""
    found: np.ndarray = model.predict(inputs, batch_size=_PREDICTED_AT_A_TIME, verbose=0)
    return found.reshape(-1)


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


class TrainingRows:
    """The rows for training, in a new order every epoch.

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
        self._whole: tuple[Inputs, np.ndarray] | None = None
        if not isinstance(part, StoredRows) or len(part) <= ROWS_AT_ONCE:
            self._whole = self._read(part)

    def pieces(
        self, rng: np.random.Generator, parts: int
    ) -> Iterator[tuple[Inputs, np.ndarray, bool]]:
        """The rows of one epoch.

        Args:
            rng: What the order is drawn by.
            parts: How many parts the epoch has, as equal as can be.

        Yields:
            Inputs and targets, and whether a part ends with them.
        """
        count = len(self._part)
        ends = [count // parts * (part + 1) + min(part + 1, count % parts) for part in range(parts)]
        done = 0
        for inputs, targets in self._blocks(rng):
            order = rng.permutation(len(targets))
            while len(order):
                room = next(end for end in ends if end > done) - done
                rows, order = order[:room], order[room:]
                done += len(rows)
                yield (
                    {name: values[rows] for name, values in inputs.items()},
                    targets[rows],
                    done in ends,
                )

    def _blocks(self, rng: np.random.Generator) -> Iterator[tuple[Inputs, np.ndarray]]:
        if self._whole is not None:
            yield self._whole
            return
        sizes = np.array([shard.rows for shard in self._part.shards])
        order = rng.permutation(len(sizes))
        group = (np.cumsum(sizes[order]) - 1) // ROWS_AT_ONCE
        groups = [np.sort(order[group == number]).tolist() for number in np.unique(group)]
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self._together, groups[0])
            for following in [*groups[1:], None]:
                block = coming.result()
                if following is not None:
                    coming = reader.submit(self._together, following)
                yield self._read(block)

    def _together(self, shards: list[int]) -> Any:
        data, found = self._part.data, [self._part.shards[shard] for shard in shards]
        return joined([data.read(shard) for shard in found])

    def _read(self, block: Part) -> tuple[Inputs, np.ndarray]:
        if isinstance(block, StoredRows):
            block = joined(list(block.blocks()))
        return self._features.encode(block), self._teaching.targets(block)
