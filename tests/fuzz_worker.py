"""Reads damaged files, many in one process: a crash ends it, and its reader knows the case.

Arguments: the folder of the good files, a kind of damage, the first case and the one behind the
last. It prints a line before each case and one after it.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from memcom_tf.converters.inspection.display import show_report
from memcom_tf.converters.runtime import CompressedModelFile
from tests.damage import Sample, damaged

_MEMORY = 6 * 2**30


def answers(path: Path) -> list[np.ndarray]:
    """Everything that the commands ask of a file."""
    file = CompressedModelFile(path)
    assert set(file.signatures) == set(file.report["signatures"])
    show_report(file.report, Console(file=io.StringIO()))
    json.dumps(file.report)
    ids = np.array([1, 2, 3], np.int32)
    found = [file.run("embed", ids=ids)["vectors"]]
    if file.report["kind"] != "ranker":
        return [*found, *file.run("serving_default", history=ids[None]).values()]
    best, scores = file.rank([5, 7])
    if file.archive.vocabulary is not None:
        file.vocabulary.items(best)
    row = file.history_row([3])
    return [*found, best, scores, file.run("score", history=row, candidates=ids)["scores"]]


def outcome(path: Path, expected: list[np.ndarray], *, must_be_equal: bool) -> str:
    """One word and what is wrong, if anything."""
    try:
        found = answers(path)
    except ValueError as error:
        text = str(error)
        return "refused" if " must " in text else f"ERROR not in our words: {error!r}"
    # Whatever else a file may raise is what this test is to find.
    except Exception as error:
        return f"ERROR {error!r}"
    if must_be_equal and not all(map(np.array_equal, found, expected)):
        return "ERROR another answer"
    return "answered"


def main(folder: Path, kind: str, first: int, last: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    say: Callable[[str], int] = os.fdopen(os.dup(1), "w", buffering=1).write
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    goods = sorted(folder.glob("*.tflite"))
    samples = [Sample(path.read_bytes()) for path in goods]
    if kind == "vocabulary":  # what has none cannot be damaged there
        having = ["vocabulary.bin" in sample.members for sample in samples]
        goods, samples = (list(itertools.compress(x, having)) for x in (goods, samples))
    expected = [answers(path) for path in goods]
    target = folder / f"{kind}_{os.getpid()}.damaged"
    for number in range(first, last):
        place = number % len(samples)
        target.write_bytes(damaged(samples[place], kind, number))
        say(f"case {number}\n")
        # What the checksums cover cannot change; a graph with a new checksum is another graph.
        must_be_equal = kind in ("bytes", "zip", "vocabulary")
        say(f"{outcome(target, expected[place], must_be_equal=must_be_equal)!r}\n"[1:-2] + "\n")
    target.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
