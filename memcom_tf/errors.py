"""The one grammar of this package's errors: what must hold, what was received, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from memcom_tf.text import LONGEST_MESSAGE, printable

_LONGEST_VALUE = 1000
_AT_COMMAND_LINE: ContextVar[bool] = ContextVar("at_command_line", default=False)


def message(must: str, action: str, /, **received: object) -> str:
    """Joins the three parts of an error message.

    All parts may quote a file of unknown origin: control characters are replaced, and what is too
    long is cut off.

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
    values = ", ".join(
        f"{name}={printable(repr(value), _LONGEST_VALUE)}" for name, value in received.items()
    )
    parts = [must, f"Received: {values}." if values else "", action]
    return " ".join(
        "\n".join(printable(line, LONGEST_MESSAGE) for line in part.split("\n"))
        for part in parts
        if part
    )


def invalid(must: str, action: str = "", /, **received: object) -> ValueError:
    """Returns the `ValueError` with that message, to be raised by the caller."""
    return ValueError(message(must, action, **received))


@contextmanager
def at_command_line() -> Iterator[None]:
    """Lets messages speak to the reader at the command line, who passes options."""
    token = _AT_COMMAND_LINE.set(True)
    try:
        yield
    finally:
        _AT_COMMAND_LINE.reset(token)


def for_reader(python: str, command_line: str) -> str:
    """The words for the reader at hand.

    Args:
        python: For one who calls a function, and passes arguments.
        command_line: For one who runs `memcom`, and passes options.

    Returns:
        One of the two.

    Example:
        >>> for_reader("Pass `k`.", "Give -k.")
        'Pass `k`.'
        >>> with at_command_line():
        ...     for_reader("Pass `k`.", "Give -k.")
        'Give -k.'
    """
    return command_line if _AT_COMMAND_LINE.get() else python


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
        >>> with at_command_line():
        ...     argument("new_items", "drop")
        '`--new-items drop`'
    """
    if _AT_COMMAND_LINE.get():
        option = f"--{name.replace('_', '-')}"
        return f"`{option}`" if value is None else f"`{option} {value}`"
    return f"`{name}`" if value is None else f'`{name}="{value}"`'


def in_python(advice: str) -> str:
    """Advice for a reader who writes Python; on the command line nothing."""
    return "" if _AT_COMMAND_LINE.get() else advice
