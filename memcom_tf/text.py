"""Texts of unknown origin as they may be shown: names in a file, messages that quote one."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

LONGEST_NAME = 80
"""Letters of a name in a table or a sentence."""
LONGEST_MESSAGE = 2000


def printable(text: object, longest: int = LONGEST_NAME) -> str:
    r"""A text without control characters, which a terminal would obey, and not too long.

    Directions of writing and surrogates, which no encoding has, count as control characters.

    Args:
        text: The text; of anything else `str()`.
        longest: Letters that are kept, the mark of what is left out among them.

    Returns:
        The text on one line, with U+FFFD for each control character.

    Example:
        >>> printable("a\x1b[2J")
        'a\ufffd[2J'
        >>> printable("x" * 100, longest=4)
        'xxx…'
    """
    whole = str(text)
    kept = whole if len(whole) <= longest else whole[: longest - 1] + "\u2026"
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in kept)


def printable_list(texts: list[str], most: int = 20) -> str:
    """Texts joined by commas, and how many more there are.

    Example:
        >>> printable_list(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    shown = ", ".join(printable(text) for text in texts[:most])
    return shown if len(texts) <= most else f"{shown} and {len(texts) - most} more"


def html_table(caption: str, titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A small table for a notebook; what it quotes is printable and escaped.

    Example:
        >>> html_table("sizes", ["table", "bytes"], [["<a>", 3]])  # doctest: +ELLIPSIS
        '<table><caption>sizes</caption>...<tr><td>&lt;a&gt;</td><td>3</td></tr></table>'
    """

    def line(tag: str, cells: Sequence[object]) -> str:
        shown = (f"<{tag}>{escape(printable(str(cell)))}</{tag}>" for cell in cells)
        return f"<tr>{''.join(shown)}</tr>"

    body = "".join(line("td", row) for row in rows)
    title = escape(printable(caption, LONGEST_MESSAGE))
    return f"<table><caption>{title}</caption>{line('th', titles)}{body}</table>"
