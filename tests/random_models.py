"""Random Keras models that must convert and verify, or be refused by name.

python -m tests.random_models --count 1000 --seed 0    prints what each came to
"""

from __future__ import annotations

import argparse
import collections
import sys
import time

import numpy as np

from memcom_tf import FullEmbedding, LowRankEmbedding, MEmComEmbedding
from memcom_tf._keras import keras
from memcom_tf.converters import convert

layers = keras.layers


class Generator:
    """Draws a model: inputs, tables, what is done to their vectors, and heads."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def one_of(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def model(self):
        self.inputs = []
        width = int(self.rng.integers(1, 40))
        tables = [self.table(width) for _ in range(self.rng.integers(1, 4))]
        vectors = [self.vector(self.one_of(*tables), width) for _ in range(self.rng.integers(1, 5))]
        if self.rng.random() < 0.4:
            vectors.append(self.input((int(self.rng.integers(1, 9)),), "float32"))
        x = vectors[0] if len(vectors) == 1 else self.joined(vectors)
        for _ in range(self.rng.integers(0, 4)):
            x = self.hidden(x)
        outputs = self.heads(x, vectors)
        model = keras.Model(self.inputs, outputs)
        for weight in model.weights:
            if "seed" not in weight.name:
                values = self.rng.normal(0.05, 0.4, weight.shape)
                weight.assign(np.abs(values) + 0.1 if "variance" in weight.name else values)
        return model

    def input(self, shape, dtype):
        self.inputs.append(keras.Input(shape, dtype=dtype, name=f"in_{len(self.inputs)}"))
        return self.inputs[-1]

    def table(self, width):
        rows = int(self.rng.integers(20, 3000))
        kind = self.one_of("plain", "plain", "masked", "memcom", "low_rank", "full")
        if kind in ("plain", "masked"):
            return layers.Embedding(rows, width, mask_zero=kind == "masked")
        if kind == "memcom":
            return MEmComEmbedding(rows, width, num_buckets=max(1, rows // 10))
        if kind == "low_rank":
            return LowRankEmbedding(rows, width, rank=max(1, width // 3))
        return FullEmbedding(rows, width)

    def vector(self, table, width):
        dtype = self.one_of("int32", "int32", "int64")
        if self.rng.random() < 0.4:
            return table(self.input((), dtype))
        x = table(self.input((int(self.rng.integers(1, 12)),), dtype))
        sequence = self.one_of(None, None, "conv", "gru", "attention", "norm", "dense")
        if sequence == "conv":
            x = layers.Conv1D(width, 3, padding="same", activation="relu")(x)
        elif sequence == "gru":
            x = layers.GRU(width, return_sequences=True, unroll=self.rng.random() < 0.7)(x)
        elif sequence == "attention":
            x = layers.MultiHeadAttention(2, 4)(x, x)
        elif sequence == "norm":
            x = layers.LayerNormalization()(x)
        elif sequence == "dense":
            x = layers.Dense(width)(x)
        pool = self.one_of("mean", "max", "flat")
        if pool == "flat":
            return layers.Dense(width)(layers.Flatten()(x))
        return (layers.GlobalAveragePooling1D if pool == "mean" else layers.GlobalMaxPooling1D)()(x)

    def joined(self, vectors):
        widths = {vector.shape[-1] for vector in vectors}
        if len(widths) == 1 and self.rng.random() < 0.4:
            return self.one_of(layers.Add, layers.Multiply, layers.Maximum)()(vectors)
        return layers.Concatenate()(vectors)

    def hidden(self, x):
        kind = self.one_of("dense", "dense", "norm", "batch", "drop", "cross")
        units = int(self.rng.integers(1, 150))
        activation = self.one_of("relu", "gelu", "tanh", "sigmoid", "softplus", None)
        if kind == "dense":
            return layers.Dense(units, activation=activation)(x)
        if kind == "norm":
            return layers.LayerNormalization()(x)
        if kind == "batch":
            return layers.BatchNormalization()(x)
        if kind == "drop":
            return layers.Dropout(0.3)(x)
        return layers.Multiply()([x, layers.Dense(x.shape[-1], activation=activation)(x)])

    def heads(self, x, vectors):
        head = self.one_of("one", "many", "two", "dict", "dot")
        if head == "dot" and len(vectors) > 1 and vectors[0].shape == vectors[1].shape:
            return layers.Dot(1)(vectors[:2])
        if head == "many":
            return layers.Dense(int(self.rng.integers(2, 500)), activation="softmax")(x)
        if head == "two":
            return [layers.Dense(3)(x), layers.Dense(1, activation="sigmoid")(x)]
        if head == "dict":
            return {
                "click": layers.Dense(1, name="click")(x),
                "buy": layers.Dense(2, name="buy")(x),
            }
        return layers.Dense(1)(x)


def outcome(seed):
    """What became of a model: "equal", or why it was refused; anything else raises."""
    generator = Generator(seed)
    model = generator.model()
    kind = generator.one_of("int8", "int8", "int4", "int2", "float16", "float32")
    profile = generator.one_of("portable", "litert")
    try:
        conversion = convert(model, weights=kind, profile=profile)
    except ValueError as error:
        if " Received: " not in str(error):
            raise
        return f"refused: {error}"
    failed = [check for check in conversion.verification.checks if not check.passed]
    if failed:
        raise AssertionError(f"seed {seed}: {failed}")
    return "equal"


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--count", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    parsed = options.parse_args()
    counts, start = collections.Counter(), time.monotonic()
    for seed in range(parsed.seed, parsed.seed + parsed.count):
        keras.backend.clear_session()
        try:
            found = outcome(seed)
        except Exception as error:  # the others are tried as well
            found = f"WRONG: {type(error).__name__}: {error}"
        counts[found.partition(":")[0]] += 1
        if found != "equal":
            print(seed, found[:400], flush=True)
    print(dict(counts), f"{time.monotonic() - start:.0f} s")
    return int(counts["WRONG"] > 0)


if __name__ == "__main__":
    sys.exit(main())
