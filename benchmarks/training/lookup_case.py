"""Lookups of one method on one number of threads, without an optimizer; a worker process."""

from __future__ import annotations

import itertools
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.common.workload import OUTPUT_DIM, draw_ids, num_buckets

METHODS = {
    "memcom": "MEmComEmbedding",
    "full": "FullEmbedding",
    "quotient_remainder": "QuotientRemainderEmbedding",
    "double_hashing": "DoubleHashedEmbedding",
}
SPARSE = "sparse"
"""`tf.nn.safe_embedding_lookup_sparse`."""
PASSES = ("forward", "forward_backward", "forward_backward_sum")
"""The last with the slices of a row summed, which the gradient of the fused ops is already."""
_NUM_BATCHES = 20
_SLICES = 4
"""Measurements take turns in so many slices, so that noise hits all alike."""


def measurements(method: str, input_dim: int) -> Iterator[tuple[str, Callable[[int], Any]]]:
    """Functions to time by name; each takes the number of a batch."""
    import tensorflow as tf

    batches = draw_ids("zipf", input_dim, _NUM_BATCHES)
    if method == SPARSE:
        table = tf.Variable(tf.random.uniform([input_dim, OUTPUT_DIM]))
        shape = batches.shape[1:]
        positions = np.indices(shape).reshape(2, -1).T
        inputs = [tf.SparseTensor(positions, np.int64(ids.ravel()), shape) for ids in batches]
        for name, function in _passes(
            lambda ids: tf.nn.safe_embedding_lookup_sparse(table, ids, combiner="mean"),
            lambda: [table],
            inputs,
            (batches.shape[1], OUTPUT_DIM),
            "native",
        ):
            yield f"pooled_{name}", function
        return
    inputs = [tf.constant(ids) for ids in batches]
    for combiner, label in (("mean", "pooled"), (None, "unpooled")):
        layer = _layer(method, input_dim, combiner)
        shape = (*batches.shape[1 : 2 if combiner else 3], OUTPUT_DIM)
        for mode in ("native", "reference"):
            for name, function in _passes(
                layer, lambda layer=layer: layer.trainable_variables, inputs, shape, mode
            ):
                yield f"{label}_{mode}_{name}", function


def _layer(method: str, input_dim: int, combiner: str | None) -> Any:
    import memcom_tf

    arguments = {} if method == "full" else {"num_buckets": num_buckets(input_dim)}
    return getattr(memcom_tf, METHODS[method])(
        input_dim, OUTPUT_DIM, combiner=combiner, **arguments
    )


def _passes(
    lookup: Callable[[Any], Any],
    variables: Callable[[], Any],
    inputs: list[Any],
    shape: tuple[int, ...],
    mode: str,
) -> Iterator[tuple[str, Callable[[int], Any]]]:
    import tensorflow as tf

    from memcom_tf.kernels import use
    from memcom_tf.kernels.native import PendingSlices
    from memcom_tf.optimizers.gradients import sum_duplicates

    upstream = tf.random.normal(shape)

    def forward(ids: Any) -> Any:
        return lookup(ids)

    def gradients(ids: Any) -> Any:
        with tf.GradientTape() as tape:
            vectors = lookup(ids)
        return tape.gradient(vectors, variables(), output_gradients=upstream)

    def forward_backward(ids: Any) -> Any:
        return [(slices.indices, slices.values) for slices in gradients(ids)]

    def forward_backward_sum(ids: Any) -> Any:
        found = [
            slices if isinstance(slices, PendingSlices) else sum_duplicates(slices)
            for slices in gradients(ids)
        ]
        return [(slices.indices, slices.values) for slices in found]

    functions = (forward, forward_backward, forward_backward_sum)
    for name, function in zip(PASSES, functions, strict=True):
        traced = tf.function(function)
        with use(mode, in_inference=mode == "native"):
            traced(inputs[0])
        yield name, lambda batch, traced=traced: traced(inputs[batch % len(inputs)])


def milliseconds(
    functions: dict[str, Callable[[int], Any]], least: int, seconds: float
) -> dict[str, float]:
    """The median time of each function's calls: at least `least`, and more for `seconds`."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _, (name, function) in itertools.product(range(_SLICES), functions.items()):
        function(0)
        before, begin = len(times[name]), time.perf_counter()
        while (
            len(times[name]) - before < least / _SLICES
            or time.perf_counter() - begin < seconds / _SLICES
        ):
            start = time.perf_counter()
            function(len(times[name]))
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    """Times the lookups and prints the medians."""
    arguments = json.loads(sys.argv[1])
    warnings.filterwarnings("error", ".*plain TensorFlow ops", RuntimeWarning)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(arguments["threads"])
    functions = dict(measurements(arguments["method"], arguments["input_dim"]))
    print(json.dumps(milliseconds(functions, arguments["least"], arguments["seconds"])))


if __name__ == "__main__":
    main()
