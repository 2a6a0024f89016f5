"""What large tables take: to convert them, and to look up and rank with the files.

python -m benchmarks.scale                     the published figures
python -m benchmarks.scale --threads 1         without the runs of two threads
python -m benchmarks.scale --quick --json OUT  a hundred thousand rows

What is measured is kept in benchmarks/results/work/scale, where a run that was stopped goes on;
`--fresh` starts anew.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import measure

WORK = measure.RESULTS / "work" / "scale"
WANTED_SPEEDUP = 8.0
WANTED_BYTES = 24e9
_ROUNDS = 5
_CALLS = 200
_METHODS = {"full": "full int8", "memcom": "MEmCom int8, 16 ids a row"}
_SIGNATURES = {
    "serving_default": "pooled lookup of 50 ids",
    "embed": "unpooled lookup of 50 ids",
    "rank": "rank, exact top 20",
}


class Conversion(NamedTuple):
    """A table of so many rows, and how it is stored."""

    method: str
    items: int


CONVERSIONS = {
    "full_1m": Conversion("full", 1_000_000),
    "memcom_1m": Conversion("memcom", 1_000_000),
    "full_10m": Conversion("full", 10_000_000),
    "memcom_10m": Conversion("memcom", 10_000_000),
}
_MEASURED_ONCE = 5_000_000
"""Rows from which on a conversion takes minutes."""
QUICK = {f"{method}_100k": Conversion(method, 100_000) for method in _METHODS}


def kept(path: Path, run: Any) -> measure.Result:
    """What was measured before, or is now."""
    if path.exists():
        return json.loads(path.read_text())
    result: measure.Result = run()
    path.write_text(json.dumps(result))
    return result


def work(task: str, **arguments: Any) -> measure.Result:
    """A task of `benchmarks.scale.case`."""
    return measure.run_worker("benchmarks.scale.case", {"task": task, **arguments})


def run_all(options: Any, folder: Path) -> dict[str, Any]:
    """Measures, or reads what was measured."""
    conversions = QUICK if options.quick else CONVERSIONS
    items = min(conversion.items for conversion in conversions.values())
    lookups = {name: case for name, case in conversions.items() if case.items == items}
    rankers = {method: str(folder / f"{method}_ranker.tflite") for method in _METHODS}
    files = {
        **{
            (case.method, "lookup"): str(folder / f"{name}.tflite")
            for name, case in lookups.items()
        },
        **{(method, "ranker"): path for method, path in rankers.items()},
    }
    runs = {
        f"{method}_{kind}_{threads}": (path, threads)
        for (method, kind), path in files.items()
        for threads in options.threads
    }
    turns: dict[str, int] = {}

    def run_case(name: str) -> measure.Result:
        turn = turns[name] = turns.get(name, -1) + 1
        if name in conversions:
            if conversions[name].items > _MEASURED_ONCE:
                turn = 0
            case = conversions[name]._asdict()
            path = str(folder / f"{name}.tflite")
            return kept(folder / f"{name}.{turn}.json", lambda: work("convert", **case, path=path))
        path, threads = runs[name]
        return kept(
            folder / f"{name}.{turn}.json",
            lambda: work("run", path=path, threads=threads, calls=options.calls),
        )

    converted = measure.in_rounds(list(conversions), min(options.rounds, 3), run_case)
    agreement = kept(folder / "rankers.json", lambda: work("rankers", items=items, paths=rankers))
    return {
        "conversions": converted,
        "runs": measure.in_rounds(list(runs), options.rounds, run_case),
        "agreement": agreement,
        "items": items,
    }


def figures(found: dict[str, Any], cases: dict[str, Conversion]) -> measure.Result:
    """Medians, and what they are medians of."""
    conversions = {}
    for name, results in found["conversions"].items():
        once = cases[name].items > _MEASURED_ONCE
        taken = results[:1] if once else results
        conversions[name] = {
            "items": cases[name].items,
            "method": cases[name].method,
            "rounds": len(taken),
            **{
                key: measure.summary(result[key] for result in taken)
                for key in ("approximation_seconds", "conversion_seconds")
            },
            "table_bytes": taken[0]["table_bytes"],
            "bytes_before": max(result["bytes_before"] for result in taken),
            "peak_bytes": max(result["peak_bytes"] for result in taken),
            "file_bytes": taken[0]["file_bytes"],
        }
    runs = {
        name: {
            "milliseconds": {
                signature: measure.summary(result["milliseconds"][signature] for result in results)
                for signature in results[0]["milliseconds"]
            },
            **{
                key: measure.summary(result[key] for result in results)
                for key in ("open_ms", "anonymous_bytes", "mapped_bytes", "peak_bytes")
            },
        }
        for name, results in found["runs"].items()
    }
    speedups = {}
    for name, results in found["runs"].items():
        if name.startswith("memcom_ranker_"):
            dense = found["runs"][name.replace("memcom", "full")]
            speedups[name.rpartition("_")[2]] = measure.ratio(
                (result["milliseconds"]["rank"] for result in dense),
                (result["milliseconds"]["rank"] for result in results),
            )
    return {
        "items": found["items"],
        "conversions": conversions,
        "runs": runs,
        "rank_speedup": speedups,
        "common_share_of_the_top_20": found["agreement"]["common_share"],
        "targets": {
            "rank_speedup": {
                "wanted": WANTED_SPEEDUP,
                "reached": all(ratio["median"] >= WANTED_SPEEDUP for ratio in speedups.values()),
            },
            "peak_bytes": {
                "wanted": WANTED_BYTES,
                "reached": all(c["peak_bytes"] <= WANTED_BYTES for c in conversions.values()),
            },
        },
    }


def report(document: measure.Result) -> str:
    """The document in Markdown."""
    converted = [
        (
            f"{case['items']:,} x 64, {_METHODS[case['method']]}",
            f"{case['table_bytes'] / 1e9:.2f}",
            measure.spread(case["approximation_seconds"]) if case["method"] == "memcom" else "-",
            measure.spread(case["conversion_seconds"]),
            f"{case['bytes_before'] / 1e9:.2f}",
            f"{case['peak_bytes'] / 1e9:.2f}",
            f"{case['file_bytes'] / 1e6:.1f}",
        )
        for case in document["conversions"].values()
    ]
    rows = []
    for name, run in document["runs"].items():
        method, kind, threads = name.split("_")
        for signature, ms in run["milliseconds"].items():
            if signature == "embed" and kind == "lookup":
                continue  # the plain Keras file has none: that of the rankers is shown
            rows.append(
                (
                    f"{_METHODS[method]}: {_SIGNATURES[signature]}",
                    threads,
                    measure.spread(ms),
                    f"{run['anonymous_bytes']['median'] / 1e6:.1f}",
                    f"{run['mapped_bytes']['median'] / 1e6:.1f}",
                    f"{run['peak_bytes']['median'] / 1e6:.1f}",
                )
            )
    speedups = "; ".join(
        f"{threads} thread{'' if threads == '1' else 's'}: {measure.spread(ratio)} times as fast"
        for threads, ratio in document["rank_speedup"].items()
    )
    target = document["targets"]["rank_speedup"]
    return (
        "# Large tables\n\n"
        "`python -m benchmarks.scale`. Medians over the rounds (smallest-largest); a process of "
        "its own for each figure.\n\n"
        "## Converting\n\n"
        "A trained `keras.layers.Embedding` of float32 becomes a file: proved, compressed for "
        "its report, saved. MEmCom is its closed form (`from_table`). Resident memory before, "
        "with the table, and its peak; ten million rows are measured once.\n\n"
        + measure.table(
            (
                "table",
                "float32, GB",
                "closed form, s",
                "convert, s",
                "before, GB",
                "peak, GB",
                "file, MB",
            ),
            converted,
        )
        + f"\n## On the runtime\n\n{document['items']:,} ids of 64, histories of 50 random ids, "
        f"calls from Python, medians of {document['calls']}. Memory is what resident memory grows "
        "by: anonymous, mapped from the file (random ids touch its pages, which the system can "
        "take back), and the peak of both, with the checks of the file.\n\n"
        + measure.table(("file", "threads", "ms", "anonymous, MB", "mapped, MB", "peak, MB"), rows)
        + "\nThe dense file holds the vectors of the MEmCom file, and ranks the same: "
        f"{document['common_share_of_the_top_20']:.1%} of the top 20 are common. MEmCom ranks "
        f"{speedups}; wanted: {target['wanted']:.0f}, reached: "
        f"{'yes' if target['reached'] else 'no'}.\n"
    )


def main() -> None:
    """Measures, prints and writes."""
    parser = measure.parser(__doc__.splitlines()[0], _ROUNDS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], choices=[1, 2])
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    options = measure.parse(parser)
    options.published = not options.quick and options.rounds >= _ROUNDS
    options.calls = 20 if options.quick else _CALLS
    folder = WORK.with_name("scale_quick") if options.quick else WORK
    if options.fresh or options.quick:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    machine = measure.describe_machine()
    found = run_all(options, folder)
    cases = QUICK if options.quick else CONVERSIONS
    document = {**figures(found, cases), "calls": options.calls, "machine": machine}
    measure.publish("scale", options, document, report(document))


if __name__ == "__main__":
    main()
