"""What is known of the tensors of a graph before it runs: shapes, and small integers in them."""

from __future__ import annotations

import math
from typing import NamedTuple

from .flatbuffer import INT32, UINT8
from .graph import Operator, Tensor

FREE = -1
"""A size that is not known before the inputs are."""


class NotKnownError(Exception):
    """A use of an operator that no rule here covers; it may be harmless or not."""


def require(holds: bool) -> None:
    """Gives up on a use of an operator that is not as a rule asks."""
    if not holds:
        raise NotKnownError


class Value(NamedTuple):
    """A tensor while the graph runs: `shape` has `FREE` at most once.

    `numbers` are the values of a small tensor of integers, `FREE` where one is a free size.
    """

    dtype: str
    shape: tuple[int, ...]
    numbers: tuple[int, ...] | None = None
    constant: Tensor | None = None

    @property
    def rank(self) -> int:
        """How many sizes it has."""
        return len(self.shape)

    @property
    def num_values(self) -> int:
        """How many values it has, with a free size of 1."""
        return math.prod(abs(size) for size in self.shape)

    def of_shape(self, shape: tuple[int, ...]) -> Value:
        """Values of the same type."""
        return Value(self.dtype, shape)


class Use:
    """An operator at its place in a graph: what it takes, and its options.

    Args:
        operator: The operator.
        inputs: What is known of its inputs, None where one is left out.
        outputs: Its output tensors as the file declares them.
    """

    def __init__(
        self, operator: Operator, inputs: list[Value | None], outputs: list[Tensor]
    ) -> None:
        self.operator, self.outputs = operator, outputs
        self._inputs = inputs

    def inputs(self, *counts: int) -> list[Value]:
        """Its inputs, of which none is left out; of one of these counts, if any is given."""
        require(not counts or len(self._inputs) in counts)
        found = [value for value in self._inputs if value is not None]
        require(len(found) == len(self._inputs))
        return found

    def optional(self, place: int) -> Value | None:
        """An input that may be left out."""
        return self._inputs[place] if place < len(self._inputs) else None

    def options_of(self, kind: int) -> None:
        """Requires that the options are of a kind: others are read as none by kernels."""
        require(self.operator.options is not None and self.operator.options_type == kind)

    def number(self, index: int, default: int = 0) -> int:
        """An option, int32."""
        assert self.operator.options is not None
        return self.operator.options.number(index, INT32, default)

    def flag(self, index: int) -> int:
        """An option of one byte."""
        assert self.operator.options is not None
        return self.operator.options.number(index, UINT8)


def numbers_of(value: Value) -> tuple[int, ...]:
    """Integers that the file holds, none of them free."""
    require(value.constant is not None and value.numbers is not None)
    return value.numbers or ()


def number_of(value: Value) -> int:
    """The one integer that the file holds."""
    numbers = numbers_of(value)
    require(len(numbers) == 1)
    return numbers[0]


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    require(-rank <= axis < rank)
    return axis % rank


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of values of several shapes taken together."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    found = []
    for sizes in zip(*padded, strict=True):
        known = {size for size in sizes if size not in (1, FREE)}
        require(len(known) <= 1)
        found.append(known.pop() if known else FREE if FREE in sizes else 1)
    return checked_shape(found)


def checked_shape(shape: list[int] | tuple[int, ...]) -> tuple[int, ...]:
    """A shape with at most one free size and no empty one."""
    require(list(shape).count(FREE) <= 1 and all(size > 0 or size == FREE for size in shape))
    return tuple(shape)
