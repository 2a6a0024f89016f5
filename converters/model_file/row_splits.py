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
        ValueError: If rows are no ids, or splits do not fit the values.
    """
    found = dict(inputs)
    for name in inputs:
        splits = f"{name}{ROW_SPLITS}"
        if splits not in dtypes:
            continue
        if splits in inputs:
            _check_splits(splits, np.asarray(inputs[splits]), np.size(inputs[name]))
        else:
            found[name], found[splits] = _flat_rows(name, inputs[name], np.dtype(dtypes[name]))
    return found


def _flat_rows(name: str, rows: Any, dtype: np.dtype[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Values and splits of rows of ids."""
    if hasattr(rows, "row_splits"):  # a tf.RaggedTensor
        rows = rows.to_list()
    arrays = [np.asarray(row) for row in rows]
    limits = np.iinfo(dtype)
    for array in arrays:
        if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
            raise invalid(
                f"`{name}` must be a sequence of rows of integers.",
                "Pass a list of lists, as in [[3, 8], [5]].",
                row=array.tolist(),
            )
        if array.size and not (limits.min <= array.min() and array.max() <= limits.max):
            raise invalid(f"Ids of `{name}` must be {dtype.name}.", id=int(array.max()))
    splits = np.cumsum([0, *map(len, arrays)], dtype=np.int32)
    return np.concatenate([np.empty(0, dtype), *(array.astype(dtype) for array in arrays)]), splits


def _check_splits(name: str, splits: np.ndarray, values: int) -> None:
    if (
        splits.ndim != 1
        or not splits.size
        or (splits[0], splits[-1]) != (0, values)
        or (np.diff(splits) < 0).any()
    ):
        raise invalid(
            f"`{name}` must rise from 0 to the number of values.",
            "Pass the rows themselves, and leave it out.",
            row_splits=splits.tolist(),
            values=values,
        )
