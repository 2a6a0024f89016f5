"""The one grammar of this package's errors: what must hold, what was received, what to do."""

from __future__ import annotations


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
