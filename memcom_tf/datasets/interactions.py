"""Interactions: who took which item, when, and what is known of the items."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid, message
from memcom_tf.vocabulary.items import as_column, is_missing

_READERS = (".csv", ".tsv", ".parquet", ".npz")


@dataclass(frozen=True, eq=False)
class Interactions:
    """Interactions in columns of equal length.

    Attributes:
        user: [n] users, strings or integers.
        item: [n] items, strings or integers.
        time: [n] times as numbers or datetime64; None means that the order of the rows is the
            order in time.
        details: Detail name -> item -> text, e.g. `{"title": {50: "Star Wars (1977)"}}`.

    Raises:
        ValueError: If a column is empty, has not one dimension, has missing values or values of
            a wrong type, or if the columns differ in length.

    Example:
        >>> interactions = Interactions(user=[1, 1, 2], item=["tea", "milk", "tea"])
        >>> len(interactions), interactions.user
        (3, array([1, 1, 2]))
    """

    user: npt.NDArray[Any]
    item: npt.NDArray[Any]
    time: npt.NDArray[Any] | None = None
    details: Mapping[str, Mapping[Any, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = {"user": _labels(self.user, "user"), "item": _labels(self.item, "item")}
        if self.time is not None:
            columns["time"] = _times(self.time)
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise invalid(
                "The columns must have equal lengths.",
                "Pass one value for each interaction in each.",
                **lengths,
            )
        if not lengths["user"]:
            raise invalid("There must be interactions.", "Pass at least one.", **lengths)
        for name, column in columns.items():
            object.__setattr__(self, name, column)

    def __len__(self) -> int:
        return len(self.user)


def _labels(values: object, name: str) -> npt.NDArray[Any]:
    column = as_column(values, name)
    if column.kind is int:
        try:
            return np.array(column.values, np.int64)
        except OverflowError:
            pass  # Such integers stay exact as Python objects only.
    labels: npt.NDArray[Any] = np.empty(len(column.values), object)
    labels[:] = column.values
    return labels


def _times(values: object) -> npt.NDArray[Any]:
    times = np.asarray(values)
    missing: list[int] = []
    if times.dtype == object:
        missing = [place for place, value in enumerate(times.ravel()) if is_missing(value)]
    elif times.dtype.kind in "fM":
        absent = np.isnan(times) if times.dtype.kind == "f" else np.isnat(times)
        missing = np.flatnonzero(absent).tolist()
    if missing:
        raise invalid(
            "`time` must not have missing values.",
            "Leave those rows out.",
            position=missing[0],
            how_many=len(missing),
        )
    if times.dtype.kind not in "iufM":
        raise invalid(
            "`time` must be numbers or datetime64.",
            "Convert it, for example with pandas.to_datetime, and pass it to `Interactions`.",
            dtype=str(times.dtype),
        )
    if times.ndim != 1:
        raise invalid("`time` must have one dimension.", "Pass a column.", shape=times.shape)
    return times


def load_interactions(
    path: str | os.PathLike[str],
    *,
    user: str = "user",
    item: str = "item",
    time: str | None = None,
) -> Interactions:
    """Reads interactions from a file.

    Args:
        path: A .csv, .tsv or .parquet file with these columns (needs pandas), or an .npz file
            with 1-D arrays of these names.
        user: The column of users.
        item: The column of items.
        time: The column of times; None takes the order of the rows.

    Returns:
        The interactions, without details.

    Raises:
        ImportError: If pandas is needed and not installed.
        OSError: If the file cannot be read.
        ValueError: If the file is of another kind or not readable as such, lacks a column, or
            as `Interactions`.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "clicks.npz"
        ...     np.savez(path, user=[1, 1], item=[50, 7], when=[20, 10])
        ...     load_interactions(path, time="when").item
        array([50,  7])
    """
    source = Path(path)
    columns = read_columns(source)
    wanted = [user, item] if time is None else [user, item, time]
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise invalid(
            "The file must have the columns asked for.",
            f"It has {sorted(map(str, columns))}: name those with `user`, `item` and `time`.",
            missing=missing,
            path=str(source),
        )
    try:
        return Interactions(
            user=columns[user], item=columns[item], time=None if time is None else columns[time]
        )
    except ValueError as error:
        raise invalid(
            f"The columns {wanted} must be valid.", str(error), path=str(source)
        ) from error


def read_columns(path: str | os.PathLike[str]) -> Mapping[Any, npt.NDArray[Any]]:
    """Reads the columns of a .csv, .tsv, .parquet or .npz file, by name.

    Raises:
        ImportError, OSError, ValueError: As `load_interactions`.
    """
    source = Path(path)
    suffix = source.suffix.lower()
    if suffix not in _READERS:
        raise invalid(
            f"The file's name must end in one of {', '.join(_READERS)}.",
            "Convert the file, or pass its columns to `Interactions`.",
            path=str(source),
        )
    return _read_npz(source) if suffix == ".npz" else _read_table(source, suffix)


def _read_npz(source: Path) -> Mapping[Any, npt.NDArray[Any]]:
    try:
        # No pickle: loading a data file must not run code from it.
        with np.load(source, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise invalid(
            "The .npz file must hold arrays of numbers or of fixed-width strings.",
            f"Save it anew with numpy.savez ({error}).",
            path=str(source),
        ) from error


def _read_table(source: Path, suffix: str) -> Mapping[Any, Any]:
    try:
        import pandas as pd

        if suffix == ".parquet":
            import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(
            message(
                f"pandas (and pyarrow for .parquet) must be installed to read {suffix} files.",
                'Run: pip install "memcom_tf[demo]", or save the columns with numpy.savez.',
                missing=error.name,
            )
        ) from error
    try:
        if suffix == ".parquet":
            frame = pd.read_parquet(source)
        else:
            frame = pd.read_csv(source, sep="," if suffix == ".csv" else "\t")
    except ValueError as error:  # What pandas and pyarrow raise for malformed files.
        raise invalid(
            f"The file must be readable as {suffix}.",
            f"Mend it ({error}).",
            path=str(source),
        ) from error
    return {name: frame[name] for name in frame.columns}
