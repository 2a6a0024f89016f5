"""What the engines call the functions that the one definition in SQL needs."""

from __future__ import annotations

from typing import Literal

from memcom_tf.data.columns import ColumnKind


class DuckDBDialect:
    """What DuckDB calls what."""

    def quoted(self, name: str) -> str:
        """As `Dialect.quoted`."""
        return '"' + name.replace('"', '""') + '"'

    def text(self, value: str) -> str:
        """A text as it is written in a statement."""
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


class SparkDialect:
    """What Spark calls what."""

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
