"""One table whose ranges of rows have widths and storages of their own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.tables.storage import INT8_PER_ROW, StorageField
from memcom_tf.tables.table import Table, Tables, check_positive


@dataclass(frozen=True)
class RowRange:
    """Rows that follow each other and are stored alike.

    Attributes:
        rows: How many they are.
        width: Values that are stored of each; the others are 0. Rows of width 0 take no byte.
        storage: How they are stored.
    """

    rows: int
    width: int
    storage: StorageField = StorageField(INT8_PER_ROW)  # noqa: RUF009, a descriptor

    def __post_init__(self) -> None:
        check_positive(rows=self.rows)
        if self.width:
            check_positive(width=self.width)


@dataclass(frozen=True)
class RangedTable:
    """A table `[rows, width]` whose ranges of rows have widths and storages of their own.

    It serves ids that are ordered by importance: frequent ones get more bits, or more values, than
    rare ones. Each range is a table of its own, so that it trains, is stored, inspected and proved
    as any other.

    Attributes:
        name: First part of the names of the tables: `{name}_0` and so on.
        width: Length of a row as it is read.
        ranges: From row 0 on.

    Raises:
        ValueError: If there is no range, a range is wider than the table, or all have width 0.

    Example:
        >>> table = RangedTable(
        ...     "rows", 8, (RowRange(100, 8), RowRange(900, 4, "int4_per_row"), RowRange(5, 0))
        ... )
        >>> [(part.name, part.rows, part.width, part.stored_bytes) for part in table.tables()]
        [('rows_0', 100, 8, 1200), ('rows_1', 900, 4, 5400)]
    """

    name: str
    width: int
    ranges: tuple[RowRange, ...]

    def __post_init__(self) -> None:
        check_positive(width=self.width)
        widths = [part.width for part in self.ranges]
        if not any(widths) or max(widths) > self.width:
            raise invalid(
                f"The ranges of table {self.name!r} must have widths of at most {self.width}, "
                "and one of them a width above 0.",
                widths=widths,
            )

    @property
    def rows(self) -> int:
        """Rows of all ranges."""
        return sum(part.rows for part in self.ranges)

    @property
    def _firsts(self) -> list[int]:
        return [0, *accumulate(part.rows for part in self.ranges)][:-1]

    def _name(self, index: int) -> str:
        return f"{self.name}_{index}"

    def tables(self) -> tuple[Table, ...]:
        """A table for each range that stores something."""
        return tuple(
            Table(self._name(index), part.rows, part.width, storage=part.storage)
            for index, part in enumerate(self.ranges)
            if part.width
        )

    def gather(self, xp: Any, rows: Any, t: Tables) -> Any:
        """Rows of the table, at `rows` of any shape: `rows.shape + [width]`."""
        result = None
        for index, (part, first) in enumerate(zip(self.ranges, self._firsts, strict=True)):
            vectors = self._padded(xp, rows, self._of_range(xp, rows, index, first, t), part.width)
            is_here = (rows >= first)[..., None]
            result = vectors if result is None else xp.where(is_here, vectors, result)
        return result

    def scores(self, xp: Any, query: Any, t: Tables) -> Any:
        """Scores `[b, rows]` of queries `[b, width]` against every row."""
        return xp.concat([
            xp.scores(query[:, : part.width], t[self._name(index)])
            if part.width
            else xp.tile(query[:, :1] * 0.0, part.rows)
            for index, part in enumerate(self.ranges)
        ])  # fmt: skip

    def _of_range(self, xp: Any, rows: Any, index: int, first: int, t: Tables) -> Any:
        """What the rows read of a range: those that lie outside read its first or last row."""
        part = self.ranges[index]
        if not part.width:
            return None
        inside = xp.minimum(xp.maximum(rows - first, 0), part.rows - 1)
        return xp.gather(t[self._name(index)], inside)

    def _padded(self, xp: Any, rows: Any, vectors: Any, width: int) -> Any:
        if width == self.width:
            return vectors
        zeros = xp.to_float(rows)[..., None] * np.zeros(self.width - width, np.float32)
        return zeros if vectors is None else xp.concat([vectors, zeros])
