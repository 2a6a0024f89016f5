"""The values of fields in SQL: what `memcom_tf.datasets.load_rows` reads."""

from __future__ import annotations

from memcom_tf.data.columns import EXACT_IN_FLOAT, TIME_PATTERNS, ColumnKind, Dialect, is_finite
from memcom_tf.datasets.files.fields import MISSING
from memcom_tf.datasets.files.values import unfit

_LARGEST = "3.4028234663852886e38"
"""The largest number of FLOAT."""
_NAN = "CAST('NaN' AS DOUBLE)"


def category_sql(dialect: Dialect, name: str, kind: ColumnKind) -> str:
    """A category as text, or NULL where it is missing.

    Raises:
        ValueError: If the column holds no categories.
    """
    value = dialect.quoted(name)
    if kind == "text":
        return f"nullif({value}, '')"
    if kind == "bytes":
        return f"nullif({dialect.decoded(value)}, '')"
    if kind in ("integer", "flag", "date"):
        return f"CAST({value} AS {dialect.text_type})"
    if kind == "fraction":  # as some programs write a column of integers with gaps
        return (
            f"CASE WHEN {is_finite(value)} THEN CAST(CAST({value} AS BIGINT) AS "
            f"{dialect.text_type}) END"
        )
    raise unfit("category", {"column": name}, type=kind)


def is_no_category(dialect: Dialect, name: str, kind: ColumnKind) -> str:
    """Whether a value is no category: a fraction that is no integer."""
    if kind != "fraction":
        return "FALSE"
    value = f"CAST({dialect.quoted(name)} AS DOUBLE)"
    whole = f"{value} = round({value}) AND abs({value}) < {EXACT_IN_FLOAT}"
    return f"({dialect.quoted(name)} IS NOT NULL AND NOT isnan({value}) AND NOT ({whole}))"


def number_sql(dialect: Dialect, name: str, kind: ColumnKind) -> str:
    """A number as FLOAT: NULL where it is missing, no finite one where it is none.

    Raises:
        ValueError: If the column holds no numbers.
    """
    value = dialect.quoted(name)
    if kind in ("integer", "fraction", "flag"):
        found = f"CAST({value} AS DOUBLE)"
        found = f"CASE WHEN NOT isnan({found}) THEN {found} END"
        return f"{_as_float(found)} END"
    if kind != "text":
        raise unfit("number", {"column": name}, type=kind)
    text = dialect.stripped(value)
    missing = ", ".join(map(dialect.text, MISSING))
    written = dialect.matches(text, TIME_PATTERNS["fraction"])
    found = f"CASE WHEN {written} THEN TRY_CAST({text} AS DOUBLE) ELSE {_NAN} END"
    absent = f"{value} IS NULL OR lower({text}) IN ({missing})"
    return f"CASE WHEN NOT ({absent}) THEN {_as_float(found)} END END"


def _as_float(value: str) -> str:
    """The beginning of a CASE: a number that FLOAT has not is no finite one."""
    fits = f"abs({value}) <= CAST({_LARGEST} AS DOUBLE)"
    return (
        f"CASE WHEN {value} IS NOT NULL THEN CAST(CASE WHEN {fits} THEN {value} ELSE {_NAN} END "
        "AS FLOAT)"
    )
