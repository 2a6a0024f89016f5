"""Products with a trained matrix, however they are written, in one form: `MatMul(queries, matrix)`.

`einsum`, `matmul` of any rank, `tensordot`, the matrix on either side, transposed, or cut to some
rows: each is a product of queries `[..., k]` with all rows or all columns, between transpositions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from memcom_tf.ops.interface import Array

from .graph_def import Replacement
from .views import View, Views

_BATCHED = ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
PRODUCTS = ("MatMul", *_BATCHED)
"""Operators that multiply with a matrix, in the form that `plain_products` leaves."""

Labels = tuple[Any, ...]
"""A name for each axis."""


@dataclass(frozen=True)
class _Product:
    """A product as a sum over axes: `out = sum_k queries * matrix`.

    Attributes:
        queries: Labels of the other factor's axes.
        summed: The label that is summed over.
        out: Labels of the output's axes; None where the axis has length 1.
        by_columns: Whether the matrix has the summed axis second.
        rows: The rows of the matrix that count, None where all do.
    """

    queries: Labels
    summed: Any
    out: Labels
    by_columns: bool
    rows: tuple[int, int] | None

    def compute(self, queries: Array, matrix: Array) -> Array:
        """The product, from a plain one."""
        # TensorFlow's converter takes a transposition of axes of length 1 for none.
        sizes = zip(self.queries, queries.shape, strict=True)
        ones = {label for label, size in sizes if size == 1 and label != self.summed}
        if ones:
            places = [place for place, label in enumerate(self.queries) if label in ones]
            queries = tf.squeeze(queries, places)
        labels = [label for label in self.queries if label not in ones]
        rest = [label for label in labels if label != self.summed]
        queries = _transposed(queries, labels, [*rest, self.summed])
        if not rest:
            queries = queries[None]
        found = tf.matmul(queries, matrix, transpose_b=self.by_columns)
        if self.rows is not None:
            found = found[..., slice(*self.rows)]
        if not rest:
            found = found[0]
        ones.add(None)
        found = _transposed(found, [*rest, _VALUES], [x for x in self.out if x not in ones])
        for place, label in enumerate(self.out):
            if label in ones:
                found = tf.expand_dims(found, place)
        return found


_VALUES = "values"
"""The label of the axis of the matrix that is not summed over."""


def plain_products(nodes: Mapping[str, Any], views: Views) -> Iterator[Replacement]:
    """What takes the place of products with trained matrices that are written otherwise.

    Args:
        nodes: The nodes of the graph by name.
        views: The matrices in it.
    """
    for node in nodes.values():
        if node.op not in (*PRODUCTS, "Einsum"):
            continue
        inputs = [name for name in node.input if not name.startswith("^")]
        if len(inputs) != 2:
            continue
        for place in (1, 0):
            view = views.of(inputs[place])
            if view is None or is_plain(node, place, view):
                continue
            ranks = [len(x) for x in map(views.shape_of, inputs) if x is not None]
            product = _product(node, place, view, ranks) if len(ranks) == 2 else None
            if product is not None:
                sources = (inputs[1 - place], view.tensor)
                yield Replacement(node.name, sources, product.compute)
                break


def is_plain(node: Any, place: int, view: View) -> bool:
    """Whether a node multiplies queries with a whole matrix already."""
    if node.op not in PRODUCTS or place != 1 or not view.is_plain:
        return False
    return not node.attr["adj_x" if node.op in _BATCHED else "transpose_a"].b


def by_columns(node: Any, view: View) -> bool:
    """Whether a plain product sums over the first axis of the matrix."""
    return not (multiplies_transposed(node) ^ view.is_transposed)


def multiplies_transposed(node: Any) -> bool:
    """Whether a product is one with its second factor transposed."""
    return bool(node.attr["adj_y" if node.op in _BATCHED else "transpose_b"].b)


def _product(node: Any, place: int, view: View, ranks: list[int]) -> _Product | None:
    labels = _einsum(node, ranks) if node.op == "Einsum" else _matmul(node, ranks)
    if labels is None:
        return None
    factors, out = labels
    queries, matrix = factors[1 - place], factors[place]
    of_axis = {axis: x for axis, x in zip(view.axes, matrix, strict=True) if axis is not None}
    ones = {x for axis, x in zip(view.axes, matrix, strict=True) if axis is None}
    out = tuple(None if x in ones and x not in queries else x for x in out)
    summed = [x for x in of_axis.values() if x in queries and x not in out]
    values = [x for x in of_axis.values() if x not in queries and x in out]
    unique = all(
        len(set(x)) == len(x) for x in (queries, matrix, [x for x in out if x is not None])
    )
    rest = {x for x in queries if x not in summed}
    if len(of_axis) != 2 or len(summed) != 1 or len(values) != 1 or not unique:
        return None
    if rest | set(values) != {x for x in out if x is not None}:
        return None
    is_second = of_axis[1] == summed[0]
    if view.rows is not None and not is_second:  # a sum over some rows
        return None
    out = tuple(_VALUES if x == values[0] else x for x in out)
    return _Product(queries, summed[0], out, is_second, view.rows)


def _matmul(node: Any, ranks: list[int]) -> tuple[list[Labels], Labels]:
    """Labels of both factors and of the output."""
    first, second = ("adj_x", "adj_y") if node.op in _BATCHED else ("transpose_a", "transpose_b")
    factors = []
    for name, pair, rank in zip((first, second), ("ij", "jk"), ranks, strict=True):
        ordered = pair[::-1] if node.attr[name].b else pair
        # Axes of a batch are aligned from behind.
        factors.append((*range(rank - 2, 0, -1), *ordered))
    batch = range(max(ranks) - 2, 0, -1)
    return factors, (*batch, "i", "k")


def _einsum(node: Any, ranks: list[int]) -> tuple[list[Labels], Labels] | None:
    left, _, right = node.attr["equation"].s.decode().replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != 2:
        return None
    counts = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True)]
    factors = [_expanded(term, count) for term, count in zip(terms, counts, strict=True)]
    most = max([n for term, n in zip(terms, counts, strict=True) if "..." in term], default=0)
    return factors, _expanded(right, most)


def _expanded(term: str, count: int) -> Labels:
    before, dots, after = term.partition("...")
    return (*before, *(range(count, 0, -1) if dots else ()), *after)


def _transposed(x: Array, labels: Any, wanted: Any) -> Array:
    order = [list(labels).index(label) for label in wanted]
    return x if order == sorted(order) else tf.transpose(x, order)
