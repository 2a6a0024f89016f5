"""Double hashing: the sum of two rows, chosen by two hash functions."""

from __future__ import annotations

from typing import Any

from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.hashing import UniversalHash
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive


@register_method
class DoubleHashedEmbedding(CompressedEmbedding):
    """Double hashing: `vector(i) = T0[h0(i)] + T1[h1(i)]`.

    Two independent hash functions make it unlikely that two ids share both rows. The functions
    are `memcom_tf.ops.hashing.UniversalHash`, which a phone's runtime computes with int32.

    Source: Zhang et al., Model size reduction using frequency based double hashing for
    recommender systems, RecSys 2020, arXiv:2007.14523.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_buckets: Rows of each table, `m`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If `num_buckets` is not positive or the vocabulary too large.

    Example:
        >>> layer = DoubleHashedEmbedding(input_dim=10_000, output_dim=8, num_buckets=200)
        >>> layer.compression_ratio
        25.0
    """

    formula = "T0[h0(i)] + T1[h1(i)]"
    source = "arXiv:2007.14523"
    can_grow = False
    size_argument = "num_buckets"

    def __init__(
        self,
        *args: Any,
        num_buckets: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_positive(num_buckets=num_buckets)
        self.num_buckets = int(num_buckets)
        self._hashes = [UniversalHash(self.input_dim, self.num_buckets, index) for index in (0, 1)]

    def tables(self) -> tuple[Table, ...]:
        return tuple(
            Table(f"hashed_{index}", self.num_buckets, self.output_dim, terms=2) for index in (0, 1)
        )

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        first, second = self._hashes
        return xp.gather(t["hashed_0"], first(ids)) + xp.gather(t["hashed_1"], second(ids))

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        ids = xp.arange(self.input_dim)
        first, second = self._hashes
        return xp.gather_columns(xp.scores(query, t["hashed_0"]), first(ids)) + xp.gather_columns(
            xp.scores(query, t["hashed_1"]), second(ids)
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_buckets": self.num_buckets}
