"""Adam, lazy: moments of rows without a gradient rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.errors import invalid
from memcom_tf.ops.interface import Array
from memcom_tf.optimizers.base import Rule, SparseOptimizer, decayed, register_rule
from memcom_tf.optimizers.gradients import scalar


@register_rule
def adam(
    value: Array, slots: Sequence[Array], gradient: Array, hyper: Array
) -> tuple[Array, Sequence[Array]]:
    """One step of Adam on whatever has a gradient.

    Args:
        value: `[...]`.
        slots: First and second moment, each `[...]`.
        gradient: `[...]`.
        hyper: `[alpha, 1 - beta_1, 1 - beta_2, epsilon, decay]`, where
            `alpha = learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)`.

    Returns:
        The new value and moments.
    """
    first, second = slots
    first = first + (gradient - first) * hyper[1]
    second = second + (gradient * gradient - second) * hyper[2]
    value = decayed(value, hyper) - hyper[0] * first / (tf.sqrt(second) + hyper[3])
    return value, (first, second)


@keras.saving.register_keras_serializable("memcom_tf")
class LazyAdam(SparseOptimizer, keras.optimizers.Adam):
    """Adam that touches only the rows of a step.

    In step `t`, for every row with a gradient `g`:

        m += (1 - beta_1) * (g - m)
        v += (1 - beta_2) * (g^2 - v)
        value -= learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)

    It is lazy, hence numerically not Keras' Adam on sparse gradients: there the moments of all
    rows decay in every step, and go on moving rows that have no gradient. Here they rest, while
    `t` counts all steps. On dense gradients both are the same.

    Source: Kingma and Ba, Adam: a method for stochastic optimization, arXiv:1412.6980.

    Args:
        learning_rate: A float, a schedule of Keras, or a callable.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of the second moment.
        learning_rate_multipliers: Factors on the learning rate by regular expression; see
            `SparseOptimizer`.
        **kwargs: Arguments of `keras.optimizers.Adam`, see `SparseOptimizer`.

    Raises:
        ValueError: For `amsgrad` and `adaptive_epsilon`, which are not offered.

    Example:
        >>> import keras
        >>> from memcom_tf.optimizers import LazyAdam
        >>> model = keras.Sequential([keras.layers.Embedding(1000, 8), keras.layers.Dense(1)])
        >>> model.compile(LazyAdam(0.01), "mse")
        >>> before = model(np.arange(1000)[:, None])
        >>> _ = model.fit(np.array([[3], [7], [3]]), np.ones((3, 1, 1)), verbose=0)
        >>> table = model.layers[0].embeddings
        >>> momentum, velocity = model.optimizer.slots_of(table)
        >>> np.flatnonzero(np.any(momentum, axis=1)).tolist()
        [3, 7]
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        learning_rate_multipliers: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        for name in ("amsgrad", "adaptive_epsilon"):
            if kwargs.get(name):
                raise invalid(
                    f"`{name}` of LazyAdam must be False.",
                    "Use keras.optimizers.Adam for it.",
                    **{name: kwargs[name]},
                )
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            learning_rate_multipliers=learning_rate_multipliers,
            **kwargs,
        )

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity")

    @property
    def rule(self) -> Rule:
        return adam

    def _hyper(self, learning_rate: Array) -> tuple[Any, ...]:
        dtype = learning_rate.dtype
        step = tf.cast(self.iterations + 1, dtype)
        power_1 = tf.pow(scalar(self.beta_1, dtype), step)
        power_2 = tf.pow(scalar(self.beta_2, dtype), step)
        alpha = learning_rate * tf.sqrt(1 - power_2) / (1 - power_1)
        return alpha, 1 - self.beta_1, 1 - self.beta_2, self.epsilon
