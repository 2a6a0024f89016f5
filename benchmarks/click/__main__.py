"""Quality against bytes of click models, from the exported files.

    python -m benchmarks.click --data FILE --json OUT.jsonl
    python -m benchmarks.click --data train.csv --columns columns.toml --methods QR compress

FILE is what `memcom train --task click` reads; or a .npz file with the matrix `cat` of integers, 0
where a value is missing, the vector `label`, and the matrix `dense` of numbers, -1000 where one is
missing. Resumable: a finished run is a line of JSON, and is not repeated; full models lie in the
folder --work. Every run ends by writing the report (.md) beside the JSON.
"""

from __future__ import annotations

import argparse
import itertools
import traceback
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.click import report as click_report
from benchmarks.click.case import Case, Settings
from benchmarks.click.data import load
from benchmarks.click.methods import LOGISTIC, contenders, run, run_logistic
from benchmarks.common.machine import describe
from benchmarks.common.measure import RESULTS
from benchmarks.common.runs import Runs
from memcom_tf.compression import CLICK_SETTINGS
from memcom_tf.datasets import Columns
from memcom_tf.models.click_tables import MIN_ROWS
from memcom_tf.training import ClickSettings

_QUICK_ROWS = 6000


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [LOGISTIC, *contenders()]
    options.add_argument("--data", type=Path, required=True, help="a file of rows")
    options.add_argument("--columns", type=Path, help="a TOML file: which columns are what")
    options.add_argument(
        "--by-time", action="store_true", help="the rows of the file are in the order of time"
    )
    options.add_argument("--validation", type=float, default=0.1, help="share of the rows (0.1)")
    options.add_argument("--test", type=float, default=0.1, help="share of the rows (0.1)")
    options.add_argument(
        "--methods", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    options.add_argument("--ratios", type=float, nargs="+", default=[4, 8, 16, 50])
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--json", type=Path, help="default: results/click_DATA.jsonl")
    options.add_argument("--work", type=Path, help="default: the folder `work` beside the JSON")
    options.add_argument("--width", type=int, default=16)
    options.add_argument("--interaction", default="deepfm")
    options.add_argument("--min-rows", type=int, default=MIN_ROWS, help="of a large table")
    options.add_argument("--quick", action="store_true", help="too little training to learn much")
    return options


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings that the options ask for."""
    settings = Settings(
        width=options.width,
        interaction=options.interaction,
        min_rows=options.min_rows,
        training=ClickSettings(),
        student=CLICK_SETTINGS,
    )
    if not options.quick:
        return settings
    return replace(
        settings,
        training=replace(settings.training, epochs=1, evaluations=1),
        student=replace(settings.student, epochs=1, evaluations=1),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is missing, and writes the report; 1 where a run failed."""
    options = parser().parse_args(arguments)
    if not all(ratio >= 1 for ratio in options.ratios):
        parser().error("--ratios must be 1 or more.")
    if options.quick:
        options.seeds, options.ratios = options.seeds[:1], options.ratios[1:2] or options.ratios
    data = load(
        options.data,
        None if options.columns is None else Columns.from_toml(options.columns),
        by_time=options.by_time,
        validation=options.validation,
        test=options.test,
        most=_QUICK_ROWS if options.quick else None,
    )
    settings = settings_of(options)
    path = options.json or RESULTS / f"click_{data.name}.jsonl"
    case = Case(data, settings, options.work or path.parent / "work")
    kept = Runs(path, {"data": data.fingerprint, "settings": settings.fingerprint})
    failed = _run_missing(case, kept, options)
    rows = [row for row in kept.rows if row["method"] in (LOGISTIC, *contenders())]
    print(click_report.write(path, rows, _facts(case, options)))
    return 1 if failed else 0


def _run_missing(case: Case, kept: Runs, options: argparse.Namespace) -> int:
    """Runs what is not kept yet; how many failed."""
    named, failed = contenders(), 0
    runs: list[tuple[str, float | None, int | None]] = [
        (name, ratio, seed)
        for seed, name in itertools.product(options.seeds, options.methods)
        if name != LOGISTIC
        for ratio in (sorted(set(options.ratios)) if named[name].at_ratios else [None])
    ]
    if LOGISTIC in options.methods:
        runs.insert(0, (LOGISTIC, None, None))
    columns = (
        TextColumn("{task.description:<40}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(runs))
        say = partial(progress.console.print, soft_wrap=True, highlight=False, markup=False)
        for name, ratio, seed in runs:
            key = {"method": name, "ratio": ratio, "seed": seed}
            title = f"{name}{'' if ratio is None else f' at {ratio:g}'}, seed {seed}"
            progress.update(task, description=title)
            if not kept.has(key):
                try:
                    row = (
                        run_logistic(case) if seed is None else run(case, named[name], ratio, seed)
                    )
                except Exception:  # the other runs go on, and the status tells
                    failed += 1
                    say(f"{title} failed:\n{traceback.format_exc()}")
                else:
                    say(f"{title}: {click_report.line(kept.keep({**key, **row}))}")
            progress.advance(task)
    return failed


def _facts(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """What the report says about all runs."""
    by_time = " --by-time" if options.by_time else ""
    tables = case.features.tables
    return {
        "data": case.data.name,
        "split": case.data.described,
        "arguments": f"--data {options.data.name}{by_time} --validation {options.validation:g} "
        f"--test {options.test:g}",
        "quick": options.quick,
        "width": case.settings.width,
        "interaction": case.settings.interaction,
        "min_rows": case.settings.min_rows,
        "large": ", ".join(f"{name} ({tables[name]:,})" for name in case.large) or "none",
        "machine": describe(),
    }


if __name__ == "__main__":
    raise SystemExit(main())
