"""Inputs that excite a model: empty and full histories, many ids, floats of several magnitudes.

Outputs are compared relative to how much they vary over a group of rows. So in some groups the ids
alone vary, beside floats that are large: a price in cents must not hide what the items do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from memcom_tf.errors import invalid

from .function import Group, ModelFunction, Rows, num_rows, some_rows
from .ranges import Ranges, filled, find_ranges, row_shape

_ROWS = 64
_FEWEST_ROWS = 4
_VALUES = 1 << 20
"""Outputs of a call, where the rows follow from it."""
_CALLS = 16
"""Of a function that takes no batch, in a group."""
_MOST_COVERED = 1 << 16
"""Ids of an input that are tried one after the other."""
_MAGNITUDES = (1.0, 100.0, 10_000.0)
_SMALL_INTEGERS = 4


def draw(model: ModelFunction, seed: int = 1) -> list[Group]:
    """Groups of inputs that the model accepts.

    Args:
        model: The function.
        seed: Of the draws.

    Returns:
        At least one group with a row.

    Raises:
        ValueError: If the model refuses everything.
    """
    drawing = _Drawing(model, find_ranges(model), np.random.default_rng(seed))
    groups = [group for group in drawing.groups() if group is not None]
    if not groups:
        raise invalid(
            "The model must accept some input, and refuses all that were drawn.",
            "Give samples of what it is made for.",
            inputs=model.names,
        )
    return groups


class _Drawing:
    def __init__(self, model: ModelFunction, ranges: Ranges, rng: np.random.Generator) -> None:
        self._model, self._ranges, self._rng = model, ranges, rng
        self._next = dict.fromkeys(model.names, 0)
        kinds = {name: _kind(model, name) for name in model.names}
        self._ids = [name for name, kind in kinds.items() if kind == "ids"]
        self._floats = [name for name, kind in kinds.items() if kind == "floats"]
        self._others = [name for name, kind in kinds.items() if kind not in ("ids", "floats")]
        self._rows = self._rows_of_a_call()

    def _rows_of_a_call(self) -> int:
        """As many as keep outputs small."""
        if not self._model.batched:
            return self._model.fixed_rows
        length = self._ranges.lengths[0]
        # Of drawn ids not all go together where one is made of several inputs.
        row = filled(self._model, length, dict.fromkeys(self._model.names, self._ranges.low))
        found = self._model.run(self._model.arrays(row))
        size = sum(values.size for values in found.values())
        return int(np.clip(_VALUES // max(1, size), _FEWEST_ROWS, _ROWS))

    def groups(self) -> Iterator[Group | None]:
        """All of them; None for what the model refuses as a whole."""
        first, *others = self._ranges.lengths
        if self._ids:
            yield self._group("edges", first, self._edges)
            yield self._group("rows of one id", first, self._of_one_id)
        yield self._group("random", first, self._random)
        for length in others[-2:]:
            yield self._group(f"of length {length}", length, self._random)
        if not self._floats:
            return
        yield self._group("floats of mixed magnitude", first, self._mixed)
        for magnitude in _MAGNITUDES if self._ids else ():
            yield self._group(
                f"ids beside floats of {magnitude:g}",
                first,
                lambda count, length, m=magnitude: self._beside(count, length, m),
            )

    def _group(self, name: str, length: int, make: Any) -> Group | None:
        model = self._model
        calls = []
        for _ in range(1 if model.batched else _CALLS):
            rows = model.accepted(make(self._rows, length))
            if rows is not None:
                calls.append(model.arrays(rows))
        return Group(name, calls, model.batched) if calls else None

    def _shape(self, name: str, count: int, length: int) -> tuple[int, ...]:
        leading = (count,) if self._model.spec(name).shape.rank else ()
        return (*leading, *row_shape(self._model, name, length))

    def _random(self, count: int, length: int) -> Rows:
        """Ids, each of which comes once before one comes again, and floats about 1."""
        rows: Rows = {name: self._covering(name, count, length) for name in self._ids}
        for name in self._floats:
            rows[name] = self._normal(name, count, length)
        return self._with_others(rows, count, length)

    def _with_others(self, rows: Rows, count: int, length: int) -> Rows:
        for name in self._others:
            shape = self._shape(name, count, length)
            high = 2 if self._model.spec(name).dtype.is_bool else _SMALL_INTEGERS
            rows[name] = self._of(name, self._rng.integers(0, high, shape))
        return {name: rows[name] for name in self._model.names}

    def _of(self, name: str, values: np.ndarray) -> Any:
        values = values.astype(self._model.spec(name).dtype.as_numpy_dtype)
        return list(values) if self._model.is_ragged(name) else values

    def _normal(self, name: str, count: int, length: int, scale: Any = 1.0) -> Any:
        values = self._rng.normal(size=self._shape(name, count, length)) * scale
        return self._of(name, np.abs(values) if self._rng.random() < 0.5 else values)

    def _covering(self, name: str, count: int, length: int) -> Any:
        """The next ids of a random order of all, and rows of every length where they are ragged."""
        low, high = self._ranges.low, self._ranges.high[name]
        shape = self._shape(name, count, length)
        if high.ndim or high - low >= _MOST_COVERED:
            ids = self._rng.integers(low, high, shape, endpoint=True)
        else:
            # An order of its own: what two inputs have in common would be the same in every row.
            order = np.random.default_rng(self._ids.index(name)).permutation(int(high) - low + 1)
            order += low
            size = int(np.prod(shape))
            ids = order[(self._next[name] + np.arange(size)) % len(order)].reshape(shape)
            self._next[name] += size
        found = self._of(name, ids)
        if self._model.is_ragged(name):
            return [row[: self._rng.integers(0, len(row) + 1)] for row in found]
        return found

    def _edges(self, count: int, length: int) -> Rows:
        """Rows that are empty, full, of one id, of the first and the last; floats about 1."""
        rows = self._random(count, length)
        for name in self._ids:
            low, high = self._ranges.low, self._ranges.high[name]
            of_input = rows[name]
            values = [low, high, np.minimum(low + 1, high), (low + high) // 2]
            if not self._model.spec(name).shape.rank:  # one value
                continue
            for place, value in enumerate(values[: len(of_input)]):
                of_input[place] = self._full(of_input[place], value)
            self._cut(name, of_input, len(values))
        return rows

    def _cut(self, name: str, rows: Any, first: int) -> None:
        """Histories of every length from 0 on: what is behind is 0, which pads."""
        if self._model.is_ragged(name):
            rows[0] = rows[0][:0]
            return
        if rows.ndim != 2 or self._ranges.low:
            return
        for place in range(first, len(rows)):
            known = (place - first) % (rows.shape[1] + 1)
            rows[place, known:] = 0

    def _of_one_id(self, count: int, length: int) -> Rows:
        """Rows of the same id in every place: a mean of many would hardly vary."""
        rows = self._random(count, length)
        for name in self._ids:
            if not self._model.spec(name).shape.rank:
                continue
            for place, row in enumerate(rows[name]):
                if np.size(row):
                    first = np.minimum(np.ravel(row)[0], self._ranges.high[name])
                    rows[name][place] = self._full(row, first)
        return rows

    @staticmethod
    def _full(row: Any, value: Any) -> Any:
        """A row of a value, or of one for each place."""
        return np.broadcast_to(value, np.shape(row)).astype(np.asarray(row).dtype)

    def _mixed(self, count: int, length: int) -> Rows:
        """Every float of a magnitude of its own."""
        rows = self._random(count, length)
        for name in self._floats:
            shape = self._shape(name, count, length)
            rows[name] = self._normal(name, count, length, 10.0 ** self._rng.uniform(-2, 4, shape))
        return rows

    def _beside(self, count: int, length: int, magnitude: float) -> Rows:
        """Random ids, and floats that are the same in every row."""
        rows = self._random(count, length)
        for name in self._floats:
            one = self._normal(name, 1, length, magnitude)
            rows[name] = some_rows({name: one}, np.zeros(num_rows(rows), int))[name]
        return rows


def _kind(model: ModelFunction, name: str) -> str:
    if model.holds_ids(name):
        return "ids"
    return "floats" if model.spec(name).dtype.is_floating else "others"
