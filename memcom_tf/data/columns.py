"""What the columns of a log are, and the one definition of their values in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from memcom_tf.datasets.column_names import required_column, usual_column
from memcom_tf.datasets.files.columns import listed, shown
from memcom_tf.datasets.files.values import unfit
from memcom_tf.datasets.logs import TimeColumn
from memcom_tf.errors import argument, invalid

ColumnKind: TypeAlias = Literal[
    "text", "integer", "fraction", "flag", "date", "instant", "nanoseconds", "bytes", "other"
]
"""Types of columns, as far as they are told apart."""
TimeKind: TypeAlias = Literal["integer", "fraction", "local", "zoned"]
"""How times are written in text."""

_CLOCK = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?"
_ZONE = r" ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)"
TIME_PATTERNS: dict[TimeKind, str] = {
    "integer": r"^[+-]?[0-9]{1,19}$",
    "fraction": r"^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$",
    "local": rf"^([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}|{_CLOCK})$",
    "zoned": rf"^{_CLOCK}{_ZONE}$",
}
"""The first that all values fit says what a column of text holds."""
EXACT_IN_FLOAT = 2**53
"""From here on integers are not exact as numbers with fractions."""
INTEGER_LABEL = r"^(0|-?[1-9][0-9]{0,18})$"
"""How Python writes an integer: labels of text that all are so are integers."""
_FLAGS = {"TRUE": "^(1|1[.]0|true)$", "FALSE": "^(0|0[.]0|false)$"}
"""How flags are written, in small letters."""


class Dialect(Protocol):
    """What the engines call differently."""

    def quoted(self, name: str) -> str:
        """A column as it is named in a statement."""

    def matches(self, value: str, pattern: str) -> str:
        """Whether a text fits a regular expression, from `^` to `$`."""

    def replaced(self, value: str, pattern: str, by: str) -> str:
        """A text with what fits a regular expression replaced; `by` may have group 1 and 2."""

    def micros(self, value: str, kind: ColumnKind) -> str:
        """A date or an instant as microseconds; NULL where a text is none."""

    def try_cast(self, value: str, to: Literal["BIGINT", "DOUBLE"]) -> str:
        """A value of another type, or NULL."""

    def decoded(self, value: str) -> str:
        """Bytes as text."""

    @property
    def text_type(self) -> str:
        """What the type of texts is called."""

    def text(self, value: str) -> str:
        """A text as it is written in a statement."""

    def stripped(self, value: str) -> str:
        """A text without the blanks around it, as `str.strip` gives it."""

    def cut(self, value: str, separator: str) -> str:
        """The parts of a text as a list, each without blanks around it, but for empty ones."""

    def unpivoted(self, names: Sequence[str], source: str) -> str:
        """Statement of `part`, `field` and `text` of every value of columns that is not missing."""

    def unnested(self, lists: str, of: str) -> str:
        """Statement of `text`, `n`, `place`, from 1, and `value` of all in a column of lists."""

    def in_order(self, value: str, place: str) -> str:
        """Aggregate: values as a list, in the order of their places."""

    @property
    def no_ids(self) -> str:
        """An empty list of integers."""

    def marked(self, value: str) -> str:
        """Whether a text has a line break or a NUL in it."""


@dataclass(frozen=True)
class Asked:
    """The columns of a log that are asked for.

    Attributes:
        user: The column of users; None finds one by its name.
        item: The column of items, likewise.
        time: The column of times, likewise; False takes the order of the rows.
        test: The column of what is held out; "test" is read if the log has it, None reads none.
    """

    user: str | None = None
    item: str | None = None
    time: TimeColumn = None
    test: str | None = "test"


@dataclass(frozen=True)
class LogColumns:
    """The columns of a log that are read.

    Attributes:
        user: The column of users.
        item: The column of items.
        time: The column of times; None where the order of the rows counts.
        test: The column that says what is held out; None where the last items of users are.
    """

    user: str
    item: str
    time: str | None
    test: str | None = None

    @property
    def wanted(self) -> list[str]:
        """All of them."""
        return [self.user, self.item, *filter(None, (self.time, self.test))]

    @property
    def ordered(self) -> bool:
        """Whether times order the interactions of a user, which those of sets do not."""
        return self.time is not None and self.test is None

    def reading(self) -> str:
        """A line that says which columns are read as what."""
        columns = [f"users from `{shown(self.user)}`", f"items from `{shown(self.item)}`"]
        if self.time is not None:
            columns.append(f"time from `{shown(self.time)}`")
        if self.test is not None:
            columns.append(f"what is held out from `{shown(self.test)}`")
        order = "" if self.time or self.test else "; the order of the rows counts as time"
        return f"reading {', '.join(columns)}{order}"


def choose_columns(names: Sequence[str], asked: Asked) -> LogColumns:
    """Chooses the columns of a log, as `memcom_tf.datasets.load_log` does.

    Args:
        names: The columns that the log has.
        asked: Those that are asked for.

    Raises:
        ValueError: If a column is missing, is there twice, or is asked for as two things, or if
            several may be the time.

    Example:
        >>> choose_columns(["userId", "item", "timestamp"], Asked())
        LogColumns(user='userId', item='item', time='timestamp', test=None)
    """
    user = required_column(names, "user", asked.user)
    item = required_column(names, "item", asked.item)
    test = None if asked.test == "test" and "test" not in names else asked.test
    time = asked.time
    if time is None and test is None:
        time = usual_column(names, "time", (user, item))
    found = LogColumns(user, item, time or None, test)
    wanted = found.wanted
    missing = [name for name in wanted if name not in names]
    if missing:
        raise invalid(
            "The log must have the columns asked for.",
            f"It has {listed(tuple(names))}: name those with {argument('user')}, "
            f"{argument('item')} and {argument('time')}, and what is held out with "
            f"{argument('test')}.",
            missing=[shown(name) for name in missing],
        )
    if len(set(wanted)) < len(wanted):
        raise invalid(
            "A column must be read as one thing.",
            f"Name another with {argument('user')}, {argument('item')}, {argument('time')} or "
            f"{argument('test')}.",
            columns=[shown(name) for name in wanted],
        )
    twice = [name for name in wanted if list(names).count(name) > 1]
    if twice:
        raise invalid(
            "The columns asked for must be in the log once.",
            "Give each column a name of its own.",
            twice=[shown(name) for name in twice],
        )
    return found


def is_finite(value: str) -> str:
    """Whether a number, which is not missing, is neither NaN nor infinite."""
    return f"abs(CAST({value} AS DOUBLE)) < CAST('Infinity' AS DOUBLE)"


def label_sql(dialect: Dialect, name: str, kind: ColumnKind) -> str:
    """The value of a column of users or items: text, or BIGINT where its type is of integers."""
    value = dialect.quoted(name)
    if kind == "text":
        return value
    if kind == "bytes":
        return dialect.decoded(value)
    if kind == "integer":
        return f"CAST({value} AS BIGINT)"
    raise unfit_label(name, kind)


def flag_sql(dialect: Dialect, name: str, kind: ColumnKind) -> str:
    """The value of a column of 0 and 1 as a boolean; NULL where it is neither."""
    value = dialect.quoted(name)
    if kind == "flag":
        return value
    if kind in ("integer", "fraction"):
        return f"CASE WHEN {value} = 1 THEN TRUE WHEN {value} = 0 THEN FALSE END"
    if kind != "text":
        raise unfit("flag", {"column": name}, type=kind)
    text = f"lower(trim({value}))"
    cases = (f"WHEN {dialect.matches(text, like)} THEN {flag}" for flag, like in _FLAGS.items())
    return f"CASE {' '.join(cases)} END"


def unfit_label(name: str, kind: str) -> ValueError:
    """The error for a column of users or items that is neither."""
    return invalid(
        "A column of users or items must hold strings or integers.",
        "Save the ids as strings or as integers.",
        column=shown(name),
        type=kind,
    )


def unfit_time(name: str, **received: object) -> ValueError:
    """The error for a column of times that holds something else."""
    return invalid(
        "A column of times must hold numbers, dates such as 2018-09-20, or date-times such as "
        "2018-09-20T10:30:00 or 2018-09-20T10:30:00+02:00, all of one kind, with at most six "
        "digits of a second.",
        "Write all of its values in one of these ways, or name another column.",
        column=shown(name),
        **received,
    )


def time_sql(dialect: Dialect, name: str, kind: ColumnKind, text: TimeKind | None) -> str:
    """What orders the interactions of a user: BIGINT or DOUBLE; NULL where a value is no time.

    Args:
        dialect: The engine's.
        name: The column.
        kind: Its type.
        text: How its times are written, where the type is text.
    """
    value = dialect.quoted(name)
    if kind == "integer":
        return f"CAST({value} AS BIGINT)"
    if kind == "fraction":
        return f"CAST({value} AS DOUBLE)"
    if kind in ("date", "instant", "nanoseconds"):
        return dialect.micros(value, kind)
    if kind != "text" or text is None:
        raise unfit_time(name, type=kind)
    value = f"trim({value})"
    if text == "integer":
        return dialect.try_cast(value, "BIGINT")
    if text == "fraction":
        return dialect.try_cast(value, "DOUBLE")
    if text == "zoned":
        value = dialect.replaced(value, " ?UTC$", "Z")
        value = dialect.replaced(value, " ?(Z|[+-][0-9]{2})$", "{1}")
        value = dialect.replaced(value, " ?([+-][0-9]{2}):?([0-9]{2})$", "{1}:{2}")
        value = dialect.replaced(value, "([T ][0-9]{2}:[0-9]{2})(Z|[+-].*)$", "{1}:00{2}")
        value = dialect.replaced(value, "([+-][0-9]{2})$", "{1}:00")
    else:
        value = dialect.replaced(value, "([T ][0-9]{2}:[0-9]{2})$", "{1}:00")
    return dialect.micros(value, "text")


def time_kind(fits: Mapping[str, int], rows: int, name: str) -> TimeKind:
    """How the times of a column of text are written.

    Args:
        fits: Of each of `TIME_PATTERNS`, how many values fit it.
        rows: How many values there are, none of them missing.
        name: The column.

    Raises:
        ValueError: If they do not fit one pattern.
    """
    for kind in TIME_PATTERNS:
        if fits[kind] == rows:
            return kind
    raise unfit_time(name, values=rows, **{f"as_{kind}": n for kind, n in fits.items()})
