"""What the values of a column must be, whatever file they come from, and how it is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from memcom_tf.datasets.files.columns import Kind, shown
from memcom_tf.datasets.labels import Labels
from memcom_tf.errors import for_reader, invalid

Place: TypeAlias = Callable[[int], dict[str, int]]
"""Row, from 0 -> where the reader finds it: `{"line": 3}`, say."""
Where: TypeAlias = Mapping[str, str]
"""Which column of which file: `{"column": "user", "path": "log.csv"}`."""

_MUST = {
    "label": "A column of users or items must hold strings or integers.",
    "time": "A column of times must hold numbers, dates such as 2018-09-20, or date-times such as "
    "2018-09-20T10:30:00 or 2018-09-20T10:30:00+02:00.",
    "flag": "A column of labels, or of what is held out, must hold 0 or 1.",
    "category": "A column of categories must hold strings or integers.",
    "number": "A column of numbers must hold finite numbers, or nothing where one is missing.",
    "text": "A column of texts must hold strings.",
}
_ACTION = {
    "label": "Save the ids as strings or as integers.",
    "time": "Write all of its values in one of these ways, or name another column.",
    "flag": "Write 1 where a row is one, or is held out, and 0 elsewhere.",
    "category": "Write them as strings, or name the column among the numbers.",
    "number": "Leave the field empty, or name the column among the categories.",
    "text": "Name another column.",
}


def unfit(kind: Kind, where: Where, /, **received: object) -> ValueError:
    """Returns the error for a column, or a value, that is not of its kind."""
    action = _ACTION[kind]
    if kind == "flag" and where.get("column") == "test":
        action += for_reader(
            " Pass `test=None` where that column is something else.",
            " Say --no-test where that column is something else.",
        )
    return invalid(_MUST[kind], action, **received, **where)


def missing_value(where: Where, how_many: int, /, **place: int) -> ValueError:
    """Returns the error for a column with missing values."""
    return invalid(
        "A column must not have missing values.",
        "Leave those rows out, or fill them in.",
        **place,
        how_many=how_many,
        **where,
    )


def check_texts(labels: Labels, place: Place, where: Where) -> None:
    """Requires that labels that are strings are neither empty nor broken."""
    if labels.values.dtype != object:
        return
    _refuse(
        labels,
        lambda text: text == "",
        lambda row, number: missing_value(where, number, **place(row)),
    )
    check_marks(labels, place, where)


def check_marks(labels: Labels, place: Place, where: Where, *, of_lines: bool = True) -> None:
    """Requires that labels that are strings are lines of Unicode text, or any such text."""
    joined = "".join(map(str, labels.values))
    marks = "\0\n\r" if of_lines else "\0"
    if any(mark in joined for mark in marks):
        _refuse(
            labels,
            lambda text: any(mark in text for mark in marks),
            lambda row, _: invalid(
                "An id must not have a line break or a NUL in it."
                if of_lines
                else "A text must not have a NUL in it.",
                "Close the quote that is open, or save the file as text.",
                **place(row),
                value=shown(labels.values[labels.codes[row]]),
                **where,
            ),
        )
    try:
        joined.encode()
    except UnicodeEncodeError:
        _refuse(
            labels,
            lambda text: any("\ud800" <= letter <= "\udfff" for letter in text),
            lambda row, _: invalid(
                "An id must be text that UTF-8 can express.",
                "Save the file as UTF-8.",
                **place(row),
                **where,
            ),
        )


def _refuse(
    labels: Labels,
    is_bad: Callable[[str], bool],
    error: Callable[[int, int], ValueError],
) -> None:
    bad = np.fromiter(map(is_bad, map(str, labels.values)), np.bool_, len(labels.values))
    rows = np.flatnonzero(bad[labels.codes]) if bad.any() else np.empty(0, np.int64)
    if len(rows):
        raise error(int(rows[0]), len(rows))


def flag_of(text: str) -> Any:
    """True or False as programs write them; None for anything else."""
    lowered = text.strip().lower()
    if lowered in ("1", "1.0", "true"):
        return True
    return False if lowered in ("0", "0.0", "false") else None
