"""Rows of fields in memory, as their ids: those of a shard, or of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.features import Categorical, Features
from memcom_tf.features.fields import FIRST_ID
from memcom_tf.vocabulary import PADDING_ID, SHARED_ID, Vocabulary
from memcom_tf.vocabulary.items import left_aligned


@dataclass(frozen=True, eq=False)
class RowBlock:
    """Rows as the ids of their fields.

    Attributes:
        features: The fields, by whose vocabularies the ids are.
        ids: [n, length] of each category by its name.
        numbers: [n] of each field of numbers by its name, NaN where one is missing.
        labels: [n] booleans.
    """

    features: Features
    ids: Mapping[str, npt.NDArray[np.int32]]
    numbers: Mapping[str, npt.NDArray[np.float32]]
    labels: npt.NDArray[np.bool_]

    @classmethod
    def read(cls, path: Path, features: Features, label: str) -> RowBlock:
        """Reads a file that `prepare_rows` wrote.

        Args:
            path: The file.
            features: The fields.
            label: The column of labels.
        """
        import pyarrow.parquet as pq

        table = pq.read_table(path, use_threads=False, memory_map=False).combine_chunks()
        columns = {name: table[name].combine_chunks() for name in table.column_names}
        return cls(
            features,
            {of.name: _ids(columns[of.name], of) for of in features.categorical},
            {
                of.name: columns[of.name].fill_null(np.nan).to_numpy(zero_copy_only=False)
                for of in features.numeric
            },
            columns[label].to_numpy(zero_copy_only=False),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Any) -> RowBlock:
        """Some of the rows: a slice, numbers or a mask."""
        ids = {name: column[rows] for name, column in self.ids.items()}
        numbers = {name: column[rows] for name, column in self.numbers.items()}
        return RowBlock(self.features, ids, numbers, self.labels[rows])

    def inputs_of(self, features: Features) -> dict[str, npt.NDArray[Any]]:
        """The inputs of a model for these rows, as `Features.encode` returns them.

        Values that have no id of their own in the data set are unknown to the model too, and a
        field that the data set does not have is missing in every row.

        Args:
            features: Those of the model.

        Raises:
            ValueError: If the data set has no field of them, or one of another kind.
        """
        names = {*self.ids, *self.numbers}
        if names.isdisjoint(features.names):
            raise invalid(
                "The data set must have fields of the model.",
                f"It has {sorted(names)[:20]}.",
                fields=features.names[:20],
            )
        inputs: dict[str, npt.NDArray[Any]] = {}
        if features.categorical:
            parts = [self._ids_of(of) for of in features.categorical]
            inputs["ids"] = np.concatenate(parts, axis=1)
        if features.numeric:
            missing = np.full(len(self), np.nan, np.float32)
            numbers = [self.numbers.get(of.name, missing) for of in features.numeric]
            inputs["numbers"] = np.stack(numbers, axis=1)
        return inputs

    def _ids_of(self, of: Categorical) -> npt.NDArray[np.int32]:
        """The ids `[n, length]` of a field of a model."""
        found = self.ids.get(of.name)
        if found is None:
            return np.full((len(self), of.length), PADDING_ID, np.int32)
        (own,) = (field for field in self.features.categorical if field.name == of.name)
        if own.vocabulary is not of.vocabulary:
            found = _renumbered(own, of)[found]
        wanted = np.full((len(self), of.length), PADDING_ID, np.int32)
        width = min(of.length, found.shape[1])
        wanted[:, :width] = found[:, :width]
        return wanted


def joined(blocks: list[RowBlock]) -> RowBlock:
    """The rows of several blocks, one after the other."""
    if len(blocks) == 1:
        return blocks[0]
    first = blocks[0]
    return RowBlock(
        first.features,
        {name: np.concatenate([block.ids[name] for block in blocks]) for name in first.ids},
        {name: np.concatenate([block.numbers[name] for block in blocks]) for name in first.numbers},
        np.concatenate([block.labels for block in blocks]),
    )


def _ids(column: Any, of: Categorical) -> npt.NDArray[np.int32]:
    if not of.has_several:
        return np.asarray(column.to_numpy(zero_copy_only=False)).reshape(-1, 1)
    offsets = column.offsets.to_numpy().astype(np.int64)
    ids = column.values.to_numpy()
    return left_aligned(ids, offsets[:-1], offsets[1:], of.length).astype(np.int32, copy=False)


def _renumbered(own: Categorical, of: Categorical) -> npt.NDArray[np.int32]:
    """For each id of a field of the data set that of the model's field."""
    if own.separator != of.separator or of.tokenizer is not None:
        raise invalid(
            "A field of the data set must be one of the model.",
            "Prepare the rows anew, with its values separated as those of the model are.",
            field=of.name,
            separator=own.separator,
            of_model=of.tokenizer or of.separator,
        )
    assert isinstance(own.vocabulary, Vocabulary)
    alone = replace(of, separator=None, length=1)
    reserved = np.array([PADDING_ID, SHARED_ID], np.int32)
    assert len(reserved) == FIRST_ID
    return np.concatenate([reserved, alone.ids(list(own.vocabulary))[:, 0]]).astype(np.int32)
