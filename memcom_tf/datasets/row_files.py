"""Files of rows of fields, and the public formats that are known by how they look."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from memcom_tf.datasets.files.columns import ColumnFile, Kind, listed, shown
from memcom_tf.datasets.files.opening import open_columns
from memcom_tf.datasets.labels import Labels
from memcom_tf.datasets.rows import Columns, Rows
from memcom_tf.errors import argument, for_reader, invalid

Report: TypeAlias = Callable[[str], object]
RowFormat: TypeAlias = Literal["criteo", "avazu"]

CRITEO = (
    "label",
    *(f"I{number}" for number in range(1, 14)),
    *(f"C{number}" for number in range(1, 27)),
)
"""The columns of Criteo's `train.txt`, which has no line of names."""
_AVAZU = ("hour", "C1", "banner_pos", "site_id", "app_id", "device_id")
"""Columns by which Avazu's files are known."""
HOUR_OF_DAY = "hour_of_day"
"""A category of Avazu's rows: the last two digits of `hour`."""
_HASH = re.compile("[0-9a-f]{8}")


def load_rows(
    path: str | os.PathLike[str],
    columns: Columns | None = None,
    *,
    format: RowFormat | None = None,
    report: Report | None = None,
) -> Rows:
    """Reads rows of fields from a file.

    Two public formats are known by how they look: Criteo's `train.txt` (a label, 13 numbers and
    26 categories, separated by tabs, without names) and Avazu's CSV (`id`, `click`, `hour`, ...,
    of whose hour the hour of the day becomes a category). Of other files `columns` says what is
    what, and what it does not name is not read.

    Args:
        path: A .csv file, one of tabs (.tsv, .txt), these also as .gz and .zst, .parquet or .npz.
        columns: Which columns are what; None where the format is known.
        format: "criteo" or "avazu", where the file does not look like it.
        report: Called with one line that says what was read as what.

    Returns:
        The rows. Categories are strings, also where they are integers in the file.

    Raises:
        ImportError: If pyarrow is not installed.
        OSError: If the file cannot be read.
        ValueError: If the file is of another kind or damaged, lacks a column, or if a value is
            not of its kind.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "clicks.csv"
        ...     _ = path.write_text(chr(10).join(["click,site,age", "1,a,31", "0,b,"]))
        ...     load_rows(path, Columns("click", ["site"], ["age"]), report=print)
        reading labels from `click`, 1 categorical and 1 numeric field
        <Rows: 2 of 1 categorical and 1 numeric fields, 50.0% labelled 1>
    """
    layout = layout_of(open_columns(path), columns, format)
    rows = _read(open_columns(path, layout.names), layout.columns, report)
    return _with_hour_of_day(rows) if layout.format == "avazu" else _in_order(rows, layout.format)


class Layout(NamedTuple):
    """How a file holds rows.

    Attributes:
        columns: Which columns are what.
        format: The public format that it has; None of others.
        names: The columns of a file of lines whose first line does not name them, else None.
    """

    columns: Columns
    format: RowFormat | None
    names: tuple[str, ...] | None


def layout_of(file: ColumnFile, columns: Columns | None, format: RowFormat | None) -> Layout:
    """How a file holds rows, by what is said of it or by how it looks.

    Args:
        file: The file.
        columns: As of `load_rows`.
        format: As of `load_rows`.

    Raises:
        ValueError: If it must be said which columns are what, or there is no such format.
    """
    if format not in (None, "criteo", "avazu"):
        raise invalid("`format` must be one of ('criteo', 'avazu').", format=format)
    if columns is None and format is None:
        format = _looks_like(file)
    names = _names(file) if format == "criteo" else None
    if columns is None:
        if format is None:
            raise invalid(
                "It must be said which columns are what.",
                f"The file has {listed(file.names)}: name them with {argument('label')}, "
                f"{argument('categorical')} and {argument('numeric')}"
                + for_reader(" of `Columns`.", ", or in a TOML file with `--columns`."),
                path=str(file.path),
            )
        columns = _columns_of(names or file.names, format)
    return Layout(columns, format, names)


def load_rows_of(
    path: str | os.PathLike[str],
    categorical: Mapping[str, str | None],
    numeric: Sequence[str],
    *,
    label: str | None = None,
    texts: Sequence[str] = (),
    report: Report | None = None,
) -> Rows:
    """Reads rows for a model whose fields are known, as those of a file to score.

    Args:
        path: As in `load_rows`.
        categorical: Fields of categories, and what separates several values of one.
        numeric: Fields of numbers.
        label: The column of labels; None reads those of a known format alone.
        texts: Of the fields of categories those of texts.
        report: Called with one line that says what was read, and one that says what is missing.

    Returns:
        The rows, of the fields that the file has.

    Raises:
        ImportError, OSError, ValueError: As `load_rows`, and if the file has no field.
    """
    file = open_columns(path)
    if label is None and _looks_like(file) is not None:
        return load_rows(path, report=report)
    wanted = [*categorical, *numeric]
    absent = [name for name in wanted if name not in file.names]
    if len(absent) == len(wanted):
        raise invalid(
            "The file must have fields of the model.",
            f"It has {listed(file.names)}, and the model {listed(tuple(wanted))}.",
            path=str(file.path),
        )
    if absent and report is not None:
        report(f"missing in every row, as the file does not have them: {listed(tuple(absent))}")
    several = {name: mark for name, mark in categorical.items() if mark and name not in absent}
    columns = Columns(
        label,
        [name for name in categorical if name not in absent],
        [name for name in numeric if name not in absent],
        several,
        texts=[name for name in texts if name not in absent],
    )
    return load_rows(path, columns, report=report)


def _looks_like(file: ColumnFile) -> RowFormat | None:
    """The public format that a file has."""
    if {"id", *_AVAZU} <= set(file.names) and file.names[0] == "id":
        return "avazu"
    columns = len(file.names)
    is_labelled = columns == len(CRITEO) and file.names[0] in ("0", "1")
    # What is to be scored has no label. A line of names has no gaps, and no hashes of 8 digits.
    is_bare = columns == len(CRITEO) - 1 and any(map(_HASH.fullmatch, file.names))
    return "criteo" if is_labelled or is_bare else None


def _names(file: ColumnFile) -> tuple[str, ...]:
    """The columns of a file of Criteo's, which has no label where it is to be scored."""
    return CRITEO[1:] if len(file.names) == len(CRITEO) - 1 else CRITEO


def _columns_of(names: Sequence[str], format: RowFormat) -> Columns:
    if format == "criteo":
        return Columns("label" if "label" in names else None, CRITEO[14:], CRITEO[1:14])
    others = [name for name in names if name not in ("id", "click", "hour")]
    return Columns("click" if "click" in names else None, others, time="hour")


def _read(file: ColumnFile, columns: Columns, report: Report | None) -> Rows:
    check_fields(file, columns)
    kinds: dict[str, Kind] = dict.fromkeys(columns.categorical, "category")
    kinds |= dict.fromkeys(columns.texts, "text")
    kinds |= dict.fromkeys(columns.numeric, "number")
    kinds |= dict.fromkeys(filter(None, (columns.label, columns.test)), "flag")
    # A column of times may be a field as well.
    time_apart = columns.time if columns.time not in kinds else None
    if time_apart is not None:
        kinds[time_apart] = "time"
    if report is not None:
        report(reading(columns))
    found: dict[str, Any] = file.read(kinds)
    time = found.pop(time_apart, None) if time_apart else None
    if columns.time is not None and time is None:
        time = file.read({columns.time: "time"})[columns.time]
    return Rows(
        {name: found[name] for name in columns.categorical},
        {name: found[name] for name in columns.numeric},
        columns.several,
        found[columns.label] if columns.label else None,
        time,
        found[columns.test] if columns.test else None,
    )


def check_fields(file: ColumnFile, columns: Columns) -> None:
    """Requires that there are fields, and that a file has all columns.

    Raises:
        ValueError: If it is not so.
    """
    wanted = dict.fromkeys((*columns.fields, *filter(None, (columns.label, columns.test))))
    check_columns(file, [*wanted, *filter(None, [columns.time])])
    if not columns.fields:
        raise invalid(
            "There must be fields to read.",
            f"The file has {listed(file.names)}: name them with {argument('categorical')} and "
            f"{argument('numeric')}.",
            path=str(file.path),
        )


def check_columns(file: ColumnFile, wanted: Sequence[str]) -> None:
    """Requires that a file has columns, each once.

    Raises:
        ValueError: Naming those that it lacks, or has twice.
    """
    missing = [name for name in wanted if name not in file.names]
    if missing:
        raise invalid(
            "The file must have the columns asked for.",
            f"It has {listed(file.names)}.",
            missing=[shown(name) for name in missing],
            path=str(file.path),
        )
    twice = [name for name in wanted if file.names.count(name) > 1]
    if twice:
        raise invalid(
            "The columns asked for must be in the file once.",
            "Give each column a name of its own.",
            twice=[shown(name) for name in twice],
            path=str(file.path),
        )


def reading(columns: Columns) -> str:
    """A line that says which columns are read as what."""
    label = f"labels from `{shown(columns.label)}`, " if columns.label else ""
    time = f", time from `{shown(columns.time)}`" if columns.time else ""
    test = f", what is held out from `{shown(columns.test)}`" if columns.test else ""
    plural = "" if len(columns.numeric) == 1 else "s"
    return (
        f"reading {label}{len(columns.categorical)} categorical and {len(columns.numeric)} numeric "
        f"field{plural}{time}{test}"
    )


def _with_hour_of_day(rows: Rows) -> Rows:
    """Avazu's hours are YYMMDDHH."""
    assert rows.time is not None
    hours = Labels.encode([str(hour) for hour in (rows.time % 100).tolist()], "hour")
    return replace(rows, categorical={**rows.categorical, HOUR_OF_DAY: hours})


def _in_order(rows: Rows, format: RowFormat | None) -> Rows:
    """Criteo's rows are in the order of time."""
    return replace(rows, time=np.arange(len(rows))) if format == "criteo" else rows
