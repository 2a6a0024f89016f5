"""Any model on its way to a file: its tables, wherever they are, and its functions over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast, get_args

import numpy as np

from memcom_tf.ops.interface import Array
from memcom_tf.ops.reference import ReferenceOps
from memcom_tf.tables import Storage, Table

from .fold import ShippedEmbedding
from .frozen import FrozenFunction, Key, Matrix
from .graph_ops import QuantizedOps, unknown_zero
from .quantize import QuantizedTable, looked_up, quantize_table
from .rounding import Rounding
from .signatures import dequantized_tables, shipped_tables
from .sources import Function, Source
from .weights import Profile, Weights, kind_of

_LEAST_VALUES = 1024
"""Of a matrix that is worth integers; a smaller one stays as it is."""
_LEAST_WIDTH = 5
"""Of rows that are worth a scale each."""


@dataclass(frozen=True)
class ShippedMatrix:
    """A trained matrix that no layer of ours holds, and what ships of it.

    Attributes:
        matrix: The matrix as it was found.
        table: What is stored.
    """

    matrix: Matrix
    table: QuantizedTable


class TrainedModel:
    """The functions of a model, over its own tables, and over those that ship.

    Args:
        source: The model.
        shipped: Its compressed embeddings, folded and quantized.
        weights: How other matrices are stored.
        profile: Runtimes that read them.
    """

    def __init__(
        self,
        source: Source,
        shipped: Sequence[ShippedEmbedding],
        weights: Weights,
        profile: Profile = "portable",
    ) -> None:
        self.source, self.shipped = source, shipped
        self._frozen = self._freeze(self._over_integers)
        self.matrices = list(self._ship(weights, profile))
        self._tables = {
            shipped.matrix.key: shipped.table
            for shipped in self.matrices
            if shipped.table.storage != "float32"
        }

    def _freeze(
        self, context: Callable[[Sequence[Array]], AbstractContextManager[None]]
    ) -> dict[str, FrozenFunction]:
        functions = self.source.functions(context)
        return {name: FrozenFunction(f, self.source.variables) for name, f in functions.items()}

    def _over_integers(self, inputs: Sequence[Array]) -> AbstractContextManager[None]:
        if not self.shipped:
            return nullcontext()
        integers = [x for x in inputs if x.dtype.is_integer]
        return shipped_tables(self.shipped, QuantizedOps(unknown_zero([*integers, *inputs][0])))

    def _ship(self, weights: Weights, profile: Profile) -> Iterator[ShippedMatrix]:
        found: dict[Key, Matrix] = {}
        for function in self._frozen.values():
            for key, matrix in function.matrices.items():
                known = found.setdefault(key, matrix)
                known.is_looked_up |= matrix.is_looked_up
                known.is_multiplied |= matrix.is_multiplied
                known.has_fixed_ids |= matrix.has_fixed_ids
        for matrix in found.values():
            storage = _storage(matrix, weights)
            if storage is not None:
                rows, width = matrix.values.shape
                table = Table(matrix.key.variable, rows, width, storage=storage)
                stored = quantize_table(table, matrix.values)
                # The converter computes lookups of ids that it knows: of no stand-in, then.
                if matrix.is_looked_up and not matrix.has_fixed_ids:
                    stored = looked_up(stored, profile)
                yield ShippedMatrix(matrix, stored)

    def signatures(self) -> dict[str, Function]:
        """The functions of the file."""
        return {name: f.quantized(self._tables) for name, f in self._frozen.items()}

    def references(self) -> dict[str, list[Function]]:
        """The functions over the floats that the file's integers stand for.

        One for each way in which runtimes round what they multiply with integers, where they do.
        """
        frozen = self._frozen
        if self.shipped:
            frozen = self._freeze(lambda _: dequantized_tables(self.shipped, ReferenceOps()))
        roundings: tuple[Rounding, ...] = ("none",)
        if any(shipped.matrix.is_multiplied for shipped in self.matrices):
            roundings = get_args(Rounding)
        return {
            name: [f.dequantized(self._tables, rounding) for rounding in roundings]
            for name, f in frozen.items()
        }

    def original(self) -> dict[str, Function]:
        """The functions as they were trained."""
        frozen = self._freeze(lambda _: nullcontext()) if self.shipped else self._frozen
        return {name: f.original() for name, f in frozen.items()}

    def specs(self, signature: str) -> list[Any]:
        """What a function takes, `tf.TensorSpec`s with names."""
        return self._frozen[signature].specs

    def limits(self, signature: str) -> dict[str, int]:
        """For each input that becomes ids: how many ids all tables have that it looks up in."""
        return self._frozen[signature].limits()

    @cached_property
    def left(self) -> dict[str, str]:
        """Larger matrices that stay floats, and why, by name."""
        variables = self.source.variables
        found: dict[str, str] = {}
        for function in self._frozen.values():
            for name, operators in function.left.items():
                if int(np.prod(variables[name].shape)) >= _LEAST_VALUES:
                    found[name] = f"read by {', '.join(sorted(operators))}"
        return found


def _storage(matrix: Matrix, weights: Weights) -> Storage | None:
    rows, width = matrix.values.shape
    kind = kind_of(weights, matrix.key.variable)
    if rows * width < _LEAST_VALUES:
        return None
    if kind in ("float16", "float32"):
        return kind
    if width < _LEAST_WIDTH:
        return None if matrix.is_multiplied else "int16_per_table"
    # A Dense kernel is small beside tables: fewer bits must be asked for by its name.
    if not matrix.is_looked_up and not isinstance(weights, Mapping):
        kind = "int8"
    return kind if kind == "int8_per_table" else cast(Storage, f"{kind}_per_row")
