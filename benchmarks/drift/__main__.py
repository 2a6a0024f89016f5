"""Few rows for the articles of a stream that drifts: who follows it, and what that costs.

    python -m benchmarks.drift --data clicks.npz --json OUT.jsonl
    python -m benchmarks.drift --data clicks.npz --json OUT.jsonl --quick

FILE is a .npz file with the integer vectors `session`, `item` and `time`, in seconds. Resumable: a
finished run is a line of JSON, and is not repeated. Every run ends by writing the report (.md)
beside the JSON.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.machine import describe
from benchmarks.common.measure import RESULTS
from benchmarks.common.runs import Runs
from benchmarks.drift import cost, methods, report
from benchmarks.drift.data import Stream, load

_COST = "cost"
_QUICK_SHARE, _QUICK_DAYS, _QUICK_ROUNDS = 0.02, 5, 5


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(methods.CONTENDERS)
    options.add_argument("--data", type=Path, required=True, help="a .npz file of clicks")
    options.add_argument("--json", type=Path, help="default: results/drift_DATA.jsonl")
    options.add_argument("--methods", nargs="+", choices=names, default=names, metavar="NAME")
    options.add_argument("--ratios", type=int, nargs="+", default=[100, 1000, 10_000])
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options.add_argument("--share", type=float, default=1.0, help="of the sessions (1.0)")
    options.add_argument("--days", type=int, default=16)
    options.add_argument("--quick", action="store_true", help="few clicks of five days, one seed")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is missing, and writes the report."""
    options = parser().parse_args(arguments)
    if not (0 < options.share <= 1 and options.days >= 2 and min(options.ratios) >= 1):
        parser().error("--share must be in (0, 1], --days 2 or more, --ratios 1 or more.")
    if options.quick:
        options.share = min(options.share, _QUICK_SHARE)
        options.days = min(options.days, _QUICK_DAYS)
        options.seeds = options.seeds[:1]
    stream = load(options.data, options.share, options.days)
    path = options.json or RESULTS / f"drift_{stream.name}.jsonl"
    settings = [methods.ADAPTS_EVERY, methods.DECAY]
    kept = Runs(path, {"data": stream.fingerprint, "settings": settings})
    for seed, name in itertools.product(options.seeds, options.methods):
        for ratio in [None] if name == methods.FULL else options.ratios:
            key = {"method": name, "ratio": ratio, "seed": seed}
            if not kept.has(key):
                row = kept.keep({**key, **methods.run(stream, name, ratio, seed)})
                print(f"{name}, 1/{ratio or 1}, seed {seed}: {report.line(row)}", flush=True)
    if not kept.has({"method": _COST}):
        rounds = {"rounds": _QUICK_ROUNDS} if options.quick else {}
        kept.keep({"method": _COST, "steps": cost.measured(stream, **rounds)})
    rows = [row for row in kept.rows if row["method"] in methods.CONTENDERS]
    measured = next(row["steps"] for row in kept.rows if row["method"] == _COST)
    print(report.write(path, rows, measured, _facts(stream, rows, options)))
    return 0


def _facts(stream: Stream, rows: list[report.Row], options: argparse.Namespace) -> dict[str, Any]:
    """What the report says about all runs."""
    return {
        "data": stream.name,
        "quick": options.quick,
        "share": options.share,
        "days": len(stream.days),
        "predictions": sum(len(day.targets) for day in stream.days),
        "items": stream.num_items - 1,
        "known": statistics.mean(day["known"] for day in rows[0]["days"]),
        "machine": describe(),
    }


if __name__ == "__main__":
    raise SystemExit(main())
