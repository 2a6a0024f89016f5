"""How the benchmarks of speed measure: each case in a fresh process, all cases in every round.

A shared machine is slow for minutes at a time. Cases therefore take turns, each round in another
order, and are compared within a round: what is published is the median of the rounds' ratios.
Nothing here imports TensorFlow: a child's peak memory would start with that of its parent.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
ROUNDS = 5
_LINES_SHOWN = 40
_LEAST_WIDTH = 120

Result = dict[str, Any]
Rounds = dict[str, list[Result]]
"""What every round measured, by case."""


def parser(description: str, rounds: int = ROUNDS) -> argparse.ArgumentParser:
    """The options that all benchmarks of speed have; `rounds` are those of the results."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--quick", action="store_true", help="one round of less, in two minutes")
    options.add_argument("--json", type=Path, help="write the figures there")
    options.add_argument("--rounds", type=int, help=f"default: {rounds}, quick: 1")
    options.set_defaults(published_rounds=rounds)
    return options


def parse(options: argparse.ArgumentParser) -> argparse.Namespace:
    """Reads the options; `published` then says whether they are those of the results."""
    parsed = options.parse_args()
    if parsed.rounds is not None and parsed.rounds < 1:
        options.error("--rounds must be positive.")
    given = {name: value for name, value in vars(parsed).items() if name not in ("json", "rounds")}
    default = all(options.get_default(name) == value for name, value in given.items())
    parsed.rounds = parsed.rounds or (1 if parsed.quick else parsed.published_rounds)
    parsed.published = default and parsed.rounds >= parsed.published_rounds
    return parsed


def run_worker(module: str, arguments: Result, environment: dict[str, str] | None = None) -> Result:
    """Runs `python -m module ARGUMENTS`, both ways in JSON, in a process of its own.

    Args:
        module: The module to run; the last line that it prints is its result.
        arguments: What it reads from `sys.argv[1]`.
        environment: Variables of its environment, over settings that make runs alike.

    Returns:
        The result.

    Raises:
        SystemExit: If it fails, with its last lines.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(arguments)],
        cwd=ROOT,
        env={
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "-1",
            "KERAS_BACKEND": "tensorflow",
            "MEMCOM_TF_OPS": "native",
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_USE_LEGACY_KERAS": "0",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LINES_SHOWN:])
        raise SystemExit(
            f"`python -m {module}` must succeed. Received: exit_status={done.returncode}, "
            f"arguments={arguments}. Its last lines:\n{lines}"
        )
    return json.loads(done.stdout.splitlines()[-1])


def describe_machine() -> Result:
    """The machine; builds the fused ops, and ends the benchmark where that fails."""
    return run_worker("benchmarks.common.machine", {})


def in_rounds(cases: Sequence[str], number: int, run: Callable[[str], Result]) -> Rounds:
    """Runs every case once a round, each round starting with another case."""
    results: Rounds = {case: [] for case in cases}
    columns = (
        TextColumn("{task.description:<36}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=number * len(cases))
        for turn in range(number):
            for case in rotated(cases, turn, number):
                progress.update(task, description=f"round {turn + 1} of {number}: {case}")
                results[case].append(run(case))
                progress.advance(task)
    return results


def rotated(cases: Sequence[str], turn: int, number: int) -> list[str]:
    """The order of the cases in one of `number` rounds."""
    start = turn * len(cases) // number
    return [*cases[start:], *cases[:start]]


def summary(values: Iterable[float]) -> dict[str, float]:
    """Median, smallest and largest of the rounds, to four digits."""
    values = list(values)
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: digits(value) for name, value in found.items()}


def ratio(numerators: Iterable[float], denominators: Iterable[float]) -> dict[str, float]:
    """The summary of the ratios that the rounds have, round by round."""
    return summary(a / b for a, b in zip(numerators, denominators, strict=True))


def digits(value: float) -> float:
    """A value to four significant digits."""
    return float(f"{value:.4g}")


def spread(found: dict[str, float], unit: str = "") -> str:
    """`median (min-max)` as text, the median alone of one round."""
    if found["min"] == found["max"]:
        return f"{_short(found['median'])}{unit}"
    return f"{_short(found['median'])}{unit} ({_short(found['min'])}-{_short(found['max'])})"


def _short(value: float) -> str:
    """Three significant digits, and all digits before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A Markdown table whose first columns are text and the others numbers."""
    lines = [head, [*["---"] * texts, *["---:"] * (len(head) - texts)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def publish(name: str, options: argparse.Namespace, document: Result, text: str) -> None:
    """Prints the report, and writes the files that were asked for.

    Args:
        name: Name of the benchmark and of its results.
        options: What `parse` returned.
        document: The figures, with the machine as "machine".
        text: The report in Markdown, without the machine.
    """
    document = {"benchmark": name, "quick": options.quick, "rounds": options.rounds, **document}
    machine = ", ".join(f"{key} {_plain(value)}" for key, value in document["machine"].items())
    text = f"{text.rstrip()}\n\n{machine}\n"
    # Narrower, and it would cut figures off.
    console = Console(width=max(Console().width, _LEAST_WIDTH))
    console.print(Markdown(text))
    figures = json.dumps(document, indent=1) + "\n"
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(figures)
    if options.published:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(figures)
        (RESULTS / f"{name}.md").write_text(text)
        console.print(f"Written: benchmarks/results/{name}.json and .md")
    else:
        console.print("Not the settings of the published figures: benchmarks/results is as it was.")


def _plain(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)
