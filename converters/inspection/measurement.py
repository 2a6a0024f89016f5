"""Peak memory and latency of a file, measured in processes of its own. Linux tells the memory."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.errors import invalid

from ..model_file.interpreters import SAFE_PATH
from ..model_file.row_splits import ROW_SPLITS
from ..runtime import CompressedModelFile

THREADS = (1, 2)
REPEATS = 30
WARM_UP = 3
_NUM_CANDIDATES = 100
_STATUS = Path("/proc/self/status")
_FORGET_PEAK = Path("/proc/self/clear_refs")


def measure(path: str | os.PathLike[str], *, repeats: int = REPEATS) -> dict[str, Any]:
    """Measures a file on this machine, with each number of threads in a new process.

    Args:
        path: A `.tflite` file of `memcom convert`.
        repeats: How many calls a median latency is of, after a warm-up.

    Returns:
        By number of threads: "milliseconds" of each signature, the median with the call from
        Python, for `sample_inputs`; and "peak_bytes", by which the resident memory of the process
        grew at most while the file was opened and run, pages of the file included, or None where
        the system does not tell. And "processor" and "cores".

    Raises:
        ValueError: If `repeats` is not positive, the file is foreign or damaged, or its graph ends
            the process that runs it.

    Example:
        >>> import pathlib, tempfile
        >>> from memcom_tf import MEmComEmbedding
        >>> from memcom_tf.converters import convert
        >>> from memcom_tf.models import NextItemRanker
        >>> ranker = NextItemRanker(MEmComEmbedding(500, 16, num_buckets=50), history_length=8)
        >>> ranker.build((None, 8))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "ranker.tflite"
        ...     convert(ranker, k=5, verify=False).save(path)
        ...     measured = measure(path, repeats=1)
        >>> sorted(measured["threads"]["2"]["milliseconds"])
        ['embed', 'rank', 'score']
    """
    if repeats < 1:
        raise invalid(
            "`repeats` must be positive.", "Pass how many calls to time.", repeats=repeats
        )
    file = CompressedModelFile(path)  # raises here, not in the process
    if not file.graph.is_known_to_be_safe:
        for name in file.signatures:
            file.run(name, **sample_inputs(file, name))
    return {
        "threads": {str(threads): _in_process(Path(path), threads, repeats) for threads in THREADS},
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
    }


def _in_process(path: Path, threads: int, repeats: int) -> dict[str, Any]:
    done = subprocess.run(
        # -P: nothing is imported from the current folder.
        [
            sys.executable,
            SAFE_PATH,
            "-m",
            __name__,
            str(path.absolute()),
            str(threads),
            str(repeats),
        ],
        # The child finds what this process has found.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        errors="replace",
    )
    if done.returncode:
        raise invalid(
            "The process that measures must succeed.",
            f"Its last line: {(done.stderr.strip().splitlines() or ['none'])[-1]}",
            exit_status=done.returncode,
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_here(path: str | os.PathLike[str], threads: int, repeats: int) -> dict[str, Any]:
    """What `measure` says of one number of threads, measured in this process."""
    import ai_edge_litert.interpreter  # noqa: F401  whose memory is not the file's

    before = _restarted_peak()
    # A process that ends here is known by its exit status.
    file = CompressedModelFile(path, num_threads=threads, in_process=True)
    milliseconds = {name: _median(file, name, repeats) for name in sorted(file.signatures)}
    peak = None if before is None else max(0, _bytes_of("VmHWM") - before)
    return {"milliseconds": milliseconds, "peak_bytes": peak}


def _median(file: CompressedModelFile, name: str, repeats: int) -> float:
    inputs = sample_inputs(file, name)
    seconds = []
    for _ in range(WARM_UP + repeats):
        start = time.perf_counter()
        file.run(name, **inputs)
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds[WARM_UP:])


def _restarted_peak() -> int | None:
    """Lets the peak of resident memory start anew; what is resident now, None where unknown."""
    try:
        _FORGET_PEAK.write_text("5")
        return _bytes_of("VmRSS")
    except OSError:
        return None


def _bytes_of(name: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def sample_inputs(file: CompressedModelFile, signature: str) -> dict[str, np.ndarray]:
    """Inputs of a signature that any file accepts: small ids, floats that may be ids too.

    Sizes that are free are 1, and up to 100 for candidates; ragged ids are one row of one id.
    """
    rng = np.random.default_rng(0)
    sizes = [embedding.input_dim for embedding in file.description.embeddings]
    ids = min(sizes, default=1)
    found = file.graph.signatures[signature]
    inputs = {}
    for name, place in found.inputs.items():
        tensor = file.graph.subgraphs[found.subgraph].tensors[place]
        free = min(_NUM_CANDIDATES, ids) if name == "candidates" else 1
        shape = [free if size < 0 else size for size in tensor.shape]
        if name.endswith(ROW_SPLITS):
            inputs[name] = np.array([0, 1], tensor.dtype)
            continue
        inputs[name] = rng.integers(0, min(ids, 128), shape).astype(tensor.dtype)
    return inputs


if __name__ == "__main__":
    print(json.dumps(measure_here(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
