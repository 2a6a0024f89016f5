"""The values of fields in SQL: what `memcom_tf.datasets.load_rows` reads, as DuckDB does."""

from __future__ import annotations

from memcom_tf.data.columns import EXACT_IN_FLOAT, TIME_PATTERNS, ColumnKind
from memcom_tf.data.dialects import DuckDBDialect
from memcom_tf.datasets.files.fields import MISSING
from memcom_tf.datasets.files.values import unfit

_BLANKS = r"[\t-\r\x1c-\x20\x85\pZ]+"
"""What `str.strip` takes off."""


def category_sql(dialect: DuckDBDialect, name: str, kind: ColumnKind) -> str:
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
        return f"CAST({value} AS VARCHAR)"
    if kind == "fraction":  # as some programs write a column of integers with gaps
        return f"CASE WHEN isfinite({value}::DOUBLE) THEN CAST({value} AS BIGINT)::VARCHAR END"
    raise unfit("category", {"column": name}, type=kind)


def is_no_category(dialect: DuckDBDialect, name: str, kind: ColumnKind) -> str:
    """Whether a value is no category: a fraction that is no integer."""
    if kind != "fraction":
        return "FALSE"
    value = f"{dialect.quoted(name)}::DOUBLE"
    whole = f"{value} = round({value}) AND abs({value}) < {EXACT_IN_FLOAT}"
    return f"({dialect.quoted(name)} IS NOT NULL AND NOT isnan({value}) AND NOT ({whole}))"


def number_sql(dialect: DuckDBDialect, name: str, kind: ColumnKind) -> str:
    """A number as FLOAT: NULL where it is missing, no finite one where it is none.

    Raises:
        ValueError: If the column holds no numbers.
    """
    value = dialect.quoted(name)
    if kind in ("integer", "fraction", "flag"):
        found = f"{value}::DOUBLE"
        found = f"CASE WHEN NOT isnan({found}) THEN {found} END"
        return f"{_as_float(found)} END"
    if kind != "text":
        raise unfit("number", {"column": name}, type=kind)
    text = stripped(dialect, value)
    missing = ", ".join(map(dialect.text, MISSING))
    written = dialect.matches(text, TIME_PATTERNS["fraction"])
    found = f"CASE WHEN {written} THEN TRY_CAST({text} AS DOUBLE) ELSE 'nan'::DOUBLE END"
    absent = f"{value} IS NULL OR lower({text}) IN ({missing})"
    return f"CASE WHEN NOT ({absent}) THEN {_as_float(found)} END END"


def _as_float(value: str) -> str:
    """The beginning of a CASE: a number that FLOAT has not is no finite one."""
    return f"CASE WHEN {value} IS NOT NULL THEN coalesce(TRY_CAST({value} AS FLOAT), 'nan'::FLOAT)"


def values_sql(dialect: DuckDBDialect, text: str, separator: str) -> str:
    """The values of a text of several, as a list."""
    value = stripped(dialect, "value")
    cut = f"list_transform(string_split({text}, {dialect.text(separator)}), lambda value: {value})"
    return f"list_filter({cut}, lambda value: value <> '')"


def stripped(dialect: DuckDBDialect, value: str) -> str:
    """A text without the blanks around it, as `str.strip` gives it."""
    pattern = dialect.text(f"^{_BLANKS}|{_BLANKS}$")
    return f"regexp_replace({value}, {pattern}, '', 'g')"
