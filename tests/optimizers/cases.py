"""Rules beside their formulas, tables, gradients, and models to train."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.layers import MEmComEmbedding
from memcom_tf.optimizers import SGD, Adagrad, LazyAdam, SparseOptimizer

ROWS, WIDTH = 11, 4
RATE, DECAY, EPSILON = 0.05, 0.02, 1e-7


class Case(NamedTuple):
    make: Any
    oracle: Any
    stock: Any
    """Keras' optimizer of the same arguments."""

    def build(self, **kwargs: Any) -> SparseOptimizer:
        return self.make(**{"learning_rate": RATE, **kwargs})


def adam(value, slots, g, t, rate):
    m, v = slots
    m += 0.1 * (g - m)
    v += 0.001 * (g * g - v)
    value -= rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + EPSILON)


def adagrad(value, slots, g, t, rate):
    slots[0] += g * g
    value -= rate * g / np.sqrt(slots[0] + EPSILON)


def rowwise_adagrad(value, slots, g, t, rate):
    slots[0] += (g * g).mean(axis=1, keepdims=True)
    value -= rate * g / np.sqrt(slots[0] + EPSILON)


def sgd(value, slots, g, t, rate):
    value -= rate * g


def momentum(value, slots, g, t, rate):
    slots[0][:] = 0.9 * slots[0] - rate * g
    value += slots[0]


def nesterov(value, slots, g, t, rate):
    slots[0][:] = 0.9 * slots[0] - rate * g
    value += 0.9 * slots[0] - rate * g


def case(make: Any, oracle: Any, stock: Any, **settings: Any) -> Case:
    def ours(**kwargs: Any) -> Any:
        return make(**settings, **kwargs)

    def theirs(**kwargs: Any) -> Any:
        return stock(**settings, **kwargs)

    return Case(ours, oracle, theirs if stock else None)


K = keras.optimizers
CASES = {
    "adam": case(LazyAdam, adam, K.Adam),
    "adagrad": case(Adagrad, adagrad, K.Adagrad),
    "rowwise_adagrad": case(Adagrad, rowwise_adagrad, None, row_wise=True),
    "sgd": case(SGD, sgd, K.SGD),
    "momentum": case(SGD, momentum, K.SGD, momentum=0.9),
    "nesterov": case(SGD, nesterov, K.SGD, momentum=0.9, nesterov=True),
}
every_case = pytest.mark.parametrize("name", CASES)


both = pytest.mark.parametrize("mode", ["reference", "native"], indirect=True)


def variable(values: Any, name: str = "table", dtype: str = "float32") -> Any:
    values = np.asarray(values, np.float32)
    if is_keras_3:
        return keras.Variable(values, name=name, dtype=dtype)
    return tf.Variable(tf.cast(values, dtype), name=name)


def table(seed: int = 1, shape: tuple[int, ...] = (ROWS, WIDTH), **kwargs: Any) -> Any:
    return variable(np.random.default_rng(seed).normal(size=shape), **kwargs)


def sparse(rows: Any, seed: int = 2, shape: tuple[int, ...] = (ROWS, WIDTH)) -> tf.IndexedSlices:
    values = np.random.default_rng(seed).normal(size=(len(rows), *shape[1:])).astype(np.float32)
    return tf.IndexedSlices(tf.constant(values), tf.constant(rows, tf.int32), tf.constant(shape))


def dense(gradient: Any) -> np.ndarray:
    """The gradient as it is: duplicates summed, in float64."""
    if not isinstance(gradient, tf.IndexedSlices):
        return np.asarray(gradient, np.float64)
    whole = np.zeros(gradient.dense_shape.numpy())
    np.add.at(whole, gradient.indices.numpy(), gradient.values.numpy().astype(np.float64))
    return whole


def values_of(variables: Any) -> list[np.ndarray]:
    return [np.asarray(v).copy() for v in variables]


def exact(variable: Any) -> np.ndarray:
    """A copy in float64."""
    return np.asarray(tf.cast(tf.convert_to_tensor(variable), tf.float64)).copy()


def assert_close(found: Any, expected: Any, rtol: float = 2e-6) -> None:
    np.testing.assert_allclose(np.asarray(found), expected, rtol=rtol, atol=rtol)


def assert_equal(found: Any, expected: Any) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def memcom() -> Any:
    return MEmComEmbedding(40, WIDTH, num_buckets=9, combiner="mean", name="items")


def stock_embedding() -> Any:
    return keras.layers.Embedding(40, WIDTH)


def embedding_model(optimizer: Any, layer: Any = memcom, **kwargs: Any) -> Any:
    keras.utils.set_random_seed(3)
    ids = keras.Input((3,), dtype="int32")
    outputs = keras.layers.Dense(1, name="head")(keras.layers.Flatten()(layer()(ids)))
    model = keras.Model(ids, outputs)
    model.compile(optimizer, "mse", **kwargs)
    return model


def examples(n: int = 24, vocabulary: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the lower half of the vocabulary: many a row is in no batch."""
    rng = np.random.default_rng(5)
    ids = rng.integers(0, vocabulary, (n, 3)).astype(np.int32)
    return ids, ids.mean(axis=1, keepdims=True).astype(np.float32) / vocabulary


def fit(model: Any, steps: int = 3, start: int = 0) -> None:
    ids, target = examples(8 * (start + steps))
    model.fit(ids[8 * start :], target[8 * start :], batch_size=8, shuffle=False, verbose=0)


SETTINGS = {
    "adam": (LazyAdam, {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-5, "weight_decay": 0.1}),
    "adagrad": (Adagrad, {"initial_accumulator_value": 0.2, "epsilon": 1e-5, "clipnorm": 1.0}),
    "rowwise": (Adagrad, {"row_wise": True, "use_ema": True, "ema_momentum": 0.9}),
    "sgd": (SGD, {"clipvalue": 0.1}),
    "nesterov": (SGD, {"momentum": 0.9, "nesterov": True, "global_clipnorm": 1.0}),
}


def set_up(name: str) -> SparseOptimizer:
    make, settings = SETTINGS[name]
    return make(0.03, learning_rate_multipliers={"multiplier": 10.0}, **settings)
