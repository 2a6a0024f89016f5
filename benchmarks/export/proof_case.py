"""A conversion, its proof, or a verification of a file; a process of its own each."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common.measure import Result
from benchmarks.scale.case import forget_peak, status

HISTORY_LENGTH = 20
_SEED = 0


def measured(what: str, items: int, width: int) -> Result:
    """Seconds and peak memory of one of "convert", "proof" (convert with it) and "verify".

    The model is a table, the mean of a history, and a Dense layer in 8 bits.
    """
    import keras

    from memcom_tf.converters import convert, verify

    keras.utils.set_random_seed(_SEED)
    history = keras.Input((HISTORY_LENGTH,), dtype="int32", name="history")
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(items, width)(history))
    hidden = keras.layers.Dense(64, activation="relu")(pooled)
    model = keras.Model(history, keras.layers.Dense(1)(hidden))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        if what == "verify":
            convert(model, verify=False).save(path)
        before = status("VmRSS")
        forget_peak()
        start = time.perf_counter()
        if what == "verify":
            verification = verify(model, path)
        else:
            verification = convert(model, verify=what == "proof").verification
        seconds = time.perf_counter() - start
    if verification is not None and not verification.passed:
        raise SystemExit(f"The file does not equal the model: {verification}")
    return {
        "seconds": seconds,
        "peak_bytes": status("VmHWM"),
        "bytes_before": before,
        "table_bytes": 4 * items * width,
    }


if __name__ == "__main__":
    print(json.dumps(measured(**json.loads(sys.argv[1]))))
