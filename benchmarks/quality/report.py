"""What the benchmark of quality says: a table, a plot, and which method is best when."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.common.measure import table
from memcom_tf.files import write_atomically

Row = dict[str, Any]
BASELINES = ("tied", "untied")


def line(row: Row, k: int) -> str:
    """A run in one line."""
    if not row["reachable"]:
        return "cannot be reached"
    return (
        f"{row['bytes']:,} bytes, {row['untied_bytes'] / row['bytes']:.1f}x, nDCG@{k} "
        f"{row['validation'][f'ndcg@{k}']:.4f} on validation, {row['test'][f'ndcg@{k}']:.4f} on "
        f"test, {row['seconds']:.0f} s, {row['chosen']}"
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

    def losses(self, baseline: Group | None, metric: str) -> list[float]:
        """Relative loss on test by seed, in percent, against the baseline's mean."""
        if baseline is None:
            return []
        whole = baseline.mean("test", metric)
        return [100 * (1 - value / whole) for value in self.values("test", metric)] if whole else []

    def differences(self, metric: str) -> list[float]:
        """What the file's metric is above the model's, on the users that both scored, by seed."""
        return [row["file_sample"][metric] - row["model_sample"][metric] for row in self.rows]

    @property
    def bytes(self) -> float:
        """Mean bytes of the file."""
        return statistics.mean(row["bytes"] for row in self.rows)


def grouped(rows: Iterable[Row]) -> list[Group]:
    """Groups: those without a ratio first, then by ratio, in the order of the runs."""
    found: dict[tuple[str, float | None], list[Row]] = {}
    for row in rows:
        found.setdefault((row["method"], row["ratio"]), []).append(row)
    return sorted((Group(rows) for rows in found.values()), key=lambda group: group.ratio or 0)


def spread(values: list[float], digits: int = 4, sign: str = "") -> str:
    """Mean ± standard deviation; a dash of nothing."""
    if not values:
        return "-"
    text = f"{statistics.mean(values):{sign}.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {statistics.stdev(values):.{digits}f}"


def results_table(groups: list[Group], k: int) -> str:
    """A row a group."""
    ndcg, recall = f"ndcg@{k}", f"recall@{k}"
    baselines = {group.method: group for group in groups if group.method in BASELINES}
    head = (
        "method",
        "wanted ratio",
        "bytes",
        "ratio to untied",
        "ratio to tied",
        f"validation nDCG@{k}",
        f"test nDCG@{k}",
        f"test recall@{k}",
        "loss against tied, %",
        "loss against untied, %",
        f"file - model, nDCG@{k}",
        "seconds",
        "epochs",
        "layer",
    )
    rows = []
    for group in groups:
        wanted = "-" if group.ratio is None else f"{group.ratio:g}"
        if not group.reachable:
            rows.append((group.method, wanted, "not reachable", *["-"] * (len(head) - 3)))
            continue
        first = group.rows[0]
        epochs = sorted({row["epochs"] for row in group.rows})
        after = f" + {first['student_epochs']}" if first["student_epochs"] else ""
        rows.append(
            (
                group.method,
                wanted,
                f"{group.bytes:,.0f}",
                f"{first['untied_bytes'] / group.bytes:.1f}",
                f"{first['tied_bytes'] / group.bytes:.1f}",
                spread(group.values("validation", ndcg)),
                spread(group.values("test", ndcg)),
                spread(group.values("test", recall)),
                *(spread(group.losses(baselines.get(name), ndcg), 1, "+") for name in BASELINES),
                spread(group.differences(ndcg), sign="+"),
                f"{statistics.mean(row['seconds'] for row in group.rows):.0f}",
                "-".join(str(epoch) for epoch in dict.fromkeys((epochs[0], epochs[-1]))) + after,
                "; ".join(sorted({row["chosen"] for row in group.rows})),
            )
        )
    return table(head, rows)


def reference(groups: list[Group], k: int) -> Group | None:
    """The baseline that is better on validation."""
    found = [group for group in groups if group.method in BASELINES]
    return max(found, key=lambda group: group.mean("validation", f"ndcg@{k}"), default=None)


def which_when(groups: list[Group], k: int) -> str:
    """For each ratio the method that is best on validation, and what it loses on test."""
    ndcg, against = f"ndcg@{k}", reference(groups, k)
    lines = []
    for ratio in sorted({group.ratio for group in groups if group.ratio is not None}):
        there = [group for group in groups if group.ratio == ratio and group.reachable]
        if not there:
            lines.append(f"- Ratio {ratio:g}: no method reaches it.")
            continue
        best, *others = sorted(there, key=lambda group: -group.mean("validation", ndcg))

        def described(group: Group) -> str:
            loss = group.losses(against, ndcg)
            lost = f", {spread(loss, 1, '+')} % of test nDCG@{k} lost" if loss else ""
            return f"`{group.method}` ({group.bytes:,.0f} bytes{lost})"

        then = f"; then {described(others[0])}" if others else ""
        lines.append(f"- Ratio {ratio:g}: {described(best)}{then}.")
    return "\n".join(lines)


def plot(groups: list[Group], k: int, path: Path) -> bool:
    """Draws bytes against loss, and the front that nothing beats in both.

    Returns:
        Whether there was a baseline to lose against.
    """
    ndcg, against = f"ndcg@{k}", reference(groups, k)
    points: dict[str, list[tuple[float, float]]] = {}
    for group in groups:
        if group.reachable and (loss := group.losses(against, ndcg)):
            points.setdefault(group.method, []).append((group.bytes, statistics.mean(loss)))
    if against is None or not points:
        return False
    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    markers = "osv^<>DPX*hpd8"
    for number, (method, values) in enumerate(points.items()):
        axes.plot(
            *zip(*sorted(values), strict=True),
            marker=markers[number % len(markers)],
            linewidth=0.7,
            label=method,
            color=plt.get_cmap("tab20")(number % 20),
        )
    front: list[tuple[float, float]] = []
    for point in sorted(point for values in points.values() for point in values):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    axes.step(*zip(*front, strict=True), where="post", color="black", linewidth=2, alpha=0.3)
    axes.set(
        xscale="log",
        xlabel="bytes of the file, without the vocabulary",
        ylabel=f"test nDCG@{k} lost against `{against.method}`, %",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=90)
    plt.close(figure)
    return True


def report(groups: list[Group], facts: Row, plotted: str | None) -> str:
    """The whole in Markdown."""
    k = facts["k"]
    protocol = (
        "Each user's last item is test, the one before validation"
        if facts["ordered"]
        else "The held-out items are given, and a coin puts each into validation or test"
    )
    sample = facts["users"] > facts["file_users"]
    users = (
        f"a fixed sample of {facts['file_users']:,} of {facts['users']:,} users"
        if sample
        else f"all {facts['users']:,} users"
    )
    seeds = ", ".join(str(seed) for seed in sorted({row["seed"] for g in groups for row in g.rows}))
    quick = "**A quick run: too little training to learn much.** " if facts["quick"] else ""
    picture = f"![Bytes against loss]({plotted})\n\n" if plotted else ""
    machine = ", ".join(f"{key} {value}" for key, value in facts["machine"].items())
    return (
        f"# Quality against bytes: {facts['data']}\n\n"
        f"{quick}`python -m benchmarks.quality`. {protocol}; all {facts['items']:,} items are "
        "ranked, those seen left out. Bytes: the whole file without the vocabulary member. Ratios "
        "refer to the float32 files with a table for each side, and with one for both. "
        f"Metrics: of all {facts['users']:,} users, by the model with the file's values; that the "
        f"`score` signature of the file says the same was measured on {users}. Baselines and "
        "methods trained from scratch have at most "
        f"{facts['steps']:,} steps, teachers {facts['teacher_steps']:,}, which with those of "
        "students are no more; the best epoch on validation is taken. Losses are against the "
        f"baseline's mean. Seeds {seeds}: mean ± standard deviation.\n\n"
        f"{results_table(groups, k)}\n"
        f"{picture}"
        "## Which method when\n\nThe best on validation, with its loss against the baseline that "
        "is better on validation:\n\n"
        f"{which_when(groups, k)}\n\n{machine}\n"
    )


def write(path: Path, rows: list[Row], facts: Row) -> str:
    """Writes table and plot beside the lines of JSON.

    Args:
        path: The file of the runs.
        rows: The runs.
        facts: What holds for all of them.

    Returns:
        The report.
    """
    groups = grouped(rows)
    picture = path.with_suffix(".png")
    text = report(groups, facts, picture.name if plot(groups, facts["k"], picture) else None)
    write_atomically(path.with_suffix(".md"), text.encode())
    return text
