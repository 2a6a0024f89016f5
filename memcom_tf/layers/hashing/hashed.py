"""Naive hashing: ids that share a bucket share a vector."""

from __future__ import annotations

from typing import Any

import numpy as np

from memcom_tf.approximation import closed_forms
from memcom_tf.layers.contract.layer import register_method
from memcom_tf.layers.contract.renaming import RENAMED
from memcom_tf.layers.contract.shared_rows import SharedRows
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import RowSharing, Table, Tables


@register_method
class HashedEmbedding(SharedRows):
    """The hashing trick with the remainder as hash: `vector(i) = T[i mod m]`.

    Ids that share a bucket cannot be told apart; it is the baseline of the compressed methods.
    With ids in order of frequency the `m` most frequent ids fall into buckets of their own.

    With `num_dedicated = h` the ids below `h` have a row that no other id reads, and the others
    share the `m` that follow: `T[i]` below `h`, else `T[h + (i - h) mod m]`. With ids by
    similarity (`memcom_tf.ordering`) a rare id costs no byte at all, and still has the mean of
    what it resembles: where there are few bytes an id, that may be their best use.

    Source: Weinberger et al., Feature hashing for large scale multitask learning, ICML 2009,
    arXiv:0902.2206. Rows of their own for frequent ids: Zhang et al., Model size reduction using
    frequency based double hashing for recommender systems, RecSys 2020, arXiv:2007.14523.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_buckets: Rows that ids share, `m`.
        num_dedicated: Ids from 0 on that have a row of their own, `h`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If `num_buckets` is not in `[1, input_dim]`, or `num_dedicated` leaves no id for
            every bucket.

    Example:
        >>> layer = HashedEmbedding(input_dim=1000, output_dim=8, num_buckets=100)
        >>> vectors = np.asarray(layer(np.array([7, 107])))
        >>> bool((vectors[0] == vectors[1]).all())
        True
    """

    formula = "T[i mod m]"
    source = "arXiv:0902.2206"
    variants = ({}, {"num_dedicated": 5})
    renamed_arguments = RENAMED
    size_argument = "num_buckets"

    def __init__(
        self,
        *args: Any,
        num_buckets: int,
        num_dedicated: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.sharing = RowSharing(num_buckets, num_dedicated).of_ids(self.input_dim)

    def tables(self) -> tuple[Table, ...]:
        return (Table("hashed", self.sharing.num_rows, self.output_dim),)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        return xp.gather(t["hashed"], self.sharing.rows_in_graph(xp, ids))

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        scores = xp.scores(query, t["hashed"])
        return self.sharing.spread_over_ids(xp, scores, self.input_dim)

    def approximate(self, table: np.ndarray, weights: np.ndarray) -> Tables:
        """The weighted mean of the vectors that share a row."""
        rows = self.sharing.rows_of(np.arange(self.input_dim))
        return {"hashed": closed_forms.means(table, weights, rows, self.sharing.num_rows)}

    @classmethod
    def size_range(
        cls, input_dim: int, output_dim: int, num_dedicated: int = 0, **kwargs: Any
    ) -> range:
        return range(1, input_dim - num_dedicated + 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.sharing.arguments()}
