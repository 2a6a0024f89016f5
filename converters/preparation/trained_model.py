"""Any model on its way to a file: its tables, wherever they are, and its functions over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.ops.interface import Array
from memcom_tf.tables import FLOAT32, INT16_PER_TABLE, Storage, Table

from ..inputs import Group, ModelFunction, Samples, draw, samples_of
from ..model_file.description import FileDescription
from ..quantization.fold import ShippedEmbedding
from ..quantization.quantization_error import RowErrors, losses, row_errors
from ..quantization.quantize import QuantizedTable, looked_up, quantize_table
from ..quantization.weights import Profile, Stored, Weights, kind_of, storage_of
from ..sources.source import Function, Source
from ..tracing.frozen import FrozenFunction
from ..tracing.frozen_graph import Key, Matrix
from ..tracing.graph_def import node_of
from ..tracing.graph_ops import QuantizedOps, unknown_zero
from ..tracing.rounding import ROUNDINGS, Queries
from ..tracing.signatures import MarkingOps, dequantized_tables, shipped_tables
from .products import (
    LARGEST_INTEGER_LOSS,
    LARGEST_PRODUCT_LOSS,
    Loss,
    Product,
    fault_of_outputs,
    product_losses,
)
from .references import Reference

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

    @cached_property
    def errors(self) -> RowErrors:
        """What quantization took from its rows."""
        return row_errors(self.matrix.values, self.table)

    @property
    def losses(self) -> Iterator[str]:
        """Sentences on what is lost that nobody would want to lose."""
        return losses(self.table.name, self.table, self.errors)


class TrainedModel:
    """The functions of a model, over its own tables, and over those that ship.

    Args:
        source: The model.
        shipped: Its compressed embeddings, folded and quantized.
        weights: How other matrices are stored.
        profile: Runtimes that read them.
        samples: Inputs that the model is made for; None draws them.
        described: The description of a file, which decided how tables are stored and multiplied;
            None decides it, on the inputs.
    """

    def __init__(
        self,
        source: Source,
        shipped: Sequence[ShippedEmbedding],
        weights: Weights,
        profile: Profile = "portable",
        samples: Samples = None,
        described: FileDescription | None = None,
    ) -> None:
        self.source, self.shipped, self._samples = source, shipped, samples
        decided_on = "drawn" if described is None else described.inputs
        self.fits_inputs = samples is not None or decided_on == "drawn"
        """Whether it was decided on such inputs as there are what is multiplied in 8 bits."""
        self._groups: dict[str, list[Group]] = {}
        self._references: dict[str, Reference] = {}
        self._compared: dict[str, Any] = {}
        """Functions of what is compared, and None where nothing is."""
        self._frozen = self._freeze(self._over_integers)
        stored = self._stored(weights)
        in_file: dict[str, Stored] = {}
        if described is not None:
            names = [name for embedding in shipped for name in embedding.names]
            in_file = described.stored([*names, *(table.name for _, table in stored)])
        self.matrices = [_shipped(*one, profile, in_file) for one in stored]
        self.in_floats: dict[str, str] = {}
        """Why tables are multiplied in floats, by name."""
        self._stay_floats: set[str] = set()
        if described is None:
            self._decide()
        else:
            self._stay_floats = {
                name for name, stored in in_file.items() if str(stored.storage) == str(FLOAT32)
            }
            known = {name: stored.in_floats for name, stored in in_file.items()}
            self._multiply_in_floats({name: why for name, why in known.items() if why})

    @property
    def signature_names(self) -> list[str]:
        """Names of the functions."""
        return list(self._frozen)

    @property
    def _tables(self) -> dict[Key, QuantizedTable]:
        """What takes the place of matrices in a graph."""
        return {
            shipped.matrix.key: shipped.table
            for shipped in self.matrices
            if shipped.table.storage != FLOAT32
        }

    def _decide(self) -> None:
        """Finds which tables lose too much where they are multiplied in 8 bits.

        First those that do by themselves; then, while outputs lose too much with the others, the
        one that loses most of these.
        """
        losses = self._losses()
        self._stay_floats = {
            name for name, loss in losses.items() if loss.of_integers > LARGEST_INTEGER_LOSS
        }
        self._multiply_in_floats(
            {name: str(loss) for name, loss in losses.items() if loss.value > LARGEST_PRODUCT_LOSS}
        )
        for signature in self._frozen:
            while left := self._multiplied_in_8_bits(signature):
                fault = fault_of_outputs(self._reference(signature), self.groups(signature))
                if fault is None:
                    break
                worst = max(sorted(left), key=lambda name: losses[name].value)
                self._multiply_in_floats({worst: fault})

    def _losses(self) -> dict[str, Loss]:
        """What each product in 8 bits loses by itself, by the name of the table."""
        found: dict[str, Loss] = {}
        for signature in self._frozen:
            for function, products in (
                (self._originals[signature], self._products_with_matrices(signature)),
                (self._dequantized[signature], self._products_with_ours(signature)),
            ):
                if products:
                    model, groups = self.function(signature), self.groups(signature)
                    for name, loss in product_losses(function, model, groups, products).items():
                        if name not in found or loss.value > found[name].value:
                            found[name] = loss
        return found

    def _multiply_in_floats(self, reasons: Mapping[str, str]) -> None:
        """Has tables multiplied in floats, and says why."""
        self.in_floats.update(reasons)
        self.matrices = list(map(self._multiplied, self.matrices))
        if any([embedding.multiply_in_floats(reasons) for embedding in self.shipped]):
            self._frozen = self._freeze(self._over_integers)
        self._references.clear()

    def _products_with_matrices(self, signature: str) -> list[Product]:
        tables = {key: t for key, t in self._tables.items() if t.is_multiplied_in_8_bits}
        trained = {shipped.matrix.key: shipped.matrix.values for shipped in self.matrices}
        return [
            Product(key.variable, tables[key], queries, trained[key])
            for key, queries in self._originals[signature].products()
            if key in tables
        ]

    def _products_with_ours(self, signature: str) -> list[Product]:
        found = []
        for place, number, queries in self._dequantized[signature].marked_queries():
            embedding = self.shipped[place]
            table = [*embedding.tables.values()][number]
            if table.is_multiplied_in_8_bits:
                found.append(Product(embedding.names[number], table, queries))
        return found

    def _multiplied(self, shipped: ShippedMatrix) -> ShippedMatrix:
        """Where products in 8 bits lose too much, the integers become floats to be multiplied.

        A kernel of which the integers themselves lose too much is stored as floats.
        """
        matrix, table = shipped.matrix, shipped.table
        if table.name not in self.in_floats or not matrix.is_multiplied:
            return shipped
        if table.storage == FLOAT32:
            return shipped
        if table.name in self._stay_floats and not matrix.is_looked_up:
            rows, width = matrix.values.shape
            floats = Table(table.name, rows, width, storage="float32")
            return ShippedMatrix(matrix, quantize_table(floats, matrix.values))
        return ShippedMatrix(matrix, replace(table, in_floats=True))

    def function(self, signature: str) -> ModelFunction:
        """A function as it was trained."""
        original = self._originals[signature]
        tables = original.tables_behind({embedding.layer.input_dim for embedding in self.shipped})
        return ModelFunction(self._concrete[signature], original.specs, tables)

    def groups(self, signature: str) -> list[Group]:
        """Inputs of a function: the user's samples, or drawn ones."""
        if signature not in self._groups:
            model = self.function(signature)
            self._groups[signature] = (
                draw(model) if self._samples is None else samples_of(self._samples, model)
            )
        return self._groups[signature]

    def undefined(self, signature: str, call: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
        """Rows of a call in which the model compares what is no number, bool `[rows]`."""
        original = self._originals[signature]
        found = np.zeros(rows, bool)
        if signature not in self._compared:
            tensors = {name: name for name in original.compared_floats()}
            self._compared[signature] = (
                original.fetching(tensors).get_concrete_function() if tensors else None
            )
        function = self._compared[signature]
        if function is None:
            return found
        outputs = function(*[tf.constant(call[spec.name]) for spec in original.specs])
        for values in map(np.asarray, outputs.values()):
            missing = np.isnan(values)
            if missing.ndim and len(missing) == rows:
                found |= missing.reshape(rows, -1).any(axis=1)
            else:
                found |= missing.any()
        return found

    @cached_property
    def _originals(self) -> dict[str, FrozenFunction]:
        return self._frozen_of(self._concrete) if self.shipped else self._frozen

    @cached_property
    def _concrete(self) -> dict[str, Any]:
        """The functions as they were trained, which nothing here has rewritten."""
        return self.source.functions(lambda _: nullcontext())

    def _freeze(
        self, context: Callable[[Sequence[Array]], AbstractContextManager[None]]
    ) -> dict[str, FrozenFunction]:
        return self._frozen_of(self.source.functions(context))

    def _frozen_of(self, functions: Mapping[str, Any]) -> dict[str, FrozenFunction]:
        return {name: FrozenFunction(f, self.source.variables) for name, f in functions.items()}

    def _over_integers(self, inputs: Sequence[Array]) -> AbstractContextManager[None]:
        if not self.shipped:
            return nullcontext()
        integers = [x for x in inputs if x.dtype.is_integer]
        return shipped_tables(self.shipped, QuantizedOps(unknown_zero([*integers, *inputs][0])))

    def _stored(self, weights: Weights) -> list[tuple[Matrix, Table]]:
        """The matrices that ship as tables, and how they are to be stored."""
        found: dict[Key, Matrix] = {}
        for function in self._frozen.values():
            for key, matrix in function.matrices.items():
                known = found.setdefault(key, matrix)
                known.is_looked_up |= matrix.is_looked_up
                known.is_multiplied |= matrix.is_multiplied
        declared = []
        for matrix in _one_of_each_variable(found.values()):
            storage = _storage(matrix, weights)
            if storage is not None:
                rows, width = matrix.values.shape
                declared.append((matrix, Table(matrix.key.variable, rows, width, storage=storage)))
        return declared

    def signatures(self) -> dict[str, Function]:
        """The functions of the file."""
        return {name: f.quantized(self._tables) for name, f in self._frozen.items()}

    def graph(self, signature: str) -> Reference:
        """The graph that is converted, as far as it is rewritten, over the model's own values."""
        original = self._originals[signature]
        return Reference(original, original.original().get_concrete_function())

    def references(self, signature: str) -> list[Reference]:
        """A function over the floats that the file's integers stand for.

        One for each way in which runtimes round what they multiply with integers, where they do;
        the first rounds nothing.
        """
        reference = self._reference(signature)
        several = bool(self._multiplied_in_8_bits(signature))
        return [
            reference.rounded(rounding) for rounding in (ROUNDINGS if several else ROUNDINGS[:1])
        ]

    def _reference(self, signature: str) -> Reference:
        if signature not in self._references:
            frozen = self._dequantized[signature]
            queries = Queries(self._multiplied_in_8_bits(signature))
            ours = [
                (self.shipped[place].names[number], node_of(tensor))
                for place, number, tensor in frozen.marked_queries()
            ]
            concrete = frozen.dequantized(self._tables, queries, ours).get_concrete_function()
            self._references[signature] = Reference(frozen, concrete, queries)
        return self._references[signature]

    def _multiplied_in_8_bits(self, signature: str) -> list[str]:
        """Names of the tables whose queries a runtime rounds in a function."""
        products = [
            *self._products_with_matrices(signature),
            *self._products_with_ours(signature),
        ]
        return list(dict.fromkeys(product.name for product in products))

    @cached_property
    def _dequantized(self) -> dict[str, FrozenFunction]:
        if not self.shipped:
            return self._frozen
        return self._freeze(lambda _: dequantized_tables(self.shipped, MarkingOps()))

    @cached_property
    def left(self) -> dict[str, str]:
        """Larger matrices that stay floats, and why, by name."""
        variables = self.source.variables
        found: dict[str, str] = {}
        shipped = {key.variable for key in self._tables}
        for function in self._frozen.values():
            for name, operators in function.left.items():
                if name not in shipped and int(np.prod(variables[name].shape)) >= _LEAST_VALUES:
                    found[name] = f"read by {', '.join(sorted(operators))}"
        for matrix in self.matrices:
            if matrix.table.name in self.in_floats and matrix.table.storage == FLOAT32:
                found[matrix.table.name] = self.in_floats[matrix.table.name]
        return found


def _one_of_each_variable(matrices: Iterable[Matrix]) -> Iterable[Matrix]:
    """Ids are looked up in rows; what is read both ways otherwise is stored one way."""
    found: dict[str, Matrix] = {}
    for matrix in matrices:
        known = found.setdefault(matrix.key.variable, matrix)
        if matrix.is_looked_up and not known.is_looked_up:
            found[matrix.key.variable] = matrix
    return found.values()


def _shipped(
    matrix: Matrix, table: Table, profile: Profile, in_file: Mapping[str, Stored]
) -> ShippedMatrix:
    known = in_file[table.name].storage if table.name in in_file else None
    stored = quantize_table(table, matrix.values, in_file=known)
    return ShippedMatrix(matrix, looked_up(stored, profile) if matrix.is_looked_up else stored)


def _storage(matrix: Matrix, weights: Weights) -> Storage | None:
    rows, width = matrix.values.shape
    kind = kind_of(weights, matrix.key.variable)
    if rows * width < _LEAST_VALUES:
        return None
    if kind in ("float16", "float32"):
        return storage_of(kind)
    if width < _LEAST_WIDTH:
        return None if matrix.is_multiplied else INT16_PER_TABLE
    # A Dense kernel is small beside tables: fewer bits must be asked for by its name.
    if not matrix.is_looked_up and not isinstance(weights, Mapping):
        kind = "int8"
    return storage_of(kind)
