"""Naive hashing: ids that share a bucket share a vector."""

from __future__ import annotations

from typing import Any

import numpy as np

from memcom_tf import approximation
from memcom_tf.layers.base import CompressedEmbedding, register_method
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_num_buckets


@register_method
class HashedEmbedding(CompressedEmbedding):
    """The hashing trick with the remainder as hash: `vector(i) = T[i mod m]`.

    Ids that share a bucket cannot be told apart; it is the baseline of the compressed methods.
    With ids in order of frequency the `m` most frequent ids fall into buckets of their own.

    Source: Weinberger et al., Feature hashing for large scale multitask learning, ICML 2009,
    arXiv:0902.2206.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_buckets: Rows of the table, `m`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If `num_buckets` is not in `[1, input_dim]`.

    Example:
        >>> layer = HashedEmbedding(input_dim=1000, output_dim=8, num_buckets=100)
        >>> vectors = np.asarray(layer(np.array([7, 107])))
        >>> bool((vectors[0] == vectors[1]).all())
        True
    """

    formula = "T[i mod m]"
    source = "arXiv:0902.2206"
    shares_by_remainder = True
    size_argument = "num_buckets"

    def __init__(
        self,
        *args: Any,
        num_buckets: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_num_buckets(num_buckets, self.input_dim)
        self.num_buckets = int(num_buckets)

    def tables(self) -> tuple[Table, ...]:
        return (Table("hashed", self.num_buckets, self.output_dim),)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        return xp.gather(t["hashed"], ids % self.num_buckets)

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        repeats = -(-self.input_dim // self.num_buckets)
        return xp.tile(xp.scores(query, t["hashed"]), repeats)[:, : self.input_dim]

    def approximate(self, table: np.ndarray, weights: np.ndarray) -> Tables:
        """The weighted mean of the vectors of a bucket."""
        buckets = np.arange(self.input_dim) % self.num_buckets
        return {"hashed": approximation.means(table, weights, buckets, self.num_buckets)}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_buckets": self.num_buckets}
