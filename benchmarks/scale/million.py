"""A million items from the log to the list, by the commands of `memcom`: time and memory of each.

python -m benchmarks.scale.million                     the published figures, some hours
python -m benchmarks.scale.million --quick --json OUT  a hundred thousand rows, and few steps

A seeded log of 10 million rows, a million items and 100,000 users is written once. Every command
then runs in a process of its own, one after the other. What was measured is kept in
benchmarks/results/work/million, where a run that was stopped goes on; `--fresh` starts anew.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import measure
from benchmarks.common.measure import Result
from benchmarks.data.case import write_log

WORK = measure.RESULTS / "work" / "million"
ROWS, QUICK_ROWS = 10_000_000, 100_000
STEPS, QUICK_STEPS = 1000, 20
_SEED = 0
_LINES_SHOWN = 20


class Stage(NamedTuple):
    """A command, and what it may take."""

    label: str
    arguments: Sequence[str]
    output: str | None = None
    minutes: float | None = None


def stages(steps: int) -> dict[str, Stage]:
    """The commands by name, in their order."""
    trained = ("--steps", str(steps))
    return {
        "prepare": Stage("prepare", ("prepare", "log.parquet", "-o", "data"), "data"),
        "train": Stage(
            f"train, {steps:,} steps", ("train", "data", "-o", "full.keras", *trained), "full.keras"
        ),
        "train_ratio": Stage(
            f"train --ratio 16, {steps:,} steps",
            ("train", "data", "-o", "memcom.keras", "--ratio", "16", *trained),
            "memcom.keras",
        ),
        "convert": Stage("convert", ("convert", "full.keras", "-o", "full.tflite"), "full.tflite"),
        "convert_memcom": Stage(
            "convert, of --ratio 16",
            ("convert", "memcom.keras", "-o", "memcom.tflite"),
            "memcom.tflite",
        ),
        "convert_ratio": Stage(
            "convert --ratio 16",
            ("convert", "full.keras", "-o", "converted.tflite", "--ratio", "16"),
            "converted.tflite",
            10,
        ),
        "verify": Stage("verify", ("verify", "full.keras", "full.tflite")),
        "rank": Stage(
            "rank",
            ("rank", "full.tflite", "--history", "item-10", "item-2000", "-k", "10"),
        ),
        "compress": Stage(
            "compress --ratio 40",
            ("compress", "full.keras", "data", "-o", "compressed.tflite", "--ratio", "40"),
            "compressed.tflite",
            45,
        ),
    }


def measured(stage: Stage, folder: Path) -> Result:
    """Runs a command; what it took, and how large its output is.

    Raises:
        SystemExit: If it fails, with its last lines.
    """
    begin = time.perf_counter()
    log = folder / "last.log"
    with log.open("w") as lines:
        process = subprocess.Popen(
            [sys.executable, "-m", "memcom_tf.cli", *stage.arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(measure.ROOT)},
            stdout=lines,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = "\n".join(log.read_text().splitlines()[-_LINES_SHOWN:])
        raise SystemExit(
            f"`memcom {' '.join(stage.arguments)}` must succeed. Received: "
            f"exit_status={process.returncode}. Its last lines:\n{last}"
        )
    return {
        "seconds": measure.digits(time.perf_counter() - begin),
        "cpu_seconds": measure.digits(used.ru_utime + used.ru_stime),
        "peak_bytes": used.ru_maxrss * 1024,
        "bytes": _size(folder / stage.output) if stage.output else None,
        "cores": len(os.sched_getaffinity(0)),
    }


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def report(document: Result) -> str:
    """The document in Markdown."""
    found = document["stages"]
    rows = []
    for name, stage in stages(document["settings"]["steps"]).items():
        if name not in found:
            continue
        took = found[name]
        size, limit = took["bytes"], stage.minutes
        rows.append(
            (
                f"`memcom {stage.label}`",
                f"{took['seconds']:,.1f}",
                f"{took['cpu_seconds']:,.1f}",
                f"{took['peak_bytes'] / 1e9:.2f}",
                f"{size / 1e6:,.1f}" if size else "-",
                "-" if limit is None else f"{limit:g}",
            )
        )
    head = "command", "seconds", "CPU seconds", "peak, GB", "output, MB", "wanted, minutes"
    cores = sorted({took["cores"] for took in found.values()})
    return (
        "# A million items, from the log to the list\n\n"
        f"`python -m benchmarks.scale.million`. {document['settings']['rows']:,} interactions of "
        f"string ids, drawn at random: a user has 100, an item 10, some far more. Each command in "
        f"a process of its own, once; cores: {' or '.join(map(str, cores))}. Memory is what was "
        "resident at most, mapped files included.\n\n" + measure.table(head, rows)
    )


def main() -> None:
    """Runs what is missing, prints and writes."""
    parser = measure.parser(__doc__.splitlines()[0], rounds=1)
    parser.add_argument("--fresh", action="store_true", help="forgets what was measured before")
    parser.add_argument("--until", choices=stages(STEPS), help="the last command to run")
    options = measure.parse(parser)
    rows, steps = (QUICK_ROWS, QUICK_STEPS) if options.quick else (ROWS, STEPS)
    folder = WORK / ("quick" if options.quick else "whole")
    if options.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    machine = measure.describe_machine()
    if not (folder / "log.parquet").exists():
        write_log(str(folder / "log.parquet"), rows, _SEED)
    kept = folder / "stages.json"
    found: Result = json.loads(kept.read_text()) if kept.exists() else {}
    for name, stage in stages(steps).items():
        if name not in found:
            print(f"memcom {' '.join(stage.arguments)}", flush=True)
            found[name] = measured(stage, folder)
            kept.write_text(json.dumps(found, indent=1))
            print(found[name], flush=True)
        if name == options.until:
            break
    document = {"settings": {"rows": rows, "steps": steps}, "stages": found, "machine": machine}
    measure.publish("million", options, document, report(document))


if __name__ == "__main__":
    main()
