"""What is known of items: titles and other texts, of a log's own columns or of a file of items."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from memcom_tf.datasets.column_names import required_column, usual_column
from memcom_tf.datasets.files.columns import ColumnFile, listed, shown
from memcom_tf.datasets.files.opening import open_columns
from memcom_tf.datasets.labels import Labels
from memcom_tf.errors import argument, invalid

Title = str | Literal[False] | None
Details = dict[str, dict[Any, str]]


def detail_columns(
    file: ColumnFile,
    title: Title,
    details: Mapping[str, str] | None,
    taken: tuple[str | None, ...] = (),
) -> dict[str, str]:
    """The columns of texts on items, by the names that these are to have.

    Args:
        file: An open file.
        title: The column of titles; None finds one by its name, False reads none.
        details: Name -> column of further ones.
        taken: Columns that hold something else.

    Raises:
        ValueError: If the file lacks a column, or two details have one name.
    """
    found = dict(details or {})
    if title is None and "title" not in found:
        title = usual_column(file.names, "title", (*taken, *found.values()), path=str(file.path))
    if title:
        if "title" in found:
            raise invalid(
                "A detail must have a name of its own.",
                f"Leave {argument('title')} out.",
                title=shown(title),
            )
        found = {"title": title, **found}
    missing = [shown(column) for column in found.values() if column not in file.names]
    if missing:
        raise invalid(
            "The file must have the columns of details.",
            f"It has {listed(file.names)}: name one of these.",
            missing=missing,
            path=str(file.path),
        )
    return found


def texts_of_items(items: Labels, columns: Mapping[str, Labels]) -> Details:
    """The text of each item: the first one that is not empty.

    Args:
        items: [n] the item of each row.
        columns: Name -> [n] texts, "" where one is missing.

    Returns:
        Name -> item -> text.

    Example:
        >>> items = Labels.encode([7, 5, 7, 5], "item")
        >>> texts_of_items(items, {"title": Labels.encode(["", "b", "c", "d"], "title")})
        {'title': {5: 'b', 7: 'c'}}
    """
    found: Details = {}
    for name, texts in columns.items():
        empty = np.flatnonzero(texts.values == "")
        rows = np.flatnonzero(~np.isin(texts.codes, empty))
        of_items, first = np.unique(items.codes[rows], return_index=True)
        of_texts = texts.values[texts.codes[rows[first]]]
        found[name] = dict(zip(items.values[of_items].tolist(), of_texts.tolist(), strict=True))
    return found


def load_details(
    path: str | os.PathLike[str],
    item: str,
    *,
    title: Title = None,
    details: Mapping[str, str] | None = None,
    report: Callable[[str], object] | None = None,
) -> Details:
    """Reads what is known of items from a file with a row for each.

    Args:
        path: A file as `load_interactions` takes it.
        item: The column of items, if the file has it; else one is found by its name.
        title: The column of titles; None finds one by its name, False reads none.
        details: Further columns of texts, by the names that they are to have.
        report: Called with a line that says which columns were read as what.

    Returns:
        Name -> item -> text.

    Raises:
        ImportError, OSError, ValueError: As `load_interactions`; and if there is no text to read.
    """
    file = open_columns(path)
    item = required_column(
        file.names, "item", item if item in file.names else None, path=str(file.path)
    )
    texts = detail_columns(file, title, details, (item,))
    if not texts or item in texts.values():
        raise invalid(
            "A file of items must have a column of titles.",
            f"It has {listed(file.names)}: name it with {argument('title')}.",
            path=str(file.path),
        )
    twice = [name for name in (item, *texts.values()) if file.names.count(name) > 1]
    if twice:
        raise invalid(
            "The columns asked for must be in the file once.",
            "Give each column a name of its own.",
            twice=[shown(name) for name in twice],
            path=str(file.path),
        )
    if report is not None:
        ways = ", ".join(f"{name} from `{shown(column)}`" for name, column in texts.items())
        report(f"reading items from `{shown(item)}`, {ways} of {file.path}")
    columns: dict[str, Any] = file.read(
        {item: "label", **dict.fromkeys(texts.values(), "category")}
    )
    return texts_of_items(columns[item], {name: columns[of] for name, of in texts.items()})
