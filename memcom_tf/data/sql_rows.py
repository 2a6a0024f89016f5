"""Rows of fields in SQL: read, checked, split and counted out of core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.data.columns import ColumnKind, flag_sql, is_finite, time_sql
from memcom_tf.data.duckdb_files import ROW
from memcom_tf.data.engine import Report, check_labels
from memcom_tf.data.heartbeat import Heartbeat
from memcom_tf.data.inputs import LogFiles
from memcom_tf.data.row_columns import category_sql, is_no_category, number_sql
from memcom_tf.data.row_parts import Cut, permuted, sizes_of
from memcom_tf.data.sql_times import check_times, written_kind
from memcom_tf.data.statements import Statements
from memcom_tf.datasets.files.columns import shown
from memcom_tf.datasets.files.values import missing_value, unfit
from memcom_tf.datasets.row_files import HOUR_OF_DAY, Layout
from memcom_tf.errors import invalid


class SqlRows:
    """Rows of fields in an engine.

    The view `parts` has of every row its number `row`, its part (0 for training, 1 for validation,
    2 for test), its `label`, its categories `c0`, `c1`, ... as text and its numbers `n0`, `n1`,
    ...; what is missing is NULL.

    Args:
        files: The files.
        layout: How they hold rows.
        sql: Where they are read.
        report: Called with lines on what is done.

    Attributes:
        categorical: The names of the categories.
        numeric: The names of the numbers.
    """

    def __init__(self, files: LogFiles, layout: Layout, sql: Statements, report: Report) -> None:
        self.sql, self._files, self._report = sql, files, report
        self._columns = layout.columns
        self.categorical = list(layout.columns.categorical)
        self.numeric = list(layout.columns.numeric)
        self._of_avazu = layout.format == "avazu"
        self._in_order_of_time = layout.format == "criteo"
        self._kinds = sql.kinds(files)
        self._open()
        if self._of_avazu:
            self.categorical.append(HOUR_OF_DAY)

    @property
    def by_time(self) -> bool:
        """Whether later rows are held out, and not some at random."""
        return self._columns.time is not None or self._in_order_of_time

    @property
    def order(self) -> str:
        """What rows of a part are ordered by."""
        if self._columns.time is None:
            return "row"
        # What the rows say is held out comes as it is.
        time = "CASE WHEN part = 2 THEN NULL ELSE time END" if self._columns.test else "time"
        return f"{time}, row"

    def _open(self) -> None:
        """Names the rows, or reads them into a table of the engine's own."""
        sql, columns, kinds = self.sql, self._columns, self._kinds
        dialect = sql.dialect
        assert columns.label is not None
        wanted = dict.fromkeys([*columns.fields, columns.label, columns.test, columns.time])
        source = sql.named(self._files, [name for name in wanted if name])
        flags = {"label": columns.label, "held_out": columns.test}
        parts = [
            *(
                f"{category_sql(dialect, name, kinds[name])} AS c{place}"
                for place, name in enumerate(self.categorical)
            ),
            *(
                f"{number_sql(dialect, name, kinds[name])} AS n{place}"
                for place, name in enumerate(self.numeric)
            ),
            *(
                f"{flag_sql(dialect, name, kinds[name]) if name else 'FALSE'} AS {flag}, "
                f"CAST({dialect.quoted(name) if name else 'NULL'} AS {dialect.text_type}) "
                f"AS {flag}_written"
                for flag, name in flags.items()
            ),
            f"{dialect.quoted(columns.time) if columns.time else '0'} AS written",
            f"{self._unfit_category()} AS unfit",
            f"{ROW} AS row",
        ]
        statement = f"SELECT {', '.join(parts)} FROM ({source})"
        with Heartbeat(self._report, f"reading {len(self._files.paths):,} files"):
            if not self._files.read_once:
                sql.run(f"CREATE OR REPLACE TEMP VIEW read_rows AS {statement}")
            elif not sql.has_table("read_rows"):
                sql.keep("read_rows", statement)
        kind: ColumnKind = kinds[columns.time] if columns.time else "integer"
        self._time_kind = None
        if kind == "text":
            self._time_kind = written_kind(sql, str(columns.time), "read_rows")
        time = time_sql(dialect, "written", kind, self._time_kind)
        hour = ""
        if self._of_avazu:
            hour = f", CAST(({time}) % 100 AS {dialect.text_type}) AS c{len(self.categorical)}"
        sql.run(
            f"CREATE OR REPLACE TEMP VIEW timed AS SELECT *, {time} AS time{hour} FROM read_rows"
        )

    def _unfit_category(self) -> str:
        """The first column of which a row has what is no category, by its name."""
        dialect, kinds = self.sql.dialect, self._kinds
        cases = [
            f"WHEN {is_no_category(dialect, name, kinds[name])} THEN {dialect.text(name)}"
            for name in self.categorical
            if kinds[name] == "fraction"
        ]
        return f"CASE {' '.join(cases)} END" if cases else f"CAST(NULL AS {dialect.text_type})"

    def check(self) -> int:
        """Requires that every value is of its kind; returns how many rows there are.

        Raises:
            ValueError: If one is not.
        """
        numbers = "".join(
            f", count(*) FILTER (WHERE NOT {is_finite(f'n{place}')})"
            for place in range(len(self.numeric))
        )
        rows, no_category, *unfits = self.sql.values(
            f"SELECT count(*), min(unfit){numbers} FROM read_rows"
        )
        if not rows:
            raise invalid("There must be rows.", "The file has none.", rows=0)
        if no_category is not None:
            raise unfit("category", {"column": no_category})
        for name, how_many in zip(self.numeric, unfits, strict=True):
            if how_many:
                raise unfit("number", {"column": name}, how_many=how_many)
        for flag, column in (("label", self._columns.label), ("held_out", self._columns.test)):
            missing, example = self.sql.values(
                f"SELECT count(*) FILTER (WHERE coalesce({flag}_written, '') = ''), "
                f"min({flag}_written) FILTER (WHERE {flag} IS NULL) FROM read_rows"
            )
            if column and missing:
                raise missing_value({"column": column}, missing)
            if column and example is not None:
                raise unfit("flag", {"column": column}, value=shown(example))
        if self._columns.time is not None:
            check_times(self.sql, self._columns.time, self._time_kind, "timed")
        return int(rows)

    def split(self, rows: int, cut: Cut, folder: Path) -> None:
        """Names the rows with their parts, as `memcom_tf.evaluation.split_rows` splits them.

        Args:
            rows: How many there are.
            cut: The shares, and a seed.
            folder: Where what does not fit into memory goes.
        """
        sql = self.sql
        (flagged,) = sql.values("SELECT count(*) FILTER (WHERE held_out) FROM read_rows")
        flags = self._columns.test is not None
        validation, test = sizes_of(rows, cut, flagged if flags else None)
        if not self.by_time:
            if not sql.has_table("held"):
                is_test = None
                if flags:
                    is_test = sql.column("SELECT held_out FROM read_rows ORDER BY row")
                held = permuted(rows, cut.seed, validation, test, is_test, folder)
                sql.give("held", held)
            source = "timed LEFT JOIN held ON timed.row = held.row"
            part = "coalesce(held.part, 0)"
        else:
            source, part = "timed", self._part_by_time(rows, validation, test, flags)
        sql.run(
            f"CREATE OR REPLACE TEMP VIEW parts AS SELECT timed.*, {part} AS part FROM {source}"
        )

    def _part_by_time(self, rows: int, validation: int, test: int, flags: bool) -> str:
        """What gives the part of a row: where it is in the order of time."""
        rest = "WHERE NOT held_out" if flags else ""
        order = "row" if self._columns.time is None else "time, row"
        cases = ["WHEN held_out THEN 2"] if flags else []
        for part, last in ((2, test), (1, validation + test)) if not flags else ((1, validation),):
            place = rows - (test if flags else 0) - last
            found = self.sql.rows(
                f"SELECT {order} FROM timed {rest} ORDER BY {order} LIMIT 1 OFFSET {place}"
            )
            if found:  # not where the part is empty
                *time, row = found[0]
                later = f"row >= {row}"
                for at in time:
                    later = f"time > {at!r} OR (time = {at!r} AND {later})"
                cases.append(f"WHEN {later} THEN {part}")
        return f"CASE {' '.join([*cases, 'ELSE 0 END'])}"

    def part_sizes(self) -> dict[int, tuple[int, int]]:
        """Of each part how many rows it has, and how many labelled 1."""
        found = self.sql.rows(
            "SELECT part, count(*), count(*) FILTER (WHERE label) FROM parts GROUP BY part"
        )
        return {part: (rows, clicks) for part, rows, clicks in found}

    def count_texts(self) -> None:
        """Makes the table `texts`: field, text, and how often it occurs in training.

        Raises:
            ValueError: If a category has several lines.
        """
        if not self.categorical or self.sql.has_table("texts"):
            return
        names = [f"c{place}" for place in range(len(self.categorical))]
        with Heartbeat(self._report, "counting categories"):
            self.sql.keep(
                "texts",
                "SELECT field, text, count(*) FILTER (WHERE part = 0) AS n FROM "
                f"({self.sql.dialect.unpivoted(names, 'parts')}) GROUP BY field, text",
            )
        for field, marked, example in self.sql.rows(
            "SELECT field, count(*), min(text) FROM texts "
            f"WHERE {self.sql.dialect.marked('text')} GROUP BY field"
        ):
            check_labels(self.categorical[int(field[1:])], 0, marked, example)

    def quantiles(self, place: int, shares: np.ndarray) -> np.ndarray:
        """Values of a field of numbers in training at some shares, as `numpy.quantile` nearest."""
        column = f"n{place}"
        (count,) = self.sql.values(f"SELECT count({column}) FROM parts WHERE part = 0")
        if not count or not len(shares):
            return np.empty(0, np.float32)
        places = np.around((count - 1) * shares).astype(np.int64)
        found = ", ".join(f"min(x) FILTER (WHERE upto > {at})" for at in places.tolist())
        values: Any = self.sql.values(
            f"SELECT {found} FROM (SELECT x, sum(n) OVER (ORDER BY x) AS upto FROM "
            f"(SELECT {column} AS x, count(*) AS n FROM parts WHERE part = 0 AND {column} IS NOT "
            "NULL GROUP BY 1))"
        )
        return np.array(values, np.float32)
