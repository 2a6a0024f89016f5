"""The runs of a sweep, as a table on the terminal."""

from __future__ import annotations

from rich.console import Console

from memcom_tf.converters.inspection.terminal import Terminal, add_numbers, plain_table
from memcom_tf.sweeps import Sweep

_ENDING = "Embedding"


def show_sweep(sweep: Sweep, console: Console | None = None) -> None:
    """Prints a line for each run: what its file takes, and what it is worth on the test."""
    console = console or Terminal()
    table = plain_table("method")
    add_numbers(table, "ratio", "seed", "bytes", "smaller", sweep.metric, "of full")
    full = {row["seed"]: row for row in sweep.rows if row["ratio"] is None}
    for row in sweep.rows:
        name = row["method"].removesuffix(_ENDING)
        size = "" if row["ratio"] is None else f"{row['ratio']:g}"
        if "error" in row:
            table.add_row(name, size, str(row["seed"]), "failed")
            continue
        of = full[row["seed"]]
        best = of[sweep.metric]
        table.add_row(
            name,
            size,
            str(row["seed"]),
            f"{row['bytes']:,}",
            f"{of['bytes'] / row['bytes']:.1f}x",
            f"{row[sweep.metric]:.4f}",
            f"{100 * row[sweep.metric] / best:.1f} %" if best else "",
        )
    console.print(table)
    console.print(f"{sweep.metric} of the files on the data for test, bytes without vocabulary.")
