"""Statements to Spark, over files of rows that it reads and numbers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memcom_tf.data.columns import ColumnKind
from memcom_tf.data.dialects import SparkDialect
from memcom_tf.data.duckdb_files import ROW
from memcom_tf.data.engine import EngineName, Report
from memcom_tf.data.inputs import LogFiles
from memcom_tf.data.spark_files import (
    SparkSettings,
    check_packed,
    kind_of,
    name_files,
    numbered,
    place_of_lines,
    read_files,
    said_by_spark,
)
from memcom_tf.data.spark_session import place_of, spark_session

_STATEMENT = "statement"


class SparkStatements:
    """Statements to a session of Spark.

    A table that is kept is a folder of Parquet, which all of its workers must see.

    Args:
        files: The files that it shall read.
        folder: Where tables are kept.
        memory_bytes: What a session that is begun here may take of memory.
        report: Called with a line that says so.

    Raises:
        ImportError: If pyspark is not installed.
        ValueError: If Spark cannot read such files.
    """

    name: EngineName = "spark"

    def __init__(self, files: LogFiles, folder: Path, memory_bytes: int, report: Report) -> None:
        check_packed(files)
        self.dialect = SparkDialect()
        self._folder = folder / "spark"
        self._session, self._error, is_ours = spark_session(memory_bytes)
        self._settings = SparkSettings(self._session, is_ours)
        report(f"Spark {self._session.version}, {place_of(self._session)}, keeps {self._folder}")
        with self.said():
            self._frame = read_files(self._session, files, self.dialect)
        for table in self._folder.glob("*/_SUCCESS"):
            self._open(table.parent.name)

    def close(self) -> None:
        """As `Statements.close`; a session that was begun here ends."""
        self._settings.close()

    def kinds(self, files: LogFiles) -> dict[str, ColumnKind]:
        """As `Statements.kinds`."""
        return {name: kind_of(type_) for name, type_ in self._frame.dtypes}

    def named(self, files: LogFiles, names: list[str]) -> str:
        """As `Statements.named`."""
        quoted = [self.dialect.quoted(name) for name in names]
        with self.said():
            name_files(self._session, self._frame, files)
            self._frame.selectExpr(*quoted, *place_of_lines(files)).createOrReplaceTempView(
                "memcom_read"
            )
            self._session.sql(
                "SELECT * FROM memcom_read JOIN memcom_paths USING (path)"
            ).createOrReplaceTempView("memcom_log")
            source = numbered(self._session, files)
        return f"SELECT {', '.join(quoted)}, row AS {ROW} FROM {source}"

    def run(self, statement: str) -> None:
        """As `Statements.run`."""
        with self.said():
            self._session.sql(statement)

    def keep(self, name: str, statement: str) -> None:
        """As `Statements.keep`."""
        with self.said():
            self._session.sql(statement).write.mode("overwrite").parquet(self._uri(name))
            self._open(name)

    def give(self, name: str, table: Any) -> None:
        """As `Statements.give`."""
        import pyarrow.parquet as pq

        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        pq.write_table(table, folder / "part-0.parquet")
        (folder / "_SUCCESS").touch()
        self._open(name)

    def has_table(self, name: str) -> bool:
        """As `Statements.has_table`."""
        return (self._folder / name / "_SUCCESS").is_file()

    def rows(self, statement: str) -> list[Any]:
        """As `Statements.rows`."""
        with self.said():
            return [tuple(row) for row in self._session.sql(statement).collect()]

    def values(self, statement: str) -> Any:
        """As `Statements.values`."""
        (row,) = self.rows(statement)
        return row

    def column(self, statement: str) -> Any:
        """As `Statements.column`."""
        import pyarrow as pa

        return pa.concat_arrays([batch.column(0) for batch in self.batches(statement)])

    def batches(self, statement: str) -> Iterator[Any]:
        """As `Statements.batches`: through files, as memory may not hold all rows."""
        import pyarrow.parquet as pq

        self.keep(_STATEMENT, statement)
        # Their names rise with what they are ordered by.
        for path in sorted((self._folder / _STATEMENT).glob("part-*.parquet")):
            yield from pq.ParquetFile(path).iter_batches()
        shutil.rmtree(self._folder / _STATEMENT)

    @contextmanager
    def said(self) -> Iterator[None]:
        """Errors of Spark as this package's."""
        with said_by_spark(self._error):
            yield

    def _open(self, name: str) -> None:
        self._session.read.parquet(self._uri(name)).createOrReplaceTempView(name)

    def _uri(self, name: str) -> str:
        return f"file://{(self._folder / name).resolve()}"
