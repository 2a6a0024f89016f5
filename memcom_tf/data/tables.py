"""Tables that are no files: frames in memory, data sets of Arrow, Delta tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from memcom_tf.data.remote import answering, file_system, is_url
from memcom_tf.errors import invalid, message

DELTA_LOG = "_delta_log"


@runtime_checkable
class Frame(Protocol):
    """A table that gives an Arrow stream: of pandas, Polars, Arrow, DuckDB, an Iceberg scan."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The stream, by the PyCapsule interface of Arrow."""


@runtime_checkable
class Scanned(Protocol):
    """A data set of Arrow, whose rows are read by a scanner."""

    def scanner(self, **kwargs: Any) -> Any:
        """The scanner."""


def reader_of(table: Frame | Scanned) -> Any:
    """The rows of a table as a `pyarrow.RecordBatchReader`, in their order."""
    import pyarrow as pa

    if isinstance(table, Scanned):
        return table.scanner().to_reader()
    return pa.RecordBatchReader.from_stream(table)


def is_delta(source: str) -> bool:
    """Whether a path or a URL is that of a Delta table."""
    if not is_url(source):
        return (Path(source) / DELTA_LOG).is_dir()
    if any(mark in source for mark in "*?["):
        return False
    system, key = file_system(source)
    with answering(source):
        return bool(system.isdir(f"{key.rstrip('/')}/{DELTA_LOG}"))


def delta_table(source: str) -> tuple[Scanned, str]:
    """A Delta table as a data set of Arrow, and what it is called with its version.

    Raises:
        ImportError: If deltalake is not installed.
        ValueError: If the table has features that it does not read.
    """
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ImportError as error:
        raise ImportError(
            message(
                "deltalake must be installed to read a Delta table.",
                'Run: pip install "memcom_tf[delta]".',
                missing=error.name,
                path=source,
            )
        ) from error
    try:
        table = DeltaTable(source)
        return table.to_pyarrow_dataset(), f"{source}, version {table.version()}"
    except DeltaError as error:
        raise invalid(
            "The table must be one that the package deltalake reads.",
            "Write it without those features, or export it as Parquet.",
            path=source,
            error=" ".join(str(error).split())[:300],
        ) from error
