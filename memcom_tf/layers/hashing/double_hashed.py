"""Double hashing: the sum of two rows, chosen by two hash functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.hashing import UniversalHash
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive


@register_method
class DoubleHashedEmbedding(CompressedEmbedding):
    """Double hashing: `vector(i) = T0[h0(i)] + T1[h1(i)]`.

    Two independent hash functions make it unlikely that two ids share both rows. The functions
    are `memcom_tf.ops.hashing.UniversalHash`, which a phone's runtime computes with int32. With
    `num_dedicated = h` the ids below `h`, the most frequent ones, have a row of `T0` of their own.

    Source: Zhang et al., Model size reduction using frequency based double hashing for
    recommender systems, RecSys 2020, arXiv:2007.14523.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_buckets: Rows of each table that ids share, `m`.
        num_dedicated: Ids from 0 on that have a row of their own, `h`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If `num_buckets` is not positive, `num_dedicated` not in
            `[0, input_dim)`, or the vocabulary too large.

    Example:
        >>> layer = DoubleHashedEmbedding(input_dim=10_000, output_dim=8, num_buckets=200)
        >>> layer.compression_ratio
        25.0
    """

    formula = "T0[h0(i)] + T1[h1(i)]"
    source = "arXiv:2007.14523"
    can_grow = False
    size_argument = "num_buckets"
    variants = ({}, {"num_dedicated": 20})

    def __init__(
        self,
        *args: Any,
        num_buckets: int,
        num_dedicated: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_positive(num_buckets=num_buckets)
        if (
            not isinstance(num_dedicated, int | np.integer)
            or not 0 <= num_dedicated < self.input_dim
        ):
            raise invalid(
                f"`num_dedicated` must be an integer in [0, {self.input_dim}), below `input_dim`.",
                num_dedicated=num_dedicated,
            )
        self.num_buckets = int(num_buckets)
        self.num_dedicated = int(num_dedicated)
        self._hashes = [UniversalHash(self.input_dim, self.num_buckets, index) for index in (0, 1)]

    def tables(self) -> tuple[Table, ...]:
        rows = self.num_dedicated + self.num_buckets, self.num_buckets
        return tuple(
            Table(f"hashed_{index}", rows[index], self.output_dim, terms=2) for index in (0, 1)
        )

    def _rows(self, xp: Ops, ids: Array) -> tuple[Array, Array]:
        """The row of each table; ids with a row of their own share one of the second."""
        first, second = self._hashes
        if not self.num_dedicated:
            return first(ids), second(ids)
        own = xp.minimum(ids, self.num_dedicated)
        others = ids - own
        # Such that 0, which is that of all ids with a row of their own, is moved by nothing.
        moved = (first(others) + (self.num_buckets - first(0))) % self.num_buckets
        return own + moved, second(others)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        first, second = self._rows(xp, ids)
        return xp.gather(t["hashed_0"], first) + xp.gather(t["hashed_1"], second)

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        rows = self._rows(xp, xp.arange(self.input_dim))
        first, second = (
            xp.gather_columns(xp.scores(query, t[f"hashed_{index}"]), rows[index])
            for index in (0, 1)
        )
        return first + second

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_buckets": self.num_buckets,
            "num_dedicated": self.num_dedicated,
        }
