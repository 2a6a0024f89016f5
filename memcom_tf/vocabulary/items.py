"""What counts as an item or a user (a string or an integer), and rows of their ids."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid

Item: TypeAlias = int | str
IdArray: TypeAlias = npt.NDArray[np.int32] | npt.NDArray[np.int64]

# Bounds the memory of the index matrix in `left_aligned`.
_ROWS_AT_ONCE = 65536


class Items(NamedTuple):
    """Items as Python values in row-major order, and how they were arranged.

    Attributes:
        values: The items, all of one kind.
        shape: The shape of what was passed.
        kind: `int` or `str`; None where there is no item.
    """

    values: list[Any]
    shape: tuple[int, ...]
    kind: type[int] | type[str] | None


def kind_of(type_: type) -> type[int] | type[str] | None:
    """Returns `int` or `str` for a type whose values may be items, else None."""
    if issubclass(type_, str):
        return str
    # bool is an int to Python, but a column of flags is never one of items.
    if issubclass(type_, int | np.integer) and not issubclass(type_, bool):
        return int
    return None


def is_missing(value: object) -> bool:
    """Whether `value` is None, NaN, or the missing value of pandas or NumPy."""
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def as_items(values: object, name: str) -> Items:
    """Reads strings or integers from a scalar, an iterable, an array or a Series.

    Args:
        values: What was passed; nested lists must have equal lengths.
        name: What the argument is called, for the errors.

    Returns:
        The items with their shape and kind.

    Raises:
        ValueError: If a value is missing or neither a string nor an integer, or if both
            kinds occur.

    Example:
        >>> as_items([[3, 1], [2, 3]], "items")
        Items(values=[3, 1, 2, 3], shape=(2, 2), kind=<class 'int'>)
    """
    if hasattr(values, "__array__"):
        array = np.asarray(values)
    else:
        if isinstance(values, Iterable) and not isinstance(values, str | bytes | list | tuple):
            values = list(values)
        try:
            # dtype=object: NumPy would turn [1, "a"] into strings and 2**64 into a float.
            array = np.asarray(values, dtype=object)
        except ValueError as error:
            raise _ragged(name) from error
    flat: list[Any] = array.ravel().tolist()
    types = set(map(type, flat))
    kinds = {kind_of(type_) for type_ in types}
    if None in kinds:
        raise _not_an_item(flat, array.shape, name)
    if len(kinds) > 1:
        first: dict[type | None, Any] = {}
        for value in flat:
            first.setdefault(kind_of(type(value)), value)
        raise invalid(
            f"`{name}` must be of one kind, strings or integers.",
            "Convert all of them to strings, or all to integers.",
            values=list(first.values()),
        )
    kind = kinds.pop() if kinds else None
    if kind is not None and types != {kind}:
        flat = [kind(value) for value in flat]
    return Items(flat, array.shape, kind)


def as_column(values: object, name: str) -> Items:
    """Like `as_items`, for what must have one dimension."""
    column = as_items(values, name)
    if len(column.shape) != 1:
        raise invalid(
            f"`{name}` must have one dimension.",
            "Pass a list, a 1-D array or a Series.",
            shape=column.shape,
        )
    return column


def _ragged(name: str) -> ValueError:
    return invalid(
        f"`{name}` must be one item, a list, or nested lists of equal length.",
        "Use `Vocabulary.pad` for histories of different lengths.",
    )


def _not_an_item(flat: list[Any], shape: tuple[int, ...], name: str) -> ValueError:
    # A missing value first: it is what made pandas turn a column of integers into floats.
    bad = [place for place, value in enumerate(flat) if is_missing(value)]
    if not bad:
        bad = [place for place, value in enumerate(flat) if kind_of(type(value)) is None]
        if any(isinstance(flat[place], list | tuple | np.ndarray) for place in bad):
            return _ragged(name)
        must, action = "must be strings or integers", "Convert them before this call."
    else:
        must, action = "must not have missing values", "Leave those rows out."
    position = tuple(int(axis) for axis in np.unravel_index(bad[0], shape))
    return invalid(
        f"`{name}` {must}.",
        action,
        position=position[0] if len(position) == 1 else position,
        value=flat[bad[0]],
        how_many=len(bad),
    )


def nearest(text: str, known: Iterable[str], limit: int) -> list[str]:
    """Returns at most `limit` of `known` that are spelt most like `text`, the case aside."""
    by_folded: dict[str, str] = {}
    for name in known:
        by_folded.setdefault(name.casefold(), name)
    close = difflib.get_close_matches(text.casefold(), by_folded, n=limit, cutoff=0.5)
    return [by_folded[name] for name in close]


def left_aligned(
    ids: npt.NDArray[Any], start: npt.NDArray[np.int64], stop: npt.NDArray[np.int64], length: int
) -> npt.NDArray[Any]:
    """Cuts rows out of a flat array: row i is `ids[max(start_i, stop_i - length):stop_i]`.

    Args:
        ids: [m] ids, or other numbers, one row's after the other's.
        start: [n] where each row begins.
        stop: [n] where each row ends.
        length: The number of columns.

    Returns:
        [n, length] ids of the dtype of `ids`, zeros after the end of each row.

    Example:
        >>> left_aligned(np.array([5, 6, 7, 8]), np.array([0, 3]), np.array([3, 4]), 2)
        array([[6, 7],
               [8, 0]])
    """
    rows = np.zeros((len(start), length), ids.dtype)
    columns = np.arange(length)
    for low in range(0, len(start), _ROWS_AT_ONCE):
        part = slice(low, low + _ROWS_AT_ONCE)
        end = stop[part, None]
        places = np.maximum(start[part, None], end - length) + columns
        filled = places < end
        rows[part][filled] = ids[places[filled]]
    return rows


def factorize(values: Sequence[Item]) -> tuple[list[Item], npt.NDArray[np.int64]]:
    """Returns the distinct values in rising order, and for each value its place among them."""
    distinct: list[Any] = sorted(set(values))
    place = {value: index for index, value in enumerate(distinct)}
    return distinct, np.fromiter(map(place.__getitem__, values), np.int64, len(values))
