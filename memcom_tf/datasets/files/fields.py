"""Columns of fields, from Arrow: categories, and numbers of which some may be missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from memcom_tf.datasets.files.arrow import encoded, is_text
from memcom_tf.datasets.files.columns import shown
from memcom_tf.datasets.files.times import first_bad
from memcom_tf.datasets.files.values import Place, Where, check_marks, unfit
from memcom_tf.datasets.labels import Labels

MISSING = ("", "na", "n/a", "nan", "null", "none", "\\n")
"""How a number is written that is missing, in any case of letters."""


def categories_of(
    column: pa.ChunkedArray, place: Place, where: Where, *, of_lines: bool = True
) -> Labels:
    """Returns a column of categories as strings; "" where a value is missing.

    Args:
        column: Strings, integers, booleans, dates, or floats that are integers, as some programs
            write a column of integers with gaps.
        place: Where a row stands in the file.
        where: Which column it is.
        of_lines: Whether each must be one line, as what is no document is.

    Raises:
        ValueError: If a value is none of these.

    Example:
        >>> labels = categories_of(pa.chunked_array([[7, None, 12]]), lambda row: {}, {})
        >>> labels.array().tolist()
        ['7', '', '12']
    """
    kind = column.type
    if pa.types.is_dictionary(kind) and not is_text(kind.value_type):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_floating(kind):
        column = _whole(column, place, where)
    if not (is_text(kind) or pa.types.is_dictionary(kind)):
        column = column.cast(pa.string())
    labels = encoded(column.fill_null("") if column.null_count else column)
    check_marks(labels, place, where, of_lines=of_lines)
    return labels


def numbers_of(column: pa.ChunkedArray, place: Place, where: Where) -> npt.NDArray[np.float32]:
    """Returns a column of numbers as float32; NaN where a value is missing.

    Args:
        column: Numbers, booleans, or strings that are numbers or one of `MISSING`.
        place: Where a row stands in the file.
        where: Which column it is.

    Raises:
        ValueError: If a value is no number, or beyond float32.

    Example:
        >>> numbers_of(pa.chunked_array([["1.5", "", "NaN", "-3"]]), lambda row: {}, {}).tolist()
        [1.5, nan, nan, -3.0]
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return numbers_of(column.cast(kind.value_type), place, where)
    if is_text(kind):
        texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
        absent = pc.is_in(pc.utf8_lower(texts), pa.array(MISSING))
        column = pc.if_else(absent, pa.scalar(None, pa.string()), texts)
    try:
        values = column.cast(pa.float64()).fill_null(np.nan).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if not is_text(kind):
            raise unfit("number", where, type=str(kind)[:60]) from error
        row = first_bad(column, _are_numbers)
        raise unfit("number", where, **place(row), value=shown(column[row].as_py())) from error
    with np.errstate(over="ignore"):
        numbers: npt.NDArray[np.float32] = values.astype(np.float32)
    if np.isinf(numbers).any():
        row = int(np.isinf(numbers).argmax())
        raise unfit("number", where, **place(row), value=float(values[row]))
    return numbers


def _whole(column: pa.ChunkedArray, place: Place, where: Where) -> pa.ChunkedArray:
    """Floats that are integers, as integers; NaN is missing."""
    values = column.fill_null(np.nan).to_numpy()
    bad = ~(np.isnan(values) | ((values == np.round(values)) & (np.abs(values) < 2**53)))
    if bad.any():
        row = int(bad.argmax())
        raise unfit("category", where, **place(row), value=float(values[row]))
    whole = np.where(np.isnan(values), 0, values).astype(np.int64)
    return pa.chunked_array([pa.array(whole, mask=np.isnan(values))])


def _are_numbers(column: Any) -> bool:
    try:
        column.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
