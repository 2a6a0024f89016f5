"""A log in Spark: read, named, and checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from memcom_tf.data.columns import (
    EXACT_IN_FLOAT,
    INTEGER_LABEL,
    TIME_PATTERNS,
    Asked,
    ColumnKind,
    LogColumns,
    TimeKind,
    choose_columns,
    flag_sql,
    label_sql,
    time_kind,
    time_sql,
    unfit_time,
)
from memcom_tf.data.dialects import SparkDialect
from memcom_tf.data.engine import Report, check_flags, check_labels
from memcom_tf.data.inputs import LogFiles
from memcom_tf.data.spark_session import spark_session
from memcom_tf.errors import invalid

_KINDS: dict[str, ColumnKind] = {
    "string": "text",
    "binary": "bytes",
    "date": "date",
    "timestamp": "instant",
    "timestamp_ntz": "instant",
    "float": "fraction",
    "double": "fraction",
    "tinyint": "integer",
    "smallint": "integer",
    "int": "integer",
    "bigint": "integer",
    "boolean": "flag",
}
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # Nanoseconds, which Spark has no type for, as the integers that they are.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    # Every field of a line is looked at, so that a line of too few is refused.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
}


class SparkLog:
    """A log in a session of Spark, as the views `memcom_rows` and `memcom_log`.

    Args:
        files: The files.
        memory_bytes: What a session that is begun here may take of memory.

    Attributes:
        session: The session.
        columns: What `open` found.
    """

    columns: LogColumns

    def __init__(self, files: LogFiles, memory_bytes: int) -> None:
        self._files, self._dialect = files, SparkDialect()
        self.session, self._error, self._is_ours = spark_session(memory_bytes)
        self._previous = {name: self.session.conf.get(name, None) for name in _SETTINGS}
        for name, value in _SETTINGS.items():
            self.session.conf.set(name, value)

    def open(self, asked: Asked, report: Report) -> None:
        """Names the log.

        Args:
            asked: The columns that are asked for.
            report: Called with a line that says which are read as what.

        Raises:
            ValueError: If the files are damaged, or do not have the columns.
        """
        with self.said():
            frame = self._read()
            kinds = {name: _kind(type_) for name, type_ in frame.dtypes}
            self.columns = choose_columns(frame.columns, asked)
            report(self.columns.reading())
            self._time_kind = self._open_log(frame, self.columns, kinds)

    def close(self) -> None:
        """Ends a session that was begun here, and leaves another as it was."""
        if self._is_ours:
            self.session.stop()
            return
        for name, value in self._previous.items():
            if value is None:
                self.session.conf.unset(name)
            else:
                self.session.conf.set(name, value)

    @property
    def of_lines(self) -> bool:
        """Whether the files are lines, whose values have no types."""
        return self._files.format != "parquet"

    def check(self) -> int:
        """Requires that times and flags are what they must be; returns how many rows there are.

        Raises:
            ValueError: If one is not.
        """
        rows = self._check_times()
        self._check_flags()
        return rows

    def numbered(self) -> str:
        """The log with the number of each row, from 0, as `row`."""
        of_lines = self.of_lines
        block, at = ("line", "place") if of_lines else ("0", "line")
        found = self.session.sql(
            f"SELECT file, {block} AS block, min({at}) AS first, count(*) AS n FROM memcom_log "
            "GROUP BY 1, 2"
        )
        before, starts = 0, []
        for file, start, first, rows in sorted(map(tuple, found.collect())):
            starts.append((file, start, before - first))
            before += rows
        schema = "file INT, block BIGINT, before BIGINT"
        self.session.createDataFrame(starts, schema).createOrReplaceTempView("memcom_blocks")
        return (
            f"(SELECT l.*, b.before + l.{at} AS row FROM memcom_log l JOIN memcom_blocks b "
            f"ON l.file = b.file AND {'l.line' if of_lines else '0'} = b.block)"
        )

    def label(self, label: Literal["user", "item"]) -> str:
        """The label of a `name`, once users or items are checked."""
        self.session.sql(
            f"SELECT {label} AS name, count(*) AS n FROM memcom_log GROUP BY {label}"
        ).createOrReplaceTempView("memcom_found")
        text = "CAST(name AS STRING)"
        marks = " OR ".join(f"contains({text}, char({mark}))" for mark in (10, 13))
        marks += rf" OR {text} RLIKE '[\\x00]'"
        missing, marked, example, others = self.values(
            f"SELECT coalesce(sum(n) FILTER (WHERE name IS NULL OR {text} = ''), 0), "
            f"coalesce(sum(n) FILTER (WHERE {marks}), 0), min({text}) FILTER (WHERE {marks}), "
            f"count_if(NOT {text} RLIKE '{INTEGER_LABEL}' OR TRY_CAST({text} AS BIGINT) IS NULL) "
            "FROM memcom_found"
        )
        column = getattr(self.columns, label)
        check_labels(column, missing, marked, example)
        of_lines = self.of_lines
        if of_lines:
            self._check_utf8(text, column)
        return "CAST(name AS BIGINT)" if of_lines and not others else "name"

    def values(self, statement: str) -> Any:
        """The only row of a statement."""
        with self.said():
            (row,) = self.session.sql(statement).collect()
            return row

    @contextmanager
    def said(self) -> Iterator[None]:
        """Errors of Spark as this package's."""
        try:
            yield
        except self._error as error:
            reason = " ".join(str(error).partition("JVM stacktrace")[0].split())[:500]
            raise invalid(
                "The log must be readable by Spark, every line with as many fields as the first.",
                "Mend the file.",
                error=reason,
            ) from error

    def _read(self) -> Any:
        paths = [
            f"file://{path.resolve()}" if isinstance(path, Path) else str(path)
            for path in self._files.paths
        ]
        reader = self.session.read
        if self._files.format == "parquet":
            return reader.parquet(*paths)
        names = ", ".join(f"{self._dialect.quoted(name)} STRING" for name in self._files.names)
        return reader.csv(
            paths,
            schema=names,
            header=True,
            sep=self._files.delimiter,
            quote='"',
            escape='"',
            mode="FAILFAST",
        )

    def _open_log(
        self, frame: Any, columns: LogColumns, kinds: dict[str, ColumnKind]
    ) -> TimeKind | None:
        """Names the log, with what tells the order of its rows."""
        dialect = self._dialect
        self._name_files(frame)
        of_lines = self.of_lines
        # Within a block of a file rows are numbered as they come.
        line = "_metadata.file_block_start" if of_lines else "_metadata.row_index"
        flag = "FALSE"
        if columns.test is not None:
            flag = flag_sql(dialect, columns.test, kinds[columns.test])
        frame.selectExpr(
            f"{label_sql(dialect, columns.user, kinds[columns.user])} AS user",
            f"{label_sql(dialect, columns.item, kinds[columns.item])} AS item",
            f"{dialect.quoted(columns.time) if columns.time else '0'} AS written",
            f"{dialect.quoted(columns.test) if columns.test else '0'} AS flag",
            f"{flag} AS held_out",
            "_metadata.file_path AS path",
            f"{line} AS line",
            "monotonically_increasing_id() AS place",
        ).createOrReplaceTempView("memcom_rows")
        text = columns.time is not None and kinds[columns.time] == "text"
        kind = kinds[columns.time] if columns.time else "integer"
        found = self._written(columns) if text else None
        self.session.sql(
            f"SELECT *, {time_sql(dialect, 'written', kind, found)} AS time "
            "FROM memcom_rows JOIN memcom_paths USING (path)"
        ).createOrReplaceTempView("memcom_log")
        return found

    def _name_files(self, frame: Any) -> None:
        """Numbers the files in their order, by the names that Spark gives them."""
        place = {
            str(path.resolve() if isinstance(path, Path) else path): number
            for number, path in enumerate(self._files.paths)
        }
        found = frame.selectExpr("_metadata.file_path AS path").distinct()
        rows = [(path, place[_plain(unquote(path))]) for (path,) in found.collect()]
        schema = "path STRING, file INT"
        self.session.createDataFrame(rows, schema).createOrReplaceTempView("memcom_paths")

    def _written(self, columns: LogColumns) -> TimeKind:
        fits = ", ".join(
            f"count_if({self._dialect.matches('trim(written)', pattern)})"
            for pattern in TIME_PATTERNS.values()
        )
        rows, missing, *found = self.values(
            f"SELECT count(*), count_if(written IS NULL OR trim(written) = ''), {fits} "
            "FROM memcom_rows"
        )
        assert columns.time is not None
        check_labels(columns.time, missing, 0, None)
        return time_kind(dict(zip(TIME_PATTERNS, found, strict=True)), rows, columns.time)

    def _check_times(self) -> int:
        name = self.columns.time
        limit = f"{EXACT_IN_FLOAT}" if self._time_kind == "fraction" else "double('Infinity')"
        rows, missing, fit = self.values(
            "SELECT count(*), count_if(written IS NULL), "
            f"count_if(abs(CAST(time AS DOUBLE)) < {limit}) FROM memcom_log"
        )
        if not rows:
            raise invalid("There must be interactions.", "The log has no rows.", rows=0)
        if name is not None:
            check_labels(name, missing, 0, None)
            if fit < rows:
                raise unfit_time(name, how_many=rows - fit)
        return int(rows)

    def _check_flags(self) -> None:
        name = self.columns.test
        if name is None:
            return
        text = "CAST(flag AS STRING)"
        found = self.values(
            f"SELECT count_if(flag IS NULL OR {text} = ''), "
            f"min({text}) FILTER (WHERE held_out IS NULL), count_if(NOT held_out) FROM memcom_rows"
        )
        check_flags(name, *found)

    def _check_utf8(self, text: str, column: str) -> None:
        """Refuses letters that Spark has put in the place of bytes that are not UTF-8."""
        (replaced,) = self.values(f"SELECT count_if(contains({text}, '\ufffd')) FROM memcom_found")
        if replaced:
            raise invalid(
                "The file must be text in UTF-8.",
                "Convert it, for example with iconv -f latin1 -t utf-8.",
                column=column,
                ids=replaced,
            )


def _kind(type_: str) -> ColumnKind:
    if type_.startswith("decimal"):
        return "integer" if type_.endswith(",0)") else "fraction"
    return _KINDS.get(type_, "other")


def _plain(path: str) -> str:
    """A path of Spark's without the scheme of files; URLs of object stores stay."""
    if not path.startswith("file:"):
        return path
    return path.removeprefix("file:").replace("//", "/")
