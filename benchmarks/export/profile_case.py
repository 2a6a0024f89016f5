"""A table in one profile: converted, or looked up in on one thread; a worker process."""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROWS, WIDTH, HISTORY = 200_000, 64, 50
BATCHES = (1, 40)
_RUNS = 300


def write(path: Path, kind: str, profile: str) -> dict[str, Any]:
    """Converts a Keras Embedding alone; normal values, rows of different norms."""
    from memcom_tf._keras import keras
    from memcom_tf.converters import convert

    ids = keras.Input((HISTORY,), dtype="int32", name="ids")
    layer = keras.layers.Embedding(ROWS, WIDTH, name="items")
    model = keras.Model(ids, layer(ids))
    rng = np.random.default_rng(0)
    values = rng.standard_normal((ROWS, WIDTH), np.float32)
    layer.set_weights([values * rng.lognormal(0, 0.5, (ROWS, 1)).astype(np.float32)])
    conversion = convert(model, weights=kind, profile=profile, verify=False)
    conversion.save(path)
    read = [embedding["tables"][0]["operator"] for embedding in conversion.report["embeddings"]]
    # Tables of float32 are the converter's own, and not described.
    found = {"bytes": conversion.report["graph_bytes"], "operator": (read or ["GATHER"])[0]}
    return {**found, "min_runtime_version": conversion.report["min_runtime_version"]}


def run(path: Path) -> dict[str, Any]:
    """Microseconds of a lookup, and anonymous memory of the loaded file that has been run."""
    from ai_edge_litert.interpreter import Interpreter

    before = _anonymous_bytes()
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    place = interpreter.get_input_details()[0]["index"]
    found: dict[str, Any] = {}
    rng = np.random.default_rng(1)
    for batch in BATCHES:
        interpreter.resize_tensor_input(place, [batch, HISTORY])
        interpreter.allocate_tensors()
        times = []
        for _ in range(_RUNS):
            ids = rng.integers(0, ROWS, (batch, HISTORY)).astype(np.int32)
            interpreter.set_tensor(place, ids)
            start = time.perf_counter()
            interpreter.invoke()
            times.append(time.perf_counter() - start)
        found[f"us_{batch * HISTORY}"] = 1e6 * statistics.median(times)
    return {**found, "anonymous_bytes": _anonymous_bytes() - before}


def _anonymous_bytes() -> int:
    text = Path("/proc/self/smaps_rollup").read_text()
    return 1024 * int(re.findall(r"^Anonymous: +(\d+) kB", text, re.MULTILINE)[0])


if __name__ == "__main__":
    arguments = json.loads(sys.argv[1])
    path = Path(arguments["path"])
    if path.exists():
        print(json.dumps(run(path)))
    else:
        print(json.dumps(write(path, arguments["kind"], arguments["profile"])))
