"""DuckDB as the engine: in this process, and out of core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from memcom_tf.data.columns import (
    INTEGER_LABEL,
    Asked,
    ColumnKind,
    LogColumns,
    TimeKind,
    choose_columns,
    flag_sql,
    label_sql,
    time_sql,
)
from memcom_tf.data.duckdb_files import ROW, DuckDBFile
from memcom_tf.data.engine import (
    Counts,
    EngineName,
    Ordered,
    Report,
    check_flags,
    check_labels,
    num_shards,
)
from memcom_tf.data.heartbeat import Heartbeat
from memcom_tf.data.inputs import LogFiles
from memcom_tf.data.sql_times import check_times, written_kind
from memcom_tf.errors import invalid


class DuckDBEngine:
    """A log in DuckDB.

    Args:
        files: The files.
        asked: The columns that are asked for.
        folder: Where what does not fit into memory goes, and what was counted is kept.
        memory_bytes: What DuckDB may take of memory.
        threads: How many threads it runs.
        report: Called with lines on what is done.

    Raises:
        ImportError: If DuckDB is not installed.
        ValueError: If the files are damaged, or do not have the columns.
    """

    name: EngineName = "duckdb"

    def __init__(
        self,
        files: LogFiles,
        asked: Asked,
        *,
        folder: Path,
        memory_bytes: int,
        threads: int,
        report: Report,
    ) -> None:
        self._files, self._report = files, report
        self._duckdb = DuckDBFile(files, folder, memory_bytes, threads, report)
        self._dialect = self._duckdb.dialect
        try:
            kinds = self._duckdb.kinds(files)
            self._columns = choose_columns(files.names or list(kinds), asked)
            report(self._columns.reading())
            self._time_kind = self._open_log(self._columns, kinds)
        except BaseException:
            self._duckdb.close()
            raise

    @property
    def says_what_is_held_out(self) -> bool:
        """As `Engine.says_what_is_held_out`."""
        return self._columns.test is not None

    def close(self) -> None:
        """As `Engine.close`."""
        self._duckdb.close()

    def count(self, interactions_of_shard: int) -> Counts:
        """As `Engine.count`."""
        duckdb = self._duckdb
        if not duckdb.has_table("counted"):
            self._check_times()
            self._check_flags()
            with Heartbeat(self._report, "counting items and users"):
                for label in ("item", "user"):
                    self._count(label, interactions_of_shard)
            duckdb.run("CREATE TABLE counted AS SELECT 1 AS done")
        (interactions,) = duckdb.values("SELECT sum(n)::BIGINT FROM items")
        shards = num_shards(interactions, interactions_of_shard)
        users = np.zeros(shards, np.int64)
        for shard, number in duckdb.rows("SELECT shard, count(*) FROM users GROUP BY shard"):
            users[shard] = number
        items = duckdb.column("SELECT label FROM items ORDER BY code")
        types = [
            str(duckdb.column(f"SELECT label FROM {of} LIMIT 0").type) for of in ("items", "users")
        ]
        return Counts(items, users, interactions, *types)

    def ordered(self, first_shard: int) -> Iterator[Ordered]:
        """As `Engine.ordered`."""
        rest = f"WHERE u.shard >= {first_shard}" if first_shard else ""
        sets = self.says_what_is_held_out
        further = ", l.row AS row, l.held_out AS held_out" if sets else ""
        order = "u.code, l.time, l.row" if self._columns.ordered else "u.code, l.row"
        statement = (
            f"SELECT u.code AS u, i.code AS i{further} FROM log l JOIN users u ON l.user = u.name "
            f"JOIN items i ON l.item = i.name {rest} ORDER BY {order}"
        )
        with Heartbeat(self._report, "ordering") as beat:
            for batch in self._duckdb.batches(statement):
                beat.stop()
                columns = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
                yield Ordered(*columns)

    def users(self, shard: int) -> Any:
        """As `Engine.users`."""
        return self._duckdb.column(f"SELECT label FROM users WHERE shard = {shard} ORDER BY code")

    def _open_log(self, columns: LogColumns, kinds: dict[str, ColumnKind]) -> TimeKind | None:
        """Names the log, or reads it into a table of the engine's own."""
        dialect = self._dialect
        text = columns.time is not None and kinds[columns.time] == "text"
        flag = "FALSE"
        if columns.test is not None:
            flag = flag_sql(dialect, columns.test, kinds[columns.test])
        parts = [
            f"{label_sql(dialect, columns.user, kinds[columns.user])} AS user",
            f"{label_sql(dialect, columns.item, kinds[columns.item])} AS item",
            f"{dialect.quoted(columns.time) if columns.time else '0'} AS written",
            f"{dialect.quoted(columns.test) if columns.test else '0'} AS flag",
            f"{flag} AS held_out",
            f"{ROW} AS row",
        ]
        what = "TABLE" if self._files.read_once else "TEMP VIEW"
        source = self._duckdb.named(self._files, columns.wanted)
        with Heartbeat(self._report, f"reading {len(self._files.paths):,} files"):
            self._duckdb.run(
                f"CREATE {what} IF NOT EXISTS log_rows AS SELECT {', '.join(parts)} FROM ({source})"
            )
        written = None
        if text:
            written = written_kind(self._duckdb, str(columns.time), "log_rows")
        kind = kinds[columns.time] if columns.time else "integer"
        value = time_sql(dialect, "written", kind, written)
        self._duckdb.run(
            f"CREATE OR REPLACE TEMP VIEW log AS SELECT *, {value} AS time FROM log_rows"
        )
        return written

    def _check_times(self) -> None:
        name = self._columns.time
        (rows,) = self._duckdb.values("SELECT count(*) FROM log_rows")
        if not rows:
            raise invalid("There must be interactions.", "The log has no rows.", rows=0)
        if name is not None:
            check_times(self._duckdb, name, self._time_kind, "log")

    def _check_flags(self) -> None:
        name = self._columns.test
        if name is None:
            return
        text = "flag::VARCHAR"
        found = self._duckdb.values(
            f"SELECT count(*) FILTER (flag IS NULL OR {text} = ''), "
            f"min({text}) FILTER (held_out IS NULL), count(*) FILTER (NOT held_out) FROM log_rows"
        )
        check_flags(name, *found)

    def _count(self, label: Literal["user", "item"], interactions_of_shard: int) -> None:
        """Makes the table `users` or `items`: name in the log, label, count, shard, code."""
        duckdb, column = self._duckdb, getattr(self._columns, label)
        duckdb.run(
            f"CREATE OR REPLACE TABLE found AS SELECT {label} AS name, count(*) AS n FROM log "
            f"GROUP BY {label}"
        )
        marks = " OR ".join(f"contains(name::VARCHAR, chr({mark}))" for mark in (0, 10, 13))
        missing, marked, example = duckdb.values(
            "SELECT coalesce(sum(n) FILTER (name IS NULL OR name::VARCHAR = ''), 0)::BIGINT, "
            f"coalesce(sum(n) FILTER ({marks}), 0)::BIGINT, "
            f"min(name::VARCHAR) FILTER ({marks}) FROM found"
        )
        check_labels(column, missing, marked, example)
        value = "name"
        if self._files.format != "parquet" and self._all_integers():
            value = "CAST(name AS BIGINT)"
        shard = "0"
        if label == "user":
            (rows,) = duckdb.values("SELECT sum(n)::BIGINT FROM found")
            shards = num_shards(rows, interactions_of_shard)
            digits = "'0x' || substr(md5(name::VARCHAR), 1, 8)"
            shard = f"(CAST({digits} AS BIGINT) % {shards})::INTEGER"
        by = "shard, label" if label == "user" else "label"
        duckdb.run(
            f"CREATE OR REPLACE TABLE {label}s AS "
            f"SELECT name, label, n, shard, row_number() OVER (ORDER BY {by}) - 1 AS code "
            f"FROM (SELECT name, {value} AS label, n, {shard} AS shard FROM found)"
        )
        duckdb.run("DROP TABLE found")

    def _all_integers(self) -> bool:
        (others,) = self._duckdb.values(
            f"SELECT count(*) FROM found WHERE NOT {self._dialect.matches('name', INTEGER_LABEL)} "
            "OR TRY_CAST(name AS BIGINT) IS NULL"
        )
        return not others
