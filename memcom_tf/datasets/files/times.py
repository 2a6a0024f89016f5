"""Columns of times: numbers, dates and date-times, from Arrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from memcom_tf.datasets.files.columns import shown
from memcom_tf.datasets.files.values import Place, Where, missing_value, unfit
from memcom_tf.errors import invalid

_EXACT_IN_FLOAT = 2**53
_CLOCK = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
_PATTERNS = {
    "a number": r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$",
    "a time without a zone": rf"^(\d{{4}}-\d{{2}}-\d{{2}}|{_CLOCK})$",
    "a time with a zone": rf"^{_CLOCK} ?(Z|UTC|[+-]\d{{2}}(:?\d{{2}})?)$",
}
# What Arrow's parser of ISO 8601 does not take: "... UTC" of BigQuery, "... +0000" of Ruby.
_ZONES = ((r" ?UTC$", "Z"), (r" (Z|[+-]\d{2}(:?\d{2})?)$", r"\1"))


def times_of(column: pa.ChunkedArray, place: Place, where: Where) -> npt.NDArray[Any]:
    """Returns a column of times: int64, float64, or datetime64 (of zoned times the UTC).

    Args:
        column: Strings, numbers, dates or timestamps.
        place: Where a row stands in the file.
        where: Which column it is.

    Raises:
        ValueError: If a value is missing or no time, or if times are not written alike.

    Example:
        >>> column = pa.chunked_array([["2018-09-20", "2018-09-21T08:30:00"]])
        >>> times_of(column, lambda row: {"line": row + 2}, {}).astype("datetime64[m]")
        array(['2018-09-20T00:00', '2018-09-21T08:30'], dtype='datetime64[m]')
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return times_of(column.cast(kind.value_type), place, where)
    if column.null_count:
        first = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise missing_value(where, column.null_count, **place(first))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _of_texts(column, place, where)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.int64() if kind.scale <= 0 else pa.float64())
    elif pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s"))
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or _is_timestamp(kind)):
        raise unfit("time", where, type=str(kind)[:60])
    if _is_timestamp(column.type):
        return _instants(column)
    times = column.to_numpy()
    if times.dtype.kind == "f" and not np.isfinite(times).all():
        row = int(np.flatnonzero(~np.isfinite(times))[0])
        raise missing_value(where, int((~np.isfinite(times)).sum()), **place(row))
    return times


def _is_timestamp(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind))


def _instants(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Timestamps as they are stored: in UTC where they have a zone."""
    numbers = [chunk.view(pa.int64()).to_numpy(zero_copy_only=False) for chunk in column.chunks]
    whole = np.concatenate([np.empty(0, np.int64), *numbers])
    return whole.view(f"datetime64[{column.type.unit}]")


def _of_texts(column: pa.ChunkedArray, place: Place, where: Where) -> npt.NDArray[Any]:
    column = pc.utf8_trim_whitespace(column)
    if (numbers := _cast(column, pa.int64())) is not None:
        return numbers.to_numpy()
    kind = _one_kind(column, place, where)
    if kind == "a number":
        return _numbers(column, place, where)
    zone = None
    if kind == "a time with a zone":
        zone = "UTC"
        for pattern, plain in _ZONES:
            column = pc.replace_substring_regex(column, pattern, plain)
    for unit in ("ns", "us"):  # Nanoseconds end in 2262.
        if (found := _cast(column, pa.timestamp(unit, zone))) is not None:
            return _instants(found)
    row = first_bad(column, lambda part: _cast(part, pa.timestamp("us", zone)) is not None)
    raise unfit("time", where, **place(row), value=shown(column[row].as_py()))


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        return None


def _one_kind(column: pa.ChunkedArray, place: Place, where: Where) -> str:
    """The one way in which all times are written."""
    first: dict[str, int] = {}
    rest = np.ones(len(column), np.bool_)
    for kind, pattern in _PATTERNS.items():
        fits = pc.match_substring_regex(column, pattern).to_numpy()
        if fits.any():
            first[kind] = int(fits.argmax())
        rest &= ~fits
    if rest.any():
        row = int(rest.argmax())
        if not column[row].as_py():
            raise missing_value(where, int(pc.sum(pc.equal(column, "")).as_py()), **place(row))
        raise unfit("time", where, **place(row), value=shown(column[row].as_py()))
    if len(first) > 1:
        examples = {kind: shown(column[row].as_py()) for kind, row in first.items()}
        raise unfit("time", where, **place(max(first.values())), values=examples)
    return next(iter(first))


def _numbers(column: pa.ChunkedArray, place: Place, where: Where) -> npt.NDArray[Any]:
    """Fractions; integers between them, or too large for int64, must be exact as float64."""
    numbers = column.cast(pa.float64()).to_numpy()
    inexact = ~(np.abs(numbers) < _EXACT_IN_FLOAT)
    if inexact.any():
        row = int(inexact.argmax())
        raise invalid(
            "Times must be integers of 64 bits, or below 2**53 where some have fractions.",
            "Write all of them in whole units.",
            **place(row),
            value=shown(column[row].as_py()),
            **where,
        )
    return numbers


def first_bad(column: pa.ChunkedArray, is_good: Callable[[pa.ChunkedArray], bool]) -> int:
    """The first row of a column that is not good as a whole, by halving."""
    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        if is_good(column.slice(low, middle - low)):
            low = middle
        else:
            high = middle
    return low
