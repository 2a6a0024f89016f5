"""Gradient descent, with and without momentum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memcom_tf._keras import keras
from memcom_tf.ops.interface import Array
from memcom_tf.optimizers.base import Rule, SparseOptimizer, decayed, register_rule


@register_rule
def sgd(
    value: Array, slots: Sequence[Array], gradient: Array, hyper: Array
) -> tuple[Array, Sequence[Array]]:
    """One step of gradient descent.

    Args:
        value: `[...]`.
        slots: None.
        gradient: `[...]`.
        hyper: `[learning_rate, decay]`.

    Returns:
        The new value, and no slots.
    """
    return decayed(value, hyper) - hyper[0] * gradient, ()


@register_rule
def momentum(
    value: Array, slots: Sequence[Array], gradient: Array, hyper: Array
) -> tuple[Array, Sequence[Array]]:
    """One step of gradient descent with momentum.

    Args:
        value: `[...]`.
        slots: The velocity, `[...]`.
        gradient: `[...]`.
        hyper: `[learning_rate, momentum, decay]`.

    Returns:
        The new value and velocity.
    """
    velocity = hyper[1] * slots[0] - hyper[0] * gradient
    return decayed(value, hyper) + velocity, (velocity,)


@register_rule
def nesterov(
    value: Array, slots: Sequence[Array], gradient: Array, hyper: Array
) -> tuple[Array, Sequence[Array]]:
    """One step of gradient descent with Nesterov's momentum; arguments as of `momentum`."""
    velocity = hyper[1] * slots[0] - hyper[0] * gradient
    value = decayed(value, hyper) + (hyper[1] * velocity - hyper[0] * gradient)
    return value, (velocity,)


@keras.saving.register_keras_serializable("memcom_tf")
class SGD(SparseOptimizer, keras.optimizers.SGD):
    """Gradient descent that touches only the rows of a step.

    For every row with a gradient `g`:

        value -= learning_rate * g

    or, with momentum:

        velocity = momentum * velocity - learning_rate * g
        value += velocity, with `nesterov` momentum * velocity - learning_rate * g

    Momentum is lazy, hence numerically not that of Keras on sparse gradients: the velocity of a
    row without a gradient rests, and does not move the row.

    Source: Sutskever et al., On the importance of initialization and momentum in deep learning,
    ICML 2013, for `nesterov`.

    Args:
        learning_rate: A float, a schedule of Keras, or a callable.
        momentum: Decay of the velocity; 0 keeps none.
        nesterov: Whether the momentum is Nesterov's.
        learning_rate_multipliers: Factors on the learning rate by regular expression; see
            `SparseOptimizer`.
        **kwargs: Arguments of `keras.optimizers.SGD`, see `SparseOptimizer`.

    Example:
        >>> import keras
        >>> import tensorflow as tf
        >>> from memcom_tf.optimizers import SGD
        >>> table = keras.Variable(np.zeros((4, 2)))
        >>> gradient = tf.IndexedSlices(tf.ones([3, 2]), tf.constant([2, 0, 2]))
        >>> _ = SGD(0.5).apply_gradients([(gradient, table)])
        >>> table.numpy()[:, 0].tolist()
        [-0.5, 0.0, -1.0, 0.0]
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        learning_rate_multipliers: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            momentum,
            nesterov,
            learning_rate_multipliers=learning_rate_multipliers,
            **kwargs,
        )

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    @property
    def rule(self) -> Rule:
        if not self.momentum:
            return sgd
        return nesterov if self.nesterov else momentum

    def _hyper(self, learning_rate: Array) -> tuple[Any, ...]:
        return (learning_rate, self.momentum) if self.momentum else (learning_rate,)
