"""Columns of an .npz, .csv or .parquet file of samples, as arrays by name."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.errors import invalid

_READ = (".npz", ".csv", ".parquet")


def read_columns(path: Path) -> dict[str, Any]:
    """The columns of a file; a list column of Parquet, or numbers with blanks between, is rows.

    Raises:
        FileNotFoundError: If there is no file.
        ImportError: If pyarrow is missing, which reads .csv and .parquet.
        ValueError: If it cannot be read.
    """
    if path.suffix not in _READ:
        raise invalid(f"Samples must be in a file that ends in {_READ}.", path=str(path))
    if not path.is_file():
        raise FileNotFoundError(f"The file of samples must exist. Received: path={str(path)!r}.")
    return _read_npz(path) if path.suffix == ".npz" else _read_table(path)


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (
        *(ValueError, TypeError, KeyError, EOFError, MemoryError, OSError, RuntimeError),
        *(AttributeError, SyntaxError, NotImplementedError, zipfile.BadZipFile, zlib.error),
    ) as error:
        raise _unreadable(path, error) from error


def _read_table(path: Path) -> dict[str, Any]:
    try:
        import pyarrow
        from pyarrow import csv, parquet
    except ImportError as error:
        raise ImportError(
            "Samples in .csv and .parquet files need pyarrow. "
            'Install it with: pip install "memcom_tf[demo]"'
        ) from error
    try:
        table = parquet.read_table(path) if path.suffix == ".parquet" else csv.read_csv(path)
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
        raise _unreadable(path, error) from error
    found = {}
    for name in table.column_names:
        try:
            found[name] = _column(table[name])
        except ValueError as error:
            raise invalid(
                f"The column `{name}` must be numbers, or numbers with blanks between: {error}.",
                path=str(path),
            ) from error
    return found


def _column(column: Any) -> Any:
    """Numbers, or rows of numbers."""
    values = column.to_pylist()
    if values and isinstance(values[0], str):
        values = [[_number(word) for word in str(text).split()] for text in values]
    if values and isinstance(values[0], list) and len({len(row) for row in values}) > 1:
        return values  # ragged
    return np.asarray(values)


def _number(word: str) -> int | float:
    try:
        return int(word)
    except ValueError:
        return float(word)


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return invalid(f"The file of samples must be readable: {reason}.", path=str(path))
