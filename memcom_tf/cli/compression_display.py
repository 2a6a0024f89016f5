"""What a compression tried, as a table on the terminal."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from memcom_tf.compression import Compression
from memcom_tf.text import printable


def show_compression(compression: Compression, console: Console | None = None) -> None:
    """Prints the candidates, and which was chosen."""
    console = console or Console()
    table = Table("method", box=SIMPLE, pad_edge=False)
    table.columns[0].overflow = "fold"
    k = compression.k
    for name in ("bytes", f"nDCG@{k} in\nclosed form", f"nDCG@{k}\ntrained", "epochs", ""):
        table.add_column(name, justify="right")
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
