"""Two workers on one machine against one: weights, time of a step, and bytes that travel.

    python -m benchmarks.scale.workers            the published figures
    python -m benchmarks.scale.workers --quick

Every process has a core of its own. Workers talk over the loopback, which has no delay to speak of:
the bytes are those of any network, the times are not. Nothing else may use the loopback meanwhile.
"""

from __future__ import annotations

import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import measure
from benchmarks.scale.worker_case import BATCH_SIZE, LENGTH, RATIO, WIDTH

_NEGATIVES = 3000
_ITEMS, _FEW_ITEMS, _QUICK_ITEMS = 100_000, 20_000, 2000
_STEPS, _QUICK_STEPS = 40, 4
CASES: dict[str, tuple[str, int, int | None]] = {
    "full table, sampled softmax": ("full", _ITEMS, _NEGATIVES),
    "MEmCom, sampled softmax": ("memcom", _ITEMS, _NEGATIVES),
    "full table, softmax over all items": ("full", _FEW_ITEMS, None),
    "MEmCom, softmax over all items": ("memcom", _FEW_ITEMS, None),
}
MODULE = "benchmarks.scale.worker_case"


def alone(arguments: measure.Result, folder: Path, cores: list[int]) -> measure.Result:
    """One process on all rows."""
    given = {**arguments, "cores": cores, "weights": str(folder / "alone.npz")}
    return measure.run_worker(MODULE, given)


def worker_configs(count: int) -> list[measure.Result]:
    """A `TF_CONFIG` for each worker, at free ports of the loopback."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    workers = [f"127.0.0.1:{found.getsockname()[1]}" for found in sockets]
    for found in sockets:
        found.close()
    tasks = ({"type": "worker", "index": index} for index in range(count))
    return [{"cluster": {"worker": workers}, "task": task} for task in tasks]


def together(arguments: measure.Result, folder: Path) -> list[measure.Result]:
    """Two workers, each on half of the rows and on a core of its own."""
    configs = worker_configs(2)

    def one(index: int) -> measure.Result:
        weights = str(folder / f"worker_{index}.npz")
        given = {**arguments, "cores": [index], "weights": weights, "worker": configs[index]}
        return measure.run_worker(MODULE, given)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(2)))


def difference(one: Path, other: Path) -> float:
    """The largest difference of a weight."""
    with np.load(one) as a, np.load(other) as b:
        return max(float(np.abs(a[name] - b[name]).max()) for name in a.files)


def measured(options: Any, case: str) -> measure.Result:
    """One case in all rounds."""
    method, items, negatives = CASES[case]
    if options.quick:
        items, negatives = _QUICK_ITEMS, negatives and 100
    steps = _QUICK_STEPS if options.quick else _STEPS
    arguments = {"method": method, "items": items, "negatives": negatives, "steps": steps}
    rounds = []
    for number in range(options.rounds):
        print(f"{case}, round {number + 1} of {options.rounds}", flush=True)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            single = alone(arguments, folder, [0])
            both = together(arguments, folder)
            apart = difference(folder / "alone.npz", folder / "worker_0.npz")
            between = difference(folder / "worker_0.npz", folder / "worker_1.npz")
        rounds.append(
            {
                "alone_ms": single["ms"],
                "ms": max(worker["ms"] for worker in both),
                "bytes": max(worker["bytes"] for worker in both),
                "distinct": max(worker["distinct"] for worker in both),
                "difference": apart / single["moved"],
                "between_workers": between,
            }
        )
    found = {name: measure.summary(row[name] for row in rounds) for name in rounds[0]}
    ratio = measure.ratio((r["alone_ms"] for r in rounds), (r["ms"] for r in rounds))
    return {"items": items, **found, "times_as_fast": ratio}


def report(document: measure.Result) -> str:
    """The figures in Markdown."""
    lines = [
        (
            case,
            f"{row['items']:,}",
            measure.spread(row["alone_ms"]),
            measure.spread(row["ms"]),
            measure.spread(row["times_as_fast"]),
            f"{row['bytes']['median'] / 1e6:.2f}",
            f"{row['distinct']['median']:,.0f}",
            f"{row['difference']['max']:.1e}",
            f"{row['between_workers']['max']:g}",
        )
        for case, row in document["cases"].items()
    ]
    head = (
        "table",
        "items",
        "one process, ms",
        "two workers, ms",
        "times as fast",
        "MB received",
        "distinct ids",
        "difference from one process",
        "between the workers",
    )
    return (
        "# Two workers against one process\n\n"
        f"`python -m benchmarks.scale.workers`. A ranker of width {WIDTH} with histories of "
        f"{LENGTH} by Zipf's law, {BATCH_SIZE:,} in a batch of all workers; MEmCom {RATIO} times "
        f"smaller; sampled: {_NEGATIVES:,} items. {document['steps']} steps. Each process has one "
        "core; workers talk over the loopback of one machine, so that bytes are those of any "
        "network and times are not. MB that a worker receives in a step, and distinct ids of its "
        "histories. Differences are the largest of any weight: from one process as a part of the "
        "largest move of a weight in training. Medians over the rounds (smallest-largest).\n\n"
        + measure.table(head, lines)
    )


def main() -> None:
    """Measures, prints and writes."""
    options = measure.parse(measure.parser(__doc__.splitlines()[0], rounds=3))
    document: measure.Result = {"machine": measure.describe_machine()}
    document["steps"] = _QUICK_STEPS if options.quick else _STEPS
    document["cases"] = {case: measured(options, case) for case in CASES}
    measure.publish("workers", options, document, report(document))


if __name__ == "__main__":
    main()
