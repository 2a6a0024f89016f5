"""Hash embeddings: shared rows, weighted by the id."""

from __future__ import annotations

from typing import Any

from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.hashing import UniversalHash
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive


@register_method
class HashWeightedEmbedding(CompressedEmbedding):
    """Hash embeddings: `vector(i) = sum_k P[i, k] T_k[h_k(i)]`.

    `num_hashes` shared tables of `num_buckets` rows, and as many weights an id. Parameters:
    `num_hashes * (num_buckets * output_dim + input_dim)`; the ratio cannot exceed
    `output_dim / num_hashes`.

    Source: Svenstrup et al., Hash embeddings for efficient word representations, NeurIPS 2017,
    arXiv:1709.03933 (which draws the rows from one table; here each function has its own).

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_buckets: Rows of each shared table.
        num_hashes: Number of shared tables, `k`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a size is not positive or the vocabulary too large.

    Example:
        >>> layer = HashWeightedEmbedding(10_000, 64, num_buckets=100)
        >>> layer.num_parameters == 2 * (100 * 64 + 10_000)
        True
    """

    formula = "sum_k P[i, k] * T_k[h_k(i)]"
    source = "arXiv:1709.03933"
    can_grow = False
    reads_rows_of_ids = True
    size_argument = "num_buckets"

    def __init__(
        self,
        *args: Any,
        num_buckets: int,
        num_hashes: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_positive(num_buckets=num_buckets, num_hashes=num_hashes)
        self.num_buckets = int(num_buckets)
        self.num_hashes = int(num_hashes)
        self._hashes = [
            UniversalHash(self.input_dim, self.num_buckets, index)
            for index in range(self.num_hashes)
        ]

    def tables(self) -> tuple[Table, ...]:
        k = self.num_hashes
        shared = [
            Table(f"hashed_{index}", self.num_buckets, self.output_dim, terms=k)
            for index in range(k)
        ]
        importance = [
            Table(
                f"importance_{index}",
                self.input_dim,
                1,
                initializer="ones",
                storage="int16_per_table",
            )
            for index in range(k)
        ]
        return (*shared, *importance)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        vectors = [
            xp.gather(t[f"hashed_{k}"], hash_ids(ids)) * xp.gather(t[f"importance_{k}"], ids)
            for k, hash_ids in enumerate(self._hashes)
        ]
        return sum(vectors[1:], start=vectors[0])

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        ids = xp.arange(self.input_dim)
        scores = [
            xp.gather_columns(xp.scores(query, t[f"hashed_{k}"]), hash_ids(ids))
            * xp.reshape(xp.values(t[f"importance_{k}"]), (-1,))
            for k, hash_ids in enumerate(self._hashes)
        ]
        return sum(scores[1:], start=scores[0])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_buckets": self.num_buckets,
            "num_hashes": self.num_hashes,
        }
