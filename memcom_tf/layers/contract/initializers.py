"""Initial values of tables whose rows are combined into a vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.tables import Table

Initializer = Callable[..., Any]

_SAMPLE = 2**16
_SEED_STEP = 1_000_003


def with_own_seed(initializer: Initializer, index: int) -> Initializer:
    """Returns an initializer that draws other values than the same one at another index.

    Keras' seeded initializers return the same values at every call, and in Keras 3 so do the
    unseeded ones: two tables from one initializer would share their values.

    Args:
        initializer: A Keras initializer or any callable.
        index: Position of the table in its layer; 0 keeps the seed as it is.

    Returns:
        A copy with a seed of its own. What has no integer or absent seed in its configuration
        (a callable, or a `SeedGenerator`, which moves on at every call) is returned as it is.
    """
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    if "seed" not in config or not isinstance(config["seed"], int | None):
        return initializer
    if config["seed"] is not None:
        config["seed"] = (config["seed"] + index * _SEED_STEP) % 2**31
    return type(initializer).from_config(config)  # type: ignore[attr-defined]


def _depends_on_shape(initializer: Initializer) -> bool:
    return isinstance(initializer, keras.initializers.VarianceScaling)


def moments(initializer: Initializer, shape: Sequence[int]) -> tuple[float, float]:
    """Mean and standard deviation of what an initializer draws for a table of that shape.

    Analytic for the `VarianceScaling` family, whose variance depends on the shape; estimated
    from about 65,000 values otherwise.
    """
    rows, width = shape
    if _depends_on_shape(initializer):
        fans = {"fan_in": rows, "fan_out": width, "fan_avg": (rows + width) / 2}
        fan = fans[initializer.mode]  # type: ignore[attr-defined]
        return 0.0, float(
            np.sqrt(initializer.scale / max(1.0, fan))  # type: ignore[attr-defined]
        )
    with tf.init_scope():  # Keras also builds inside of graphs
        probe = with_own_seed(initializer, -1)((max(1, _SAMPLE // width), width), dtype="float32")
        values = np.asarray(probe, np.float64)
    mean, std = float(values.mean()), float(values.std())
    # A mean within four standard errors of zero is the sample's, not the distribution's.
    return (0.0 if abs(mean) < 4 * std / np.sqrt(values.size) else mean), std


class FactorInitializer:
    """Draws one of the tables whose rows are combined into a vector.

    Where a vector is the sum over `terms` of the product of `factors` independent tables, each
    table gets the mean `a` and the standard deviation `t` with which the vector has the mean `mu`
    and the variance `s^2` that the initializer gives a plain table of `composed_shape`:
    `mu / terms = a^factors` and `s^2 / terms = (a^2 + t^2)^factors - a^(2 factors)`.

    Args:
        initializer: What the user chose for the whole embedding; its distribution's shape is
            kept, its location and scale are moved.
        composed_shape: `(input_dim, output_dim)`.
        terms: Number of summands.
        factors: Number of factors, 1 or 2.
        signed: Whether this table carries the sign of a negative mean.
    """

    def __init__(
        self,
        initializer: Initializer,
        composed_shape: tuple[int, int],
        *,
        terms: int = 1,
        factors: int = 1,
        signed: bool = True,
    ) -> None:
        self.initializer = initializer
        self.composed_shape = composed_shape
        self.terms = terms
        self.factors = factors
        self.signed = signed

    def __call__(self, shape: Sequence[int], dtype: Any = None, **kwargs: Any) -> Any:
        """Draws values of that shape, as Keras calls an initializer."""
        mean, std = moments(self.initializer, self.composed_shape)
        own_mean, own_std = mean, std
        if _depends_on_shape(self.initializer):
            own_mean, own_std = moments(self.initializer, shape)
        mean, variance = mean / self.terms, std**2 / self.terms
        a = abs(mean) ** (1 / self.factors)
        t = np.sqrt((a ** (2 * self.factors) + variance) ** (1 / self.factors) - a**2)
        if mean < 0 and self.signed:
            a = -a
        drawn = self.initializer(shape, dtype=dtype, **kwargs)
        scale = t / own_std if own_std > 0 else 0.0
        return a + scale * (tf.convert_to_tensor(drawn) - own_mean)


def initializer_of(
    table: Table, index: int, initializer: Initializer, composed_shape: tuple[int, int]
) -> Any:
    """The initial values of one of a layer's tables.

    Args:
        table: The declaration of the table.
        index: Its position in the layer.
        initializer: What the user chose for the whole embedding.
        composed_shape: `(input_dim, output_dim)`.

    Returns:
        The table's own initializer where it declares one; else the user's, moved as
        `FactorInitializer` describes. A plain table gets it as it is.
    """
    if not table.holds_vectors:
        return table.initializer
    initializer = with_own_seed(initializer, index)
    if (table.rows, table.width) == composed_shape:
        return initializer
    return FactorInitializer(
        initializer,
        composed_shape,
        terms=table.terms,
        factors=table.factors,
        signed=table.factors == 1 or index == 0,
    )
