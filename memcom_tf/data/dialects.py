"""What the engines call the functions that the one definition in SQL needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from memcom_tf.data.columns import ColumnKind

_BLANKS = r"[\t-\r\x1c-\x20\x85\pZ]+"
"""What `str.strip` takes off."""


class DuckDBDialect:
    """What DuckDB calls what."""

    text_type = "VARCHAR"
    no_ids = "[]::INTEGER[]"

    def quoted(self, name: str) -> str:
        """As `Dialect.quoted`."""
        return '"' + name.replace('"', '""') + '"'

    def text(self, value: str) -> str:
        """As `Dialect.text`."""
        return "'" + value.replace("'", "''") + "'"

    def matches(self, value: str, pattern: str) -> str:
        """As `Dialect.matches`."""
        return f"regexp_matches({value}, {self.text(pattern)})"

    def replaced(self, value: str, pattern: str, by: str) -> str:
        """As `Dialect.replaced`."""
        by = by.replace("{1}", r"\1").replace("{2}", r"\2")
        return f"regexp_replace({value}, {self.text(pattern)}, {self.text(by)})"

    def micros(self, value: str, kind: ColumnKind) -> str:
        """As `Dialect.micros`."""
        if kind == "nanoseconds":
            return f"epoch_ns({value})"
        if kind == "date":
            return f"epoch_us(CAST({value} AS TIMESTAMP))"
        if kind == "instant":
            return f"epoch_us({value})"
        return f"epoch_us(TRY_CAST({value} AS TIMESTAMP WITH TIME ZONE))"

    def try_cast(self, value: str, to: Literal["BIGINT", "DOUBLE"]) -> str:
        """As `Dialect.try_cast`."""
        return f"TRY_CAST({value} AS {to})"

    def decoded(self, value: str) -> str:
        """As `Dialect.decoded`."""
        return f"decode({value})"

    def stripped(self, value: str) -> str:
        """As `Dialect.stripped`."""
        pattern = self.text(f"^{_BLANKS}|{_BLANKS}$")
        return f"regexp_replace({value}, {pattern}, '', 'g')"

    def cut(self, value: str, separator: str) -> str:
        """As `Dialect.cut`."""
        parts = f"string_split({value}, {self.text(separator)})"
        parts = f"list_transform({parts}, lambda value: {self.stripped('value')})"
        return f"list_filter({parts}, lambda value: value <> '')"

    def unpivoted(self, names: Sequence[str], source: str) -> str:
        """As `Dialect.unpivoted`."""
        of = ", ".join(names)
        return f"UNPIVOT (SELECT part, {of} FROM {source}) ON {of} INTO NAME field VALUE text"

    def unnested(self, lists: str, of: str) -> str:
        """As `Dialect.unnested`."""
        place = f"generate_subscripts({lists}, 1) AS place"
        return f"SELECT text, n, {place}, unnest({lists}) AS value FROM {of}"

    def in_order(self, value: str, place: str) -> str:
        """As `Dialect.in_order`."""
        return f"list({value} ORDER BY {place})"

    def marked(self, value: str) -> str:
        """As `Dialect.marked`."""
        return " OR ".join(f"contains({value}, chr({mark}))" for mark in (0, 10, 13))


class SparkDialect:
    """What Spark calls what."""

    text_type = "STRING"
    no_ids = "CAST(array() AS ARRAY<INT>)"

    def text(self, value: str) -> str:
        """As `Dialect.text`."""
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def stripped(self, value: str) -> str:
        """As `Dialect.stripped`."""
        return f"regexp_replace({value}, {self.text(f'^{_BLANKS}|{_BLANKS}$')}, '')"

    def cut(self, value: str, separator: str) -> str:
        """As `Dialect.cut`."""
        mark = re.sub(r"(\W)", r"\\\1", separator)
        parts = f"split({value}, {self.text(mark)}, -1)"
        return f"filter(transform({parts}, v -> {self.stripped('v')}), v -> v <> '')"

    def unpivoted(self, names: Sequence[str], source: str) -> str:
        """As `Dialect.unpivoted`."""
        of = ", ".join(f"'{name}', {name}" for name in names)
        stacked = f"SELECT part, stack({len(names)}, {of}) AS (field, text) FROM {source}"
        return f"SELECT * FROM ({stacked}) WHERE text IS NOT NULL"

    def unnested(self, lists: str, of: str) -> str:
        """As `Dialect.unnested`."""
        return (
            f"SELECT text, n, at + 1 AS place, value FROM {of} "
            f"LATERAL VIEW posexplode({lists}) AS at, value"
        )

    def in_order(self, value: str, place: str) -> str:
        """As `Dialect.in_order`."""
        pairs = f"collect_list(struct({place} AS at, {value} AS of))"
        return f"transform(array_sort({pairs}), x -> x.of)"

    def marked(self, value: str) -> str:
        """As `Dialect.marked`."""
        return rf"{value} RLIKE '[\\x00\\n\\r]'"

    def quoted(self, name: str) -> str:
        """As `Dialect.quoted`."""
        return "`" + name.replace("`", "``") + "`"

    def matches(self, value: str, pattern: str) -> str:
        """As `Dialect.matches`."""
        return f"{value} RLIKE '{pattern}'"

    def replaced(self, value: str, pattern: str, by: str) -> str:
        """As `Dialect.replaced`."""
        by = by.replace("{1}", "$1").replace("{2}", "$2")
        return f"regexp_replace({value}, '{pattern}', '{by}')"

    def micros(self, value: str, kind: ColumnKind) -> str:
        """As `Dialect.micros`."""
        cast = "TRY_CAST" if kind == "text" else "CAST"
        return f"unix_micros({cast}({value} AS TIMESTAMP))"

    def try_cast(self, value: str, to: Literal["BIGINT", "DOUBLE"]) -> str:
        """As `Dialect.try_cast`."""
        return f"TRY_CAST({value} AS {to})"

    def decoded(self, value: str) -> str:
        """As `Dialect.decoded`."""
        return f"decode({value}, 'UTF-8')"
