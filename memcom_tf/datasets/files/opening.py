"""Files of columns, opened by the end of their name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from memcom_tf.datasets.files.columns import ColumnFile, require_pyarrow
from memcom_tf.errors import invalid, message

_OF_LINES = (".csv", ".tsv", ".txt")
SUFFIXES = (
    *(f"{end}{packed}" for packed in ("", ".gz", ".zst") for end in _OF_LINES),
    ".parquet",
    ".npz",
)


def open_columns(path: Any, names: tuple[str, ...] | None = None) -> ColumnFile:
    """Opens a file of columns.

    Args:
        path: A .csv file, or one of tabs (.tsv, .txt), as it is or compressed (.gz, .zst), a
            .parquet or an .npz file; or what is no path, but is read as one, of an object store.
        names: The columns of a file of lines whose first line does not name them.

    Returns:
        The file, its names read.

    Raises:
        ImportError: If a library is missing.
        OSError: If the file cannot be read.
        ValueError: If the file's name ends otherwise, or it is not what its name says.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(Path(folder) / "log.npz", user=[1, 1], item=["tea", "milk"])
        ...     file = open_columns(Path(folder) / "log.npz")
        ...     items = file.read({"item": "label"})["item"]
        >>> file.names, items.array()
        (('user', 'item'), array(['tea', 'milk'], dtype=object))
    """
    source = Path(path) if isinstance(path, str | os.PathLike) else path
    name = source.name.lower()
    suffix = next((end for end in SUFFIXES if name.endswith(end)), "")
    if not suffix:
        raise invalid(
            f"The file's name must end in one of {', '.join(SUFFIXES)}.",
            "Convert the file.",
            path=str(source),
        )
    if source.is_dir():
        raise IsADirectoryError(message("The data must be a file.", "", path=str(source)))
    if suffix == ".npz":
        from memcom_tf.datasets.files.npz import ArrayFile

        return ArrayFile(source)
    require_pyarrow(suffix)
    if suffix == ".parquet":
        from memcom_tf.datasets.files.parquet import ParquetColumns

        return ParquetColumns(source)
    from memcom_tf.datasets.files.delimited import DelimitedFile

    return DelimitedFile(source, suffix, names)
