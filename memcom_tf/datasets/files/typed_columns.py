"""Columns of Arrow's batches, each as what it holds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from memcom_tf.datasets.files.arrow import flags_of, labels_of
from memcom_tf.datasets.files.columns import Column, Kind
from memcom_tf.datasets.files.fields import categories_of, numbers_of
from memcom_tf.datasets.files.times import times_of
from memcom_tf.datasets.files.values import Place, Where, missing_value, unfit


def typed(
    column: pa.ChunkedArray, kind: Kind, place: Place, where: Where, *, of_text: bool = False
) -> Column:
    """Returns a column as what it holds.

    Args:
        column: The column, as Arrow read it.
        kind: What it holds.
        place: Where a row stands in the file.
        where: Which column it is.
        of_text: Whether the file has no types: labels are integers where every one of them is
            written as Python writes that integer.

    Raises:
        ValueError: As `ColumnFile.read`.
    """
    try:
        return _typed(column, kind, place, where, of_text)
    except pa.ArrowException as error:  # a type, or values, that Arrow cannot convert
        raise unfit(kind, where, type=str(column.type)[:60]) from error


def _typed(
    column: pa.ChunkedArray, kind: Kind, place: Place, where: Where, of_text: bool
) -> Column:
    if kind == "time":
        return times_of(column, place, where)
    if kind in ("category", "text"):
        return categories_of(column, place, where, of_lines=kind == "category")
    if kind == "number":
        return numbers_of(column, place, where)
    if column.null_count:
        first = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise missing_value(where, column.null_count, **place(first))
    if kind == "flag":
        return flags_of(column, place, where)
    return labels_of(column, place, where, of_text)
