"""Columns of an .npz, .csv or .parquet file of samples, as arrays by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.datasets.files.npz import read_arrays
from memcom_tf.errors import invalid, message

_READ = (".npz", ".csv", ".parquet")


def read_columns(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Columns of a file; a list column of Parquet, or numbers with blanks between, is rows.

    Raises:
        FileNotFoundError: If there is no file.
        ImportError: If pyarrow is missing, which reads .csv and .parquet.
        ValueError: If it cannot be read, or lacks a column.
    """
    if path.suffix not in _READ:
        raise invalid(f"Samples must be in a file that ends in {_READ}.", path=str(path))
    if not path.is_file():
        raise FileNotFoundError(message("The file of samples must exist.", "", path=str(path)))
    if path.suffix == ".npz":
        return dict(read_arrays(path, names))
    return _read_table(path, names)


def _read_table(path: Path, names: Sequence[str]) -> dict[str, Any]:
    try:
        import pyarrow
        from pyarrow import csv, parquet
    except ImportError as error:
        raise ImportError(
            "Samples in .csv and .parquet files need pyarrow. "
            'Install it with: pip install "memcom_tf[data]"'
        ) from error
    try:
        table = parquet.read_table(path) if path.suffix == ".parquet" else csv.read_csv(path)
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
        raise _unreadable(path, error) from error
    if missing := [name for name in names if name not in table.column_names]:
        raise invalid(
            f"The samples must have the inputs of the model: {', '.join(names)}.",
            f"Add {', '.join(missing)}, as a column of that name.",
            path=str(path),
            found=table.column_names,
        )
    found = {}
    for name in names:
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
