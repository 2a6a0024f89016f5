"""Adagrad, with an accumulator for every value or one for a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.ops.interface import Array
from memcom_tf.optimizers.base import Rule, SparseOptimizer, decayed, register_rule


@register_rule
def adagrad(
    value: Array, slots: Sequence[Array], gradient: Array, hyper: Array
) -> tuple[Array, Sequence[Array]]:
    """One step of Adagrad on whatever has a gradient.

    Args:
        value: `[...]`.
        slots: The accumulator, `[...]`.
        gradient: `[...]`.
        hyper: `[learning_rate, epsilon, decay]`.

    Returns:
        The new value and accumulator.
    """
    accumulator = slots[0] + gradient * gradient
    return _stepped(value, accumulator, gradient, hyper), (accumulator,)


@register_rule
def rowwise_adagrad(
    value: Array, slots: Sequence[Array], gradient: Array, hyper: Array
) -> tuple[Array, Sequence[Array]]:
    """One step of Adagrad with the mean square of a row in place of the square of a value.

    Args:
        value: `[rows, ...]`.
        slots: The accumulator, `[rows, 1, ...]`.
        gradient: `[rows, ...]`.
        hyper: `[learning_rate, epsilon, decay]`.

    Returns:
        The new value and accumulator.
    """
    within_row = list(range(1, gradient.shape.rank))
    square = tf.reduce_mean(gradient * gradient, axis=within_row, keepdims=True)
    accumulator = slots[0] + square
    return _stepped(value, accumulator, gradient, hyper), (accumulator,)


def _stepped(value: Array, accumulator: Array, gradient: Array, hyper: Array) -> Array:
    return decayed(value, hyper) - hyper[0] * gradient / tf.sqrt(accumulator + hyper[1])


@keras.saving.register_keras_serializable("memcom_tf")
class Adagrad(SparseOptimizer, keras.optimizers.Adagrad):
    """Adagrad that touches only the rows of a step.

    For every row with a gradient `g`:

        a += g^2, or mean(g^2) over the row with `row_wise`
        value -= learning_rate * g / sqrt(a + epsilon)

    Without decay of rows that have no gradient nothing happens to them in Adagrad, so that this
    is Keras' Adagrad on sparse gradients too. `row_wise` keeps one number a row in place of one a
    value; it holds for all variables, where a row is a slice along the first axis.

    Source: Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and
    stochastic optimization, JMLR 2011; row-wise: Naumov et al., Deep learning recommendation
    model for personalization and recommendation systems, arXiv:1906.00091, and FBGEMM.

    Args:
        learning_rate: A float, a schedule of Keras, or a callable.
        initial_accumulator_value: What the accumulators start with.
        epsilon: Added to the accumulator under the root.
        row_wise: Whether a row has one accumulator, the mean square of its gradients.
        learning_rate_multipliers: Factors on the learning rate by regular expression; see
            `SparseOptimizer`.
        **kwargs: Arguments of `keras.optimizers.Adagrad`, see `SparseOptimizer`.

    Example:
        >>> import keras
        >>> from memcom_tf.optimizers import Adagrad
        >>> table = keras.Variable(np.zeros((1000, 64)))
        >>> optimizer = Adagrad(0.1, row_wise=True)
        >>> optimizer.build([table])
        >>> [tuple(slot.shape) for slot in optimizer.slots_of(table)]
        [(1000, 1)]
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        *,
        row_wise: bool = False,
        learning_rate_multipliers: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            initial_accumulator_value,
            epsilon,
            learning_rate_multipliers=learning_rate_multipliers,
            **kwargs,
        )
        self.row_wise = row_wise

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("accumulator",)

    @property
    def rule(self) -> Rule:
        return rowwise_adagrad if self.row_wise else adagrad

    def _hyper(self, learning_rate: Array) -> tuple[Any, ...]:
        return learning_rate, self.epsilon

    def _slot_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[:1] + (1,) * (len(shape) - 1) if self.row_wise else shape

    def _slot_start(self) -> float:
        return float(self.initial_accumulator_value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "row_wise": self.row_wise}
