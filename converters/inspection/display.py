"""Reports, verifications and the status of the ops as tables on the terminal."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from memcom_tf.text import LONGEST_MESSAGE, LONGEST_NAME, printable, printable_list

from .terminal import Terminal, add_numbers, plain_table, print_numbers

if TYPE_CHECKING:
    from memcom_tf.kernels.status import Status

    from ..proof import Verification


_MOST_ROWS = 200
_OF_TABLE = (
    *("table", "stored as", "rows", "width", "bits", "data", "metadata", "float32", "error"),
    "worst row",
)


def show_report(report: dict[str, Any], console: Console | None = None) -> None:
    """Prints what a file holds."""
    console = console or Terminal()
    tables = sum(embedding["bytes"] for embedding in report["embeddings"])
    console.print(
        f"[bold]{_name(report['name'])}[/bold]: graph {report['graph_bytes']:,} bytes, of which "
        f"tables {tables:,}; vocabulary and description "
        f"{report['file_bytes'] - report['graph_bytes']:,}; file {report['file_bytes']:,}, "
        f"{report['compressed_bytes']:,} by zlib as an app store delivers it"
    )
    dense, own = 4 * report["uncompressed_parameters"], report["parameter_bytes"]
    console.print(
        f"{dense / report['graph_bytes']:.1f} times smaller than the float32 parameters of the "
        f"uncompressed model ({dense:,} bytes), {own / report['graph_bytes']:.1f} times smaller "
        f"than this model's own ({own:,} bytes)"
    )
    console.print(
        f"Runs on TensorFlow Lite {_name(report['min_runtime_version'])} and later "
        f"(profile {report.get('profile', 'portable')}); "
        f"signatures: {escape(printable_list(report['signatures']))}"
    )
    if "model_version" in report:
        console.print(f"Version {report['model_version']:,} of {_name(report['name'])}")
    if "origin" in report:
        origin = report["origin"]
        settings = [f"{name} {value}" for name, value in origin["settings"].items()]
        console.print(
            f"Made from {_name(origin['model'])} (SHA-256 {_name(origin['sha256'][:8])}...) by "
            f"{escape(printable_list([origin['command'], *settings]))}"
        )
    every = [(e["name"], stored) for e in report["embeddings"] for stored in e["tables"]]
    print_numbers(console, _OF_TABLE, [_table_row(*found) for found in every[:_MOST_ROWS]])
    _say_more(len(every), "tables", console)
    console.print(
        "Errors are distances of stored rows from trained ones over the norms of these: the median "
        "of all rows, and the worst."
    )
    shares = [e for e in report["embeddings"] if "share_not_unique" in e]
    for embedding in shares[:_MOST_ROWS]:
        console.print(
            f"{_name(embedding['name'])} ({_name(embedding['method'])}): "
            f"{embedding['share_not_unique']:.2%} of the ids share their vector with another "
            f"id, {embedding['share_not_unique_trained']:.2%} before quantization"
        )
    _say_more(len(shares), "embeddings", console)
    if "measured" in report:
        _show_measured(report["measured"], console)


def _table_row(name: str, stored: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What a table is called and stored as, and its numbers."""
    sizes = ("rows", "width", "bits", "data_bytes", "metadata_bytes", "float32_bytes")
    errors = ("median_error", "worst_error")
    return (
        [printable(f"{name}/{stored['name']}"), printable(stored["storage"].replace("_", " "))],
        [_shown(stored, size, ",") for size in sizes]
        + [_shown(stored, error, ".2%") for error in errors],
    )


def _name(text: str) -> str:
    """A name from a file in a line of markup."""
    return escape(printable(text))


def _say_more(count: int, what: str, console: Console) -> None:
    if count > _MOST_ROWS:
        console.print(f"and {count - _MOST_ROWS:,} {what} more: --json lists them all")


def _show_measured(measured: dict[str, Any], console: Console) -> None:
    table = plain_table("on this machine")
    threads = measured["threads"]
    add_numbers(table, *(f"{count} thread{'' if count == '1' else 's'}" for count in threads))
    names = sorted({name for found in threads.values() for name in found["milliseconds"]})
    for name in names[:_MOST_ROWS]:
        values = [f"{found['milliseconds'][name]:.3f} ms" for found in threads.values()]
        table.add_row(Text(printable(name)), *values)
    peaks = [found["peak_bytes"] for found in threads.values()]
    table.add_row("peak memory", *("-" if peak is None else f"{peak:,} B" for peak in peaks))
    console.print(table)


def _shown(stored: dict[str, Any], name: str, form: str) -> str:
    """A number of a table, a dash where a file of an earlier version has none."""
    return f"{stored[name]:{form}}" if name in stored else "-"


def show_verification(verification: Verification, console: Console | None = None) -> None:
    """Prints what was compared, with bounds where there are any."""
    console = console or Terminal()
    table = plain_table("comparison of the file with the model")
    add_numbers(table, "value", "bound", "")
    for check in verification.checks:
        bounded = check.bound is not None
        outcome = ("[green]ok[/green]" if check.passed else "[red]FAILED[/red]") if bounded else ""
        bound = f"{check.bound:.3g}" if bounded else ""
        shown = Text(printable(check.name, 2 * LONGEST_NAME))
        table.add_row(shown, f"{check.value:.4g}", bound, outcome)
    console.print(table)
    for check in verification.checks:
        if check.detail:
            console.print(Text(printable(f"{check.name}: {check.detail}", LONGEST_MESSAGE)))
    if not verification.passed:
        console.print("[red]The file does not equal the model.[/red]")


def show_status(status: Status, console: Console | None = None) -> None:
    """Prints which ops training runs on, and what that follows from."""
    console = console or Terminal()
    table = Table("training runs on", status.implementation, box=SIMPLE, pad_edge=False)
    table.columns[1].overflow = "fold"
    for name, value in asdict(status).items():
        if name != "implementation":
            # Text, not markup: a compiler's lines may hold brackets.
            shown = {True: "yes", False: "no"}.get(value, value)
            table.add_row(name.replace("_", " "), Text(shown))
    console.print(table)
