"""A file of DuckDB, and the files of a log as its statements read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

from memcom_tf.data.columns import ColumnKind
from memcom_tf.data.dialects import DuckDBDialect
from memcom_tf.data.engine import EngineName, Report
from memcom_tf.data.inputs import LogFiles
from memcom_tf.datasets.files.columns import shown
from memcom_tf.datasets.files.opening import open_columns
from memcom_tf.errors import invalid, message

BATCH_ROWS = 2**20
ROW = "memcom_row"
"""What the number of a row is called, which no column is."""
_OF_PARQUET = "file_index", "file_row_number"
_LONGEST_LINE = 8 * 2**20
_OURS = "BinderException", "CatalogException", "InternalException", "ParserException"
"""Errors that no file can cause."""
_INTEGERS = "TINYINT", "SMALLINT", "INTEGER", "BIGINT"
_INSTANTS = "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE"
_KINDS: dict[str, ColumnKind] = {
    "VARCHAR": "text",
    "BLOB": "bytes",
    "BOOLEAN": "flag",
    "DATE": "date",
    "TIMESTAMP_NS": "nanoseconds",
    **dict.fromkeys((*_INTEGERS, *(f"U{name}" for name in _INTEGERS)), "integer"),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "fraction"),
    **dict.fromkeys(_INSTANTS, "instant"),
}


class DuckDBFile:
    """Statements to DuckDB, whose errors are this package's.

    Args:
        files: The files that it shall read.
        folder: Where its file is, and what does not fit into memory goes.
        memory_bytes: What DuckDB may take of memory.
        threads: How many threads it runs.
        report: Called with a line that says so.

    Raises:
        ImportError: If DuckDB is not installed.
    """

    name: EngineName = "duckdb"

    def __init__(
        self, files: LogFiles, folder: Path, memory_bytes: int, threads: int, report: Report
    ) -> None:
        duckdb = _duckdb()
        self._error = duckdb.Error
        self.dialect = DuckDBDialect()
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
        for system in files.systems:
            self._connection.register_filesystem(system)
        report(
            f"DuckDB {duckdb.__version__}, threads: {threads}, memory: at most "
            f"{memory_bytes / 1e9:.1f} GB, what does not fit goes to {spill}"
        )

    def close(self) -> None:
        """Lets go of the file: DuckDB keeps it by its name, and would give it to who asks next."""
        self._connection.close()

    def run(self, statement: str) -> None:
        """Runs a statement."""
        with self.said():
            self._connection.execute(statement)

    def keep(self, name: str, statement: str) -> None:
        """As `Statements.keep`."""
        self.run(f"CREATE OR REPLACE TABLE {name} AS {statement}")

    def give(self, name: str, table: Any) -> None:
        """Makes a table of one of Arrow."""
        with self.said():
            self._connection.register("memcom_given", table)
            self._connection.execute(
                f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM memcom_given"
            )
            self._connection.unregister("memcom_given")

    def rows(self, statement: str) -> list[Any]:
        """All rows of a statement."""
        with self.said():
            return list(self._connection.execute(statement).fetchall())

    def values(self, statement: str) -> Any:
        """The only row of a statement."""
        (row,) = self.rows(statement)
        return row

    def column(self, statement: str) -> Any:
        """The only column of a statement, as one Arrow array."""
        with self.said():
            column = self._connection.sql(statement).to_arrow_table().column(0)
            return column.combine_chunks()

    def batches(self, statement: str) -> Iterator[Any]:
        """The rows of a statement, some at a time, as batches of Arrow."""
        with self.said(), self._connection.sql(statement).to_arrow_reader(BATCH_ROWS) as reader:
            yield from reader

    def has_table(self, name: str) -> bool:
        """Whether a table was made, by this run or by one that was stopped."""
        (found,) = self.values(
            f"SELECT count(*) FROM duckdb_tables() WHERE table_name = {self.dialect.text(name)}"
        )
        return bool(found)

    def source(self, files: LogFiles) -> str:
        """The files as what a statement selects from.

        Columns of lines are called by their places, `c0`, `c1`, ...: a name may occur twice.
        """
        text = self.dialect.text
        paths = "[" + ", ".join(text(str(path)) for path in files.paths) + "]"
        if files.format == "parquet":
            return f"read_parquet({paths}, hive_partitioning = false)"
        types = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(files.names)))
        packed = {"": "none", ".gz": "gzip", ".zst": "zstd"}[files.packed]
        header = "true" if files.header else "false"
        return (
            f"read_csv({paths}, columns = {{{types}}}, auto_detect = false, header = {header}, "
            f"delim = {text(files.delimiter)}, quote = '\"', escape = '\"', "
            f"compression = '{packed}', strict_mode = true, max_line_size = {_LONGEST_LINE}, "
            "hive_partitioning = false)"
        )

    def kinds(self, files: LogFiles) -> dict[str, ColumnKind]:
        """The columns of the files, and what they are."""
        if files.format != "parquet":
            return dict.fromkeys(files.names, "text")
        rows = self.rows(f"DESCRIBE SELECT * FROM {self.source(files)}")
        return {name: _kind(type_) for name, type_, *_ in rows}

    def named(self, files: LogFiles, names: list[str]) -> str:
        """Some columns of the files under their names, with the number of each row as `ROW`.

        Raises:
            ValueError: If DuckDB would take one for another.
        """
        of_lines = files.format != "parquet"
        of_file = names if of_lines else open_columns(files.paths[0]).names
        _check_names(names, of_file)
        quoted, source = self.dialect.quoted, self.source(files)
        if of_lines:
            columns = [f"c{files.names.index(name)} AS {quoted(name)}" for name in names]
            return f"SELECT {', '.join(columns)}, row_number() OVER () - 1 AS {ROW} FROM {source}"
        _check_virtual(of_file)
        row = f"file_row_number + {self._rows_before(source)}[file_index::BIGINT + 1]"
        return f"SELECT {', '.join(map(quoted, names))}, ({row})::BIGINT AS {ROW} FROM {source}"

    def _rows_before(self, source: str) -> str:
        """A list of how many rows are in the files before each."""
        sizes = dict(self.rows(f"SELECT file_index, count(*) FROM {source} GROUP BY file_index"))
        of_files = (sizes.get(file, 0) for file in range(max(sizes, default=0)))
        return f"[{', '.join(map(str, accumulate(of_files, initial=0)))}]"

    @contextmanager
    def said(self) -> Iterator[None]:
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


def _check_names(names: Sequence[str], of_file: Sequence[str]) -> None:
    """Requires that DuckDB, to which capitals make no difference, finds columns by their names."""
    first: dict[str, str] = {}
    for name in of_file:
        first.setdefault(name.casefold(), name)
    others = [name for name in names if first[name.casefold()] != name]
    if others:
        raise invalid(
            "Columns that are read must differ from those before by more than capitals.",
            "Rename them.",
            columns=[shown(name) for name in others],
        )


def _check_virtual(of_file: Sequence[str]) -> None:
    """Requires that a Parquet file has no columns that hide those of DuckDB."""
    ours = [name for name in of_file if name.casefold() in _OF_PARQUET]
    if ours:
        raise invalid(
            f"A Parquet file must not have columns called {' or '.join(_OF_PARQUET)}, which "
            "DuckDB adds.",
            "Rename them.",
            columns=ours,
        )


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
