"""What the benchmark of drift says: means over days, each day, and what a sketch costs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.common.measure import table
from benchmarks.drift.methods import ADAPTS_EVERY, CONTENDERS, DECAY, FULL, ORACLE
from benchmarks.drift.ranker import BATCH, CANDIDATES, HIDDEN, LEARNING_RATE, NEGATIVES, WIDTH, K
from memcom_tf.files import write_atomically

Row = dict[str, Any]
METRICS = ("nDCG", "AUC", "nDCG known", "AUC known", "own rows")
HEAD = (
    "table of articles",
    "rows",
    f"nDCG@{K}",
    "AUC",
    f"nDCG@{K}, clicked before",
    "AUC, clicked before",
    "clicks on rows of their own, %",
    "bytes while training",
    "bytes in a file",
    "seconds",
)
COST_HEAD = (
    "table",
    "ms a step",
    "times nothing counted",
    "times exact counts",
    "ms of a change of rows",
)


def mean_of(row: Row, metric: str) -> float:
    """The mean of a metric over the days tested."""
    return statistics.mean(day[metric] for day in row["days"])


def line(row: Row) -> str:
    """A run in one line."""
    return (
        f"nDCG@{K} {mean_of(row, 'nDCG'):.4f}, AUC {mean_of(row, 'AUC'):.4f}, "
        f"{row['rows']:,} rows, {row['seconds']:.0f} s"
    )


def _spread(values: Iterable[float], digits: int = 4, factor: float = 1.0) -> str:
    found = [factor * value for value in values]
    text = f"{statistics.mean(found):.{digits}f}"
    return text if len(found) == 1 else f"{text} ± {statistics.stdev(found):.{digits}f}"


def _groups(rows: list[Row]) -> dict[tuple[str, int | None], list[Row]]:
    found: dict[tuple[str, int | None], list[Row]] = {}
    for row in rows:
        found.setdefault((row["method"], row["ratio"]), []).append(row)
    order = {name: place for place, name in enumerate(CONTENDERS)}
    keys = sorted(found, key=lambda key: (key[1] or 0, order[key[0]]))
    return {key: found[key] for key in keys}


def _cells(name: str, rows: list[Row]) -> tuple[str, ...]:
    means = [[mean_of(row, metric) for row in rows] for metric in METRICS]
    return (
        CONTENDERS[name].label,
        f"{rows[0]['rows']:,}",
        *(_spread(values) for values in means[:4]),
        _spread(means[4], 1, 100.0),
        f"{rows[0]['training_bytes']:,}",
        f"{rows[0]['file_bytes']:,}",
        _spread((row["seconds"] for row in rows), 0),
    )


def results(rows: list[Row]) -> str:
    """A table for each number of rows."""
    groups = _groups(rows)
    text = ""
    for ratio in dict.fromkeys(ratio for _, ratio in groups):
        title = "A row for each article" if ratio is None else f"1/{ratio:,} of the rows"
        found = [_cells(name, group) for (name, r), group in groups.items() if r == ratio]
        text += f"## {title}\n\n{table(HEAD, found)}\n"
    return text


def by_day(rows: list[Row], metric: str) -> str:
    """A metric on each day, the mean over seeds."""
    groups = _groups(rows)
    days = [day["day"] for day in rows[0]["days"]]
    lines = []
    for (name, ratio), group in groups.items():
        values = [
            statistics.mean(row["days"][i][metric] for row in group) for i in range(len(days))
        ]
        size = "all rows" if ratio is None else f"1/{ratio:,}"
        lines.append((f"{CONTENDERS[name].label}, {size}", *(f"{value:.3f}" for value in values)))
    return table(("table of articles", *map(str, days)), lines)


def costs(found: Row) -> str:
    """Milliseconds of a step by workload."""
    text = ""
    for workload, cases in found.items():
        rows = [
            (
                name,
                f"{case['ms']:.2f}",
                f"{case['times uncounted']:.2f}",
                f"{case['times exact']:.2f}",
                f"{case['adapt ms']:.1f}",
            )
            for name, case in cases.items()
        ]
        text += f"{workload[0].upper()}{workload[1:]}:\n\n{table(COST_HEAD, rows)}\n"
    return text


def report(rows: list[Row], cost: Row | None, facts: Row) -> str:
    """The whole in Markdown."""
    quick = "**A quick run: too few clicks to tell.** " if facts["quick"] else ""
    machine = ", ".join(f"{key} {value}" for key, value in facts["machine"].items())
    taken = "All sessions" if facts["share"] == 1 else f"{facts['share']:.0%} of the sessions"
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(row["seed"] for row in rows))
    text = (
        f"# A stream that drifts: {facts['data']}\n\n"
        f"{quick}`python -m benchmarks.drift --data {facts['data']}.npz`. {taken}, "
        f"{facts['predictions']:,} predictions of the next article of a session on "
        f"{facts['days']} days, {facts['items']:,} articles. Each day is trained on once, in order "
        "of time, and the next one tested before it is; figures are means over the "
        f"{facts['days'] - 1} days tested, of 10,000 targets a day at most, each ranked among "
        f"{CANDIDATES} other articles that are clicked on the same day, drawn uniformly: the same "
        "for all. Of equal scores all orders are as likely. On average "
        f"{1 - facts['known']:.0%} of the targets had never been clicked by the day before: no "
        "table can know them, and columns of targets clicked before leave them out.\n\n"
        f"The ranker has one table of articles, width {WIDTH}; two dense layers ({HIDDEN} units "
        "hidden) make the query from the mean of the last five articles and the latest one. "
        f"Softmax of the target and {NEGATIVES} articles of the day, batches of {BATCH}, LazyAdam "
        f"at {LEARNING_RATE}. Half of the rows are of single articles and half are shared, with "
        f"plain hashing all are shared. CAFE changes rows every {ADAPTS_EVERY} steps with a decay "
        f"of {DECAY}, the better of a few settings that were tried on these very days; its sketch "
        "has a bucket of 4 cells for each row of a single article, or four buckets and 64 at "
        "least. The most clicked so far have rows, "
        "before a day is trained on, by all clicks until then and those of that day. "
        f"The {ORACLE} gives rows, before a day is trained on, to the most "
        "clicked of the next day, among articles clicked before: that they have rows says already "
        "that they will be clicked, so that it bounds what is possible, and may be above the full "
        "table. Bytes are those of the table of articles: float32 and counts while training, int8 "
        "rows with a scale each and the index in a file. The most clicked so far, and those of the "
        "oracle, are looked up by the index of exact CAFE here; with ids in that order "
        f"`HashedEmbedding` needs the rows alone. Seeds: {seeds}.\n\n"
        f"{results(rows)}"
    )
    if not any(row["method"] == FULL for row in rows):
        text += "The full table was not run.\n\n"
    text += f"## nDCG@{K} by day\n\n{by_day(rows, 'nDCG')}\n"
    text += f"## AUC by day\n\n{by_day(rows, 'AUC')}\n"
    if cost:
        text += (
            "## What a sketch costs\n\nSteps of all tables in turns, in one process; medians of "
            "milliseconds, and of ratios within a round. Where nothing is counted the step looks "
            "up by the same index as with exact counts. A change of rows, every `adapts_every` "
            "steps, is not part of a step.\n\n"
        )
        text += costs(cost)
    return f"{text}\n{machine}\n"


def write(path: Path, rows: list[Row], cost: Row | None, facts: Row) -> str:
    """Writes the report beside the lines of JSON, and returns it."""
    text = report(rows, cost, facts)
    write_atomically(path.with_suffix(".md"), text.encode())
    return text
