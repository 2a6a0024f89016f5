"""One way to train the model of the benchmarks, timed inside `model.fit`; a worker process.

The model: a history of ids, their vectors' mean, a dense layer, the mean squared error.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.workload import (
    HISTORY_LENGTH,
    OUTPUT_DIM,
    draw_ids,
    draw_targets,
    num_buckets,
)
from benchmarks.training.op_profile import op_milliseconds

LEARNING_RATE = 1e-3
_PROFILED_STEPS = 30


@dataclass(frozen=True)
class Case:
    """A way to train.

    Attributes:
        label: What the report says.
        table: "memcom", "full", "stock" (Keras' Embedding), "tfrs" or "none".
        optimizer: "lazy_adam", "adam" or "adagrad".
        legacy: Whether it runs on tf_keras.
        native: Whether memcom_tf's layer and optimizer run their fused ops.
        xla: Whether the step is compiled by XLA.
    """

    label: str
    table: str
    optimizer: str
    legacy: bool = False
    native: bool = True
    xla: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """What must be set before TensorFlow is imported."""
        return {
            "TF_USE_LEGACY_KERAS": str(int(self.legacy)),
            "MEMCOM_TF_OPS": "native" if self.native else "reference",
        }


CASES = {
    "ours": Case("MEmComEmbedding, LazyAdam, fused ops", "memcom", "lazy_adam"),
    "keras": Case("Keras Embedding, Adam", "stock", "adam"),
    "keras_xla": Case("Keras Embedding, Adam, XLA", "stock", "adam", xla=True),
    "tf_keras": Case("tf_keras Embedding, Adam", "stock", "adam", legacy=True),
    "tf_keras_xla": Case("tf_keras Embedding, Adam, XLA", "stock", "adam", legacy=True, xla=True),
    "plain_ops_adam": Case(
        "MEmComEmbedding, Keras Adam, plain ops", "memcom", "adam", native=False
    ),
    "plain_ops": Case("MEmComEmbedding, LazyAdam, plain ops", "memcom", "lazy_adam", native=False),
    "tfrs": Case("TFRS model, tf_keras Embedding, Adagrad", "tfrs", "adagrad", legacy=True),
    "keras_lazy_adam": Case("Keras Embedding, LazyAdam, fused op", "stock", "lazy_adam"),
    "ours_uncompressed": Case("FullEmbedding, LazyAdam, fused ops", "full", "lazy_adam"),
    "ours_tf_keras": Case(
        "MEmComEmbedding, LazyAdam, fused ops, tf_keras", "memcom", "lazy_adam", legacy=True
    ),
    "no_embedding": Case("no table: the fixed cost of a step", "none", "lazy_adam"),
}


def build_model(case: Case, input_dim: int) -> Any:
    """The compiled model of a case."""
    from memcom_tf import FullEmbedding, MEmComEmbedding
    from memcom_tf._keras import keras
    from memcom_tf.optimizers import LazyAdam

    layers = keras.layers
    optimizer = {
        "lazy_adam": LazyAdam,
        "adam": keras.optimizers.Adam,
        "adagrad": keras.optimizers.Adagrad,
    }[case.optimizer](LEARNING_RATE)
    if case.table == "tfrs":
        model = _recommenders_model(input_dim)
        model.compile(optimizer)
        return model
    ids = keras.Input((HISTORY_LENGTH,), dtype="int32")
    if case.table == "memcom":
        size = num_buckets(input_dim)
        pooled = MEmComEmbedding(input_dim, OUTPUT_DIM, num_buckets=size, combiner="mean")(ids)
    elif case.table == "full":
        pooled = FullEmbedding(input_dim, OUTPUT_DIM, combiner="mean")(ids)
    elif case.table == "stock":
        pooled = layers.GlobalAveragePooling1D()(layers.Embedding(input_dim, OUTPUT_DIM)(ids))
    else:
        pooled = layers.Lambda(_without_table, output_shape=(OUTPUT_DIM,))(ids)
    model = keras.Model(ids, layers.Dense(OUTPUT_DIM, "relu")(pooled))
    model.compile(optimizer, "mse", jit_compile=case.xla)
    return model


def _without_table(ids: Any) -> Any:
    """Something of the pooled vectors' shape, for next to nothing."""
    import tensorflow as tf

    return 1e-9 * tf.cast(ids[:, :1], tf.float32) * tf.ones([1, OUTPUT_DIM])


def _recommenders_model(input_dim: int) -> Any:
    """The model as TensorFlow Recommenders' tutorials write it."""
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    class RankingModel(tfrs.Model):
        def __init__(self) -> None:
            super().__init__()
            self.scores = tf.keras.Sequential(
                [
                    tf.keras.layers.Embedding(input_dim, OUTPUT_DIM),
                    tf.keras.layers.GlobalAveragePooling1D(),
                    tf.keras.layers.Dense(OUTPUT_DIM, "relu"),
                ]
            )
            self.task = tfrs.tasks.Ranking(loss=tf.keras.losses.MeanSquaredError())

        def compute_loss(self, inputs: Any, training: bool = False) -> Any:
            ids, targets = inputs
            return self.task(labels=targets, predictions=self.scores(ids))

    return RankingModel()


def dataset(input_dim: int, distribution: str) -> Any:
    """The batches, without end."""
    import tensorflow as tf

    batches = draw_ids(distribution, input_dim), draw_targets()
    return tf.data.Dataset.from_tensor_slices(batches).repeat().prefetch(4)


def fit(model: Any, data: Any, warm_up: int, least: int, most: int, seconds: float) -> np.ndarray:
    """Milliseconds of training steps: of at least `least`, and more for `seconds`, up to `most`."""
    from memcom_tf._keras import keras

    class Clock(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.ends: list[float] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.ends.append(time.perf_counter())
            timed = self.ends[warm_up:]
            if len(timed) > least and timed[-1] - timed[0] >= seconds:
                self.model.stop_training = True

    clock = Clock()
    model.fit(data, steps_per_epoch=warm_up + 1 + most, verbose=0, callbacks=[clock])
    return np.diff(clock.ends[warm_up:]) * 1e3


def profile(model: Any, data: Any) -> dict[str, float] | None:
    """Milliseconds a step of each part of the model, of the rest of the step, and in all."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as directory:
        tf.profiler.experimental.start(directory)
        times = fit(model, data, 0, _PROFILED_STEPS - 1, _PROFILED_STEPS - 1, 0.0)
        tf.profiler.experimental.stop()
        parts = op_milliseconds(Path(directory), _PROFILED_STEPS)
    if parts is None:
        return None
    step = float(np.median(times))
    return {**parts, "rest": step - sum(parts.values()), "step": step}


def peak_bytes() -> int:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def main() -> None:
    """Trains and prints the times."""
    arguments = json.loads(sys.argv[1])
    case = CASES[arguments["case"]]
    # A fused case that fell back to plain ops would be a figure of something else.
    if case.native:
        warnings.filterwarnings("error", ".*plain TensorFlow ops", RuntimeWarning)
    data = dataset(arguments["input_dim"], arguments["distribution"])
    before = peak_bytes()
    model = build_model(case, arguments["input_dim"])
    times = fit(model, data, **arguments["steps"])
    result = {
        "ms": float(np.median(times)),
        "steps": len(times),
        "peak_bytes": peak_bytes(),
        "peak_bytes_before_model": before,
    }
    if arguments.get("profile"):
        result["profile"] = profile(model, data)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
