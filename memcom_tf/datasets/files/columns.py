"""What a file of columns is to its readers: typed columns, read once.

A reader of another kind of file, or one that reads larger files than fit into memory, is another
`ColumnFile`: what follows sees labels, times and flags alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy.typing as npt

from memcom_tf.datasets.labels import Labels
from memcom_tf.errors import message

Kind: TypeAlias = Literal["label", "time", "flag", "category", "number", "text"]
Column: TypeAlias = Labels | npt.NDArray[Any]

_SHOWN = 60


class ColumnFile(Protocol):
    """An open file of columns, of which nothing but the names is read.

    Attributes:
        path: Where it is.
        names: The names of its columns, in their order; a name may occur twice.
    """

    path: Path
    names: tuple[str, ...]

    def read(self, kinds: Mapping[str, Kind]) -> dict[str, Column]:
        """Reads some columns, in one pass.

        Args:
            kinds: Name -> what the column holds; every name is among `names`, once.

        Returns:
            Name -> `Labels` of a "label", of a "category" and of a "text", of which the last two
            are strings, "" where one is missing, and a text may have several lines; of a "time"
            [n] int64, float64 or datetime64 (of zoned times the UTC); of a "flag" [n] booleans; of
            a "number" [n] float32, NaN where one is missing.

        Raises:
            ImportError: If a library is missing.
            ValueError: If the file is damaged, or a value is missing or not of its kind; names
                the line or the row.
        """
        ...


def shown(value: object) -> Any:
    """A value of a file as an error shows it: a long text is cut."""
    if isinstance(value, str) and len(value) > _SHOWN:
        return value[:_SHOWN] + "..."
    return value


def listed(names: tuple[str, ...], most: int = 20) -> str:
    """The names of columns as an error shows them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{[shown(name) for name in names[:most]]}{more}"


def require_pyarrow(what: str) -> None:
    """Requires pyarrow, with which all files but .npz are read.

    Raises:
        ImportError: Naming it, and how to install it.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(
            message(
                f"pyarrow must be installed to read {what} files.",
                'Run: pip install "memcom_tf[data]", or save the columns with numpy.savez.',
                missing=error.name,
            )
        ) from error
