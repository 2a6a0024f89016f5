"""The operations on arrays, each in all its versions, and what every implementation of `Ops` is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from memcom_tf.ops import balls, symbols
from memcom_tf.ops.balls import Ball
from memcom_tf.ops.interface import Array, Ops, UnsupportedOpError

Compute = Callable[..., Any]


class Lacks(NamedTuple):
    """A version that there is not, and why: "it ..." of a lookup that needs it."""

    reason: str = ""


_NOT_FUSED = Lacks()
_AN_ORDER = Lacks("it orders numbers that are known up to an error")


@dataclass(frozen=True)
class Operation:
    """An operation on arrays; `memcom_tf.ops.interface.Ops` says what it computes.

    Attributes:
        tensorflow: On tensors, for layers and for the graphs of files.
        numpy: On arrays: what the others are held against.
        ball: On `memcom_tf.ops.balls.Ball`s, of which it encloses every result. What is no ball
            is computed in NumPy.
        symbols: On the symbols of `memcom_tf.ops.symbols`, which the fused kernels run.
    """

    tensorflow: Compute
    numpy: Compute
    ball: Compute | Lacks
    symbols: Compute | Lacks = _NOT_FUSED


Arrays = Literal["tensorflow", "numpy", "ball", "symbols"]


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, np.zeros((), x.dtype))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


def _unflattened(x: Array, shape: tuple[int, ...]) -> Array:
    if None in x.shape[:-1]:
        return tf.reshape(x, tf.concat([tf.shape(x)[:-1], shape], axis=0))
    return tf.reshape(x, [*x.shape[:-1], *shape])


def _no_integers(x: Ball) -> Any:
    raise UnsupportedOpError("it makes integers of numbers that are known up to an error")


OPERATIONS: dict[str, Operation] = {
    "sum": Operation(
        tensorflow=lambda x: tf.reduce_sum(x, axis=-2),
        numpy=lambda x: x.sum(axis=-2),
        ball=balls.total,
        symbols=symbols.total,
    ),
    "concat": Operation(
        tensorflow=lambda parts: tf.concat(parts, axis=-1),
        numpy=lambda parts: np.concatenate(parts, axis=-1),
        ball=lambda parts: balls.moved(lambda *x: np.concatenate(x, axis=-1), *parts),
        symbols=symbols.concat,
    ),
    "reshape": Operation(
        tensorflow=tf.reshape,
        numpy=np.reshape,
        ball=lambda x, shape: balls.moved(lambda values: np.reshape(values, shape), x),
    ),
    "unflatten": Operation(
        tensorflow=_unflattened,
        numpy=lambda x, shape: np.reshape(x, (*x.shape[:-1], *shape)),
        ball=lambda x, shape: balls.moved(
            lambda values: np.reshape(values, (*values.shape[:-1], *shape)), x
        ),
    ),
    "tile": Operation(
        tensorflow=lambda x, count: tf.tile(x, [1, count]),
        numpy=lambda x, count: np.tile(x, (1, count)),
        ball=lambda x, count: balls.moved(lambda values: np.tile(values, (1, count)), x),
    ),
    "gather_columns": Operation(
        tensorflow=lambda x, columns: tf.gather(x, columns, axis=1),
        numpy=lambda x, columns: x[:, columns],
        ball=lambda x, columns: x[:, columns],
    ),
    "batch_matmul": Operation(tensorflow=tf.matmul, numpy=np.matmul, ball=balls.product),
    "minimum": Operation(
        tensorflow=lambda x, limit: tf.minimum(x, tf.constant(limit, x.dtype)),
        numpy=np.minimum,
        ball=lambda x, limit: balls.chosen(np.minimum, x, limit),
        symbols=symbols.minimum,
    ),
    "maximum": Operation(
        tensorflow=tf.maximum,
        numpy=np.maximum,
        ball=lambda x, y: balls.chosen(np.maximum, x, y),
        symbols=symbols.maximum,
    ),
    "where": Operation(
        tensorflow=lambda condition, x, y: tf.where(condition, x, tf.cast(y, x.dtype)),
        numpy=lambda condition, x, y: np.where(condition, x, np.asarray(y, x.dtype)),
        ball=lambda condition, x, y: balls.moved(
            lambda one, two: np.asarray(np.where(condition, one, two)), x, y
        ),
        symbols=symbols.where,
    ),
    "arange": Operation(
        tensorflow=lambda n: tf.range(n, dtype=tf.int32),
        numpy=lambda n: np.arange(n, dtype=np.int32),
        ball=lambda n: np.arange(n, dtype=np.int32),
    ),
    "top_k": Operation(
        tensorflow=lambda x, k: tf.math.top_k(x, k).indices,
        numpy=lambda x, k: np.argsort(-x, kind="stable")[:k],
        ball=_AN_ORDER,
    ),
    "argmin": Operation(
        tensorflow=lambda x: tf.argmin(x, axis=-1, output_type=tf.int32),
        numpy=lambda x: np.argmin(x, axis=-1).astype(np.int32),
        ball=_AN_ORDER,
    ),
    "to_float": Operation(
        tensorflow=lambda x: tf.cast(x, tf.float32),
        numpy=lambda x: np.asarray(x, np.float32),
        ball=lambda x: x,
    ),
    "to_int32": Operation(
        tensorflow=lambda x: tf.cast(x, tf.int32),
        numpy=lambda x: np.asarray(x, np.int32),
        ball=_no_integers,
    ),
    "stop_gradient": Operation(
        tensorflow=tf.stop_gradient, numpy=lambda x: x, ball=lambda x: x
    ),
    "relu": Operation(
        tensorflow=tf.nn.relu,
        numpy=lambda x: np.maximum(x, 0),
        ball=lambda x: balls.chosen(np.maximum, x, 0.0),
    ),
    "sigmoid": Operation(
        tensorflow=tf.sigmoid,
        numpy=_sigmoid,
        ball=lambda x: balls.function(_sigmoid, 0.25, x),
    ),
    "softplus": Operation(
        tensorflow=tf.nn.softplus,
        numpy=_softplus,
        ball=lambda x: balls.function(_softplus, 1.0, x),
    ),
    "tanh": Operation(
        tensorflow=tf.tanh,
        numpy=np.tanh,
        ball=lambda x: balls.function(np.tanh, 1.0, x),
    ),
}  # fmt: skip
"""By name."""


class Version(Ops):
    """Base of what implements `Ops`: it reads tables itself, and has the rest from `OPERATIONS`.

    A class that names its `arrays` must have all operations, or say in `lacks` why it does not
    read tables in some way: what is forgotten is an error where the class is made.
    """

    lacking: ClassVar[Mapping[str, str]] = {}
    """The operations that raise `UnsupportedOpError`, and why."""

    def __init_subclass__(
        cls, arrays: Arrays | None = None, lacks: Mapping[str, str] | None = None, **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        if arrays is None:
            return
        missing = dict(lacks or {})
        for name, operation in OPERATIONS.items():
            compute = getattr(operation, arrays)
            if isinstance(compute, Lacks):
                missing[name] = compute.reason or f"it uses {name}"
            elif name not in vars(cls):
                compute = _on_balls(compute, operation.numpy) if arrays == "ball" else compute
                setattr(cls, name, staticmethod(compute))
        for name, reason in missing.items():
            setattr(cls, name, _refusing(reason))
        if forgotten := [name for name in names_of_operations() if name not in vars(cls)]:
            raise TypeError(f"{cls.__name__} must have, or lack with a reason: {forgotten}")
        cls.lacking = missing


def names_of_operations() -> list[str]:
    """All that `Ops` declares."""
    return [name for name in vars(Ops) if not name.startswith("_")]


def _refusing(reason: str) -> Compute:
    def refuse(*_: Any, **__: Any) -> Any:
        raise UnsupportedOpError(reason)

    return refuse


def _on_balls(compute: Compute, numpy: Compute) -> Compute:
    @wraps(compute)
    def on_any(*values: Any) -> Any:
        given = [x for value in values for x in (value if isinstance(value, list) else [value])]
        return (compute if any(isinstance(x, Ball) for x in given) else numpy)(*values)

    return on_any
