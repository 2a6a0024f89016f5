"""A log in Spark: read, named, and checked."""

from __future__ import annotations

from typing import Any, Literal

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
from memcom_tf.data.spark_files import (
    SparkSettings,
    kind_of,
    name_files,
    place_of_lines,
    read_files,
    said_by_spark,
)
from memcom_tf.data.spark_session import spark_session
from memcom_tf.errors import invalid


class SparkLog:
    """A log in a session of Spark, as the views `memcom_rows` and `memcom_log`.

    Args:
        files: The files.
        memory_bytes: What a session that is begun here may take of memory.

    Attributes:
        session: The session.
        errors: What its errors are.
        columns: What `open` found.
    """

    columns: LogColumns

    def __init__(self, files: LogFiles, memory_bytes: int) -> None:
        self._files, self._dialect = files, SparkDialect()
        self.session, self.errors, is_ours = spark_session(memory_bytes)
        self._settings = SparkSettings(self.session, is_ours)

    def open(self, asked: Asked, report: Report) -> None:
        """Names the log.

        Args:
            asked: The columns that are asked for.
            report: Called with a line that says which are read as what.

        Raises:
            ValueError: If the files are damaged, or do not have the columns.
        """
        with said_by_spark(self.errors):
            frame = read_files(self.session, self._files, self._dialect)
            kinds = {name: kind_of(type_) for name, type_ in frame.dtypes}
            self.columns = choose_columns(frame.columns, asked)
            report(self.columns.reading())
            self._time_kind = self._open_log(frame, self.columns, kinds)

    def close(self) -> None:
        """Ends a session that was begun here, and leaves another as it was."""
        self._settings.close()

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
        with said_by_spark(self.errors):
            (row,) = self.session.sql(statement).collect()
            return row

    def _open_log(
        self, frame: Any, columns: LogColumns, kinds: dict[str, ColumnKind]
    ) -> TimeKind | None:
        """Names the log, with what tells the order of its rows."""
        dialect = self._dialect
        name_files(self.session, frame, self._files)
        flag = "FALSE"
        if columns.test is not None:
            flag = flag_sql(dialect, columns.test, kinds[columns.test])
        frame.selectExpr(
            f"{label_sql(dialect, columns.user, kinds[columns.user])} AS user",
            f"{label_sql(dialect, columns.item, kinds[columns.item])} AS item",
            f"{dialect.quoted(columns.time) if columns.time else '0'} AS written",
            f"{dialect.quoted(columns.test) if columns.test else '0'} AS flag",
            f"{flag} AS held_out",
            *place_of_lines(self._files),
        ).createOrReplaceTempView("memcom_rows")
        text = columns.time is not None and kinds[columns.time] == "text"
        kind = kinds[columns.time] if columns.time else "integer"
        found = self._written(columns) if text else None
        self.session.sql(
            f"SELECT *, {time_sql(dialect, 'written', kind, found)} AS time "
            "FROM memcom_rows JOIN memcom_paths USING (path)"
        ).createOrReplaceTempView("memcom_log")
        return found

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
