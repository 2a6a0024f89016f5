"""Quality against bytes of every method, from the exported files, at equal bytes.

    python -m benchmarks.quality                                    MovieLens 100K, all methods
    python -m benchmarks.quality --data FILE --methods tied compress --ratios 16 --seeds 0 1 2

FILE is a .npz or .csv file with `user` and `item`, each user's in time order, or with their `time`;
with `test`, flags of what is held out. Resumable: a finished run is a line of JSON, and is not
repeated; what was trained and is used again lies in the folder --work. Every run ends by writing
the table (.md) and the plot (.png) beside the JSON.
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

from benchmarks.common.machine import describe
from benchmarks.common.measure import RESULTS
from benchmarks.common.runs import Runs
from benchmarks.quality import report as quality_report
from benchmarks.quality.case import Case, Settings
from benchmarks.quality.data import MOVIELENS, Data, load
from benchmarks.quality.methods import STUDENT_STEPS, contenders, run
from memcom_tf.compression import SETTINGS
from memcom_tf.training import TrainingSettings

_HISTORY_LENGTH = 50
_WIDTH = 64


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(contenders())
    options.add_argument("--data", default=MOVIELENS, help="a file; default: MovieLens 100K")
    options.add_argument(
        "--methods", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    options.add_argument("--ratios", type=float, nargs="+", default=[4, 8, 16, 40, 100])
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--json", type=Path, help="default: results/quality_DATA.jsonl")
    options.add_argument("--work", type=Path, help="default: the folder `work` beside the JSON")
    options.add_argument("--k", type=int, help="default: 10 for sequences, 20 for sets")
    options.add_argument("--width", type=int, default=_WIDTH)
    options.add_argument("--history-length", type=int, default=_HISTORY_LENGTH)
    options.add_argument(
        "--steps",
        type=int,
        help="of baselines, and of a teacher and its students together; default: as many as "
        "`train_ranker` and `compress` take",
    )
    options.add_argument("--file-users", type=int, default=200, help="users a file is run for")
    options.add_argument("--quick", action="store_true", help="too little training to learn much")
    return options


def settings_of(options: argparse.Namespace, data: Data) -> Settings:
    """The settings that the options ask for."""
    k = options.k or (10 if data.split.ordered else 20)
    steps = options.steps or TrainingSettings().steps_of(data.split) + STUDENT_STEPS
    settings = Settings(
        k=k,
        width=options.width,
        history_length=options.history_length,
        training=TrainingSettings(steps=steps, k=k),
        teacher_steps=steps - STUDENT_STEPS,
        student=replace(SETTINGS, k=k),
        file_users=options.file_users,
    )
    if not options.quick:
        return settings
    return replace(
        settings,
        training=replace(settings.training, epochs=2, evaluate_every=1),
        student=replace(settings.student, epochs=1, evaluate_every=1),
        file_users=min(50, settings.file_users),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is missing, and writes the table and the plot; 1 where a run failed."""
    options = parser().parse_args(arguments)
    if options.steps is not None and options.steps <= STUDENT_STEPS:
        parser().error(f"--steps must be more than {STUDENT_STEPS}, those of students.")
    if not all(ratio >= 1 for ratio in options.ratios):
        parser().error("--ratios must be 1 or more.")
    data = load(options.data, options.history_length)
    settings = settings_of(options, data)
    path = options.json or RESULTS / f"quality_{data.name}.jsonl"
    case = Case(data, settings, options.work or path.parent / "work")
    kept, named = Runs(path, {"data": data.fingerprint}), contenders()

    def same_settings(name: str) -> str:
        return settings.fingerprint(named[name].trains_student)

    runs = [
        (seed, name, ratio)
        for seed, name in itertools.product(options.seeds, options.methods)
        for ratio in (sorted(set(options.ratios)) if named[name].at_ratios else [None])
    ]
    failed = 0
    columns = (
        TextColumn("{task.description:<48}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(runs))
        say = partial(progress.console.print, soft_wrap=True, highlight=False, markup=False)
        for seed, name, ratio in runs:
            key = {"method": name, "ratio": ratio, "seed": seed, "settings": same_settings(name)}
            title = f"{name}{'' if ratio is None else f' at {ratio:g}'}, seed {seed}"
            progress.update(task, description=title)
            if not kept.has(key):
                try:
                    row = run(case, named[name], ratio, seed)
                except Exception:  # the other runs go on, and the status tells
                    failed += 1
                    say(f"{title} failed:\n{traceback.format_exc()}")
                else:
                    row = kept.keep({**key, **row})
                    say(f"{title}: {quality_report.line(row, settings.k)}")
            progress.advance(task)
    known = (row for row in kept.rows if row["method"] in named)
    rows = [row for row in known if row["settings"] == same_settings(row["method"])]
    text = quality_report.write(path, rows, _facts(case, options, settings))
    print(text)
    return 1 if failed else 0


def _facts(case: Case, options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """What the report says about all runs."""
    split = case.split
    return {
        "data": case.data.name,
        "ordered": split.ordered,
        "items": len(split.vocabulary),
        "users": len(split.test),
        "quick": options.quick,
        "k": settings.k,
        "steps": settings.training.steps,
        "teacher_steps": settings.teacher_steps,
        "file_users": settings.file_users,
        "machine": describe(),
    }


if __name__ == "__main__":
    raise SystemExit(main())
