"""What the definition of rows in SQL needs of an engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from memcom_tf.data.columns import ColumnKind, Dialect
from memcom_tf.data.engine import EngineName
from memcom_tf.data.inputs import LogFiles


class Statements(Protocol):
    """Statements to an engine, whose errors are this package's."""

    name: EngineName

    @property
    def dialect(self) -> Dialect:
        """What the engine calls what."""

    def kinds(self, files: LogFiles) -> dict[str, ColumnKind]:
        """The columns of the files, and what they are."""

    def named(self, files: LogFiles, names: list[str]) -> str:
        """Statement of some columns of the files, with the number of each row as `ROW`."""

    def run(self, statement: str) -> None:
        """Runs a statement."""

    def keep(self, name: str, statement: str) -> None:
        """Makes a table of the rows of a statement, which a run that goes on finds again."""

    def give(self, name: str, table: Any) -> None:
        """Makes a table of one of Arrow."""

    def has_table(self, name: str) -> bool:
        """Whether a table was made, by this run or by one that was stopped."""

    def rows(self, statement: str) -> list[Any]:
        """All rows of a statement."""

    def values(self, statement: str) -> Any:
        """The only row of a statement."""

    def column(self, statement: str) -> Any:
        """The only column of a statement, as one Arrow array."""

    def batches(self, statement: str) -> Iterator[Any]:
        """The rows of a statement, some at a time, as batches of Arrow."""

    def close(self) -> None:
        """Lets go of what is held."""
