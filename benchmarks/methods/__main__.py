"""Every method of the registry at equal bytes of the file that ships, on one task.

    python -m benchmarks.methods --data FILE --task click --json OUT.jsonl
    python -m benchmarks.methods --data FILE --task next-item --methods CAFEEmbedding --start table

FILE is what `python -m benchmarks.click`, `.classification` and `.quality` take. The file of the
full model in float32 is divided by each ratio, and each method is as large as fits: from random
tables, and, where there is a closed form, from the tables of the full model, trained after it.
Resumable: a finished run is a line of JSON, and is not repeated; full models lie in the folder
--work. Every run ends by writing the report (.md) and the plot (.png) beside the JSON.
"""

from __future__ import annotations

import argparse
import itertools
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.machine import describe
from benchmarks.common.measure import RESULTS
from benchmarks.common.runs import Runs
from benchmarks.methods import report
from benchmarks.methods.tasks import METHODS_OF_START, SCRATCH, TABLE, TASKS, Work
from memcom_tf.layers import METHODS

_QUICK_RATIOS = [2.0]
_QUICK_METHODS = "HashedEmbedding", "QuotientRemainderEmbedding", "StaircaseEmbedding"
_OF_TASK = {"click": ("by_time", "validation", "test"), "text": ("text", "label", "test_column")}


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", type=Path, required=True, metavar="FILE")
    options.add_argument("--task", choices=TASKS, required=True)
    options.add_argument(
        "--methods", nargs="+", choices=METHODS, metavar="NAME", help="of the registry; all"
    )
    options.add_argument("--start", nargs="+", choices=METHODS_OF_START, default=[SCRATCH, TABLE])
    options.add_argument("--ratios", type=float, nargs="+", default=[4.0, 16.0, 50.0, 200.0])
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--by-time", action="store_true", help="click: rows are in this order")
    options.add_argument("--validation", type=float, default=0.1, help="click: share of the rows")
    options.add_argument("--test", type=float, default=0.1, help="click: share of the rows")
    options.add_argument("--text", default="text", help="text: column of texts")
    options.add_argument("--label", default="label", help="text: column of labels")
    options.add_argument("--test-column", help="text: column of what is held out")
    options.add_argument("--json", type=Path, help="default: results/methods_DATA.jsonl")
    options.add_argument("--work", type=Path, help="default: the folder `work` beside the JSON")
    options.add_argument("--quick", action="store_true", help="too little training to learn much")
    return options


def _work(options: argparse.Namespace, folder: Path) -> Work:
    given = {name: getattr(options, name) for name in _OF_TASK.get(options.task, ())}
    if "test_column" in given:
        given["test"] = given.pop("test_column")
    return TASKS[options.task](options.data, folder, options.quick, **given)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is missing, and writes the report; 1 where a run failed."""
    options = parser().parse_args(arguments)
    if not all(ratio >= 1 for ratio in options.ratios):
        parser().error("--ratios must be 1 or more.")
    if options.quick:
        options.ratios, options.seeds = _QUICK_RATIOS, options.seeds[:1]
        options.methods = options.methods or list(_QUICK_METHODS)
    path = options.json or RESULTS / f"methods_{options.data.stem}.jsonl"
    work = _work(options, options.work or path.parent / "work")
    kept = Runs(path, {"data": work.fingerprint})
    failed = 0
    for seed, (name, start, ratio) in itertools.product(options.seeds, _runs(options)):
        key = {"method": name, "start": start, "ratio": ratio, "seed": seed}
        if kept.has(key):
            continue
        begun = time.monotonic()
        try:
            if name == report.FULL:
                found: dict[str, Any] | None = work.full(seed)
            else:
                found = work.run(METHODS[name], start, ratio, seed)
        except Exception:  # the other runs go on, and the status tells
            failed += 1
            print(f"{report.title(key)} failed:\n{traceback.format_exc()}", flush=True)
            continue
        seconds = round(time.monotonic() - begun, 1)
        row = {**key, "reachable": found is not None, "seconds": seconds, **(found or {})}
        print(f"{report.title(key)}: {report.line(kept.keep(row), work.metric)}", flush=True)
    facts = {
        "data": work.name,
        "task": options.task,
        "arguments": _arguments(options),
        "metric": work.metric,
        "quick": options.quick,
        "machine": describe(),
    }
    print(report.write(path, kept.rows, facts))
    return 1 if failed else 0


def _arguments(options: argparse.Namespace) -> str:
    """What decides the data and the model, as on the command line."""
    found = f"--data {options.data.name} --task {options.task}"
    if options.task == "click":
        by_time = " --by-time" if options.by_time else ""
        found += f"{by_time} --validation {options.validation:g} --test {options.test:g}"
    return found


def _runs(options: argparse.Namespace) -> list[tuple[str, str, float | None]]:
    """The full model, and methods by where they start and how small they are."""
    found: list[tuple[str, str, float | None]] = [(report.FULL, SCRATCH, None)]
    for start, ratio in itertools.product(options.start, sorted(set(options.ratios))):
        wanted = options.methods or METHODS_OF_START[start]
        found += [(name, start, ratio) for name in wanted if name in METHODS_OF_START[start]]
    return found


if __name__ == "__main__":
    raise SystemExit(main())
