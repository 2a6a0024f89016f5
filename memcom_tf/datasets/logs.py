"""Logs: files of interactions, which columns of them are read, and as what."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.column_names import required_column, usual_column
from memcom_tf.datasets.files.columns import ColumnFile, Kind, listed, shown
from memcom_tf.datasets.files.opening import open_columns
from memcom_tf.datasets.interactions import Interactions
from memcom_tf.datasets.item_details import (
    Details,
    detail_columns,
    load_details,
    texts_of_items,
)
from memcom_tf.datasets.labels import Labels
from memcom_tf.errors import argument, invalid

TimeColumn: TypeAlias = str | Literal[False] | None
Report: TypeAlias = Callable[[str], object]

_MOST_UNREAD = 5


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
    user: str | None = None,
    item: str | None = None,
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
        user: The column of users. None finds one called "user", or as such columns usually are:
            "userId", "customer_id" and so on (`memcom_tf.datasets.column_names.USUAL`).
        item: The column of items, found likewise: "item", "movieId", "product_id", "asin".
        time: The column of times. None finds one called "time", "timestamp", "date" and so on,
            and takes the order of the rows where there is none; False takes the order of the rows.
        report: Called with one line that says which columns were read as what.

    Returns:
        The interactions, without details.

    Raises:
        ImportError: If pyarrow is needed and not installed.
        OSError: If the file cannot be read.
        ValueError: If the file is of another kind or damaged, lacks a column or has it twice, has
            several columns that may be the same thing, or if a value is missing or not of its kind.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "clicks.npz"
        ...     np.savez(path, userId=[1, 1], movieId=[50, 7], timestamp=[20, 10])
        ...     log = load_interactions(path, report=print)
        reading users from `userId`, items from `movieId`, time from `timestamp`
        >>> log.item, log.time
        (array([50,  7]), array([20, 10]))
    """
    return load_log(
        path, user=user, item=item, time=time, test=None, title=False, report=report
    ).interactions


def load_log(
    path: str | os.PathLike[str],
    *,
    user: str | None = None,
    item: str | None = None,
    time: TimeColumn = None,
    test: str | None = "test",
    title: str | Literal[False] | None = False,
    details: Mapping[str, str] | None = None,
    items: str | os.PathLike[str] | None = None,
    report: Report | None = None,
) -> Log:
    """Reads interactions, what is held out, and what is known of the items, in one pass.

    Args:
        path: As in `load_interactions`.
        user: As in `load_interactions`.
        item: As in `load_interactions`.
        time: As in `load_interactions`; where the file says what is held out, only a column that
            is named is read.
        test: The column of flags, 0 and 1; "test" is read if the file has it. None reads none.
        title: The column of titles. None finds one called "title" or the like, if there is one;
            False reads none.
        details: Further columns of texts on the items, by the names that they are to have.
        items: A file of items, with a row for each, that titles and details are in; None for the
            file of interactions itself.
        report: As in `load_interactions`.

    Returns:
        The interactions, with their details, and the flags.

    Raises:
        ImportError, OSError, ValueError: As `load_interactions`.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "clicks.npz"
        ...     np.savez(path, user=[1, 1], item=[50, 7], title=["Star Wars", "Twelve Monkeys"])
        ...     log = load_log(path, title="title").interactions
        >>> log.details["title"][50]
        'Star Wars'
    """
    file = open_columns(path)
    user, item = (
        required_column(file.names, role, given, path=str(file.path))
        for role, given in (("user", user), ("item", item))
    )
    if test == "test" and test not in file.names:
        test = None
    if time is None and test is None:
        time = usual_column(file.names, "time", (user, item), path=str(file.path))
    wanted: dict[str, Kind] = {user: "label", item: "label"}
    texts: dict[str, str] = {}
    if items is None:
        texts = detail_columns(file, title, details, (user, item, time or None, test))
    for name, kind in (
        (time, "time"),
        (test, "flag"),
        *((column, "category") for column in texts.values()),
    ):
        if name:
            _want(wanted, name, kind)  # type: ignore[arg-type]
    _require(file, list(wanted))
    if report is not None:
        report(_reading(file, user, item, time, test, texts))
    columns: dict[str, Any] = file.read(wanted)
    if not len(columns[user]):
        raise invalid("There must be interactions.", "The file has no rows.", path=str(file.path))
    if items is None:
        known = texts_of_items(columns[item], {key: columns[of] for key, of in texts.items()})
    else:
        known = load_details(items, item, title=title, details=details, report=report)
        _require_known(columns[item], known, items)
    times = columns[time] if time else None
    log = Interactions(columns[user], columns[item], times, known)
    return Log(log, columns[test] if test else None)


def _want(wanted: dict[str, Kind], name: str, kind: Kind) -> None:
    if name in wanted:
        raise invalid(
            "A column must be read as one thing.",
            f"Name another with {argument('user')}, {argument('item')} or {argument('time')}.",
            column=shown(name),
        )
    wanted[name] = kind


def _require_known(items: Labels, details: Details, path: str | os.PathLike[str]) -> None:
    """Requires that a file of items knows an item of the log at all."""
    known = set().union(*details.values())
    if known.isdisjoint(items.values.tolist()):
        raise invalid(
            "The file of items must name the items of the log.",
            "Ids are compared as they are written: 7 is not 007.",
            path=str(path),
            an_item_of_the_log=shown(items.values.tolist()[0]),
            an_item_of_the_file=shown(next(iter(known), None)),
        )


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


def _reading(
    file: ColumnFile,
    user: str,
    item: str,
    time: TimeColumn,
    test: str | None,
    texts: Mapping[str, str],
) -> str:
    columns = [f"users from `{shown(user)}`", f"items from `{shown(item)}`"]
    if time:
        columns.append(f"time from `{shown(time)}`")
    if test is not None:
        columns.append(f"what is held out from `{shown(test)}`")
    columns += [f"{name} from `{shown(column)}`" for name, column in texts.items()]
    order = "" if time or test is not None else "; the order of the rows counts as time"
    read = {user, item, time, test, *texts.values()}
    others = tuple(dict.fromkeys(shown(name) for name in file.names if name not in read))
    unread = f"; not read: {', '.join(f'`{name}`' for name in others[:_MOST_UNREAD])}"
    if len(others) > _MOST_UNREAD:
        unread += f" and {len(others) - _MOST_UNREAD} more"
    return f"reading {', '.join(columns)}{order}{unread if others else ''}"
