"""Ragged ids as a file takes them: flat values and where the rows end. Never needs TensorFlow.

TensorFlow Lite knows no ragged tensors. A ragged input `history` of a model is `history`, the ids
of all rows one after the other, and `history_row_splits`: 0, then where each row ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from memcom_tf.errors import invalid

ROW_SPLITS = "_row_splits"


def flat_inputs(inputs: Mapping[str, Any], dtypes: Mapping[str, str]) -> dict[str, Any]:
    """Inputs as a file takes them: rows of ragged ids become values and splits.

    Args:
        inputs: Arrays by name; ragged ids as a sequence of rows, as a `tf.RaggedTensor`, or as
            both of the inputs that the file has for them.
        dtypes: Of the inputs that the file has, by name.

    Returns:
        Arrays by name.

    Raises:
        ValueError: If splits do not fit the values.
    """
    found = dict(inputs)
    for name in inputs:
        splits = f"{name}{ROW_SPLITS}"
        if splits not in dtypes:
            continue
        if splits in inputs:
            _check_splits(splits, inputs[splits], len(inputs[name]))
        else:
            values, found[splits] = _flat_rows(inputs[name])
            found[name] = values.astype(dtypes[name])
    return found


def _flat_rows(rows: Any) -> tuple[np.ndarray, np.ndarray]:
    """Values and splits of rows of ids."""
    if hasattr(rows, "row_splits"):  # a tf.RaggedTensor
        return np.asarray(rows.values), np.asarray(rows.row_splits, np.int32)
    arrays = [np.asarray(row, np.int64).reshape(-1) for row in rows]
    splits = np.cumsum([0, *map(len, arrays)], dtype=np.int32)
    return np.concatenate([np.empty(0, np.int64), *arrays]), splits


def _check_splits(name: str, splits: Any, values: int) -> None:
    splits = np.asarray(splits)
    if (
        splits.ndim != 1
        or not splits.size
        or (splits[0], splits[-1]) != (0, values)
        or (np.diff(splits) < 0).any()
    ):
        raise invalid(
            f"`{name}` must rise from 0 to the number of values.",
            "Pass the rows themselves, and leave it out.",
            row_splits=splits.tolist()[:10],
            values=values,
        )
