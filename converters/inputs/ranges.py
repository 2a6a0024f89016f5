"""Which ids a model takes: found by asking it, since graphs shift ids before they look them up.

A table of 370 rows takes ids up to 369, but a model that looks up `ids + 1`, `day * 24 + hour` or
the fields of one table at offsets takes fewer, and another number in each place of an input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from memcom_tf.errors import invalid

from .function import ModelFunction, Rows

LENGTHS = (4, 1, 2, 3, 8, 16, 32, 64, 128, 256)
"""Of what has no length of its own, in the order in which they are tried."""
_BASES = (0, 1, 2, 3)
_LARGEST = 2**31 - 1
_MOST_PLACES = 64
"""In which ids are looked for one by one."""


@dataclass(frozen=True)
class Ranges:
    """What a model takes.

    Attributes:
        lengths: Sizes that dimensions without one may have; the first is the usual one.
        low: The smallest id of every input that becomes ids.
        high: The largest in each place, of the shape of a row, or one for all places.
    """

    lengths: tuple[int, ...]
    low: int
    high: Mapping[str, np.ndarray]


def find_ranges(model: ModelFunction) -> Ranges:
    """Asks a model which ids and lengths it takes.

    Raises:
        ValueError: If none was found.
    """
    lengths, low = _start(model)
    base = filled(model, lengths[0], dict.fromkeys(model.names, low))
    high: dict[str, np.ndarray] = {}
    for name in model.names:
        if model.holds_ids(name):
            high[name] = _Search(model, base, name, low).highest()
    return Ranges(lengths, low, high)


def _start(model: ModelFunction) -> tuple[tuple[int, ...], int]:
    """Lengths, and an id that the model takes everywhere."""
    unknown = any(size is None for name in model.names for size in _row_shape(model, name))
    lengths = LENGTHS if unknown else LENGTHS[:1]
    smallest = min((size for sizes in model.tables.values() for size in sizes), default=1)
    bases = dict.fromkeys([*_BASES, smallest // 2, smallest - 1])

    def accepts(length: int, low: int) -> bool:
        return model.accepts(filled(model, length, dict.fromkeys(model.names, low)))

    def varies(length: int) -> bool:
        calls = [filled(model, length, dict.fromkeys(model.names, base)) for base in bases]
        first, *others = [model.run(model.arrays(x)) for x in calls if model.accepts(x)] or [{}]
        return any(
            not np.array_equal(first[name], other[name], equal_nan=first[name].dtype.kind == "f")
            for other in others
            for name in first
        )

    for low, length in product(bases, lengths):
        if accepts(length, low):
            others = [other for other in lengths if other != length and accepts(other, low)]
            return _long_enough((length, *others), varies), low
    raise invalid(
        "The model must accept some input: none of those that were tried, ids from 0 to 3 in "
        f"inputs of lengths {LENGTHS}, is one.",
        "Give samples of what it is made for.",
        inputs=model.names,
    )


def _long_enough(lengths: tuple[int, ...], varies: Callable[[int], bool]) -> tuple[int, ...]:
    """Lengths from the shortest on at which outputs follow from ids; all where none do.

    A convolution over less than its kernel has no values. What TensorFlow makes of these is the
    processor's affair: -inf, no number, or 0; and runtimes refuse such inputs.
    """
    shortest = next(filter(varies, sorted(lengths)), 0)
    return tuple(length for length in lengths if length >= shortest)


def filled(model: ModelFunction, length: int, values: Mapping[str, object], count: int = 1) -> Rows:
    """Rows of which every place of an input has one value."""
    rows: Rows = {}
    count = count if model.batched else model.fixed_rows
    for name in model.names:
        dtype = np.dtype(model.spec(name).dtype.as_numpy_dtype)
        if model.is_ragged(name):
            rows[name] = [np.full(length, values[name], dtype) for _ in range(count)]
        else:
            shape = row_shape(model, name, length)
            leading = (count,) if model.spec(name).shape.rank else ()
            rows[name] = np.broadcast_to(np.asarray(values[name], dtype), (*leading, *shape)).copy()
    return rows


def _row_shape(model: ModelFunction, name: str) -> list[int | None]:
    """The shape of a row, None where any length will do."""
    if model.is_ragged(name):
        return [None]
    shape = model.spec(name).shape
    return list(shape[1:]) if shape.rank else []


def row_shape(model: ModelFunction, name: str, length: int) -> tuple[int, ...]:
    """The shape of a row whose unknown sizes are one length."""
    return tuple(length if size is None else int(size) for size in _row_shape(model, name))


class _Search:
    """The largest ids of one input, while the others stay as they are."""

    def __init__(self, model: ModelFunction, base: Rows, name: str, low: int) -> None:
        self._model, self._base, self._name, self._low = model, base, name, low
        self._sizes = sorted({size for size in model.tables[name] if size > low})
        dtype = np.dtype(model.spec(name).dtype.as_numpy_dtype)
        integers = np.issubdtype(dtype, np.integer)
        # Integers that a float holds exactly.
        self._limit = min(_LARGEST, np.iinfo(dtype).max if integers else 2**24)

    def _accepts(self, values: np.ndarray | int) -> bool:
        rows = dict(self._base)
        row = rows[self._name]
        if isinstance(row, list):
            rows[self._name] = [np.full_like(values_of, values) for values_of in row]
        else:
            rows[self._name] = np.broadcast_to(values, row.shape).astype(row.dtype)
        return self._model.accepts(rows)

    def highest(self) -> np.ndarray:
        """In each place where places differ, else one for all."""
        everywhere = self._search(self._accepts)
        if everywhere + 1 >= max(self._sizes, default=0):  # all that a table has
            return np.asarray(everywhere)
        places = _row_shape(self._model, self._name)
        sizes = [size for size in places if size is not None]
        count = int(np.prod(sizes)) if len(sizes) == len(places) else 0
        if not 1 < count <= _MOST_PLACES or self._model.is_ragged(self._name):
            return np.asarray(everywhere)
        found = np.full(count, everywhere)
        for place in range(count):
            if self._accepts_at(place, sizes, everywhere + 1):
                found[place] = self._search(partial(self._accepts_at, place, sizes))
        return found.reshape(sizes)

    def _accepts_at(self, place: int, sizes: list[int], value: int) -> bool:
        row = np.full(int(np.prod(sizes)), self._low)
        row[place] = min(value, self._limit)
        return self._accepts(row.reshape(sizes))

    def _search(self, accepts: Callable[[int], bool]) -> int:
        """The largest id, by the sizes of tables where it is one of them, else by halving."""
        sizes = [size for size in self._sizes if size <= self._limit]
        taken, refused = self._low, self._limit
        for size in reversed(sizes):
            if accepts(size - 1):
                taken = size - 1
                break
            refused = size - 1
        if taken + 1 >= refused or not accepts(taken + 1):
            return taken
        if refused == self._limit and accepts(refused):  # it takes any: a hash, for example
            return max(taken, *sizes, 1)
        while taken + 1 < refused:
            middle = (taken + refused) // 2
            taken, refused = (middle, refused) if accepts(middle) else (taken, middle)
        return taken
