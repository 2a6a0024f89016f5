"""Rows of fields: categories and numbers with a label, such as impressions that were clicked."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.files.columns import ColumnFile, Kind, listed, shown
from memcom_tf.datasets.files.opening import open_columns
from memcom_tf.datasets.labels import Labels
from memcom_tf.errors import argument, for_reader, invalid

Report: TypeAlias = Callable[[str], object]
RowFormat: TypeAlias = Literal["criteo", "avazu"]

SEPARATOR = "|"
"""Between the values of a field that has several, unless said otherwise."""

CRITEO = (
    "label",
    *(f"I{number}" for number in range(1, 14)),
    *(f"C{number}" for number in range(1, 27)),
)
"""The columns of Criteo's `train.txt`, which has no line of names."""
_AVAZU = ("hour", "C1", "banner_pos", "site_id", "app_id", "device_id")
"""Columns by which Avazu's files are known."""
_HASH = re.compile("[0-9a-f]{8}")


@dataclass(frozen=True)
class Columns:
    """Which columns of a file are what.

    Attributes:
        label: The column of labels, 0 or 1; None where there are none, as in rows to score.
        categorical: Columns of categories, strings or integers.
        numeric: Columns of numbers.
        several: Of the categorical ones those with several values in a field, and what separates
            them, such as `{"genres": "|"}`.
        time: The column of times; None where there is none.
        test: The column of 0 and 1 that says what is held out; None where there is none.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "columns.toml"
        ...     _ = path.write_text('label = "click"' + chr(10) + 'categorical = ["site"]')
        ...     columns = Columns.from_toml(path)
        >>> columns.label, columns.fields
        ('click', ('site',))
    """

    label: str | None = None
    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    several: Mapping[str, str] = field(default_factory=dict)
    time: str | None = None
    test: str | None = None

    def __post_init__(self) -> None:
        for name in ("categorical", "numeric"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        named = [*self.fields, *filter(None, (self.label, self.test))]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise invalid("A column must be one thing.", "Name it once.", twice=twice)
        if "" in self.several.values():
            raise invalid("What separates values must not be empty.", "", several=self.several)
        unknown = sorted(set(self.several) - set(self.categorical))
        if unknown:
            raise invalid(
                "Fields of several values must be among the categorical ones.", "", unknown=unknown
            )

    @property
    def fields(self) -> tuple[str, ...]:
        """The categorical columns, then the numeric ones."""
        return (*self.categorical, *self.numeric)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Self:
        """Reads a file of `label`, `categorical`, `numeric`, `time`, `test` and `[several]`.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If it is no such file.
        """
        must = "The file must be TOML that says which columns are what."
        try:
            found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise invalid(must, str(error), path=str(path)) from error
        lists, texts = ("categorical", "numeric"), ("label", "time", "test")
        fits = all(
            (name in lists and _are_texts(value))
            or (name in texts and isinstance(value, str))
            or (name == "several" and isinstance(value, dict) and _are_texts([*value.values()]))
            for name, value in found.items()
        )
        if not fits:
            raise invalid(
                must,
                'For example: label = "click", categorical = ["site", "genres"], '
                'numeric = ["age"], time = "hour", and [several] with genres = "|".',
                received={name: shown(str(value)) for name, value in found.items()},
                path=str(path),
            )
        return cls(**found)


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of fields, in columns of equal length.

    Attributes:
        categorical: Name -> [n] strings, "" where a value is missing.
        numeric: Name -> [n] float32, NaN where a value is missing.
        several: Of the categorical fields those of several values, and what separates them.
        label: [n] booleans; None where there are none.
        time: [n] times; None where the order of the rows says nothing.
        is_test: [n] which rows are held out; None where the data does not say.

    Raises:
        ValueError: If there is no field, or columns differ in length.

    Example:
        >>> rows = Rows.of({"site": ["a", "b", "a"]}, {"age": [31, None, 18]}, label=[1, 0, 0])
        >>> len(rows), rows[:2].numeric["age"].tolist()
        (3, [31.0, nan])
    """

    categorical: Mapping[str, Labels] = field(default_factory=dict)
    numeric: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    several: Mapping[str, str] = field(default_factory=dict)
    label: npt.NDArray[np.bool_] | None = None
    time: npt.NDArray[Any] | None = None
    is_test: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        lengths = {
            name: len(column)
            for name, column in {
                **self.categorical,
                **self.numeric,
                "label": self.label,
                "time": self.time,
                "is_test": self.is_test,
            }.items()
            if column is not None
        }
        if "" in self.several.values():
            raise invalid("What separates values must not be empty.", "", several=self.several)
        if not self.categorical and not self.numeric:
            raise invalid(
                "Rows must have fields.",
                f"Name them: {argument('categorical')} or {argument('numeric')}.",
            )
        if len(set(lengths.values())) > 1:
            raise invalid("The columns must have equal lengths.", "", **lengths)

    @classmethod
    def of(
        cls,
        categorical: Mapping[str, Sequence[Any]] | None = None,
        numeric: Mapping[str, Sequence[Any]] | None = None,
        **others: Any,
    ) -> Self:
        """Rows from lists or arrays.

        Args:
            categorical: Name -> strings or integers, None or "" where a value is missing.
            numeric: Name -> numbers, None or NaN where a value is missing.
            **others: `several`, `label`, `time` and `is_test` of the class.
        """
        label = others.pop("label", None)
        return cls(
            {
                name: Labels.encode(["" if v is None else str(v) for v in values], name)
                if not isinstance(values, Labels)
                else values
                for name, values in (categorical or {}).items()
            },
            {name: np.asarray(values, np.float32) for name, values in (numeric or {}).items()},
            label=None if label is None else np.asarray(label).astype(bool),
            **others,
        )

    @property
    def labels(self) -> npt.NDArray[np.bool_]:
        """The labels.

        Raises:
            ValueError: If there are none.
        """
        if self.label is None:
            raise invalid(
                "The rows must have labels.", f"Name the column of labels: {argument('label')}."
            )
        return self.label

    def __len__(self) -> int:
        lengths = [*map(len, self.categorical.values()), *map(len, self.numeric.values())]
        return lengths[0]

    def __getitem__(self, rows: Any) -> Rows:
        """Some of the rows: a slice, numbers or a mask."""
        return Rows(
            {name: column[rows] for name, column in self.categorical.items()},
            {name: column[rows] for name, column in self.numeric.items()},
            self.several,
            *(None if c is None else c[rows] for c in (self.label, self.time, self.is_test)),
        )

    def __repr__(self) -> str:
        fields = f"{len(self.categorical)} categorical and {len(self.numeric)} numeric fields"
        clicks = "" if self.label is None else f", {self.label.mean():.1%} labelled 1"
        return f"<Rows: {len(self):,} of {fields}{clicks}>"


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
    if format not in (None, "criteo", "avazu"):
        raise invalid("`format` must be one of ('criteo', 'avazu').", format=format)
    file = open_columns(path)
    if columns is None and format is None:
        format = _looks_like(file)
    if format == "criteo":
        file = open_columns(path, _names(file))
    if columns is None:
        if format is None:
            raise invalid(
                "It must be said which columns are what.",
                f"The file has {listed(file.names)}: name them with {argument('label')}, "
                f"{argument('categorical')} and {argument('numeric')}"
                + for_reader(" of `Columns`.", ", or in a TOML file with `--columns`."),
                path=str(file.path),
            )
        columns = _columns_of(file, format)
    rows = _read(file, columns, report)
    return _with_hour_of_day(rows) if format == "avazu" else _in_order(rows, format)


def load_rows_of(
    path: str | os.PathLike[str],
    categorical: Mapping[str, str | None],
    numeric: Sequence[str],
    *,
    label: str | None = None,
    report: Report | None = None,
) -> Rows:
    """Reads rows for a model whose fields are known, as those of a file to score.

    Args:
        path: As in `load_rows`.
        categorical: Fields of categories, and what separates several values of one.
        numeric: Fields of numbers.
        label: The column of labels; None reads those of a known format alone.
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


def _columns_of(file: ColumnFile, format: RowFormat) -> Columns:
    if format == "criteo":
        label = "label" if "label" in file.names else None
        return Columns(label, CRITEO[14:], CRITEO[1:14])
    others = [name for name in file.names if name not in ("id", "click", "hour")]
    return Columns("click" if "click" in file.names else None, others, time="hour")


def _read(file: ColumnFile, columns: Columns, report: Report | None) -> Rows:
    wanted = dict.fromkeys((*columns.fields, *filter(None, (columns.label, columns.test))))
    missing = [name for name in (*wanted, columns.time) if name and name not in file.names]
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
    if not columns.fields:
        raise invalid(
            "There must be fields to read.",
            f"The file has {listed(file.names)}: name them with {argument('categorical')} and "
            f"{argument('numeric')}.",
            path=str(file.path),
        )
    kinds: dict[str, Kind] = dict.fromkeys(columns.categorical, "category")
    kinds |= dict.fromkeys(columns.numeric, "number")
    kinds |= dict.fromkeys(filter(None, (columns.label, columns.test)), "flag")
    # A column of times may be a field as well.
    time_apart = columns.time if columns.time not in kinds else None
    if time_apart is not None:
        kinds[time_apart] = "time"
    if report is not None:
        report(_reading(columns))
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


def _reading(columns: Columns) -> str:
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
    return replace(rows, categorical={**rows.categorical, "hour_of_day": hours})


def _in_order(rows: Rows, format: RowFormat | None) -> Rows:
    """Criteo's rows are in the order of time."""
    return replace(rows, time=np.arange(len(rows))) if format == "criteo" else rows
