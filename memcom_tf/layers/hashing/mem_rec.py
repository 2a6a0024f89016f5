"""Mem-Rec: Bloom-coded rows times a Bloom-coded weight, with nothing of an id's own."""

from __future__ import annotations

from typing import Any

from memcom_tf._keras import keras
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.hashing import UniversalHash
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive

_WEIGHTS_PER_ROW = 8


@register_method
class MemRecEmbedding(CompressedEmbedding):
    """Mem-Rec: `vector(i) = (sum_k T[h_k(i)]) * (sum_j w[g_j(i)])`.

    As in a Bloom filter `num_hashes` hash functions choose rows of one table, whose sum stands for
    the id. A second table of scalars, chosen by `num_weight_hashes` other functions, weights it.
    No byte is an id's own, so that it suits vocabularies of tens of millions.

    Source: Gupta et al., Mem-Rec: memory efficient recommendation system using alternative
    representation, ACML 2023, arXiv:2305.07205. The sizes of the paper were not at hand.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_buckets: Rows of the shared table.
        num_hashes: Rows of an id, `k`.
        num_weights: Scalars of the second table; None takes 8 for each row of the first, and no
            more than `input_dim`.
        num_weight_hashes: Scalars of an id, `j`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a size is not positive or the vocabulary too large.

    Example:
        >>> layer = MemRecEmbedding(10_000, 64, num_buckets=100)
        >>> layer.num_parameters == 100 * 64 + 800
        True
    """

    formula = "(sum_k T[h_k(i)]) * (sum_j w[g_j(i)])"
    source = "arXiv:2305.07205"
    size_argument = "num_buckets"
    can_grow = False

    def __init__(
        self,
        *args: Any,
        num_buckets: int,
        num_hashes: int = 4,
        num_weights: int | None = None,
        num_weight_hashes: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_positive(num_buckets=num_buckets)
        if num_weights is None:
            num_weights = min(_WEIGHTS_PER_ROW * int(num_buckets), self.input_dim)
        check_positive(
            num_hashes=num_hashes,
            num_weights=num_weights,
            num_weight_hashes=num_weight_hashes,
        )
        self.num_buckets, self.num_hashes = int(num_buckets), int(num_hashes)
        self.num_weights, self.num_weight_hashes = int(num_weights), int(num_weight_hashes)
        self._of_rows = [
            UniversalHash(self.input_dim, self.num_buckets, index)
            for index in range(self.num_hashes)
        ]
        self._of_weights = [
            UniversalHash(self.input_dim, self.num_weights, self.num_hashes + index)
            for index in range(self.num_weight_hashes)
        ]

    def tables(self) -> tuple[Table, ...]:
        ones = keras.initializers.Constant(1 / self.num_weight_hashes)
        return (
            Table("shared", self.num_buckets, self.output_dim, terms=self.num_hashes),
            Table("weights", self.num_weights, 1, initializer=ones, storage="int16_per_table"),
        )

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        rows = [xp.gather(t["shared"], hash_ids(ids)) for hash_ids in self._of_rows]
        weights = [xp.gather(t["weights"], hash_ids(ids)) for hash_ids in self._of_weights]
        return sum(rows[1:], start=rows[0]) * sum(weights[1:], start=weights[0])

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        ids = xp.arange(self.input_dim)
        of_rows = xp.scores(query, t["shared"])
        scores = [xp.gather_columns(of_rows, hash_ids(ids)) for hash_ids in self._of_rows]
        values = xp.reshape(xp.values(t["weights"]), (1, -1))
        weights = [xp.gather_columns(values, hash_ids(ids)) for hash_ids in self._of_weights]
        return sum(scores[1:], start=scores[0]) * sum(weights[1:], start=weights[0])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_buckets": self.num_buckets,
            "num_hashes": self.num_hashes,
            "num_weights": self.num_weights,
            "num_weight_hashes": self.num_weight_hashes,
        }
