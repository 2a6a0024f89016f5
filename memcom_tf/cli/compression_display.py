"""What a compression tried, as a table on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from memcom_tf.compression import Compression
from memcom_tf.converters.inspection.terminal import Terminal, add_numbers, plain_table
from memcom_tf.text import printable


def show_compression(compression: Compression, console: Console | None = None) -> None:
    """Prints the candidates, and which was chosen."""
    console = console or Terminal()
    table = plain_table("method")
    k = compression.k
    add_numbers(table, "bytes", f"nDCG@{k} in\nclosed form", f"nDCG@{k}\ntrained", "epochs", "")
    for trial in compression.trials:
        table.add_row(
            Text(printable(trial.candidate)),
            f"{trial.file_bytes:,}",
            f"{trial.ndcg_before:.4f}",
            "" if trial.ndcg_after is None else f"{trial.ndcg_after:.4f}",
            str(trial.num_trained or ""),
            "chosen" if trial.candidate == compression.chosen else "",
        )
    console.print(table)
    console.print(Text(str(compression)))
