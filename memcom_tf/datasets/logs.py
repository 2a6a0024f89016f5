"""Logs: files of interactions, which columns of them are read, and as what."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.files.columns import ColumnFile, Kind, listed, shown
from memcom_tf.datasets.files.opening import open_columns
from memcom_tf.datasets.interactions import Interactions
from memcom_tf.errors import argument, invalid

TimeColumn: TypeAlias = str | Literal[False] | None
Report: TypeAlias = Callable[[str], object]

TIME_NAMES = ("time", "timestamp", "date", "datetime", "unixReviewTime")
"""Columns of times, in any case of letters, that are found by their name."""
_FOLDED = {name.casefold() for name in TIME_NAMES}


class Log(NamedTuple):
    """What a file of interactions holds.

    Attributes:
        interactions: Users, items and times.
        is_test: [n] which interactions are held out; None where the file does not say.
    """

    interactions: Interactions
    is_test: npt.NDArray[np.bool_] | None


def load_interactions(
    path: str | os.PathLike[str],
    *,
    user: str = "user",
    item: str = "item",
    time: TimeColumn = None,
    report: Report | None = None,
) -> Interactions:
    """Reads interactions from a file.

    Ids are what the file says. In .csv and .tsv files, which have no types, a column of ids is
    one of integers where all of them are written as integers of 64 bits are ("7", not "007", "+7"
    or "7.0"), else one of strings; in other files the type of the column counts. Only an empty
    field is a missing value: "NA" is an item.

    Times are numbers, ISO 8601 dates or date-times with or without a zone, or the types of time
    that Parquet and NumPy have.

    Args:
        path: A .csv, .tsv or .parquet file with these columns (needs pyarrow), or an .npz file
            with 1-D arrays of these names. Files of lines may be compressed (.csv.gz, .tsv.zst).
        user: The column of users.
        item: The column of items.
        time: The column of times. None finds one called "time", "timestamp", "date", "datetime"
            or "unixReviewTime", in any case of letters, and takes the order of the rows where
            there is none; False takes the order of the rows.
        report: Called with one line that says which columns were read as what.

    Returns:
        The interactions, without details.

    Raises:
        ImportError: If pyarrow is needed and not installed.
        OSError: If the file cannot be read.
        ValueError: If the file is of another kind or damaged, lacks a column or has it twice, has
            several columns that may be the time, or if a value is missing or not of its kind.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "clicks.npz"
        ...     np.savez(path, user=[1, 1], item=[50, 7], timestamp=[20, 10])
        ...     log = load_interactions(path, report=print)
        reading users from `user`, items from `item`, time from `timestamp`
        >>> log.item, log.time
        (array([50,  7]), array([20, 10]))
    """
    return load_log(path, user=user, item=item, time=time, test=None, report=report).interactions


def load_log(
    path: str | os.PathLike[str],
    *,
    user: str = "user",
    item: str = "item",
    time: TimeColumn = None,
    test: str | None = "test",
    report: Report | None = None,
) -> Log:
    """Reads interactions, and which of them are held out, in one pass over a file.

    Args:
        path: As in `load_interactions`.
        user: As in `load_interactions`.
        item: As in `load_interactions`.
        time: As in `load_interactions`; where the file says what is held out, only a column that
            is named is read.
        test: The column of flags, 0 and 1, if the file has it; None reads none.
        report: As in `load_interactions`.

    Returns:
        The interactions, and the flags.

    Raises:
        ImportError, OSError, ValueError: As `load_interactions`.
    """
    file = open_columns(path)
    if test not in file.names:
        test = None
    if time is None and test is None:
        time = _time_column(file, (user, item))
    _require(file, [user, item, *([time] if time else [])])
    wanted: dict[str, Kind] = {user: "label", item: "label"}
    for name, kind in ((time, "time"), (test, "flag")):
        if name:
            if name in wanted:
                raise invalid(
                    "A column must be read as one thing.",
                    f"Name another with {argument('user')}, {argument('item')} or "
                    f"{argument('time')}.",
                    column=shown(name),
                )
            wanted[name] = kind  # type: ignore[assignment]
    if report is not None:
        report(_reading(user, item, time, test))
    columns: dict[str, Any] = file.read(wanted)
    if not len(columns[user]):
        raise invalid("There must be interactions.", "The file has no rows.", path=str(file.path))
    times = columns[time] if time else None
    return Log(Interactions(columns[user], columns[item], times), columns[test] if test else None)


def _require(file: ColumnFile, wanted: list[str]) -> None:
    missing = [name for name in wanted if name not in file.names]
    if missing:
        raise invalid(
            "The file must have the columns asked for.",
            f"It has {listed(file.names)}: name those with {argument('user')}, "
            f"{argument('item')} and {argument('time')}.",
            missing=[shown(name) for name in missing],
            path=str(file.path),
        )
    twice = [name for name in dict.fromkeys(wanted) if file.names.count(name) > 1]
    if twice:
        raise invalid(
            "The columns asked for must be in the file once.",
            "Give each column a name of its own.",
            twice=[shown(name) for name in twice],
            path=str(file.path),
        )


def _time_column(file: ColumnFile, others: tuple[str, ...]) -> str | None:
    found = [
        name
        for name in dict.fromkeys(file.names)
        if name.casefold() in _FOLDED and name not in others
    ]
    if len(found) > 1:
        ways = " or ".join(argument("time", shown(name)) for name in found)
        raise invalid(
            "One column must be the time.", f"Say which: {ways}.", found=found, path=str(file.path)
        )
    return found[0] if found else None


def _reading(user: str, item: str, time: TimeColumn, test: str | None) -> str:
    columns = [f"users from `{shown(user)}`", f"items from `{shown(item)}`"]
    if time:
        columns.append(f"time from `{shown(time)}`")
    if test is not None:
        columns.append(f"what is held out from `{test}`")
    order = "" if time or test is not None else "; the order of the rows counts as time"
    return f"reading {', '.join(columns)}{order}"
