"""Training steps of a ranker by one of several workers, or alone; a process of its own each."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.measure import Result

WIDTH, LENGTH, BATCH_SIZE, RATIO = 64, 50, 1024, 16
_WARM = 5
_SEED = 0


def loopback_bytes() -> int:
    """All that the loopback has received."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[0] == "lo:")


def batches(items: int, count: int) -> list[tuple[Any, Any]]:
    """Histories and targets by Zipf's law, of which no item is id 0."""
    rng = np.random.default_rng(_SEED)
    shares = 1 / np.arange(1, items)
    drawn = 1 + rng.choice(items - 1, (count, BATCH_SIZE, LENGTH + 1), p=shares / shares.sum())
    drawn = drawn.astype(np.int32)
    return [(rows[:, :-1], rows[:, -1]) for rows in drawn]


def model_of(method: str, items: int, negatives: int | None) -> Any:
    """A ranker without dropout, which draws other numbers for each part of a batch."""
    import memcom_tf
    from memcom_tf._keras import keras
    from memcom_tf.models import NextItemRanker
    from memcom_tf.optimizers import LazyAdam

    keras.utils.set_random_seed(_SEED)
    start = keras.initializers.RandomNormal(stddev=0.15, seed=_SEED)
    if method == "full":
        table = memcom_tf.FullEmbedding(items, WIDTH, start)
    else:
        table = memcom_tf.MEmComEmbedding.for_ratio(
            items, WIDTH, RATIO, embeddings_initializer=start
        )
    model = NextItemRanker(
        table, history_length=LENGTH, item_bias=False, query_bias=True, num_negatives=negatives
    )
    model.build_once()
    model.compile(LazyAdam(3e-3))
    model.optimizer.build(model.trainable_variables)
    return model


def train(
    method: str,
    items: int,
    negatives: int | None,
    steps: int,
    cores: list[int],
    weights: str,
    worker: dict[str, Any] | None = None,
) -> Result:
    """Makes steps on whole batches, alone, or of its rows of each as one of several workers.

    Args:
        method: "full" or "memcom".
        items: Size of the catalogue.
        negatives: Items of the softmax; None takes all.
        steps: Steps that are timed.
        cores: Processor cores that it may use.
        weights: Where the trained weights go.
        worker: A `TF_CONFIG`; None trains alone.
    """
    os.sched_setaffinity(0, cores)
    if worker is not None:
        os.environ["TF_CONFIG"] = json.dumps(worker)
    import tensorflow as tf

    strategy: Any = tf.distribute.get_strategy()
    place, places = 0, 1
    if worker is not None:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        place, places = worker["task"]["index"], len(worker["cluster"]["worker"])
    with strategy.scope():
        model = model_of(method, items, negatives)
    before = [np.array(value) for value in model.get_weights()]

    @tf.function
    def step(rows: Any) -> Any:
        return strategy.run(model.train_step, args=(rows,))

    share = slice(place * BATCH_SIZE // places, (place + 1) * BATCH_SIZE // places)
    own = [tuple(part[share] for part in rows) for rows in batches(items, _WARM + steps)]
    distinct = [len(np.unique(history)) for history, _ in own]
    for rows in own[:_WARM]:
        step(tuple(map(tf.constant, rows)))
    received, begin = loopback_bytes(), time.perf_counter()
    for rows in own[_WARM:]:
        step(tuple(map(tf.constant, rows)))
    seconds = time.perf_counter() - begin
    after = model.get_weights()
    moved = max(float(np.abs(a - b).max()) for a, b in zip(after, before, strict=True))
    np.savez(weights, *after)
    return {
        "ms": 1e3 * seconds / steps,
        "bytes": (loopback_bytes() - received) / steps / places,
        "distinct": float(np.mean(distinct)),
        "moved": moved,
    }


def main() -> None:
    """Trains as it is told, and prints its figures."""
    print(json.dumps(train(**json.loads(sys.argv[1]))))


if __name__ == "__main__":
    main()
