"""The files of a log as Spark reads, names and numbers them; and its settings meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from memcom_tf.data.columns import ColumnKind
from memcom_tf.data.dialects import SparkDialect
from memcom_tf.data.inputs import LogFiles
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


class SparkSettings:
    """Settings that a session has until they are closed.

    Args:
        session: The session.
        is_ours: Whether it was begun here, and ends then.
    """

    def __init__(self, session: Any, is_ours: bool) -> None:
        self._session, self._is_ours = session, is_ours
        self._previous = {name: session.conf.get(name, None) for name in _SETTINGS}
        for name, value in _SETTINGS.items():
            session.conf.set(name, value)

    def close(self) -> None:
        """Ends a session that was begun here, and leaves another as it was."""
        if self._is_ours:
            self._session.stop()
            return
        for name, value in self._previous.items():
            if value is None:
                self._session.conf.unset(name)
            else:
                self._session.conf.set(name, value)


def check_packed(files: LogFiles) -> None:
    """Requires files that Spark can unpack.

    Raises:
        ValueError: If it cannot.
    """
    if files.packed == ".zst":
        raise invalid(
            "Files of lines that Spark reads must not be .zst, for which it needs libraries "
            "of Hadoop.",
            "Unpack them, compress them with gzip, or use the engine duckdb.",
            path=str(files.paths[0]),
        )


def place_of_lines(files: LogFiles) -> list[str]:
    """What is selected of a frame to tell the order of its rows: file, and place within it."""
    # Within a block of a file rows are numbered as they come.
    of_lines = files.format != "parquet"
    line = "_metadata.file_block_start" if of_lines else "_metadata.row_index"
    return [
        "_metadata.file_path AS path",
        f"{line} AS line",
        "monotonically_increasing_id() AS place",
    ]


def read_files(session: Any, files: LogFiles, dialect: SparkDialect) -> Any:
    """The rows of files as a frame of Spark."""
    paths = [
        f"file://{path.resolve()}" if isinstance(path, Path) else str(path) for path in files.paths
    ]
    reader = session.read
    if files.format == "parquet":
        return reader.parquet(*paths)
    names = ", ".join(f"{dialect.quoted(name)} STRING" for name in files.names)
    return reader.csv(
        paths,
        schema=names,
        header=files.header,
        sep=files.delimiter,
        quote='"',
        escape='"',
        mode="FAILFAST",
    )


def name_files(session: Any, frame: Any, files: LogFiles) -> None:
    """Numbers the files in their order as `memcom_paths`, by the names that Spark gives them."""
    place = {
        str(path.resolve() if isinstance(path, Path) else path): number
        for number, path in enumerate(files.paths)
    }
    found = frame.selectExpr("_metadata.file_path AS path").distinct()
    rows = [(path, place[_plain(unquote(path))]) for (path,) in found.collect()]
    schema = "path STRING, file INT"
    session.createDataFrame(rows, schema).createOrReplaceTempView("memcom_paths")


def numbered(session: Any, files: LogFiles) -> str:
    """What has the rows of the view `memcom_log` with the number of each, from 0, as `row`.

    The view has `file`, and what `place_of_lines` names.
    """
    of_lines = files.format != "parquet"
    block, at = ("line", "place") if of_lines else ("0", "line")
    found = session.sql(
        f"SELECT file, {block} AS block, min({at}) AS first, count(*) AS n FROM memcom_log "
        "GROUP BY 1, 2"
    )
    before, starts = 0, []
    for file, start, first, rows in sorted(map(tuple, found.collect())):
        starts.append((file, start, before - first))
        before += rows
    schema = "file INT, block BIGINT, before BIGINT"
    session.createDataFrame(starts, schema).createOrReplaceTempView("memcom_blocks")
    return (
        f"(SELECT l.*, b.before + l.{at} AS row FROM memcom_log l JOIN memcom_blocks b "
        f"ON l.file = b.file AND {'l.line' if of_lines else '0'} = b.block)"
    )


@contextmanager
def said_by_spark(errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Errors of Spark as this package's."""
    try:
        yield
    except errors as error:
        reason = " ".join(str(error).partition("JVM stacktrace")[0].split())[:500]
        raise invalid(
            "The log must be readable by Spark, every line with as many fields as the first.",
            "Mend the file.",
            error=reason,
        ) from error


def kind_of(type_: str) -> ColumnKind:
    """What a type of Spark is."""
    if type_.startswith("decimal"):
        return "integer" if type_.endswith(",0)") else "fraction"
    return _KINDS.get(type_, "other")


def _plain(path: str) -> str:
    """A path of Spark's without the scheme of files; URLs of object stores stay."""
    if not path.startswith("file:"):
        return path
    return path.removeprefix("file:").replace("//", "/")
