"""A step of `model.fit` with the table of one method; a worker process."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np

from benchmarks.common.workload import HISTORY_LENGTH, OUTPUT_DIM
from benchmarks.training.step_case import LEARNING_RATE, dataset, fit, peak_bytes


def layer_of(method: Any, input_dim: int, ratio: float) -> Any:
    """The method so many times smaller, or at its own size where it has one alone."""
    if method.size_argument is None:
        ratio = 1
    return method.for_ratio(input_dim, OUTPUT_DIM, ratio, combiner="mean")


def main() -> None:
    """Trains and prints the times."""
    arguments = json.loads(sys.argv[1])
    data = dataset(arguments["input_dim"], arguments["distribution"])
    before = peak_bytes()
    from memcom_tf._keras import keras
    from memcom_tf.layers import METHODS
    from memcom_tf.optimizers import LazyAdam

    warnings.filterwarnings("ignore", ".*AdaptTables", RuntimeWarning)  # a table is not timed so
    layer = layer_of(METHODS[arguments["case"]], arguments["input_dim"], arguments["ratio"])
    ids = keras.Input((HISTORY_LENGTH,), dtype="int32")
    model = keras.Model(ids, keras.layers.Dense(OUTPUT_DIM, "relu")(layer(ids)))
    model.compile(LazyAdam(LEARNING_RATE), "mse")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        times = fit(model, data, **arguments["steps"])
    result = {
        "ms": float(np.median(times)),
        "steps": len(times),
        "peak_bytes": peak_bytes() - before,
        "fused": not layer._trains_apart
        and not any("plain TensorFlow ops" in str(warning.message) for warning in told),
        "size": layer.get_config().get(layer.size_argument or ""),
        "ratio": layer.compression_ratio,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
