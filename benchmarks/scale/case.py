"""One conversion of a large table, or one file on the runtime; a process of its own each."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.measure import Result

WIDTH = 64
HISTORY_LENGTH = 50
IDS_A_ROW = 16
K = 20
_INPUTS = 32
"""Different inputs, which take turns."""
_SEED = 0


def status(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def forget_peak() -> None:
    """Sets the peak of the resident memory to what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def _pooled(layer: Any) -> Any:
    """Histories to the mean of their vectors."""
    from memcom_tf._keras import keras

    history = keras.Input((HISTORY_LENGTH,), dtype="int32", name="history")
    vectors = layer(history)
    if len(vectors.shape) == 3:
        vectors = keras.layers.GlobalAveragePooling1D()(vectors)
    return keras.Model(history, vectors)


def convert_table(method: str, items: int, path: str) -> Result:
    """Converts a trained table `[items, WIDTH]`: seconds, peak memory, bytes."""
    import keras

    from memcom_tf import MEmComEmbedding
    from memcom_tf.converters import convert

    keras.utils.set_random_seed(_SEED)
    table = keras.layers.Embedding(items, WIDTH)
    table.build(None)
    before = status("VmRSS")
    forget_peak()
    start = time.perf_counter()
    layer = table
    if method == "memcom":
        values = np.asarray(table.embeddings.value)
        layer = MEmComEmbedding.from_table(values, num_buckets=items // IDS_A_ROW, combiner="mean")
    approximated = time.perf_counter()
    conversion = convert(_pooled(layer))
    converted = time.perf_counter()
    if conversion.verification is None or not conversion.verification.passed:
        raise SystemExit(f"The file does not equal the model: {conversion.verification}")
    conversion.save(path, overwrite=True)
    return {
        "approximation_seconds": approximated - start,
        "conversion_seconds": converted - approximated,
        "table_bytes": 4 * items * WIDTH,
        "bytes_before": before,
        "peak_bytes": status("VmHWM"),
        "file_bytes": len(conversion.content),
    }


def write_rankers(items: int, paths: dict[str, str]) -> Result:
    """Writes a MEmCom ranker, and one of a full table that holds the same vectors."""
    from memcom_tf import FullEmbedding, MEmComEmbedding
    from memcom_tf.converters import compare, convert
    from memcom_tf.models import NextItemRanker

    rng = np.random.default_rng(_SEED)
    input_dim = items + 1
    memcom = MEmComEmbedding(input_dim, WIDTH, num_buckets=items // IDS_A_ROW)
    memcom.build(None)
    memcom.assign_tables(
        {
            "shared": rng.normal(0, 0.1, (items // IDS_A_ROW, WIDTH)),
            "multiplier": rng.normal(1, 0.3, (input_dim, 1)),
        }
    )
    full = FullEmbedding(input_dim, WIDTH)
    full.build(None)
    full.assign_tables({"embeddings": np.asarray(memcom(np.arange(input_dim)))})
    for name, layer in {"memcom": memcom, "full": full}.items():
        ranker = NextItemRanker(layer, history_length=HISTORY_LENGTH, item_bias=False)
        ranker.build_once()
        conversion = convert(ranker, k=K)
        if conversion.verification is None or not conversion.verification.passed:
            raise SystemExit(f"The file does not equal the model: {conversion.verification}")
        conversion.save(paths[name], overwrite=True)
    agreement = compare(paths["memcom"], paths["full"], repeats=1).agreement
    if agreement is None:
        raise SystemExit("The files must be rankers of the same items.")
    return {"common_share": agreement.common_share, "histories": agreement.num_histories}


def run_file(path: str, threads: int, calls: int) -> Result:
    """Times every signature of a file, and says what memory it took."""
    import ai_edge_litert.interpreter  # noqa: F401  its memory is not the file's

    from memcom_tf.converters.runtime import CompressedModelFile

    forget_peak()
    before = {kind: status(kind) for kind in ("RssAnon", "RssFile", "VmHWM")}
    start = time.perf_counter()
    file = CompressedModelFile(path, num_threads=threads)
    opened = time.perf_counter() - start
    items = file.description.num_ids
    rng = np.random.default_rng(_SEED)
    ids = rng.integers(1, items, (_INPUTS, HISTORY_LENGTH), dtype=np.int32)
    milliseconds = {}
    for name, given in file.signatures.items():
        if "candidates" in given["inputs"]:
            continue
        inputs = [{given["inputs"][0]: row if name == "embed" else row[None]} for row in ids]
        times = []
        for call in range(_INPUTS + calls):
            begin = time.perf_counter()
            file.run(name, **inputs[call % _INPUTS])
            times.append(1000 * (time.perf_counter() - begin))
        milliseconds[name] = statistics.median(times[_INPUTS:])
    after = {kind: status(kind) - bytes_ for kind, bytes_ in before.items()}
    return {
        "open_ms": 1000 * opened,
        "milliseconds": milliseconds,
        "anonymous_bytes": after["RssAnon"],
        "mapped_bytes": after["RssFile"],
        "peak_bytes": after["VmHWM"],
    }


TASKS = {"convert": convert_table, "rankers": write_rankers, "run": run_file}


def main() -> None:
    """Does the task that it is given, and prints its figures."""
    arguments = json.loads(sys.argv[1])
    print(json.dumps(TASKS[arguments.pop("task")](**arguments)))


if __name__ == "__main__":
    main()
