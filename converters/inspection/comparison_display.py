"""Two files side by side on the terminal."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from memcom_tf.text import LONGEST_MESSAGE, printable

from .comparison import Comparison
from .measurement import THREADS
from .terminal import Terminal

_MOST_ROWS = 200


def show_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Prints both files' figures, with the second's as multiples of the first's."""
    console = console or Terminal()
    first, second = comparison.first, comparison.second
    table = Table("", box=SIMPLE, pad_edge=False)
    for letter, figures in (("A", first), ("B", second)):
        table.add_column(
            Text(f"{letter}: {printable(figures.path, LONGEST_MESSAGE)}"),
            justify="right",
            overflow="fold",
        )
    table.add_column("B / A", justify="right", no_wrap=True)
    for name in first.bytes:
        table.add_row(f"{name} bytes", *_pair(first.bytes[name], second.bytes[name], ",d"))
    versions = [Text(printable(x.min_runtime_version)) for x in (first, second)]
    table.add_row("runs on TensorFlow Lite", *versions)
    for name in sorted({*first.milliseconds, *second.milliseconds})[:_MOST_ROWS]:
        for threads in THREADS:
            ours = first.milliseconds.get(name, {}).get(threads)
            theirs = second.milliseconds.get(name, {}).get(threads)
            plural = "" if threads == 1 else "s"
            table.add_row(
                Text(f"{printable(name)}, {threads} thread{plural}, ms"),
                *_pair(ours, theirs, ".3f"),
            )
    for name in first.metrics:
        table.add_row(name, *_pair(first.metrics[name], second.metrics[name], ".4f"))
    console.print(table)
    agreement = comparison.agreement
    if agreement is None:
        console.print("They are not rankers of the same items: their lists were not compared.")
        return
    console.print(
        f"Of {agreement.num_histories} random histories, {agreement.common_share:.1%} of the top "
        f"{agreement.k} are the same; scores differ by at most "
        f"{agreement.largest_score_difference:.3g}."
    )


def _pair(first: float | None, second: float | None, form: str) -> tuple[str, str, str]:
    """Two numbers and their ratio; a dash where there is none."""
    shown = ["-" if value is None else f"{value:{form}}" for value in (first, second)]
    ratio = f"{second / first:.2f}" if first and second is not None else "-"
    return shown[0], shown[1], ratio
