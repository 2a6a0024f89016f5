"""What a sketch costs in a step of training: steps in turns, compared within a round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.drift.data import Stream
from benchmarks.drift.ranker import BATCH, NEGATIVES, WIDTH, Ranker, batch_of
from memcom_tf._keras import keras
from memcom_tf.layers import CAFEEmbedding, CompressedEmbedding, TrainingLookup
from memcom_tf.ops import use
from memcom_tf.optimizers import LazyAdam

BASE, NUMPY = "nothing is counted", "sketch in NumPy, by gradient"
_ROUNDS, _WARM_UP = 150, 10
_IDS, _BAGS, _LENGTH, _WIDTH, _ROWS = 1_000_000, 1024, 50, 64, 10_000
Case = tuple[str, Callable[[], CompressedEmbedding]]


class Uncounted(CAFEEmbedding):
    """The lookup of exact CAFE without what it counts."""

    def train_lookup(self, xp: Any, ids: Any, t: Any) -> TrainingLookup:
        """As `CAFEEmbedding`, without counts."""
        return TrainingLookup(self.lookup(xp, ids, t))


def tables(num_items: int, width: int, rows: int) -> Mapping[str, Case]:
    """Tables of as many rows, with the mode of the ops."""
    own = rows // 2

    def cafe(
        importance: str, sketch: bool, method: type[CAFEEmbedding] = CAFEEmbedding
    ) -> CompressedEmbedding:
        return method(
            num_items,
            width,
            num_buckets=rows - own,
            num_dedicated=own,
            importance=importance,
            sketch_buckets=own if sketch else None,
        )

    found: dict[str, Case] = {BASE: ("auto", lambda: cafe("gradient", False, Uncounted))}
    for importance in ("gradient", "frequency"):
        for sketch in (False, True):
            name = f"{'sketch' if sketch else 'exact counts'}, by {importance}"
            found[name] = ("auto", lambda i=importance, s=sketch: cafe(i, s))
    found[NUMPY] = ("reference", lambda: cafe("gradient", True))
    return found


def measured(stream: Stream, rounds: int = _ROUNDS) -> dict[str, Any]:
    """Median milliseconds of a step, and of a change of rows, by workload and table."""
    return {
        "the ranker of this report": _of_ranker(stream, rounds),
        f"bags {_BAGS} x {_LENGTH} of {_IDS:,} ids, width {_WIDTH}, {_ROWS:,} rows": _of_bags(
            rounds
        ),
    }


def _of_ranker(stream: Stream, rounds: int) -> dict[str, Any]:
    day, rng = stream.days[0], np.random.default_rng(0)
    batches = []
    for first in range(0, len(day.targets) - BATCH, BATCH):
        part = slice(first, first + BATCH)
        negatives = rng.choice(stream.catalogues[0], NEGATIVES).astype(np.int32)
        batches.append(batch_of(day.histories[part], day.targets[part], negatives))
    steps, layers = {}, {}
    rows = round(stream.num_items / 100)
    for name, (mode, make) in tables(stream.num_items, WIDTH, rows).items():
        with use(mode):
            ranker = Ranker(make())
            ranker.step(*batches[0])
        steps[name], layers[name] = ranker.step, ranker.table
    return _compared(steps, layers, batches[:32], rounds)


def _of_bags(rounds: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    batches = [
        (
            np.minimum(rng.zipf(1.2, (_BAGS, _LENGTH)) - 1, _IDS - 1).astype(np.int32),
            rng.normal(size=_BAGS).astype(np.float32),
        )
        for _ in range(16)
    ]
    steps, layers = {}, {}
    for name, (mode, make) in tables(_IDS, _WIDTH, _ROWS).items():
        with use(mode):
            layers[name] = make()
            steps[name] = _step_of_bags(layers[name])
            steps[name](*batches[0])
    return _compared(steps, layers, batches, rounds)


def _step_of_bags(layer: CompressedEmbedding) -> Callable[..., Any]:
    hidden, out = keras.layers.Dense(64, activation="relu"), keras.layers.Dense(1)
    layer.build(None)
    layer.is_adapted = True
    hidden.build((None, _WIDTH))
    out.build((None, 64))
    variables = [v for part in (layer, hidden, out) for v in part.trainable_variables]
    optimizer = LazyAdam()
    optimizer.build(variables)

    def step(ids: Any, wanted: Any) -> Any:
        with tf.GradientTape() as tape:
            mean = tf.reduce_mean(layer(ids, training=True), axis=1)
            loss = tf.reduce_mean((out(hidden(mean))[:, 0] - wanted) ** 2)
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    signature = [tf.TensorSpec([None, _LENGTH], tf.int32), tf.TensorSpec([None], tf.float32)]
    return tf.function(step, input_signature=signature)


def _compared(
    steps: Mapping[str, Callable[..., Any]],
    layers: Mapping[str, CompressedEmbedding],
    batches: list[Any],
    rounds: int,
) -> dict[str, Any]:
    names = list(steps)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(_WARM_UP + rounds):
        if turn == _WARM_UP:  # the important ids have rows now
            for layer in layers.values():
                layer.adapt_tables(turn)
        batch = batches[turn % len(batches)]
        first = turn % len(names)
        for name in (*names[first:], *names[:first]):
            start = time.perf_counter()
            np.asarray(steps[name](*batch))
            if turn >= _WARM_UP:
                seconds[name].append(time.perf_counter() - start)
    found = {}
    for name in names:
        pairs = zip(seconds[name], seconds[BASE], strict=True)
        exact = name.replace("sketch in NumPy", "sketch").replace("sketch", "exact counts")
        found[name] = {
            "ms": 1000 * statistics.median(seconds[name]),
            "times uncounted": statistics.median(a / b for a, b in pairs),
            "times exact": statistics.median(
                a / b for a, b in zip(seconds[name], seconds[exact], strict=True)
            ),
            "adapt ms": _milliseconds_of_adapting(layers[name]),
        }
    return found


def _milliseconds_of_adapting(layer: CompressedEmbedding) -> float:
    seconds = []
    for number in range(3):
        start = time.perf_counter()
        layer.adapt_tables(number)
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds)
