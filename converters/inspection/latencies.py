"""How fast several files are, measured side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from ..runtime import CompressedModelFile
from .measurement import THREADS, WARM_UP, sample_inputs

Milliseconds = dict[str, dict[int, float]]
"""By signature and number of threads."""


def latencies_of(files: Sequence[CompressedModelFile], repeats: int) -> list[Milliseconds]:
    """Median milliseconds of each file's signatures; the files take turns, for the same noise.

    Args:
        files: The files.
        repeats: How many calls a median is of, after a warm-up.

    Returns:
        For each file the medians, with the call from Python.
    """
    found: list[Milliseconds] = [{name: {} for name in sorted(file.signatures)} for file in files]
    for threads in THREADS:
        opened = [CompressedModelFile(file.path, num_threads=threads) for file in files]
        for name in sorted({name for file in opened for name in file.signatures}):
            having = [place for place, file in enumerate(opened) if name in file.signatures]
            inputs = {place: sample_inputs(opened[place], name) for place in having}
            seconds: dict[int, list[float]] = {place: [] for place in having}
            for _ in range(WARM_UP + repeats):
                for place in having:
                    start = time.perf_counter()
                    opened[place].run(name, **inputs[place])
                    seconds[place].append(time.perf_counter() - start)
            for place in having:
                median = statistics.median(seconds[place][WARM_UP:])
                found[place][name][threads] = 1000 * median
    return found
