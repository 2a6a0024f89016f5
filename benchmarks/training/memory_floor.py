"""What memory alone costs a step of training: its accesses, measured without its arithmetic."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.workload import OUTPUT_DIM, draw_ids, num_buckets

SOURCE = Path(__file__).parents[1] / "cc" / "memory_floor.cc"
THREADS = 2
_COPIES = 3  # The table and Adam's two moments.
_SECONDS = 600


class MemoryFloor:
    """The accesses of the benchmark's steps, and the compiled program that makes them.

    Args:
        directory: Where to put both.
        compiler: Words of the command of a C++ compiler.
        input_dim: Size of the vocabulary.
        distribution: Of the ids, see `draw_ids`.

    Attributes:
        bytes_moved: Bytes that a step reads and writes, on average.
    """

    def __init__(
        self, directory: Path, compiler: Sequence[str], input_dim: int, distribution: str
    ) -> None:
        self._program, self._accesses = directory / "memory_floor", directory / "accesses"
        command = [*compiler, "-std=c++17", "-O3", "-pthread", str(SOURCE), "-o"]
        subprocess.run([*command, str(self._program)], check=True, timeout=_SECONDS)
        steps = accesses(draw_ids(distribution, input_dim), num_buckets(input_dim))
        head = np.array([OUTPUT_DIM, num_buckets(input_dim), input_dim, len(steps)])
        parts = [part for step in steps for touched in step for part in ([len(touched)], touched)]
        np.concatenate([head, *parts]).astype(np.int64).tofile(self._accesses)
        floats = sum(len(rows) * OUTPUT_DIM + len(ids) for rows, ids in steps) / len(steps)
        self.bytes_moved = int(floats * 4 * _COPIES * 2)

    def measure(self) -> dict[str, Any]:
        """Milliseconds a step as "ms", and "triad_gb_per_s" of a STREAM triad."""
        command = [str(self._program), str(self._accesses), str(THREADS)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)
        return json.loads(done.stdout)


def accesses(batches: np.ndarray, buckets: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each batch the rows of MEmCom's shared table and the ids that it touches, rising."""
    return [(np.unique(ids % buckets), np.unique(ids)) for ids in batches]
