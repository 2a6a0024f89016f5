"""What the benchmark of click models says: a table, and which method is best when."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.measure import table
from memcom_tf.files import write_atomically

Row = dict[str, Any]
FULL = "full"
AUC, LOSS = "AUC", "log loss"
_OUTSIDE = 2.5, 97.5
"""Percentiles of the bootstrap between which 95 % lie."""
HEAD = (
    "method",
    "ratio",
    "graph, bytes",
    "times smaller than full",
    "test AUC, file",
    "test log loss, file",
    "AUC above full (95 %)",
    "log loss above full, % (95 %)",
    "seeds",
)
DETAILS = (
    "method",
    "ratio",
    "whole file, bytes",
    "validation log loss",
    "seconds",
    "tables, first seed",
)


def line(row: Row) -> str:
    """A run in one line."""
    if not row["reachable"]:
        return "cannot be reached"
    size = f"{row['bytes']:,} bytes, " if "bytes" in row else ""
    return (
        f"{size}AUC {row['test'][AUC]:.4f} and log loss {row['test'][LOSS]:.4f} on test, "
        f"{row['seconds']:.0f} s, {row['chosen']}"
    )


class Group:
    """The runs of one method at one ratio, over seeds."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.method: str = rows[0]["method"]
        self.ratio: float | None = rows[0]["ratio"]
        self.reachable = all(row["reachable"] for row in rows)

    def values(self, part: str, metric: str) -> list[float]:
        """A metric by seed."""
        return [row[part][metric] for row in self.rows]

    def mean(self, part: str, metric: str) -> float:
        """Its mean over seeds."""
        return statistics.mean(self.values(part, metric))

    def bytes(self, name: str = "bytes") -> float:
        """Mean bytes of the file."""
        return statistics.mean(row[name] for row in self.rows)

    def above(self, full: Group, metric: str) -> tuple[float, float, float]:
        """What the mean metric on test is above that of full models, and its interval of 95 %.

        Rows are drawn anew, the same for both, and every draw is a mean over the seeds that both
        have; a method without seeds is compared with all of them.
        """
        pairs = [
            (row, other)
            for row in self.rows
            for other in full.rows
            if row["seed"] in (other["seed"], None)
        ]
        if not pairs:
            return np.nan, np.nan, np.nan
        drawn = [np.subtract(a["resampled"][metric], b["resampled"][metric]) for a, b in pairs]
        least, most = np.percentile(np.mean(drawn, axis=0), _OUTSIDE)
        mean = statistics.mean(a["test"][metric] - b["test"][metric] for a, b in pairs)
        return mean, float(least), float(most)


def grouped(rows: Iterable[Row]) -> list[Group]:
    """Groups: those without a ratio first, then by ratio, in the order of the runs."""
    found: dict[tuple[str, float | None], list[Row]] = {}
    for row in rows:
        found.setdefault((row["method"], row["ratio"]), []).append(row)
    return sorted((Group(rows) for rows in found.values()), key=lambda group: group.ratio or 0)


def spread(values: list[float]) -> str:
    """Mean ± standard deviation over seeds."""
    text = f"{statistics.mean(values):.4f}"
    return text if len(values) == 1 else f"{text} ± {statistics.stdev(values):.4f}"


def results_table(groups: list[Group]) -> str:
    """What each group is worth, a row a group."""
    full = full_of(groups)
    return table(HEAD, [_cells(group, full) for group in groups])


def details_table(groups: list[Group]) -> str:
    """By what it was chosen, how long it took, and what its tables are, a row a group."""
    return table(DETAILS, [_details(group) for group in groups if group.reachable])


def full_of(groups: list[Group]) -> Group | None:
    """The full models."""
    return next((group for group in groups if group.method == FULL), None)


def _cells(group: Group, full: Group | None) -> tuple[str, ...]:
    wanted = "-" if group.ratio is None else f"{group.ratio:g}"
    if not group.reachable:
        return (group.method, wanted, "not reachable", *["-"] * (len(HEAD) - 3))
    sizes = ["-", "-"]
    if "bytes" in group.rows[0]:
        smaller = group.rows[0]["full_bytes"] / group.bytes()
        sizes = [f"{group.bytes():,.0f}", f"{smaller:.1f}"]
    against = [above(group, full, metric) for metric in (AUC, LOSS)]
    return (
        group.method,
        wanted,
        *sizes,
        spread(group.values("test", AUC)),
        spread(group.values("test", LOSS)),
        *against,
        ", ".join(str(row["seed"]) for row in group.rows if row["seed"] is not None) or "-",
    )


def _details(group: Group) -> tuple[str, ...]:
    has_file = "whole_bytes" in group.rows[0]
    return (
        group.method,
        "-" if group.ratio is None else f"{group.ratio:g}",
        f"{group.bytes('whole_bytes'):,.0f}" if has_file else "-",
        spread(group.values("validation", LOSS)),
        f"{statistics.mean(row['seconds'] for row in group.rows):.0f}",
        group.rows[0]["chosen"],
    )


def above(group: Group, full: Group | None, metric: str) -> str:
    """A difference to the full models as text, of log loss in percent of theirs."""
    if full is None or group is full:
        return "-"
    factor, digits = (1.0, 4) if metric == AUC else (100 / full.mean("test", metric), 2)
    mean, least, most = (factor * value for value in group.above(full, metric))
    return f"{mean:+.{digits}f} ({least:+.{digits}f} to {most:+.{digits}f})"


def which_when(groups: list[Group]) -> str:
    """For each ratio the methods from the least log loss on validation, with what they lose."""
    full = full_of(groups)
    lines = []
    for ratio in sorted({group.ratio for group in groups if group.ratio is not None}):
        there = [group for group in groups if group.ratio == ratio and group.reachable]
        ranked = sorted(there, key=lambda group: group.mean("validation", LOSS))
        described = "; ".join(
            f"{group.method} ({above(group, full, AUC).split(' ')[0]} AUC, "
            f"{group.bytes():,.0f} bytes)"
            for group in ranked
        )
        lines.append(f"- Ratio {ratio:g}: {described or 'no method reaches it'}.")
    return "\n".join(lines)


def report(groups: list[Group], facts: Row) -> str:
    """The whole in Markdown."""
    quick = "**A quick run: too little training to learn much.** " if facts["quick"] else ""
    machine = ", ".join(f"{key} {value}" for key, value in facts["machine"].items())
    return (
        f"# Click models at a size: {facts['data']}\n\n"
        f"{quick}`python -m benchmarks.click {facts['arguments']}`. {facts['split']}. Fields are "
        "fitted on the rows for training; all is chosen by validation, and test is looked at "
        f"once. {facts['interaction']} of width {facts['width']}; the large tables, of "
        f"{facts['min_rows']:,} rows and more, are {facts['large']}. The ratio of `compress` is "
        "that of the whole graph to the float32 graph of the full model, at int8 and less; that "
        "of all other methods is of the numbers of the large tables, whose files are int8: at an "
        "equal ratio these are about four times smaller, so compare by bytes. What is taught "
        "learns in part from the labels and mostly from what the full model of the seed predicts; "
        "residual codes, and what `compress` makes of single tables, learn from that alone, and "
        "all others from the labels. "
        "Metrics on test are those of what the exported file predicts in the LiteRT runtime. "
        "Whole files carry the vocabularies of the fields. Mean ± standard deviation over seeds; "
        "differences to the full model with the interval of 95 % of a bootstrap over the rows for "
        "test, paired row by row.\n\n"
        f"{results_table(groups)}\n"
        "## Which method when\n\nFrom the least log loss on validation:\n\n"
        f"{which_when(groups)}\n\n## Details\n\n{details_table(groups)}\n{machine}\n"
    )


def write(path: Path, rows: list[Row], facts: Row) -> str:
    """Writes the report beside the lines of JSON, and returns it."""
    text = report(grouped(rows), facts)
    write_atomically(path.with_suffix(".md"), text.encode())
    return text
