"""What a lookup computes, read off the method itself: the program that the fused kernels run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from memcom_tf.kernels.build import SOURCES
from memcom_tf.ops.interface import Array, UnsupportedOpError
from memcom_tf.ops.operations import Version
from memcom_tf.ops.symbols import (
    Gather,
    Index,
    Integers,
    Projected,
    Segment,
    SeveralVectors,
    Term,
    Vectors,
)
from memcom_tf.tables import Table

_DEFINITIONS = (SOURCES / "program.def").read_text()
_OPERATIONS = re.findall(r"^OPERATION\(\w+, (\w+)\)", _DEFINITIONS, re.MULTILINE)
_LIMITS = dict(re.findall(r"^LIMIT\((\w+), (\d+)\)", _DEFINITIONS, re.MULTILINE))
_MAX_SLOTS, _MAX_GATHERS, _MAX_TERMS, _MAX_FACTORS = (
    int(_LIMITS[name]) for name in ("MaxSlots", "MaxGathers", "MaxTerms", "MaxFactors")
)


@dataclass(frozen=True)
class Program:
    """A lookup as the fused kernels read it.

    Attributes:
        input_dim: Size of the vocabulary.
        output_dim: Width of the vectors that the kernel gives.
        tables: Names of the tables, in the order of the kernel's inputs.
        codes: Names of the tables of integers that choose rows of them, likewise.
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
    codes: tuple[str, ...]
    code: tuple[int, ...]
    constants: tuple[float, ...]
    projection: str | None
    updates_in_place: bool


_NOT_READ = {
    "column": "it uses column",
    "values": "it uses values",
    "scores": "it uses scores",
    "abs_max": "it uses abs_max",
    "extremes": "it uses extremes",
}


class ProgramTracer(Version, arrays="symbols", lacks=_NOT_READ):
    """`memcom_tf.ops.interface.Ops` over declared tables, as far as a lookup can be fused."""

    def gather(self, table: Any, rows: Array) -> Vectors | Integers | SeveralVectors:
        if not isinstance(table, Table):
            raise UnsupportedOpError("it gathers at an index that is not arithmetic on the id")
        if isinstance(rows, Integers):
            return SeveralVectors(tuple(_gathered(table, column) for column in rows.columns))
        if not isinstance(rows, Index):
            raise UnsupportedOpError("it gathers at an index that is not arithmetic on the id")
        if table.holds_integers:
            _within(table, rows)
            return Integers(
                tuple(
                    Index(0, table.num_codes - 1, "load", (rows,), column, table)
                    for column in range(table.width)
                )
            )
        return _gathered(table, rows)

    def matmul(self, x: Array, table: Any) -> Projected:
        if not isinstance(x, Vectors) or not isinstance(table, Table):
            raise UnsupportedOpError("it multiplies something else than vectors by a table")
        return Projected(x, table)


def _gathered(table: Table, rows: Index) -> Vectors:
    if not table.trainable:
        raise UnsupportedOpError(f"it reads a table of kind {table.kind}")
    if rows.operation == "load" and rows.high >= table.rows:
        # The kernels check what is loaded, so that the table itself may be the limit.
        rows = replace(rows, high=table.rows - 1)
    _within(table, rows)
    return Vectors((Segment(table.width, (Term(1.0, (Gather(table, rows),)),)),))


def _within(table: Table, rows: Index) -> None:
    if rows.low < 0 or rows.high >= table.rows:
        raise UnsupportedOpError(f"its index may lie outside the {table.rows} rows")


class Lookup(Protocol):
    """What of a layer is read: `memcom_tf.layers.CompressedEmbedding` is one."""

    input_dim: int

    def tables(self) -> tuple[Table, ...]:
        """The tables that it looks up in."""

    def lookup(self, xp: Any, ids: Array, t: Any) -> Array:
        """What it computes."""


def program_of(layer: Lookup) -> Program:
    """Reads the program off `layer.lookup` by calling it with a symbolic id.

    Args:
        layer: A layer of any method.

    Returns:
        The program.

    Raises:
        UnsupportedOpError: If the method computes something that the kernels cannot; says what.

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
        raise UnsupportedOpError(f"it returns {type(traced).__name__}")
    return _assemble(layer.input_dim, traced, projection, tables)


def _assemble(
    input_dim: int, vectors: Vectors, projection: str | None, declared: Mapping[str, Table]
) -> Program:
    terms = [term for segment in vectors.segments for term in segment.terms]
    gathers = list(dict.fromkeys(gather for term in terms for gather in term.factors))
    used = {gather.table.name for gather in gathers}
    if len({(gather.table.name, gather.of_values) for gather in gathers}) > len(used):
        raise UnsupportedOpError("it reads rows of a table and single values of it")
    tables = tuple(name for name in declared if name in used)
    if projection in used:
        raise UnsupportedOpError("it multiplies vectors by the table that they come from")
    factors = max(len(term.factors) for term in terms)
    if len(gathers) > _MAX_GATHERS or len(terms) > _MAX_TERMS or factors > _MAX_FACTORS:
        raise UnsupportedOpError(
            f"it has {len(terms)} terms, {len(gathers)} gathers and {factors} factors in a term, "
            f"and the kernels take {_MAX_TERMS}, {_MAX_GATHERS} and {_MAX_FACTORS}"
        )
    indices = [gather.index for gather in gathers]
    loaded = {node.codes.name for index in indices for node in _postorder(index) if node.codes}
    codes = tuple(name for name in declared if name in loaded)
    instructions, slots = _allocate(indices, codes)
    code = [input_dim, len(instructions), *(part for line in instructions for part in line)]
    code.append(len(gathers))
    for gather, slot in zip(gathers, slots, strict=True):
        code += [tables.index(gather.table.name), gather.width, slot]
    code.append(len(vectors.segments))
    for segment in vectors.segments:
        code += [segment.width, len(segment.terms)]
        for term in segment.terms:
            code += [len(term.factors), *(gathers.index(gather) for gather in term.factors)]
    return Program(
        input_dim=input_dim,
        output_dim=sum(segment.width for segment in vectors.segments),
        tables=tables,
        codes=codes,
        code=tuple(code),
        constants=tuple(term.constant for term in terms),
        projection=projection,
        updates_in_place=_updates_in_place(terms, gathers, tables),
    )


def _allocate(
    indices: list[Index], codes: tuple[str, ...]
) -> tuple[list[tuple[int, ...]], list[int]]:
    """Orders the arithmetic and gives every result a slot, which is free again after its use.

    Returns:
        Instructions, as `cc/program.h` has them, and the slot of each index. Slot 0 holds the id.
    """
    order = list(dict.fromkeys(node for index in indices for node in _postorder(index)))
    last_use = {node: len(order) for node in indices}
    for line, node in enumerate(order):
        for operand in node.operands:
            last_use[operand] = max(line, last_use.get(operand, 0))
    free = list(range(_MAX_SLOTS - 1, 0, -1))
    slot_of: dict[Index, int] = {}
    instructions: list[tuple[int, ...]] = []
    for line, node in enumerate(order):
        if node.operation == "id":
            slot_of[node] = 0
            continue
        operands = [slot_of[operand] for operand in node.operands]
        for operand in set(node.operands):
            if operand.operation != "id" and last_use[operand] == line:
                free.append(slot_of[operand])
        if not free:
            raise UnsupportedOpError("its index arithmetic is too deep")
        slot_of[node] = free.pop()
        if node.codes is not None:
            operands += [codes.index(node.codes.name), node.constant, node.high + 1]
        elif len(operands) == 1:
            operands.append(node.constant)
        instructions.append((slot_of[node], _OPERATIONS.index(node.operation), *operands))
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
