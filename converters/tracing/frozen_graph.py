"""Functions of any model as graphs of constants, in which trained matrices are found.

Whatever layer of whatever library a table belongs to, in the frozen graph it is a constant that is
gathered from, and a Dense kernel one that is multiplied with.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from memcom_tf.errors import invalid

from ..model_file.row_splits import ROW_SPLITS
from .decisions import Decision, decision_behind
from .graph_def import node_of
from .large import freeze, handles_of, shape_of
from .product_forms import by_columns, is_plain
from .signatures import marked_queries
from .views import View, Views

_LOOKUPS = ("GatherV2", "Gather", "ResourceGather")
# Operators of which NaN is not the result where it is an argument.
_COMPARED = (
    *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Maximum", "Minimum", "Max", "Min"),
    *("ArgMax", "ArgMin", "TopKV2", "Greater", "GreaterEqual", "Less", "LessEqual", "Cast"),
)
_RANDOM = ("Random", "StatelessRandom", "TruncatedNormal", "StatelessTruncated", "Multinomial")

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
    """

    key: Key
    values: np.ndarray
    is_looked_up: bool = False
    is_multiplied: bool = False


@dataclass
class Use:
    """A lookup in a matrix, or a product with it."""

    node: Any
    constant: str
    key: Key
    source: str
    """The input that is not the matrix: ids or queries."""
    is_lookup: bool


class FrozenGraph:
    """A traced function with its variables as constants.

    Args:
        function: The traced function, of inputs by name, which returns tensors by name.
        variables: The model's variables by name. Other constants are not trained, and stay.
    """

    def __init__(self, function: Any, variables: Mapping[str, Any]) -> None:
        self._frozen = frozen = freeze(function)
        self._graph = graph = frozen.graph
        self._captures, self._variables = frozen.captures, variables
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
        for node in self._graph_def.node:
            if node.op.startswith(_RANDOM):
                raise invalid(
                    "Outputs must follow from the inputs alone, not from random numbers.",
                    "Draw them outside of the model, or leave them out for inference.",
                    operator=node.op,
                    name=node.name,
                )
        self._inputs = [tensor.op.name for tensor in frozen.inputs]
        self.specs = [
            tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.op.name)
            for tensor in frozen.inputs
        ]
        names = sorted(function.structured_outputs)
        self._outputs = dict(zip(names, (tensor.name for tensor in frozen.outputs), strict=True))
        self._trained = self._find_trained(frozen.origins)
        ranks = {node: len(variables[name].shape) for node, name in self._trained.items()}
        self._views = Views(self._nodes, ranks, partial(shape_of, graph))
        self.matrices: dict[Key, Matrix] = {}
        self._uses: list[Use] = []
        self._left: dict[str, set[str]] = {}
        """Kinds of nodes that read a trained constant otherwise, by its name."""
        self._find_uses()

    def _find_trained(self, origins: Mapping[str, Any]) -> dict[str, str]:
        """Names of the variables of floats, by the nodes that are their values now."""
        names = {
            id(handle): name
            for name, variable in self._variables.items()
            if variable.dtype == tf.float32
            for handle in handles_of(variable)
        }
        return {
            node: names[id(value)]
            for node, value in origins.items()
            if id(value) in names and node in self._nodes
        }

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs."""
        return list(self._outputs)

    @property
    def left(self) -> dict[str, set[str]]:
        """Kinds of nodes that read a trained matrix otherwise, by the name of its variable."""
        return {self._trained[constant]: kinds for constant, kinds in self._left.items()}

    def _find_uses(self) -> None:
        for node in self._graph_def.node:
            # What passes a matrix on is not what uses it.
            if node.name in self._trained or self._views.of(node.name) is not None:
                continue
            for place, name in enumerate(node.input):
                view = None if name.startswith("^") else self._views.of(name)
                if view is not None:
                    self._add_use(node, place, view)
        for tensor in self._outputs.values():
            view = self._views.of(tensor)
            if view is not None:
                self._left.setdefault(view.constant, set()).add("an output")

    def _add_use(self, node: Any, place: int, view: View) -> None:
        use = self._use(node, place, view)
        if use is None:
            self._left.setdefault(view.constant, set()).add(node.op)
            return
        if use.key not in self.matrices:
            values = np.asarray(self._variables[use.key.variable])
            rows = np.ascontiguousarray(values.T) if use.key.transposed else values
            self.matrices[use.key] = Matrix(use.key, rows)
        matrix = self.matrices[use.key]
        matrix.is_looked_up |= use.is_lookup
        matrix.is_multiplied |= not use.is_lookup
        self._uses.append(use)

    def _use(self, node: Any, place: int, view: View) -> Use | None:
        """How a node uses a matrix that it reads at a place, where it can be replaced."""
        constant, name = view.constant, self._trained[view.constant]
        if view.is_plain and node.op in _LOOKUPS and place == 0:
            if not view.is_transposed and _by_rows(self, node):
                return Use(node, constant, Key(name, False), node.input[1], is_lookup=True)
        elif is_plain(node, place, view):
            key = Key(name, by_columns(node, view))
            return Use(node, constant, key, node.input[0], is_lookup=False)
        return None

    def constant_input(self, name: str) -> Any:
        """The value of a constant input; None where it is computed."""
        node = self._nodes[node_of(name)]
        return tf.make_ndarray(node.attr["value"].tensor) if node.op == "Const" else None

    def tables_behind(self, of_layers: Set[int] = frozenset()) -> dict[str, list[int]]:
        """For each input that becomes ids: how many rows the tables have that it looks up in.

        Args:
            of_layers: Rows of our layers' tables. Which inputs look up in these is not known: a
                layer that rounds its tables does in what it computes of them.
        """
        integers = [spec.name for spec in self.specs if spec.dtype.is_integer and of_layers]
        found = {name: set(of_layers) for name in integers if not name.endswith(ROW_SPLITS)}
        for use in self._uses:
            if use.is_lookup:
                rows = len(self.matrices[use.key].values)
                for name in self._inputs_behind(use.source):
                    found.setdefault(name, set(of_layers)).add(rows)
        return {name: sorted(rows) for name, rows in found.items()}

    def inputs_behind(self, output: str) -> set[str]:
        """Names of the inputs that an output follows from."""
        return self._inputs_behind(self._outputs[output])

    def products(self) -> list[tuple[Key, str]]:
        """The matrices that queries are multiplied with, and the queries' tensors."""
        return [
            (use.key, use.source if ":" in use.source else f"{use.source}:0")
            for use in self._uses
            if not use.is_lookup
        ]

    def marked_queries(self) -> list[tuple[int, int, str]]:
        """Queries of our layers' tables, where these were dequantized: `marked_queries`."""
        return marked_queries(self._nodes)

    def compared_floats(self) -> list[str]:
        """Tensors of floats that are compared with others, where NaN is neither less nor more.

        What a ReLU or a maximum makes of it is the processor's affair.
        """
        found = [
            f"{name}:0" if ":" not in name else name
            for node in self._graph_def.node
            if node.op in _COMPARED
            for name in node.input
            if not name.startswith("^") and node_of(name) not in self._inputs
        ]
        return [name for name in dict.fromkeys(found) if self._tensor(name).dtype == tf.float32]

    @cached_property
    def decisions(self) -> dict[str, Decision]:
        """What decided the outputs that are no floats, where that was found."""
        found = {
            name: decision_behind(self._nodes, tensor)
            for name, tensor in self._outputs.items()
            if not self._tensor(tensor).dtype.is_floating
        }
        return {name: decision for name, decision in found.items() if decision is not None}

    def _inputs_behind(self, name: str) -> set[str]:
        waiting, seen = [node_of(name)], set()
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += [node_of(source) for source in self._nodes[node].input]
        return seen & set(self._inputs)


def _by_rows(frozen: FrozenGraph, node: Any) -> bool:
    """Whether a node gathers along the first axis."""
    if node.attr["batch_dims"].i:
        return False
    axis = frozen.constant_input(node.input[2]) if node.op == "GatherV2" else 0
    return axis is not None and int(axis) in (0, -2)
