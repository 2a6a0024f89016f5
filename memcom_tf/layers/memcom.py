"""MEmCom: a shared row times a weight of the id's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from memcom_tf._keras import keras
from memcom_tf.errors import invalid
from memcom_tf.layers.base import (
    CompressedEmbedding,
    Table,
    Tables,
    check_num_buckets,
    register_method,
)
from memcom_tf.ops.interface import Array, Ops


@register_method
class MEmComEmbedding(CompressedEmbedding):
    """Multi-embedding compression: `vector(i) = U[i mod m] * V[i] (+ W[i])`.

    `U` of shape `[num_buckets, output_dim]` is shared, `V` and `W` hold one value an id, which is
    broadcast over the vector. Every id has a vector of its own, and the multiplication happens
    before pooling. Parameters: `m * output_dim + input_dim`, or `+ 2 * input_dim` with `bias`; the
    ratio cannot exceed `output_dim`, or half of it. Ids should be numbered by falling frequency,
    as `memcom_tf.Vocabulary` does: ids that share a row then differ in frequency.

    Source: Pansare et al., Learning compressed embeddings for on-device inference, MLSys 2022,
    arXiv:2203.10135.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_buckets: Rows of the shared table, `m`.
        bias: Whether there is a `W`.
        multiplier_initializer: Initial values of `V`.
        multiplier_learning_rate: Learning rate of `V` and `W` relative to that of `U`, under
            optimizers that do not see the scale of a gradient (Adam and its kin). The variables
            hold `V / multiplier_learning_rate`, as equalized learning rates do. Weight decay
            belongs on `U` alone: `AdamW(...).exclude_from_weight_decay(var_names=["multiplier",
            "bias"])`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If `num_buckets` is not in `[1, input_dim]`, or the learning rate not positive.

    Example:
        >>> layer = MEmComEmbedding(1_000_000, 64, num_buckets=62_500, combiner="mean")
        >>> round(layer.compression_ratio, 1)
        12.8
        >>> tuple(layer(np.array([[1, 2, 999_999]])).shape)
        (1, 64)
    """

    formula = "U[i mod m] * V[i] (+ W[i])"
    source = "arXiv:2203.10135"
    variants = ({}, {"bias": True})
    size_argument = "num_buckets"

    def __init__(
        self,
        *args: Any,
        num_buckets: int,
        bias: bool = False,
        multiplier_initializer: Any = "ones",
        multiplier_learning_rate: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_num_buckets(num_buckets, self.input_dim)
        if not multiplier_learning_rate > 0:
            raise invalid(
                "`multiplier_learning_rate` must be positive.",
                multiplier_learning_rate=multiplier_learning_rate,
            )
        self.num_buckets = int(num_buckets)
        self.bias = bias
        self.multiplier_initializer = keras.initializers.get(multiplier_initializer)
        self.multiplier_learning_rate = float(multiplier_learning_rate)

    def tables(self) -> tuple[Table, ...]:
        rate = self.multiplier_learning_rate

        def multiplier_initializer(shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
            return self.multiplier_initializer(shape, dtype=dtype, **kwargs) / rate

        shared = Table("shared", self.num_buckets, self.output_dim, storage="int8_per_table")
        multiplier = Table(
            "multiplier",
            self.input_dim,
            1,
            initializer=multiplier_initializer,
            storage="int16_per_table",
        )
        bias = Table("bias", self.input_dim, 1, initializer="zeros", storage="int16_per_table")
        return (shared, multiplier, bias) if self.bias else (shared, multiplier)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        rate = self.multiplier_learning_rate
        vectors = xp.gather(t["shared"], ids % self.num_buckets)
        vectors = vectors * (xp.gather(t["multiplier"], ids) * rate)
        return vectors + xp.gather(t["bias"], ids) * rate if self.bias else vectors

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        rate = self.multiplier_learning_rate
        per_bucket = xp.scores(query, t["shared"])
        repeats = -(-self.input_dim // self.num_buckets)
        scores = xp.tile(per_bucket, repeats)[:, : self.input_dim]
        scores = scores * (xp.values(t["multiplier"])[:, 0] * rate)
        if self.bias:
            ones = np.ones((self.output_dim, 1), np.float32)
            scores = scores + xp.matmul(query, ones) * (xp.values(t["bias"])[:, 0] * rate)
        return scores

    def ships_as(self) -> MEmComEmbedding:
        return self.from_config({**self.get_config(), "multiplier_learning_rate": 1.0})

    def fold(self, t: Tables) -> Tables:
        """Scales every shared row to max-abs 1 and lets the multipliers absorb the factor.

        One scale for the whole int8 table is then as exact as one a row, and costs nothing.
        """
        largest = np.abs(t["shared"]).max(axis=1, keepdims=True)
        largest[largest == 0] = 1.0
        rate = self.multiplier_learning_rate
        factor = largest[np.arange(self.input_dim) % self.num_buckets] * rate
        folded = {"shared": t["shared"] / largest, "multiplier": t["multiplier"] * factor}
        return {**folded, "bias": t["bias"] * rate} if self.bias else folded

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_buckets": self.num_buckets,
            "bias": self.bias,
            "multiplier_initializer": keras.initializers.serialize(self.multiplier_initializer),
            "multiplier_learning_rate": self.multiplier_learning_rate,
        }
