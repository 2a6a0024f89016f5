"""What it takes to prepare a log of any size, against the engine alone and other ways.

python -m benchmarks.data                               the published figures: 1, 10 and 100 million
python -m benchmarks.data --rows 1_000_000 --json OUT   of one size
python -m benchmarks.data --without loader pandas       leaves some ways out

A seeded log of string ids is written once, in benchmarks/results/work/data. Every way runs in a
process of its own, once a round. `prepare` counts, orders, splits, writes shards and hashes what it
reads and writes; DuckDB alone counts the items and writes every user's in order. Ways that hold all
rows in memory, and Spark in one process, are left out of more than 10 million.
"""

from __future__ import annotations

import importlib.util
import shutil
from typing import Any

from benchmarks.common import measure

WORK = measure.RESULTS / "work" / "data"
WANTED_RATIO = 1.5
WANTED_BYTES = 4e9
_ROWS = [1_000_000, 10_000_000, 100_000_000]
_MOST_IN_MEMORY = 10_000_000
_QUICK_ROWS = 200_000
_BATCHES = 4000
_SEED = 0
_SPEEDS = "rows_a_second", "rows_a_cpu_second"
WAYS = {
    "duckdb": "DuckDB alone",
    "prepare": "`memcom prepare`, DuckDB",
    "spark": "`memcom prepare --engine spark`, local",
    "loader": "`load_split`, in memory",
    "pandas": "pandas",
    "polars": "Polars",
}
IN_MEMORY = "spark", "loader", "pandas", "polars", "memory"
SOURCES = {"memory": "arrays in memory", "shards": "shards of a prepared data set"}


def available(name: str) -> bool:
    """Whether a way can be run here."""
    packages = {"spark": "pyspark", "pandas": "pandas", "polars": "polars"}
    if name == "spark" and shutil.which("java") is None:
        return False
    return name not in packages or importlib.util.find_spec(packages[name]) is not None


def arguments_of(case: str, path: str, folder: str, batches: int) -> measure.Result:
    """What the process of a case is given."""
    if case == "spark":
        return {"task": "prepare", "path": path, "folder": folder, "engine": "spark"}
    if case in SOURCES:
        given = {"source": case, "batches": batches}
        return {"task": "batches", "path": path, "folder": folder, **given}
    return {"task": case, "path": path, "folder": folder}


def figures(rounds: measure.Rounds) -> measure.Result:
    """Medians of every case, and what `prepare` takes of DuckDB's own time."""
    found = {
        case: {
            name: measure.summary(result[name] for result in results)
            for name in ("seconds", "cpu_seconds", "peak_bytes", *_SPEEDS)
            if name in results[0]
        }
        for case, results in rounds.items()
    }
    document: measure.Result = {"cases": found}
    cpu = {
        case: [result["cpu_seconds"] for result in rounds[case]]
        for case in ("prepare", "duckdb")
        if case in rounds
    }
    if len(cpu) == 2:
        ratio = measure.ratio(cpu["prepare"], cpu["duckdb"])
        peak = found["prepare"]["peak_bytes"]["max"]
        document["targets"] = {
            "cpu_ratio": {"wanted": WANTED_RATIO, "found": ratio},
            "peak_bytes": {"wanted": WANTED_BYTES, "found": peak},
        }
    if {"prepare", "spark"} <= set(rounds):
        items = {result["items"] for case in ("prepare", "spark") for result in rounds[case]}
        document["engines_have_as_many_items"] = len(items) == 1
    return document


def report(document: measure.Result) -> str:
    """The figures in Markdown."""
    rounds = document["rounds"]
    medians = f"Medians of {rounds} rounds (smallest-largest)" if rounds > 1 else "One round"
    text = (
        "# Logs of any size\n\n"
        f"`python -m benchmarks.data`. Rows of string ids, in Parquet. {medians}, imports "
        "included; a process of its own for each figure. What holds "
        f"all rows in memory, and Spark in one process, has at most {_MOST_IN_MEMORY:,}.\n"
    )
    for size in document["sizes"]:
        text += (
            f"\n## {size['rows']:,} rows, {size['file_bytes'] / 1e6:,.0f} MB\n\n"
            f"{ways_table(size['cases'])}"
        )
        if "targets" in size:
            found = size["targets"]["cpu_ratio"]
            text += (
                f"\n`prepare` takes {measure.spread(found['found'])} times the CPU seconds of "
                f"DuckDB alone; wanted: at most {found['wanted']}.\n"
            )
    lines = [
        (label, f"{size['rows']:,}", *batches)
        for case, label in SOURCES.items()
        for size in document["sizes"]
        for batches in batches_of(size["cases"], case)
    ]
    if lines:
        head = "batches from", "rows of the log", "rows a second", "rows a CPU second"
        text += (
            "\n## Batches\n\n"
            f"Batches of 256 histories of 50, without a model, {document['batches']:,} of them; "
            "the memory has TensorFlow in it.\n\n"
            + measure.table((*head, "peak memory, GB"), lines)
        )
    return text


def ways_table(cases: measure.Result) -> str:
    """What each way to prepare a log took."""
    lines = [
        (
            label,
            measure.spread(cases[case]["seconds"]),
            measure.spread(cases[case]["cpu_seconds"]),
            f"{cases[case]['peak_bytes']['max'] / 1e9:.2f}",
        )
        for case, label in WAYS.items()
        if case in cases
    ]
    return measure.table(("way", "seconds", "CPU seconds", "peak memory, GB"), lines)


def batches_of(cases: measure.Result, case: str) -> list[tuple[str, ...]]:
    """The speed and memory of batches from a source; nothing where it was left out."""
    if case not in cases:
        return []
    speeds = (f"{cases[case][name]['median']:,.0f}" for name in _SPEEDS)
    return [(*speeds, f"{cases[case]['peak_bytes']['max'] / 1e9:.2f}")]


def cases_of(rows: int, without: list[str]) -> list[str]:
    """What is run of a log, in order: batches come last, which the shards are there for."""
    few = rows <= _MOST_IN_MEMORY
    names = [name for name in (*WAYS, *SOURCES) if name not in without]
    return [name for name in names if available(name) and (few or name not in IN_MEMORY)]


def run_all(options: Any, rows: int, path: str, folder: str) -> measure.Rounds:
    """Runs every case in every round."""
    cases = cases_of(rows, options.without)

    def run(case: str) -> measure.Result:
        given = arguments_of(case, path, folder, options.batches)
        return measure.run_worker("benchmarks.data.case", given, {"SPARK_LOCAL_IP": "127.0.0.1"})

    rounds: measure.Rounds = {case: [] for case in cases}
    for number in range(options.rounds):
        ways = [case for case in cases if case in WAYS]
        for case in [*measure.rotated(ways, number, options.rounds), *cases[len(ways) :]]:
            print(f"{rows:,} rows, round {number + 1} of {options.rounds}: {case}", flush=True)
            rounds[case].append(run(case))
    return rounds


def measured(options: Any, rows: int) -> measure.Result:
    """Writes a log of so many rows, if it is not there, and measures every case."""
    folder = WORK / str(rows)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "log.parquet"
    if not path.is_file():
        given = {"task": "write", "path": str(path), "rows": rows, "seed": _SEED}
        measure.run_worker("benchmarks.data.case", given)
    found = figures(run_all(options, rows, str(path), str(folder / "out")))
    shutil.rmtree(folder / "out", ignore_errors=True)
    return {"rows": rows, "file_bytes": path.stat().st_size, **found}


def main() -> None:
    """Measures, prints and writes."""
    parser = measure.parser(__doc__.splitlines()[0], rounds=3)
    default = " ".join(f"{rows:,}" for rows in _ROWS)
    parser.add_argument(
        "--rows", type=int, nargs="+", default=_ROWS, help=f"rows of the logs ({default})"
    )
    parser.add_argument(
        "--without", nargs="+", default=[], choices=[*WAYS, *SOURCES], help="ways to leave out"
    )
    options = measure.parse(parser)
    options.batches = 200 if options.quick else _BATCHES
    sizes = [_QUICK_ROWS] if options.quick else options.rows
    if min(sizes) < 1000:
        parser.error("--rows must be at least 1000.")
    document: measure.Result = {"batches": options.batches, "rounds": options.rounds}
    document["machine"] = measure.describe_machine()
    document["sizes"] = [measured(options, rows) for rows in sizes]
    measure.publish("data", options, document, report(document))


if __name__ == "__main__":
    main()
