"""MEmCom: a shared row times a weight of the id's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from memcom_tf._keras import keras
from memcom_tf.approximation import closed_forms
from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import register_method
from memcom_tf.layers.contract.renaming import RENAMED
from memcom_tf.layers.contract.shared_rows import SharedRows
from memcom_tf.ops.interface import LOWEST, Array, Ops
from memcom_tf.tables import RowSharing, Table, Tables


@register_method
class MEmComEmbedding(SharedRows):
    """Multi-embedding compression: `vector(i) = U[i mod m] * V[i] (+ W[i])`.

    `U` of shape `[num_buckets, output_dim]` is shared, `V` and `W` hold one value an id, which is
    broadcast over the vector. Every id has a vector of its own, and the multiplication happens
    before pooling. Parameters: `m * output_dim + input_dim`, or `+ 2 * input_dim` with `bias`; the
    ratio cannot exceed `output_dim`, or half of it. Ids should be numbered by falling frequency,
    as `memcom_tf.Vocabulary` does: ids that share a row then differ in frequency; or by similarity
    (`memcom_tf.ordering`).

    With `num_dedicated = h` the ids below `h` read a row of `U` that no other id does, and the
    others share the `m` that follow: `vector(i) = U[i] * V[i]` below `h`, else
    `U[h + (i - h) mod m] * V[i]`. Few ids make most of what users choose.

    Source: Pansare et al., Learning compressed embeddings for on-device inference, MLSys 2022,
    arXiv:2203.10135. Rows of their own for frequent ids: Zhang et al., Model size reduction using
    frequency based double hashing for recommender systems, RecSys 2020, arXiv:2007.14523.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_buckets: Rows that ids share, `m`.
        num_dedicated: Ids from 0 on that have a row of their own, `h`.
        bias: Whether there is a `W`.
        multiplier_initializer: Initial values of `V`.
        multiplier_learning_rate: Learning rate of `V` and `W` relative to that of `U`, under
            optimizers that do not see the scale of a gradient (Adam and its kin); there 10 is
            worth trying, and was better than 1 on MovieLens 100K. The variables hold
            `V / multiplier_learning_rate`, as equalized learning rates do. Weight decay
            belongs on `U` alone: `AdamW(...).exclude_from_weight_decay(var_names=["multiplier",
            "bias"])`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If `num_buckets` is not in `[1, input_dim]`, `num_dedicated` leaves no id for
            every bucket, or the learning rate is not positive.

    Example:
        >>> layer = MEmComEmbedding(1_000_000, 64, num_buckets=62_500, combiner="mean")
        >>> round(layer.compression_ratio, 1)
        12.8
        >>> tuple(layer(np.array([[1, 2, 999_999]])).shape)
        (1, 64)
    """

    formula = "U[i mod m] * V[i] (+ W[i])"
    source = "arXiv:2203.10135"
    variants = ({}, {"bias": True}, {"num_dedicated": 5})
    renamed_arguments = RENAMED
    reads_rows_of_ids = True
    takes_metric = True
    size_argument = "num_buckets"

    def __init__(
        self,
        *args: Any,
        num_buckets: int,
        num_dedicated: int = 0,
        bias: bool = False,
        multiplier_initializer: Any = "ones",
        multiplier_learning_rate: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.sharing = RowSharing(num_buckets, num_dedicated).of_ids(self.input_dim)
        if not multiplier_learning_rate > 0:
            raise invalid(
                "`multiplier_learning_rate` must be positive.",
                multiplier_learning_rate=multiplier_learning_rate,
            )
        self.bias = bias
        self.multiplier_initializer = keras.initializers.get(multiplier_initializer)
        self.multiplier_learning_rate = float(multiplier_learning_rate)

    def tables(self) -> tuple[Table, ...]:
        rate = self.multiplier_learning_rate

        def multiplier_initializer(shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
            return self.multiplier_initializer(shape, dtype=dtype, **kwargs) / rate

        shared = Table("shared", self.sharing.num_rows, self.output_dim, storage="int8_per_table")
        multiplier = Table(
            "multiplier",
            self.input_dim,
            1,
            initializer=multiplier_initializer,
            storage="int16_per_table",
            num_buckets=self.num_buckets,
        )
        bias = replace(multiplier, name="bias", initializer="zeros")
        return (shared, multiplier, bias) if self.bias else (shared, multiplier)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        rate = self.multiplier_learning_rate
        vectors = xp.gather(t["shared"], self._rows(xp, ids))
        vectors = vectors * (xp.gather(t["multiplier"], ids) * rate)
        return vectors + xp.gather(t["bias"], ids) * rate if self.bias else vectors

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        rate = self.multiplier_learning_rate
        scores = xp.scores(query, t["shared"])
        scores = self.sharing.spread_over_ids(xp, scores, self.input_dim)
        scores = scores * xp.reshape(xp.values(t["multiplier"]), (-1,))
        if self.bias:
            ones = np.ones((self.output_dim, 1), np.float32)
            scores = scores + xp.matmul(query, ones) * xp.reshape(xp.values(t["bias"]), (-1,))
        return scores * rate

    def lookup_top_k(self, xp: Ops, query: Array, k: int, t: Tables) -> Array | None:
        """The `k` best ids in `O((h + m) output_dim + k input_dim / m)`, exactly.

        With `s = U q`, the best id of bucket `j` scores `max(s_j max V, s_j min V)` over its ids.
        This bound is attained, so the `k` best ids lie in the `k` buckets with the largest
        bounds, or have rows of their own. With a bias the bound is not attained, and all scores
        are needed.
        """
        if self.bias or k >= self.num_buckets:
            return None
        dedicated = self.num_dedicated
        scores = xp.reshape(xp.scores(query, t["shared"]), (-1,))
        lowest, highest = xp.extremes(t["multiplier"], self.num_buckets, dedicated)
        of_shared = scores[dedicated:] if dedicated else scores
        buckets = xp.top_k(xp.maximum(of_shared * lowest, of_shared * highest), k)
        steps = xp.arange(-(-(self.input_dim - dedicated) // self.num_buckets)) * self.num_buckets
        ids = xp.reshape(xp.reshape(buckets, (1, -1)) + xp.reshape(steps, (-1, 1)), (-1,))
        if dedicated:
            ids = xp.concat([xp.arange(dedicated), ids + dedicated])
        multipliers = xp.gather(t["multiplier"], xp.minimum(ids, self.input_dim - 1))
        of_ids = xp.gather(scores, self._rows(xp, ids))
        products = of_ids * xp.reshape(multipliers, (-1,))
        return xp.gather(ids, xp.top_k(xp.where(ids < self.input_dim, products, LOWEST), k))

    def _rows(self, xp: Ops, ids: Array) -> Array:
        return self.sharing.rows_in_graph(xp, ids)

    def ships_as(self) -> MEmComEmbedding:
        return self.from_config({**self.get_config(), "multiplier_learning_rate": 1.0})

    def fold(self, xp: Ops, t: Tables) -> Tables:
        """Scales every shared row to max-abs 1 and lets the multipliers absorb the factor.

        One scale for the whole int8 table is then as exact as one a row, and costs nothing, as
        long as the rows' largest values differ by less than about a hundredfold: beyond that the
        16 bits of the multipliers no longer resolve the ids of the smallest rows.
        """
        largest = xp.abs_max(t["shared"], axis=1)
        rate = self.multiplier_learning_rate
        factor = xp.gather(largest, self._rows(xp, xp.arange(self.input_dim))) * rate
        folded = {
            "shared": xp.values(t["shared"]) / largest,
            "multiplier": xp.values(t["multiplier"]) * factor,
        }
        return {**folded, "bias": xp.values(t["bias"]) * rate} if self.bias else folded

    def approximate(
        self, table: np.ndarray, weights: np.ndarray, metric: np.ndarray | None = None
    ) -> Tables:
        """The best matrix of rank 1 for each bucket; biases are zero."""
        rows = self.sharing.rows_of(np.arange(self.input_dim))
        space = closed_forms.Whitening(metric)
        shared, factors = closed_forms.shared_directions(
            space.into(table), weights, rows, self.sharing.num_rows
        )
        shared = space.back(shared)
        tables = {"shared": shared, "multiplier": factors[:, None] / self.multiplier_learning_rate}
        return {**tables, "bias": np.zeros((self.input_dim, 1))} if self.bias else tables

    @classmethod
    def size_range(
        cls, input_dim: int, output_dim: int, num_dedicated: int = 0, **kwargs: Any
    ) -> range:
        return range(1, input_dim - num_dedicated + 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **self.sharing.arguments(),
            "bias": self.bias,
            "multiplier_initializer": keras.initializers.serialize(self.multiplier_initializer),
            "multiplier_learning_rate": self.multiplier_learning_rate,
        }
