"""What a lookup computes, read off the method itself: the program that the fused kernels run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from memcom_tf.ops.interface import Array
from memcom_tf.tables import Table

if TYPE_CHECKING:
    from memcom_tf.layers.base import CompressedEmbedding

_OPERATIONS = ("mod", "div", "multiply", "add_constant", "minimum", "add", "subtract")
_LARGEST_INTEGER = 2**51
"""The kernels divide integers in double precision, exactly up to here."""
_MAX_SLOTS, _MAX_GATHERS, _MAX_TERMS, _MAX_FACTORS = 16, 16, 16, 8


class NotFusableError(TypeError):
    """A lookup does something that the kernels do not know."""


@dataclass(frozen=True)
class Index:
    """An integer computed from the id, and the range that it lies in."""

    low: int
    high: int
    operation: str = "id"
    operands: tuple[Index, ...] = ()
    constant: int = 0

    def _then(self, operation: str, constant: int, low: int, high: int) -> Index:
        return _within_range(Index(low, high, operation, (self,), constant))

    def __mod__(self, divisor: Any) -> Index:
        divisor = _integer(divisor, positive=True)
        if self.low >= 0 and self.high < divisor:
            return self
        return self._then("mod", divisor, 0, divisor - 1)

    def __floordiv__(self, divisor: Any) -> Index:
        divisor = _integer(divisor, positive=True)
        if divisor == 1:
            return self
        return self._then("div", divisor, self.low // divisor, self.high // divisor)

    def __mul__(self, factor: Any) -> Index:
        factor = _integer(factor)
        ends = (self.low * factor, self.high * factor)
        return self._then("multiply", factor, min(ends), max(ends))

    __rmul__ = __mul__

    def __neg__(self) -> Index:
        return self * -1

    def __add__(self, other: Any) -> Index:
        if isinstance(other, Index):
            low, high = self.low + other.low, self.high + other.high
            return _within_range(Index(low, high, "add", (self, other)))
        other = _integer(other)
        if other == 0:
            return self
        return self._then("add_constant", other, self.low + other, self.high + other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Index:
        if isinstance(other, Index):
            low, high = self.low - other.high, self.high - other.low
            return _within_range(Index(low, high, "subtract", (self, other)))
        return self + -other

    def __rsub__(self, other: Any) -> Index:
        return -self + other

    def minimum(self, limit: Any) -> Index:
        """The smaller of the integer and a constant."""
        limit = _integer(limit)
        if self.high <= limit:
            return self
        return self._then("minimum", limit, min(self.low, limit), limit)


@dataclass(frozen=True)
class Gather:
    """Rows of a table at an index."""

    table: Table
    index: Index


@dataclass(frozen=True)
class Term:
    """A constant times the elementwise product of gathered rows."""

    constant: float
    factors: tuple[Gather, ...]


@dataclass(frozen=True)
class Segment:
    """Columns of a vector: a sum of terms, whose rows are as wide or a single, broadcast value."""

    width: int
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Vectors:
    """Vectors of ids in normal form: a concatenation of sums of products of gathered rows."""

    segments: tuple[Segment, ...]

    def __mul__(self, other: Any) -> Vectors:
        if isinstance(other, Real):
            return self._each(
                lambda term: [Term(float(term.constant * other), term.factors)], self.segments
            )
        return self._with(other, _product)

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Vectors:
        return self._with(other, lambda one, two: (*one, *two))

    def __sub__(self, other: Any) -> Vectors:
        return self + -1.0 * other

    def _each(self, change: Any, segments: tuple[Segment, ...]) -> Vectors:
        return Vectors(
            tuple(
                Segment(segment.width, tuple(t for term in segment.terms for t in change(term)))
                for segment in segments
            )
        )

    def _with(self, other: Any, combine: Any) -> Vectors:
        if not isinstance(other, Vectors):
            raise NotFusableError(f"it combines vectors with {type(other).__name__}")
        left, right = self.segments, other.segments
        if [s.width for s in right] == [1]:
            right = right * len(left)
        elif [s.width for s in left] == [1]:
            left = left * len(right)
        if len(left) != len(right):
            raise NotFusableError("it combines vectors that are cut at other columns")
        segments = []
        for one, two in zip(left, right, strict=True):
            width = max(one.width, two.width)
            if {one.width, two.width} - {1, width}:
                raise NotFusableError("it combines vectors of different widths")
            segments.append(Segment(width, combine(one.terms, two.terms)))
        return Vectors(tuple(segments))


@dataclass(frozen=True)
class Projected:
    """Vectors times a small matrix. Pooling commutes with it, and is done before."""

    vectors: Vectors
    projection: Table


class ProgramTracer:
    """The part of `memcom_tf.ops.interface.Ops` that a `lookup` can use to be fused."""

    def gather(self, table: Any, rows: Array) -> Vectors:
        if not isinstance(table, Table) or not isinstance(rows, Index):
            raise NotFusableError("it gathers at an index that is not arithmetic on the id")
        if not table.trainable:
            raise NotFusableError("it gathers rows by codes that are themselves gathered")
        if rows.low < 0 or rows.high >= table.rows:
            raise NotFusableError(f"its index may lie outside the {table.rows} rows")
        return Vectors((Segment(table.width, (Term(1.0, (Gather(table, rows),)),)),))

    def minimum(self, x: Array, limit: int) -> Index:
        if not isinstance(x, Index):
            raise NotFusableError("it takes the minimum of vectors")
        return x.minimum(limit)

    def sum(self, x: Array) -> Vectors:
        raise NotFusableError("it sums over an axis of its own")

    def concat(self, parts: list[Array]) -> Vectors:
        if not all(isinstance(part, Vectors) for part in parts):
            raise NotFusableError("it concatenates something else than vectors")
        return Vectors(tuple(segment for part in parts for segment in part.segments))

    def matmul(self, x: Array, table: Any) -> Projected:
        if not isinstance(x, Vectors) or not isinstance(table, Table):
            raise NotFusableError("it multiplies something else than vectors by a table")
        return Projected(x, table)

    def __getattr__(self, name: str) -> Any:
        raise NotFusableError(f"it uses {name}")


@dataclass(frozen=True)
class Program:
    """A lookup as the fused kernels read it.

    Attributes:
        input_dim: Size of the vocabulary.
        output_dim: Width of the vectors that the kernel gives.
        tables: Names of the tables, in the order of the kernel's inputs.
        code: The index arithmetic, the gathers and the terms as integers; `cc/program.h` has
            the grammar.
        constants: The constant of every term.
        projection: Table that the (pooled) vectors are multiplied by afterwards, or None.
        updates_in_place: Whether the kernel can update every table while it computes the
            gradients: no gradient then needs a row that another one has changed.
    """

    input_dim: int
    output_dim: int
    tables: tuple[str, ...]
    code: tuple[int, ...]
    constants: tuple[float, ...]
    projection: str | None
    updates_in_place: bool


def program_of(layer: CompressedEmbedding) -> Program:
    """Reads the program off `layer.lookup` by calling it with a symbolic id.

    Args:
        layer: A layer of any method.

    Returns:
        The program.

    Raises:
        NotFusableError: If the method computes something that the kernels cannot; says what.

    Example:
        >>> from memcom_tf.layers import MEmComEmbedding
        >>> program = program_of(MEmComEmbedding(1000, 8, num_buckets=100))
        >>> program.tables, program.output_dim
        (('shared', 'multiplier'), 8)
    """
    tables = {table.name: table for table in layer.tables()}
    traced: Any = layer.lookup(ProgramTracer(), Index(0, layer.input_dim - 1), tables)
    projection = None
    if isinstance(traced, Projected):
        traced, projection = traced.vectors, traced.projection.name
    if not isinstance(traced, Vectors):
        raise NotFusableError(f"it returns {type(traced).__name__}")
    return _assemble(layer.input_dim, traced, projection, tables)


def _assemble(
    input_dim: int, vectors: Vectors, projection: str | None, declared: Mapping[str, Table]
) -> Program:
    terms = [term for segment in vectors.segments for term in segment.terms]
    gathers = list(dict.fromkeys(gather for term in terms for gather in term.factors))
    used = {gather.table.name for gather in gathers}
    tables = tuple(name for name in declared if name in used)
    if projection in used:
        raise NotFusableError("it multiplies vectors by the table that they come from")
    factors = max(len(term.factors) for term in terms)
    if len(gathers) > _MAX_GATHERS or len(terms) > _MAX_TERMS or factors > _MAX_FACTORS:
        raise NotFusableError(
            f"it has {len(terms)} terms, {len(gathers)} gathers and {factors} factors in a term, "
            f"and the kernels take {_MAX_TERMS}, {_MAX_GATHERS} and {_MAX_FACTORS}"
        )
    instructions, slots = _allocate([gather.index for gather in gathers])
    code = [input_dim, len(instructions), *(part for line in instructions for part in line)]
    code.append(len(gathers))
    for gather, slot in zip(gathers, slots, strict=True):
        code += [tables.index(gather.table.name), gather.table.width, slot]
    code.append(len(vectors.segments))
    for segment in vectors.segments:
        code += [segment.width, len(segment.terms)]
        for term in segment.terms:
            code += [len(term.factors), *(gathers.index(gather) for gather in term.factors)]
    return Program(
        input_dim=input_dim,
        output_dim=sum(segment.width for segment in vectors.segments),
        tables=tables,
        code=tuple(code),
        constants=tuple(term.constant for term in terms),
        projection=projection,
        updates_in_place=_updates_in_place(terms, gathers, tables),
    )


def _allocate(indices: list[Index]) -> tuple[list[tuple[int, int, int, int]], list[int]]:
    """Orders the arithmetic and gives every result a slot, which is free again after its use.

    Returns:
        Instructions `(slot, operation, operand slot, operand slot or constant)`, and the slot of
        each index. Slot 0 holds the id.
    """
    order = list(dict.fromkeys(node for index in indices for node in _postorder(index)))
    last_use = {node: len(order) for node in indices}
    for line, node in enumerate(order):
        for operand in node.operands:
            last_use[operand] = max(line, last_use.get(operand, 0))
    free = list(range(_MAX_SLOTS - 1, 0, -1))
    slot_of: dict[Index, int] = {}
    instructions = []
    for line, node in enumerate(order):
        if node.operation == "id":
            slot_of[node] = 0
            continue
        operands = [slot_of[operand] for operand in node.operands]
        for operand in set(node.operands):
            if operand.operation != "id" and last_use[operand] == line:
                free.append(slot_of[operand])
        if not free:
            raise NotFusableError("its index arithmetic is too deep")
        slot_of[node] = free.pop()
        second = operands[1] if len(operands) == 2 else node.constant
        operation = _OPERATIONS.index(node.operation)
        instructions.append((slot_of[node], operation, operands[0], second))
    return instructions, [slot_of[index] for index in indices]


def _postorder(index: Index) -> Iterator[Index]:
    for operand in index.operands:
        yield from _postorder(operand)
    yield index


def _updates_in_place(terms: list[Term], gathers: list[Gather], tables: tuple[str, ...]) -> bool:
    """Whether each table's gradient reads only rows that are updated together with it.

    A table with a row for every id is updated beside one whose rows group the ids. Tables that
    group ids differently must not meet in a product, directly or through a third: `cc/plan.h`
    has the same rule.
    """
    names = [gather.table.name for gather in gathers]
    if len(set(names)) < len(names):
        return False
    groups_ids = {gather.table.name for gather in gathers if gather.index.operation != "id"}
    grouping = [name for name in tables if name in groups_ids]
    updated_with = {name: name if name in grouping else (*grouping, "")[0] for name in names}
    for term in terms:
        factors = [factor.table.name for factor in term.factors]
        for name in factors:
            if name not in grouping:
                updated_with[name] = next(
                    (other for other in factors if other in grouping), updated_with[name]
                )
    return all(len({updated_with[f.table.name] for f in term.factors}) == 1 for term in terms)


def _product(one: tuple[Term, ...], two: tuple[Term, ...]) -> tuple[Term, ...]:
    return tuple(Term(a.constant * b.constant, (*a.factors, *b.factors)) for a in one for b in two)


def _within_range(index: Index) -> Index:
    if max(-index.low, index.high) > _LARGEST_INTEGER:
        raise NotFusableError("its index arithmetic leaves the range of exact integers")
    return index


def _integer(value: Any, positive: bool = False) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise NotFusableError(f"its index arithmetic uses {type(value).__name__}")
    if positive and value < 1:
        raise NotFusableError("its index arithmetic divides by less than 1")
    if not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
        raise NotFusableError("its index arithmetic leaves the range of exact integers")
    return int(value)
