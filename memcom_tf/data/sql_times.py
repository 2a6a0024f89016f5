"""Columns of times in SQL: how they are written, and that each of them is one."""

from __future__ import annotations

from memcom_tf.data.columns import (
    EXACT_IN_FLOAT,
    TIME_PATTERNS,
    TimeKind,
    is_finite,
    time_kind,
    unfit_time,
)
from memcom_tf.data.engine import check_labels
from memcom_tf.data.statements import Statements


def written_kind(sql: Statements, name: str, table: str) -> TimeKind:
    """How the times of a column of text are written, which a table has as `written`.

    Args:
        sql: Where the table is.
        name: The column.
        table: The table.

    Raises:
        ValueError: If some are missing, or they are not written alike.
    """
    fits = ", ".join(
        f"count(*) FILTER (WHERE {sql.dialect.matches('trim(written)', pattern)})"
        for pattern in TIME_PATTERNS.values()
    )
    rows, missing, *found = sql.values(
        "SELECT count(*), count(*) FILTER (WHERE written IS NULL OR trim(written) = ''), "
        f"{fits} FROM {table}"
    )
    check_labels(name, missing, 0, None)
    return time_kind(dict(zip(TIME_PATTERNS, found, strict=True)), rows, name)


def check_times(sql: Statements, name: str, kind: TimeKind | None, table: str) -> None:
    """Requires that a column holds times, which a table has as `written` and as `time`.

    Args:
        sql: Where the table is.
        name: The column.
        kind: How times are written where they are text.
        table: The table.

    Raises:
        ValueError: If one is missing, or is none.
    """
    exact = f" OR abs(time) >= {EXACT_IN_FLOAT}" if kind == "fraction" else ""
    missing, unfit = sql.values(
        "SELECT count(*) FILTER (WHERE written IS NULL), "
        f"count(*) FILTER (WHERE time IS NULL OR NOT {is_finite('time')}{exact}) FROM {table}"
    )
    check_labels(name, missing, 0, None)
    if unfit:
        raise unfit_time(name, how_many=unfit)
