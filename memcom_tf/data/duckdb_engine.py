"""DuckDB as the engine: in this process, and out of core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from memcom_tf.data.columns import (
    EXACT_IN_FLOAT,
    INTEGER_LABEL,
    TIME_PATTERNS,
    ColumnKind,
    LogColumns,
    TimeKind,
    choose_columns,
    label_sql,
    time_kind,
    time_sql,
    unfit_time,
)
from memcom_tf.data.dialects import DuckDBDialect
from memcom_tf.data.engine import Counts, EngineName, Report, check_labels, num_shards
from memcom_tf.data.heartbeat import Heartbeat
from memcom_tf.data.inputs import LogFiles
from memcom_tf.datasets.logs import TimeColumn
from memcom_tf.errors import invalid, message

_BATCH_ROWS = 2**20
_LONGEST_LINE = 8 * 2**20
_OURS = "BinderException", "CatalogException", "InternalException", "ParserException"
"""Errors that no file can cause."""
_KINDS: dict[str, ColumnKind] = {
    "VARCHAR": "text",
    "BLOB": "bytes",
    "DATE": "date",
    "TIMESTAMP_NS": "nanoseconds",
    **dict.fromkeys(
        (
            "TINYINT",
            "SMALLINT",
            "INTEGER",
            "BIGINT",
            "UTINYINT",
            "USMALLINT",
            "UINTEGER",
            "UBIGINT",
        ),
        "integer",
    ),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "fraction"),
    **dict.fromkeys(
        ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE"), "instant"
    ),
}


class DuckDBEngine:
    """A log in DuckDB.

    Args:
        files: The files.
        user: The column of users.
        item: The column of items.
        time: The column of times, as `load_interactions` takes it.
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
        user: str | None,
        item: str | None,
        time: TimeColumn,
        *,
        folder: Path,
        memory_bytes: int,
        threads: int,
        report: Report,
    ) -> None:
        duckdb = _duckdb()
        self._error = duckdb.Error
        self._files, self._report = files, report
        self._dialect = DuckDBDialect()
        spill = folder / "spill"
        self._connection = duckdb.connect(
            str(folder / "log.duckdb"),
            config={
                "memory_limit": f"{memory_bytes // 2**20}MiB",
                "temp_directory": str(spill),
                "threads": threads,
                "preserve_insertion_order": True,
                "TimeZone": "UTC",
                "autoinstall_known_extensions": False,
            },
        )
        report(
            f"DuckDB {duckdb.__version__}, threads: {threads}, memory: at most "
            f"{memory_bytes / 1e9:.1f} GB, what does not fit goes to {spill}"
        )
        try:
            kinds = self._kinds()
            self._columns = choose_columns(self._files.names or list(kinds), user, item, time)
            report(self._columns.reading())
            self._time_kind = self._open_log(self._columns, kinds)
        except BaseException:
            # DuckDB keeps a file open by its name, and would give it to the next who asks.
            self._connection.close()
            raise

    def close(self) -> None:
        """As `Engine.close`."""
        self._connection.close()

    def count(self, interactions_of_shard: int) -> Counts:
        """As `Engine.count`."""
        done = self._values("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'counted'")
        if not done[0]:
            self._check_times()
            with Heartbeat(self._report, "counting items and users"):
                for label in ("item", "user"):
                    self._count(label, interactions_of_shard)
            self._run("CREATE TABLE counted AS SELECT 1 AS done")
        (interactions,) = self._values("SELECT sum(n)::BIGINT FROM items")
        shards = num_shards(interactions, interactions_of_shard)
        users = np.zeros(shards, np.int64)
        for shard, number in self._rows("SELECT shard, count(*) FROM users GROUP BY shard"):
            users[shard] = number
        items = self._table("SELECT label FROM items ORDER BY code")
        types = [
            str(self._table(f"SELECT label FROM {of} LIMIT 0").type) for of in ("items", "users")
        ]
        return Counts(items, users, interactions, *types)

    def ordered(self, first_shard: int) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        """As `Engine.ordered`."""
        rest = f"WHERE u.shard >= {first_shard}" if first_shard else ""
        order = "u.code, l.time, l.file, l.line" if self._columns.time else "u.code, l.file, l.line"
        statement = (
            f"SELECT u.code AS u, i.code AS i FROM log l JOIN users u ON l.user = u.name "
            f"JOIN items i ON l.item = i.name {rest} ORDER BY {order}"
        )
        with (
            self._said(),
            Heartbeat(self._report, "ordering") as beat,
            self._connection.sql(statement).to_arrow_reader(_BATCH_ROWS) as reader,
        ):
            for batch in reader:
                beat.stop()
                yield batch.column(0).to_numpy(), batch.column(1).to_numpy()

    def users(self, shard: int) -> Any:
        """As `Engine.users`."""
        return self._table(f"SELECT label FROM users WHERE shard = {shard} ORDER BY code")

    def _kinds(self) -> dict[str, ColumnKind]:
        if self._files.format != "parquet":
            return dict.fromkeys(self._files.names, "text")
        rows = self._rows(f"DESCRIBE SELECT * FROM {self._source()}")
        return {name: _kind(type_) for name, type_, *_ in rows}

    def _source(self) -> str:
        text = self._dialect.text
        paths = "[" + ", ".join(text(str(path)) for path in self._files.paths) + "]"
        if self._files.format == "parquet":
            return f"read_parquet({paths}, hive_partitioning = false)"
        # By their places: a name may occur twice.
        types = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(self._files.names)))
        packed = {"": "none", ".gz": "gzip", ".zst": "zstd"}[self._files.packed]
        return (
            f"read_csv({paths}, columns = {{{types}}}, auto_detect = false, header = true, "
            f"delim = {text(self._files.delimiter)}, quote = '\"', escape = '\"', "
            f"compression = '{packed}', strict_mode = true, max_line_size = {_LONGEST_LINE}, "
            "hive_partitioning = false)"
        )

    def _open_log(self, columns: LogColumns, kinds: dict[str, ColumnKind]) -> TimeKind | None:
        """Names the log, or reads files of lines into a table of the engine's own."""
        dialect = self._dialect
        of_lines = self._files.format != "parquet"
        text = columns.time is not None and kinds[columns.time] == "text"
        time = dialect.quoted(columns.time) if columns.time else "0"
        parts = [
            f"{label_sql(dialect, columns.user, kinds[columns.user])} AS user",
            f"{label_sql(dialect, columns.item, kinds[columns.item])} AS item",
            f"{time} AS written",
            *(
                ["0 AS file", "row_number() OVER () AS line"]
                if of_lines
                else ["file_index AS file", "file_row_number AS line"]
            ),
        ]
        what = "TABLE" if of_lines else "TEMP VIEW"
        source = self._source()
        if of_lines:
            wanted = [columns.user, columns.item, *([columns.time] if columns.time else [])]
            places = (f"c{self._files.names.index(name)}" for name in wanted)
            named = (f"{p} AS {dialect.quoted(n)}" for p, n in zip(places, wanted, strict=True))
            source = f"(SELECT {', '.join(named)} FROM {source})"
        rows = f"SELECT {', '.join(parts)} FROM {source}"
        with Heartbeat(self._report, f"reading {len(self._files.paths):,} files"):
            self._run(f"CREATE {what} IF NOT EXISTS log_rows AS {rows}")
        written = None
        if text:
            written = self._written(columns)
        kind = kinds[columns.time] if columns.time else "integer"
        value = time_sql(dialect, "written", kind, written)
        self._run(
            f"CREATE OR REPLACE TEMP VIEW log AS SELECT user, item, written, {value} AS time, "
            "file, line "
            "FROM log_rows"
        )
        return written

    def _written(self, columns: LogColumns) -> TimeKind:
        fits = ", ".join(
            f"count(*) FILTER ({self._dialect.matches('trim(written)', pattern)})"
            for pattern in TIME_PATTERNS.values()
        )
        rows, missing, *found = self._values(
            "SELECT count(*), count(*) FILTER (written IS NULL OR trim(written) = ''), "
            f"{fits} FROM log_rows"
        )
        assert columns.time is not None
        check_labels(columns.time, missing, 0, None)
        return time_kind(dict(zip(TIME_PATTERNS, found, strict=True)), rows, columns.time)

    def _check_times(self) -> None:
        name = self._columns.time
        (rows,) = self._values("SELECT count(*) FROM log_rows")
        if not rows:
            raise invalid("There must be interactions.", "The log has no rows.", rows=0)
        if name is None:
            return
        exact = ""
        if self._time_kind == "fraction":
            exact = f" OR abs(time) >= {EXACT_IN_FLOAT}"
        missing, unfit = self._values(
            "SELECT count(*) FILTER (written IS NULL), "
            f"count(*) FILTER (time IS NULL OR NOT isfinite(time::DOUBLE){exact}) FROM log"
        )
        check_labels(name, missing, 0, None)
        if unfit:
            raise unfit_time(name, how_many=unfit)

    def _count(self, label: Literal["user", "item"], interactions_of_shard: int) -> None:
        """Makes the table `users` or `items`: name in the log, label, count, shard, code."""
        column = getattr(self._columns, label)
        self._run(
            f"CREATE OR REPLACE TABLE found AS SELECT {label} AS name, count(*) AS n FROM log "
            f"GROUP BY {label}"
        )
        marks = " OR ".join(f"contains(name::VARCHAR, chr({mark}))" for mark in (0, 10, 13))
        missing, marked, example = self._values(
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
            (rows,) = self._values("SELECT sum(n)::BIGINT FROM found")
            shards = num_shards(rows, interactions_of_shard)
            digits = "'0x' || substr(md5(name::VARCHAR), 1, 8)"
            shard = f"(CAST({digits} AS BIGINT) % {shards})::INTEGER"
        by = "shard, label" if label == "user" else "label"
        self._run(
            f"CREATE OR REPLACE TABLE {label}s AS "
            f"SELECT name, label, n, shard, row_number() OVER (ORDER BY {by}) - 1 AS code "
            f"FROM (SELECT name, {value} AS label, n, {shard} AS shard FROM found)"
        )
        self._run("DROP TABLE found")

    def _all_integers(self) -> bool:
        (others,) = self._values(
            f"SELECT count(*) FROM found WHERE NOT {self._dialect.matches('name', INTEGER_LABEL)} "
            "OR TRY_CAST(name AS BIGINT) IS NULL"
        )
        return not others

    def _run(self, statement: str) -> None:
        with self._said():
            self._connection.execute(statement)

    def _rows(self, statement: str) -> list[Any]:
        with self._said():
            return list(self._connection.execute(statement).fetchall())

    def _values(self, statement: str) -> Any:
        (row,) = self._rows(statement)
        return row

    def _table(self, statement: str) -> Any:
        """The only column of a statement, as one Arrow array."""
        with self._said():
            column = self._connection.sql(statement).to_arrow_table().column(0)
            return column.combine_chunks()

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Errors of DuckDB as this package's."""
        try:
            yield
        except self._error as error:
            reason = str(error).partition("\nPossible fixes")[0].strip()
            kind = type(error).__name__
            if kind in _OURS:
                raise
            if kind == "OutOfMemoryException":
                raise MemoryError(
                    message(
                        "DuckDB must have enough memory.",
                        "Give it more with `memory`.",
                        error=reason,
                    )
                ) from error
            if kind == "IOException":
                raise OSError(message("The log must be readable.", "", error=reason)) from error
            raise invalid(
                "The log must be readable by DuckDB: text in UTF-8, every line with as many fields "
                "as the first, integers of 64 bits.",
                "Mend the file, or write the ids as strings.",
                error=reason,
            ) from error


def _kind(type_: str) -> ColumnKind:
    if type_.startswith("DECIMAL"):
        return "integer" if type_.endswith(",0)") else "fraction"
    return _KINDS.get(type_, "other")


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise ImportError(
            message(
                "duckdb must be installed to prepare a log.",
                'Run: pip install "memcom_tf[data]".',
                missing=error.name,
            )
        ) from error
    return duckdb
