"""The one grammar of this package's errors: what must hold, what was received, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ON_COMMAND_LINE: ContextVar[bool] = ContextVar("on_command_line", default=False)


def message(must: str, action: str, /, **received: object) -> str:
    """Joins the three parts of an error message.

    Args:
        must: What must hold, a sentence.
        action: What the reader can do, a sentence.
        **received: The offending values by name.

    Returns:
        The message.

    Example:
        >>> message("`k` must be positive.", "Pass the length of the list.", k=0)
        '`k` must be positive. Received: k=0. Pass the length of the list.'
    """
    values = ", ".join(f"{name}={value!r}" for name, value in received.items())
    parts = [must, f"Received: {values}." if values else "", action]
    return " ".join(part for part in parts if part)


def invalid(must: str, action: str = "", /, **received: object) -> ValueError:
    """Returns the `ValueError` with that message, to be raised by the caller."""
    return ValueError(message(must, action, **received))


@contextmanager
def on_command_line() -> Iterator[None]:
    """Within it `argument` speaks to the reader of the command line."""
    token = _ON_COMMAND_LINE.set(True)
    try:
        yield
    finally:
        _ON_COMMAND_LINE.reset(token)


def argument(name: str, value: str | None = None) -> str:
    """What the reader types for an argument, in Python or on the command line.

    Args:
        name: The argument as Python calls it; the option has the same name.
        value: What is passed; None names the argument alone.

    Returns:
        The words, in backticks.

    Example:
        >>> argument("time", "timestamp")
        '`time="timestamp"`'
        >>> with on_command_line():
        ...     argument("new_items", "drop")
        '`--new-items drop`'
    """
    if _ON_COMMAND_LINE.get():
        option = f"--{name.replace('_', '-')}"
        return f"`{option}`" if value is None else f"`{option} {value}`"
    return f"`{name}`" if value is None else f'`{name}="{value}"`'


def in_python(advice: str) -> str:
    """Advice for a reader who writes Python; on the command line nothing."""
    return "" if _ON_COMMAND_LINE.get() else advice
