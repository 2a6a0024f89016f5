"""Functions of any model as graphs of constants, in which trained matrices are found and replaced.

Whatever layer of whatever library a table belongs to, in the frozen graph it is a constant that is
gathered from, and a Dense kernel one that is multiplied with. Their lookups and products are
replaced by those of `QuantizedOps`, over the integers that ship.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.ops.interface import Array

from .graph_def import Replacement, function_of, node_of, replaced
from .graph_ops import QuantizedOps, unknown_zero
from .large import freeze, in_graph
from .quantize import QuantizedTable
from .rounding import ROUNDED, Rounding

_LOOKUPS = ("GatherV2", "Gather", "ResourceGather")
_PASSED_THROUGH = ("Identity", "ReadVariableOp", "StopGradient")

DENSE = "Every input and output must be a dense tensor of numbers."


class Key(NamedTuple):
    """A trained matrix, and whether its rows are the columns of the variable, as of a kernel."""

    variable: str
    transposed: bool


@dataclass
class Matrix:
    """A trained matrix that graphs look up in, or multiply with.

    Attributes:
        key: Its variable, and which way round.
        values: float32 `[rows, width]`: a row for each id, or for each output of a Dense layer.
        is_looked_up: Whether rows are gathered.
        is_multiplied: Whether queries `[..., width]` are multiplied with all rows.
        has_fixed_ids: Whether ids that it looks up follow from no input.
    """

    key: Key
    values: np.ndarray
    is_looked_up: bool = False
    is_multiplied: bool = False
    has_fixed_ids: bool = False


@dataclass
class _Use:
    node: Any
    key: Key
    source: str
    """The input that is not the matrix: ids or queries."""
    is_lookup: bool


def digest(values: np.ndarray) -> bytes:
    """What tells arrays apart by their content."""
    found = hashlib.blake2b(repr((values.shape, values.dtype.str)).encode(), digest_size=16)
    found.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return found.digest()


class FrozenFunction:
    """A traced function with its variables as constants.

    Args:
        function: The traced function, of inputs by name, which returns tensors by name.
        variables: Names of variables by the `digest` of their values. Other constants are not
            trained, and stay.
        large: Variables that are too large for constants, by name.
    """

    def __init__(
        self, function: Any, variables: Mapping[bytes, str], large: Mapping[str, Any]
    ) -> None:
        frozen = freeze(function)
        self._graph = graph = frozen.graph
        self._captures, self._large = frozen.captures, large
        self._graph_def = graph.as_graph_def()
        self._nodes = {node.name: node for node in self._graph_def.node}
        self._tensor = graph.get_tensor_by_name
        for tensor in (*function.inputs, *frozen.outputs):
            if tensor.dtype in (tf.string, tf.variant):
                raise invalid(
                    DENSE,
                    "Convert the part of the model that takes numbers in place of texts.",
                    name=tensor.op.name,
                    dtype=tensor.dtype.name,
                )
        self._inputs = [tensor.op.name for tensor in frozen.inputs]
        self.specs = [
            tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.op.name)
            for tensor in frozen.inputs
        ]
        names = sorted(function.structured_outputs)
        self._outputs = dict(zip(names, (tensor.name for tensor in frozen.outputs), strict=True))
        self._trained = dict([*self._find_trained(variables), *self._find_large()])
        self.matrices: dict[Key, Matrix] = {}
        self._uses: list[_Use] = []
        self.left: dict[str, set[str]] = {}
        """Kinds of nodes that read a trained constant otherwise, by the name of its variable."""
        self._find_uses()

    def _find_trained(self, variables: Mapping[bytes, str]) -> Iterator[tuple[str, str]]:
        for node in self._graph_def.node:
            if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum:
                name = variables.get(digest(tf.make_ndarray(node.attr["value"].tensor)))
                if name is not None:
                    yield node.name, name

    def _find_large(self) -> Iterator[tuple[str, str]]:
        names = {
            id(variable.handle): name
            for name, variable in self._large.items()
            if variable.dtype == tf.float32
        }
        for placeholder, value in self._captures.items():
            if id(value) in names:
                yield placeholder, names[id(value)]

    def _constant(self, name: str) -> tuple[str, bool] | None:
        """The trained constant behind an input, and whether it is transposed on the way."""
        transposed = False
        while True:
            node = self._nodes[node_of(name)]
            if node.name in self._trained:
                return node.name, transposed
            if node.op == "Transpose":
                order = self.constant_input(node.input[1])
                if order is None or order.tolist() != [1, 0]:
                    return None
                transposed = not transposed
            elif node.op not in _PASSED_THROUGH:
                return None
            name = node.input[0]

    def _find_uses(self) -> None:
        for node in self._graph_def.node:
            used = [self._used(node, place) for place in range(len(node.input))]
            for constant, use in filter(None, used):
                if use is None:
                    self.left.setdefault(self._trained[constant], set()).add(node.op)
                    continue
                if use.key not in self.matrices:
                    values = self._values(constant)
                    rows = np.ascontiguousarray(values.T) if use.key.transposed else values
                    self.matrices[use.key] = Matrix(use.key, rows)
                matrix = self.matrices[use.key]
                matrix.is_looked_up |= use.is_lookup
                matrix.is_multiplied |= not use.is_lookup
                if use.is_lookup:
                    matrix.has_fixed_ids |= not self._inputs_behind(use.source)
                self._uses.append(use)

    def _used(self, node: Any, place: int) -> tuple[str, _Use | None] | None:
        """The trained constant that a node reads at a place, and how, where it can be replaced."""
        if node.input[place].startswith("^") or node.op in (*_PASSED_THROUGH, "Transpose"):
            return None
        found = self._constant(node.input[place])
        if found is None:
            return None
        constant, transposed = found
        name = self._trained[constant]
        variable = self._large.get(name)
        if len(self._tensor(f"{constant}:0").shape if variable is None else variable.shape) != 2:
            return constant, None
        if node.op in _LOOKUPS and place == 0 and not transposed and _by_rows(self, node):
            return constant, _Use(node, Key(name, False), node.input[1], is_lookup=True)
        if node.op == "MatMul" and place == 1 and not node.attr["transpose_a"].b:
            by_columns = not (node.attr["transpose_b"].b ^ transposed)
            return constant, _Use(node, Key(name, by_columns), node.input[0], is_lookup=False)
        return constant, None

    def _values(self, constant: str) -> np.ndarray:
        if constant in self._captures:
            return np.asarray(self._large[self._trained[constant]])
        return tf.make_ndarray(self._nodes[constant].attr["value"].tensor)

    def constant_input(self, name: str) -> Any:
        """The value of a constant input; None where it is computed."""
        node = self._nodes[node_of(name)]
        return tf.make_ndarray(node.attr["value"].tensor) if node.op == "Const" else None

    def limits(self) -> dict[str, int]:
        """For each input that becomes ids: rows of the smallest table that it looks up in."""
        limits: dict[str, int] = {}
        for use in self._uses:
            if use.is_lookup:
                rows = len(self.matrices[use.key].values)
                for name in self._inputs_behind(use.source):
                    limits[name] = min(rows, limits.get(name, rows))
        return limits

    def _inputs_behind(self, name: str) -> set[str]:
        waiting, seen = [node_of(name)], set()
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += [node_of(source) for source in self._nodes[node].input]
        return seen & set(self._inputs)

    def original(self) -> Any:
        """The function as it was."""
        return self._function(self._graph_def, self._captures)

    def quantized(self, tables: Mapping[Key, QuantizedTable]) -> Any:
        """The function over tables of integers, as far as there are any."""

        def over_integers(use: _Use, x: Array) -> Array:
            ops, table = QuantizedOps(unknown_zero(x)), tables[use.key]
            return ops.gather(table, x) if use.is_lookup else ops.scores(x, table)

        return self._function(*self._replaced(tables, over_integers))

    def dequantized(self, tables: Mapping[Key, QuantizedTable], rounding: Rounding = "none") -> Any:
        """The function over the floats that the integers stand for.

        Args:
            tables: The tables of integers.
            rounding: What a runtime does to queries before it multiplies them with int8.
        """

        def over_floats(use: _Use, x: Array) -> Array:
            table = tables[use.key]
            values = in_graph(table.dequantized())
            if use.is_lookup:
                return tf.gather(values, x)
            if table.data.dtype == np.int8:
                x = ROUNDED[rounding](x)
            return tf.matmul(x, values, transpose_b=True)

        return self._function(*self._replaced(tables, over_floats))

    def _replaced(
        self, tables: Mapping[Key, QuantizedTable], compute: Callable[[_Use, Array], Array]
    ) -> tuple[Any, dict[str, Any]]:
        """The graph with what `compute` makes of ids, or queries, in place of each use."""
        replacements = []
        for use in self._uses:
            if use.key in tables:
                # Of a query the graph need not know the width.
                width = None if use.is_lookup else tables[use.key].width
                replacement = Replacement(use.node.name, use.source, partial(compute, use), width)
                replacements.append(replacement)
        return replaced(self._graph, self._captures, replacements)

    def _function(self, graph_def: Any, captures: Mapping[str, Any]) -> Any:
        return function_of(
            graph_def, self._inputs, self.specs, captures, self._outputs, scope="frozen"
        )


def _by_rows(frozen: FrozenFunction, node: Any) -> bool:
    """Whether a node gathers along the first axis."""
    if node.attr["batch_dims"].i:
        return False
    axis = frozen.constant_input(node.input[2]) if node.op == "GatherV2" else 0
    return axis is not None and int(axis) in (0, -2)
