"""What a proof costs: seconds and memory of `convert`, with and without it, and of `verify`.

python -m benchmarks.export.proof [--quick] [--against FOLDER]

With `--against` the same cases run on another checkout of memcom_tf, in turns with this one: a
folder with a virtual environment `.venv` of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
from itertools import product
from pathlib import Path

from benchmarks.common.measure import (
    ROOT,
    Result,
    describe_machine,
    in_rounds,
    parse,
    parser,
    publish,
    run_worker,
    spread,
    summary,
    table,
)

WIDTH = 64
SIZES = (1_000, 1_000_000)
KINDS = ("convert", "proof", "verify")
_NAMES = {
    "convert": "`convert(verify=False)`",
    "proof": "`convert`",
    "verify": "`verify`",
}
_CASE = "benchmarks.export.proof_case"


def main() -> None:
    """Runs the cases in turns, and writes the report."""
    options = parser(__doc__.splitlines()[0], rounds=3)
    options.add_argument("--against", type=Path, help="another checkout, with a .venv of its own")
    parsed = parse(options)
    sizes = SIZES[:1] if parsed.quick else SIZES
    checkouts = ["this", *(["other"] if parsed.against else [])]
    cases = [f"{who} {kind} {size}" for size, kind, who in product(sizes, KINDS, checkouts)]

    def run(case: str) -> Result:
        who, kind, size = case.split()
        arguments = {"what": kind, "items": int(size), "width": WIDTH}
        if who == "this":
            return run_worker(_CASE, arguments)
        return _run_other(parsed.against, arguments)

    machine = describe_machine()
    rounds = in_rounds(cases, parsed.rounds, run)
    rows = []
    for case, results in rounds.items():
        who, kind, size = case.split()
        megabytes = (r["peak_bytes"] / 1e6 for r in results)
        rows.append(
            [
                _NAMES[kind] + ("" if who == "this" else " of the other checkout"),
                f"{int(size):,} x {WIDTH}",
                spread(summary(r["seconds"] for r in results)),
                spread(summary(megabytes)),
            ]
        )
    head = ["what", "table", "seconds", "peak memory, MB"]
    text = (
        "# What a proof costs\n\nA model of a table, the mean of a history, and a Dense layer in "
        "8 bits. `verify` converts the model again, and compares every byte of the file. Peak "
        "memory is that of the process, TensorFlow (about 700 MB) and the float32 table included; "
        "medians, least and most of the rounds.\n\n" + table(head, rows, texts=2)
    )
    publish("proof", parsed, {"machine": machine, "cases": rounds}, text)


def _run_other(folder: Path, arguments: Result) -> Result:
    """The same case, of this checkout, on the package of another."""
    python = folder.resolve() / ".venv" / "bin" / "python"
    code = (
        "import runpy, sys; sys.path.insert(0, sys.argv[2]); import memcom_tf; "
        "sys.path.insert(0, sys.argv[3]); runpy.run_module(sys.argv[4], run_name='__main__')"
    )
    done = subprocess.run(
        [python, "-c", code, json.dumps(arguments), str(folder.resolve()), str(ROOT), _CASE],
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"The other checkout must run the case:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
