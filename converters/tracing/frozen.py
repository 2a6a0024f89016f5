"""Functions of any model over what ships: trained matrices are replaced where a graph has them.

Lookups in them and products with them become those of `QuantizedOps`, over the integers that ship,
or TensorFlow's over the floats that these stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import tensorflow as tf

from memcom_tf.ops.interface import Array

from ..quantization.quantize import QuantizedTable
from .decisions import tensors_of
from .frozen_graph import FrozenGraph, Key, Use
from .graph_def import Replacement, function_of, node_of, replaced
from .graph_ops import QuantizedOps, unknown_zero
from .large import in_graph
from .product_forms import multiplies_transposed
from .rounding import Queries

# Functions of one number that no runtime computes to the last bit.
_APPROXIMATED: dict[str, Callable[[Array], Array]] = {
    "Erf": tf.math.erf,
    "Exp": tf.exp,
    "Log": tf.math.log,
    "Rsqrt": tf.math.rsqrt,
    "Sigmoid": tf.sigmoid,
    "Sqrt": tf.sqrt,
    "Tanh": tf.tanh,
}


class FrozenFunction(FrozenGraph):
    """A traced function with its variables as constants, as it was and over what ships.

    Args:
        function: The traced function, of inputs by name, which returns tensors by name.
        variables: The model's variables by name. Other constants are not trained, and stay.
    """

    def original(self) -> Any:
        """The function as it was, which returns the tensors behind its `decisions`, too."""
        return self._function(self._graph_def, self._captures, tensors_of(self.decisions))

    def fetching(self, tensors: Mapping[str, str]) -> Any:
        """The function as it was, with other tensors as its outputs."""
        return function_of(
            self._graph_def, self._inputs, self.specs, self._captures, tensors, scope="frozen"
        )

    def quantized(self, tables: Mapping[Key, QuantizedTable]) -> Any:
        """The function over tables of integers, as far as there are any."""

        def over_integers(use: Use, x: Array) -> Array:
            ops, table = QuantizedOps(unknown_zero(x)), tables[use.key]
            return ops.gather(table, x) if use.is_lookup else ops.scores(x, table)

        def values(table: QuantizedTable, x: Array) -> Array:
            return QuantizedOps(unknown_zero(x)).values(table)

        return self._function(*self._replaced(tables, over_integers, values))

    def dequantized(
        self,
        tables: Mapping[Key, QuantizedTable],
        queries: Queries,
        ours: Iterable[tuple[str, str]] = (),
    ) -> Any:
        """The function over the floats that the integers stand for.

        Args:
            tables: The tables of integers.
            queries: How a runtime rounds what it multiplies with int8.
            ours: Names of our layers' tables, and the nodes that are queries of theirs.

        Returns:
            A function that returns the tensors behind its `decisions`, too.
        """

        def over_floats(use: Use, x: Array) -> Array:
            table = tables[use.key]
            values = in_graph(table.dequantized())
            if use.is_lookup:
                return tf.gather(values, x)
            return tf.matmul(queries.rounded(table.name, x), values, transpose_b=True)

        def values(table: QuantizedTable, _: Array) -> Array:
            return in_graph(table.dequantized())

        # Of layers of ours the values are in the graph, and their queries have names.
        others = [
            Replacement(node, list(self._nodes[node].input[:1]), partial(queries.rounded, name))
            for name, node in ours
        ]
        for use in self._uses:
            if not use.is_lookup and use.key not in tables:
                compute = partial(_product, queries, multiplies_transposed(use.node))
                others.append(Replacement(use.node.name, list(use.node.input[:2]), compute))
        others += [
            Replacement(name, [node.input[0]], partial(_approximated, queries, node.op))
            for name, node in self._nodes.items()
            if node.op in _APPROXIMATED and node.attr["T"].type == tf.float32.as_datatype_enum
        ]
        fetched = tensors_of(self.decisions)
        return self._function(*self._replaced(tables, over_floats, values, others), fetched)

    def _replaced(
        self,
        tables: Mapping[Key, QuantizedTable],
        compute: Callable[[Use, Array], Array],
        values: Callable[[QuantizedTable, Array], Array],
        others: Iterable[Replacement] = (),
    ) -> tuple[Any, dict[str, Any]]:
        """The graph with what ships in place of trained matrices.

        Args:
            tables: What ships.
            compute: What takes the place of a use, from ids or queries.
            values: What takes the place of the matrix where it is read otherwise, from any input.
            others: What else is replaced.
        """
        replacements = list(others)
        read = set(self._left)
        for use in self._uses:
            if use.key in tables:
                # Of a query the graph need not know the width.
                width = None if use.is_lookup else tables[use.key].width
                given = (use.node.name, [use.source], partial(compute, use), width)
                replacements.append(Replacement(*given))
            else:
                read.add(use.constant)
        keys = {key.variable: key for key in tables}
        for constant in sorted(read):
            if (key := keys.get(self._trained[constant])) is not None:
                matrix = partial(_oriented, partial(values, tables[key]), key)
                replacements += [
                    Replacement(node, self._inputs[:1], matrix) for node in self._reads(constant)
                ]
        return replaced(self._graph, self._captures, replacements)

    def _reads(self, constant: str) -> list[str]:
        """The nodes whose output is the value of what is trained."""
        if self._tensor(f"{constant}:0").dtype != tf.resource:
            return [constant]
        return [
            node.name
            for node in self._graph_def.node
            if node.op == "ReadVariableOp" and node_of(node.input[0]) == constant
        ]

    def _function(
        self, graph_def: Any, captures: Mapping[str, Any], fetched: Iterable[str] = ()
    ) -> Any:
        outputs = {**self._outputs, **{name: name for name in fetched}}
        return function_of(graph_def, self._inputs, self.specs, captures, outputs, scope="frozen")


def _approximated(queries: Queries, op: str, x: Array) -> Array:
    """A function that runtimes compute each in their own way."""
    return queries.changed(_APPROXIMATED[op](x))


def _product(queries: Queries, transpose_b: bool, x: Array, matrix: Array) -> Array:
    """A product with a matrix that stays as it is."""
    return tf.matmul(queries.rounded("", x), matrix, transpose_b=transpose_b)


def _oriented(values: Callable[[Array], Array], key: Key, x: Array) -> Array:
    """A matrix as its variable has it."""
    return tf.transpose(values(x)) if key.transposed else values(x)
