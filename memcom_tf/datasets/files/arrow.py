"""Columns of Arrow's batches: labels and flags."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from memcom_tf.datasets.files.columns import shown
from memcom_tf.datasets.files.values import Place, Where, check_texts, flag_of, missing_value, unfit
from memcom_tf.datasets.labels import Labels, narrow

# 18 digits are always int64; of those with 19 Arrow says which are.
_REVERSIBLE = r"^(0|-?[1-9][0-9]{0,18})$"


def labels_of(column: pa.ChunkedArray, place: Place, where: Where, of_text: bool) -> Labels:
    """Returns a column of labels.

    Args:
        column: Strings or integers, without missing values.
        place: Where a row stands in the file.
        where: Which column it is.
        of_text: Whether the file has no types.

    Raises:
        ValueError: If a value is neither.
    """
    labels = _labels(column, where, of_text)
    check_texts(labels, place, where)
    return labels


def _labels(column: pa.ChunkedArray, where: Where, of_text: bool) -> Labels:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_signed_integer(kind) or pa.types.is_unsigned_integer(kind):
        numbers = _plain(column)
        if pc.max(numbers).as_py() is None or pc.max(numbers).as_py() < 2**63:
            return Labels.of_integers(numbers.cast(pa.int64()).to_numpy())
        column = numbers.cast(pa.string())
    elif pa.types.is_decimal(kind) and kind.scale <= 0:
        column, of_text = _plain(column).cast(pa.string()), True
    elif not is_text(kind):
        raise unfit("label", where, type=str(column.type)[:60])
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        try:
            column = _plain(column).cast(pa.string())
        except pa.ArrowInvalid as error:
            raise unfit("label", where, type=f"{kind} that is no UTF-8") from error
    return encoded(column, of_text)


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is one of texts, or of bytes that may be."""
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
    )


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column


def encoded(column: pa.ChunkedArray, of_text: bool = False) -> Labels:
    """Labels of strings; the dictionaries of the chunks become one, in rising order."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    column = column.unify_dictionaries()
    if not len(column):
        return Labels(np.empty(0, object), np.empty(0, np.int32))
    values = column.chunk(0).dictionary
    codes = np.concatenate(
        [chunk.indices.to_numpy(zero_copy_only=False) for chunk in column.chunks]
    )
    occurs = np.bincount(codes, minlength=len(values)) > 0
    numbers = _integers(values.filter(pa.array(occurs))) if of_text else None
    if numbers is not None:
        distinct: npt.NDArray[Any] = numbers
        order = np.argsort(numbers)
    else:
        kept = values.filter(pa.array(occurs))
        # Arrow sorts UTF-8 by bytes, which is the order of Python's strings.
        order = pc.sort_indices(kept).to_numpy()
        distinct = np.empty(len(kept), object)
        distinct[:] = kept.to_pylist()
    place = np.zeros(len(values), np.int64)
    place[np.flatnonzero(occurs)[order]] = np.arange(len(order))
    return Labels(distinct[order], narrow(place)[codes])


def _integers(values: pa.Array) -> npt.NDArray[np.int64] | None:
    """The integers that strings are, or None where one is not what its integer is written as."""
    if not pc.all(pc.match_substring_regex(values, _REVERSIBLE)).as_py():
        return None
    try:
        numbers: npt.NDArray[np.int64] = values.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:  # beyond int64
        return None
    return numbers


def flags_of(column: pa.ChunkedArray, place: Place, where: Where) -> npt.NDArray[np.bool_]:
    """Returns a column of 0 and 1, which has no missing values, as booleans."""
    kind = column.type
    if pa.types.is_boolean(kind):
        flags: npt.NDArray[np.bool_] = column.to_numpy()
        return flags
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = column.to_numpy()
        fits = np.isin(numbers, (0, 1))
        if not fits.all():
            row = int(fits.argmin())
            raise unfit("flag", where, **place(row), value=numbers[row].item())
        return numbers.astype(bool)
    if not (pa.types.is_string(kind) or pa.types.is_dictionary(kind)):
        raise unfit("flag", where, type=str(kind)[:60])
    labels = encoded(column, of_text=False)
    parsed = [flag_of(text) for text in labels.values]
    bad = np.array([flag is None for flag in parsed], np.bool_)
    if bad.any():
        row = int(np.flatnonzero(bad[labels.codes])[0])
        value = labels.values[labels.codes[row]]
        if value == "":
            raise missing_value(where, int(bad[labels.codes].sum()), **place(row))
        raise unfit("flag", where, **place(row), value=shown(value))
    return np.array(parsed, np.bool_)[labels.codes]
