"""The table of the runs, with what each method loses and how sure that is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.common import measure

Row = dict[str, Any]

TARGET = "memcom-classes", 32.0, 0.01
"""The method, its ratio, and the share of the full model's accuracy that it may lose."""
_RESAMPLES = 2000


def right_of(row: Row, documents: int) -> np.ndarray:
    """Which documents for test a run had right."""
    bits = np.frombuffer(bytes.fromhex(row["right"]), np.uint8)
    return np.unpackbits(bits)[:documents].astype(float)


def losses(rows: Sequence[Row], full: Sequence[Row], documents: int) -> tuple[float, float, float]:
    """The share of the full model's accuracy that is lost, and its 95 % interval.

    Documents are drawn with replacement, the same for both; each counts by how often the runs of
    all seeds had it right.
    """
    both = [np.mean([right_of(row, documents) for row in each], axis=0) for each in (full, rows)]
    found = 1 - both[1].mean() / both[0].mean()
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(documents, np.full(documents, 1 / documents), _RESAMPLES)
    accuracies = [drawn @ each for each in both]
    low, high = np.quantile(1 - accuracies[1] / accuracies[0], (0.025, 0.975))
    return float(found), float(low), float(high)


def figures(rows: Sequence[Row], documents: int) -> list[Row]:
    """A row for each method and ratio, over its seeds, by ratio."""
    groups: dict[tuple[str, float | None], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["method"], row["ratio"]].append(row)
    full = {row["seed"]: row for row in groups.get(("full", None), [])}
    found = []
    for (method, ratio), runs in sorted(groups.items(), key=lambda group: group[0][1] or 0):
        accuracy = [run["test"]["accuracy"] for run in runs]
        paired = [run for run in runs if run["seed"] in full]
        lost = None
        if method != "full" and paired:
            lost = losses(paired, [full[run["seed"]] for run in paired], documents)
        found.append(
            {
                "method": method,
                "ratio": ratio,
                "seeds": len(runs),
                "file_bytes": round(float(np.mean([run["file_bytes"] for run in runs]))),
                "graph_bytes": round(float(np.mean([run["graph_bytes"] for run in runs]))),
                "accuracy": float(np.mean(accuracy)),
                "spread": (min(accuracy), max(accuracy)),
                "macro_f1": float(np.mean([run["test"]["macro F1"] for run in runs])),
                "lost": lost,
            }
        )
    return found


def verdict(found: Sequence[Row]) -> str:
    """Whether the target was reached, in a sentence."""
    method, ratio, most = TARGET
    for row in found:
        if (row["method"], row["ratio"]) == (method, ratio) and row["lost"] is not None:
            lost, low, high = row["lost"]
            reached = "reached" if lost <= most else "not reached"
            return (
                f"To reach: `{method}` at {ratio:g}x loses at most {most:.0%} of the full model's "
                f"accuracy. It loses {lost:.2%} (95 % interval {low:.2%} to {high:.2%}): {reached}."
            )
    return f"To reach: `{method}` at {ratio:g}x; it was not run together with `full`."


def report(rows: Sequence[Row], facts: Row) -> str:
    """The table in Markdown."""
    found = figures(rows, facts["test"])
    head = (
        "method",
        "ratio of the table",
        "file, bytes",
        "without vocabulary",
        "accuracy",
        "least-most",
        "macro F1",
        "accuracy lost",
        "95 % interval",
        "seeds",
    )
    lines = [
        (
            row["method"],
            "" if row["ratio"] is None else f"{row['ratio']:g}x",
            f"{row['file_bytes']:,}",
            f"{row['graph_bytes']:,}",
            f"{row['accuracy']:.4f}",
            f"{row['spread'][0]:.4f}-{row['spread'][1]:.4f}",
            f"{row['macro_f1']:.4f}",
            *_shown(row["lost"]),
            str(row["seeds"]),
        )
        for row in found
    ]
    quick = "**Quick: too little training to learn much.** " if facts["quick"] else ""
    return (
        f"# Text classification: {facts['data']}\n\n"
        f"`python -m benchmarks.classification`. {quick}{facts['train']:,} documents to train on, "
        f"{facts['validation']:,} for the choice of the epoch, {facts['test']:,} for test; "
        f"{facts['classes']} classes; vectors of {facts['width']}. Accuracy is that of the "
        "exported file. Mean over the seeds, which also draw the order of the words; the documents "
        "are split once. Lost: relative to the full model of the same seeds, with the 95 % "
        "interval of a paired bootstrap over the documents for test.\n\n"
        f"{verdict(found)}\n\n{measure.table(head, lines)}\n"
        + ", ".join(f"{key} {value}" for key, value in facts["machine"].items())
        + "\n"
    )


def _shown(lost: tuple[float, float, float] | None) -> tuple[str, str]:
    if lost is None:
        return "", ""
    return f"{lost[0]:.2%}", f"{lost[1]:.2%} to {lost[2]:.2%}"
