"""The terminal that results are shown on: no number is cut, and a closed pipe is no failure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_UNBOUNDED = 100_000


class Terminal(Console):
    """A console whose reader may leave before the end, as `head` does."""

    def on_broken_pipe(self) -> None:
        """Lets the command end as other commands do, where rich would end with a failure."""
        raise BrokenPipeError


def plain_table(*names: str) -> Table:
    """A table of names in its first columns, which may take several lines.

    Numbers are added by `add_numbers`.
    """
    table = Table(*names, box=SIMPLE, pad_edge=False)
    table.columns[0].overflow = "fold"
    return table


def add_numbers(table: Table, *names: str) -> None:
    """Adds columns of numbers, which take no second line."""
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)


def print_numbers(
    console: Console, titles: Sequence[str], rows: Sequence[tuple[Sequence[str], Sequence[str]]]
) -> None:
    """Prints rows of names and numbers: as a table, or, where it is too wide, names on top.

    Args:
        console: Where to.
        titles: What the columns are called, those of names first.
        rows: For each row its names, printable, and its numbers, as they are shown.

    Example:
        >>> console = Terminal(width=30, no_color=True, highlight=False)
        >>> rows = [(("items/embeddings", "int8"), ("1,565", "64", "100,160"))]
        >>> print_numbers(console, ["table", "stored as", "rows", "width", "bytes"], rows)
        <BLANKLINE>
        items/embeddings, int8
          rows 1,565, width 64, bytes
          100,160
        <BLANKLINE>
    """
    count = len(rows[0][0]) if rows else len(titles)
    table = plain_table(*titles[:count])
    add_numbers(table, *titles[count:])
    for names, numbers in rows:
        table.add_row(*map(Text, names), *numbers)
    anyhow = console.options.update(max_width=_UNBOUNDED)
    if not rows or Measurement.get(console, anyhow, table).maximum <= console.width:
        console.print(table)
        return
    console.print()
    for names, numbers in rows:
        console.print(Text(", ".join(names)))
        pairs = zip(titles[count:], numbers, strict=True)
        said = ", ".join(f"{title} {number}" for title, number in pairs)
        for line in textwrap.wrap(said, console.width - 2, break_long_words=False):
            console.print(Text(f"  {line}"))
    console.print()
