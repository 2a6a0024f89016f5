"""A model's function as the drawing of inputs sees it: what it takes, and whether it takes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from ..model_file.row_splits import ROW_SPLITS

Rows = dict[str, Any]
"""Inputs by name: arrays whose first axis is the batch, lists of rows where they are ragged."""


@dataclass(frozen=True)
class Group:
    """Inputs that are judged together: outputs vary over them.

    Attributes:
        name: What they are, for a reader: "samples", "ids alone vary", and so on.
        calls: Arrays by name for each call, as a file takes them.
        batched: Whether the first axis of every input is a batch of rows.
    """

    name: str
    calls: Sequence[dict[str, np.ndarray]]
    batched: bool


@dataclass(frozen=True)
class ModelFunction:
    """A function of a model.

    Attributes:
        function: The concrete function as it was trained.
        specs: What it takes, with names.
        tables: For each input that becomes ids, the rows of the tables that it looks up in.
    """

    function: Any
    specs: Sequence[Any]
    tables: Mapping[str, Sequence[int]]

    @cached_property
    def names(self) -> list[str]:
        """Inputs as a user knows them: a ragged one is one."""
        return [spec.name for spec in self.specs if not self.is_splits(spec.name)]

    def is_splits(self, name: str) -> bool:
        """Whether an input is the row splits of a ragged one."""
        return name.endswith(ROW_SPLITS) and name.removesuffix(ROW_SPLITS) in self._all

    @cached_property
    def _all(self) -> set[str]:
        return {spec.name for spec in self.specs}

    def is_ragged(self, name: str) -> bool:
        """Whether rows of an input have lengths of their own."""
        return f"{name}{ROW_SPLITS}" in self._all

    def spec(self, name: str) -> Any:
        """What an input is."""
        return next(spec for spec in self.specs if spec.name == name)

    @cached_property
    def batched(self) -> bool:
        """Whether every input takes any number of rows."""
        return all(spec.shape.rank and spec.shape[0] is None for spec in self.specs)

    @cached_property
    def fixed_rows(self) -> int:
        """Rows of a call, where their number is fixed; 1 where there are none."""
        sizes = {spec.shape[0] for spec in self.specs if spec.shape.rank} - {None}
        return int(max(sizes, default=1))

    def holds_ids(self, name: str) -> bool:
        """Whether an input becomes ids of a table."""
        return name in self.tables

    def arrays(self, rows: Rows) -> dict[str, np.ndarray]:
        """Rows as the function takes them."""
        found: dict[str, np.ndarray] = {}
        for name, values in rows.items():
            dtype = np.dtype(self.spec(name).dtype.as_numpy_dtype)
            if self.is_ragged(name):
                flat = [np.asarray(row, dtype) for row in values]
                found[name] = np.concatenate([np.empty(0, dtype), *flat])
                splits = np.cumsum([0, *map(len, flat)])
                of = np.dtype(self.spec(f"{name}{ROW_SPLITS}").dtype.as_numpy_dtype)
                found[f"{name}{ROW_SPLITS}"] = splits.astype(of)
            else:
                found[name] = np.asarray(values, dtype)
        return found

    def run(self, call: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs of a call, by name."""
        tensors = [tf.constant(call[spec.name]) for spec in self.specs]
        # The signatures of a SavedModel take nothing by position.
        _, named = self.function.structured_input_signature
        outputs = (
            self.function(**dict(zip(_names(self.function), tensors, strict=True)))
            if named
            else self.function(*tensors)
        )
        return {name: np.asarray(value) for name, value in outputs.items()}

    def accepts(self, rows: Rows) -> bool:
        """Whether the model computes outputs of some rows: not nothing, nor the largest of nothing.

        A convolution over less than its kernel gives no values, of which the largest is -inf; or,
        where one is missing, TensorFlow gives its input, of another shape.
        """
        try:
            outputs = self.run(self.arrays(rows))
        except tf.errors.OpError:
            return False
        shapes = {name: spec.shape for name, spec in self.function.structured_outputs.items()}
        return all(
            values.size and shapes[name].is_compatible_with(values.shape) and not _infinite(values)
            for name, values in outputs.items()
        )

    def accepted(self, rows: Rows) -> Rows | None:
        """The rows that the model accepts: all but single ones that it refuses."""
        if not self.batched:
            return rows if self.accepts(rows) else None
        kept = list(self._accepted(rows, np.arange(num_rows(rows))))
        return some_rows(rows, np.concatenate(kept)) if kept else None

    def _accepted(self, rows: Rows, places: np.ndarray) -> Iterator[np.ndarray]:
        if self.accepts(some_rows(rows, places)):
            yield places
        elif len(places) > 1:
            half = len(places) // 2
            yield from self._accepted(rows, places[:half])
            yield from self._accepted(rows, places[half:])


def _infinite(values: np.ndarray) -> bool:
    return values.dtype.kind == "f" and bool(np.isinf(values).all())


def _names(function: Any) -> list[str]:
    """Names of the arguments of a signature, in the order of its inputs."""
    _, named = function.structured_input_signature
    count = len(function.inputs) - len(function.captured_inputs)
    inputs = [tensor.op.name for tensor in function.inputs[:count]]
    names = {spec.name: name for name, spec in named.items()}
    return [names.get(name, name) for name in inputs]


def num_rows(rows: Rows) -> int:
    """Number of rows of a batch."""
    return len(next(iter(rows.values()), ()))


def some_rows(rows: Rows, places: np.ndarray) -> Rows:
    """Those at some places."""
    return {
        name: [values[i] for i in places] if isinstance(values, list) else values[places]
        for name, values in rows.items()
    }
