"""What graphs make of a trained matrix before they use it: transposed, with further axes, cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from .graph_def import node_of

PASSED_THROUGH = ("Identity", "ReadVariableOp", "StopGradient")
_RESHAPING = ("ExpandDims", "Squeeze", "Reshape")

Axes = tuple[int | None, ...]
"""For each axis of a view: which of the matrix it is, None where it is an axis of length 1."""
ShapeOf = Callable[[str], Sequence[int | None] | None]


class View(NamedTuple):
    """A trained matrix as a node reads it.

    Attributes:
        constant: The node that it is.
        tensor: The tensor of its values: of what reads it, where it is a variable.
        axes: Its axes.
        rows: The rows that are left of it, `[begin, end)`; None where all are.
    """

    constant: str
    tensor: str
    axes: Axes
    rows: tuple[int, int] | None = None

    @property
    def is_transposed(self) -> bool:
        """Whether it is the matrix, transposed."""
        return self.axes == (1, 0)

    @property
    def is_plain(self) -> bool:
        """Whether it is a matrix, as it is or transposed."""
        return self.rows is None and self.axes in ((0, 1), (1, 0))


class Views:
    """Finds the matrices behind the tensors of a graph.

    Args:
        nodes: Its nodes by name.
        trained: The ranks of what is trained, by the names of the nodes that are it.
        shape_of: The shape of a tensor, None where it is not known.
    """

    def __init__(
        self, nodes: Mapping[str, Any], trained: Mapping[str, int], shape_of: ShapeOf
    ) -> None:
        self._nodes, self._trained, self.shape_of = nodes, trained, shape_of

    def of(self, name: str) -> View | None:
        """The matrix behind an input of a node; None where there is none, or it was changed."""
        node = self._nodes[node_of(name)]
        if node.name in self._trained:
            return View(node.name, name, tuple(range(self._trained[node.name])))
        if not node.input or node.op not in (*PASSED_THROUGH, *_RESHAPING, *_CUTTING, "Transpose"):
            return None
        view = self.of(node.input[0])
        if view is None:
            return None
        if node.op in PASSED_THROUGH:
            return view._replace(tensor=name) if node.op == "ReadVariableOp" else view
        if node.op == "Transpose":
            order = self.constant(node.input[1])
            return None if order is None else view._replace(axes=tuple(view.axes[i] for i in order))
        before, after = self.shape_of(node.input[0]), self.shape_of(name)
        if before is None or after is None or None in before or None in after:
            return None
        if node.op in _CUTTING:
            return self._cut(node, view, before, after)
        return _reshaped(view, before, after)

    def constant(self, name: str) -> Any:
        """The value of a constant input; None where it is computed."""
        node = self._nodes[node_of(name)]
        return tf.make_ndarray(node.attr["value"].tensor) if node.op == "Const" else None

    def _cut(
        self, node: Any, view: View, before: Sequence[Any], after: Sequence[Any]
    ) -> View | None:
        """Rows of a matrix, and axes of length 1 that a slice adds."""
        given = [self.constant(source) for source in node.input[1:]]
        if any(value is None for value in given):
            return None
        begin = given[0].tolist()
        if node.op == "StridedSlice":
            if any(step != 1 for step in given[2]) or node.attr["shrink_axis_mask"].i:
                return None
            if node.attr["new_axis_mask"].i or node.attr["ellipsis_mask"].i:
                return _reshaped(view, before, after)
            mask = node.attr["begin_mask"].i
            begin = [0 if mask >> axis & 1 else place for axis, place in enumerate(begin)]
        if view.axes != (0, 1) or view.rows is not None or after[1] != before[1]:
            return None
        first = begin[0] + before[0] if begin[0] < 0 else begin[0]
        return view._replace(rows=(first, first + after[0]))


_CUTTING = ("StridedSlice", "Slice")


def _reshaped(view: View, before: Sequence[Any], after: Sequence[Any]) -> View | None:
    """The view in a shape that differs by axes of length 1 alone."""
    # Of a matrix of one row or column it cannot be told which axis that is.
    kept = [axis for axis, size in zip(view.axes, before, strict=True) if axis is not None]
    sizes = [size for axis, size in zip(view.axes, before, strict=True) if axis is not None]
    if 1 in sizes or [size for size in after if size != 1] != sizes:
        return None
    waiting = iter(kept)
    return view._replace(axes=tuple(None if size == 1 else next(waiting) for size in after))
