"""What the comparison of all methods says: a table a ratio, a plot, and which method when."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.common.measure import table
from benchmarks.quality.report import spread
from memcom_tf.files import write_atomically

Row = dict[str, Any]
FULL = "full"
_NAMED = {
    "FullEmbedding": "FullEmbedding (reduced width)",
    "TruncatedEmbedding": "TruncatedEmbedding (truncation)",
    "LowRankEmbedding": "LowRankEmbedding (low rank)",
    "HashedEmbedding": "HashedEmbedding (hashing)",
}
"""Baselines by the names that Hajgató has for them."""
_WHEN = 4
_CHOSEN = 90


def title(key: Row) -> str:
    """A run in words."""
    if key["method"] == FULL:
        return f"full, seed {key['seed']}"
    return f"{key['method']} from {key['start']} at {key['ratio']:g}, seed {key['seed']}"


def line(row: Row, metric: str) -> str:
    """Its figures."""
    if not row["reachable"]:
        return "cannot be reached"
    return (
        f"{row['bytes']:,} bytes, {metric} {row['validation'][metric]:.4f} on validation, "
        f"{row['test'][metric]:.4f} on test, {row['seconds']:.0f} s, {row.get('chosen', '')}"
    )


class Group:
    """The runs of one method from one start at one ratio, over seeds."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.method, self.start, self.ratio = (rows[0][k] for k in ("method", "start", "ratio"))
        self.reachable = all(row["reachable"] for row in rows)

    @property
    def name(self) -> str:
        """The method, and where it starts."""
        name = _NAMED.get(self.method, self.method)
        return name if self.start == "scratch" else f"{name}, from the table"

    def values(self, part: str, metric: str) -> list[float]:
        """A metric by seed."""
        return [row[part][metric] for row in self.rows]

    def mean(self, part: str, metric: str) -> float:
        """Its mean."""
        return statistics.mean(self.values(part, metric))

    @property
    def bytes(self) -> float:
        """Mean bytes of the file."""
        return statistics.mean(row["bytes"] for row in self.rows)


def grouped(rows: Iterable[Row]) -> list[Group]:
    """By method, start and ratio, in the order of the runs."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault((row["method"], row["start"], row["ratio"]), []).append(row)
    return [Group(rows) for rows in found.values()]


def of_ratio(groups: list[Group], ratio: float, metric: str, full: Group | None) -> str:
    """The table of a ratio, the best on validation first."""
    there = [group for group in groups if group.ratio == ratio]
    there.sort(key=lambda g: -g.mean("validation", metric) if g.reachable else 1.0)
    rows = []
    for group in there:
        if not group.reachable:
            rows.append((group.name, "cannot be reached", "-", "-", "-", "-", "-"))
            continue
        loss = "-"
        if full is not None:
            whole = full.mean("test", metric)
            losses = [100 * (1 - value / whole) for value in group.values("test", metric)]
            loss = spread(losses, 2, "+")
        seconds = statistics.mean(row["seconds"] for row in group.rows)
        seeds = ", ".join(str(row["seed"]) for row in group.rows)
        rows.append(
            (
                group.name,
                f"{group.bytes:,.0f}",
                spread(group.values("validation", metric)),
                spread(group.values("test", metric)),
                loss,
                f"{seconds:.0f}",
                seeds,
            )
        )
    head = "method", "bytes", f"validation {metric}", f"test {metric}", "lost, %", "seconds"
    return table((*head, "seeds"), rows)


def which_when(groups: list[Group], metric: str) -> str:
    """The best few of each ratio by validation."""
    lines = []
    for ratio in _ratios(groups):
        there = [group for group in groups if group.ratio == ratio and group.reachable]
        there.sort(key=lambda group: -group.mean("validation", metric))
        best = [
            f"{group.name} ({group.mean('test', metric):.4f}, {group.bytes:,.0f} bytes)"
            for group in there[:_WHEN]
        ]
        lines.append(f"- {ratio:g} times smaller: {'; '.join(best) or 'no method reaches it'}.")
    return "\n".join(lines)


def _ratios(groups: list[Group]) -> list[float]:
    return sorted({group.ratio for group in groups if group.ratio is not None})


def plot(groups: list[Group], metric: str, path: Path) -> None:
    """Bytes against the metric, and the front that nothing beats in both."""
    points: dict[str, list[tuple[float, float]]] = {}
    for group in groups:
        if group.reachable and group.ratio is not None:
            point = group.bytes, group.mean("test", metric)
            points.setdefault(group.name, []).append(point)
    figure, axes = plt.subplots(figsize=(10, 7), layout="constrained")
    markers = "osv^<>DPX*hpd8"
    for number, (name, values) in enumerate(points.items()):
        axes.plot(
            *zip(*sorted(values), strict=True),
            marker=markers[number % len(markers)],
            linestyle="--" if "from the table" in name else "-",
            linewidth=0.6,
            label=name,
            color=plt.get_cmap("tab20")(number % 20),
        )
    front: list[tuple[float, float]] = []
    for point in sorted(point for values in points.values() for point in values):
        if not front or point[1] > front[-1][1]:
            front.append(point)
    if front:
        axes.step(*zip(*front, strict=True), where="post", color="black", linewidth=2, alpha=0.3)
    for group in groups:
        if group.method == FULL:
            axes.axhline(group.mean("test", metric), color="black", linewidth=0.8)
    axes.set(
        xscale="log", xlabel="bytes of the file, without vocabularies", ylabel=f"test {metric}"
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=90)
    plt.close(figure)


def write(path: Path, rows: list[Row], facts: Row) -> str:
    """Writes report and plot beside the lines of JSON, and returns the report."""
    groups, metric = grouped(rows), facts["metric"]
    picture = path.with_suffix(".png")
    plot(groups, metric, picture)
    full = next((group for group in groups if group.method == FULL), None)
    quick = "**A quick run: too little training to learn much.** " if facts["quick"] else ""
    base = "no full model was run"
    if full is not None:
        values = spread(full.values("test", metric))
        base = (
            f"the full model has {metric} {values} on test, in {full.bytes:,.0f} bytes of float32"
        )
    parts = [
        f"## {ratio:g} times smaller\n\n{of_ratio(groups, ratio, metric, full)}"
        for ratio in _ratios(groups)
    ]
    machine = ", ".join(f"{key} {value}" for key, value in facts["machine"].items())
    text = (
        f"# All methods at equal bytes: {facts['data']}\n\n"
        f"{quick}`python -m benchmarks.methods {facts['arguments']}`; {base}. Each method is as "
        "large as a file of so many times fewer bytes has room for: its tables as integers, as it "
        "declares them, and all else of the graph; vocabularies are left out. From random tables "
        "by the recipe of the task; from the table, in closed form, and then trained after the "
        "full model of the seed. The largest tables are of the method, small ones stay full, and "
        "ids are in the order of frequency but where said. All is chosen by validation, and "
        "metrics on test are of the exported file or of its values. Mean ± standard deviation over "
        "seeds; of one seed there is none, and differences of a few thousandths say nothing.\n\n"
        f"![Bytes against {metric}]({picture.name})\n\n"
        "## Which method when\n\nThe best by validation, with their figures on test:\n\n"
        f"{which_when(groups, metric)}\n\n" + "\n".join(parts) + f"\n{machine}\n"
    )
    write_atomically(path.with_suffix(".md"), text.encode())
    return text
