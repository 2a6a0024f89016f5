"""Files side by side on the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from memcom_tf.text import LONGEST_MESSAGE, printable

from .comparison import Comparison
from .figures import FileFigures
from .list_behaviour import STANDARD_ERROR
from .measurement import THREADS
from .summaries import ndcg_of
from .terminal import Terminal, add_numbers, plain_table

_MOST_ROWS = 200
_DASH = "-"


def show_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Prints two files in columns, more of them in rows, and what that comes to."""
    console = console or Terminal()
    show = _show_two if len(comparison.files) == 2 else _show_many
    show(comparison, console)
    console.print(Text(printable(comparison.summary, LONGEST_MESSAGE)))
    agreement = comparison.files[comparison.smallest].agreement
    if agreement is not None:
        of = "examples" if comparison.of_examples else "random histories"
        console.print(
            f"Lists are of {agreement.num_histories:,} {of}; scores differ by at most "
            f"{agreement.largest_score_difference:.3g}."
        )


def _show_many(comparison: Comparison, console: Console) -> None:
    files = comparison.files
    reference = files[comparison.reference]
    metric = ndcg_of(reference)
    k = next((of.agreement.k for of in files if of.agreement is not None), None)
    signature = "rank" if "rank" in reference.milliseconds else next(iter(reference.milliseconds))
    table = plain_table("")
    add_numbers(
        table,
        "bytes",
        "smaller",
        *([] if k is None else [f"same of {k}"]),
        *([] if metric is None else [metric]),
        Text(f"{printable(signature)}, ms").plain,
    )
    for place, of in enumerate(files[:_MOST_ROWS]):
        is_reference = place == comparison.reference
        shared = None if of.agreement is None else of.agreement.k * of.agreement.common_share
        cells = [f"{of.bytes['file']:,}", _DASH if is_reference else f"{of.times_smaller:.2f}x"]
        cells += [] if k is None else [_DASH if is_reference else _shown(shared, ".1f")]
        cells += [] if metric is None else [_shown((of.metrics or {}).get(metric), ".4f")]
        cells.append(_shown(of.milliseconds.get(signature, {}).get(THREADS[0]), ".3f"))
        mark = "  (reference)" if is_reference else ""
        table.add_row(Text(f"{printable(of.label, LONGEST_MESSAGE)}{mark}"), *cells)
    console.print(table)
    if len(files) > _MOST_ROWS:
        console.print(f"and {len(files) - _MOST_ROWS:,} files more: --json lists them all")


def _show_two(comparison: Comparison, console: Console) -> None:
    first, second = comparison.files
    table = Table("", box=SIMPLE, pad_edge=False)
    for letter, figures in (("A", first), ("B", second)):
        table.add_column(
            Text(f"{letter}: {printable(figures.label, LONGEST_MESSAGE)}"),
            justify="right",
            overflow="fold",
        )
    table.add_column("B / A", justify="right", no_wrap=True)
    for name in first.bytes:
        table.add_row(f"{name} bytes", *_pair(first.bytes[name], second.bytes[name], ",d"))
    versions = [Text(printable(of.report["min_runtime_version"])) for of in comparison.files]
    table.add_row("runs on TensorFlow Lite", *versions)
    for name in sorted({*first.milliseconds, *second.milliseconds})[:_MOST_ROWS]:
        for threads in THREADS:
            plural = "" if threads == 1 else "s"
            table.add_row(
                Text(f"{printable(name)}, {threads} thread{plural}, ms"),
                *_pair(_time(first, name, threads), _time(second, name, threads), ".3f"),
            )
    ours: Mapping[str, float] = first.metrics or {}
    for name, value in ours.items():
        if name.startswith(STANDARD_ERROR):  # which the sentence below reckons with
            continue
        table.add_row(name, *_pair(value, (second.metrics or {}).get(name), ".4f"))
    console.print(table)


def _time(figures: FileFigures, signature: str, threads: int) -> float | None:
    return figures.milliseconds.get(signature, {}).get(threads)


def _pair(first: float | None, second: float | None, form: str) -> tuple[str, str, str]:
    """Two numbers and their ratio; a dash where there is none."""
    ratio = f"{second / first:.2f}" if first and second is not None else _DASH
    return _shown(first, form), _shown(second, form), ratio


def _shown(value: float | None, form: str) -> str:
    return _DASH if value is None else f"{value:{form}}"
