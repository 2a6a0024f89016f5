"""Low rank: a narrow table and a projection, both shipped."""

from __future__ import annotations

from typing import Any

import numpy as np

from memcom_tf.approximation import closed_forms
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive


@register_method
class LowRankEmbedding(CompressedEmbedding):
    """A factorized table: `vector(i) = A[i] @ B`.

    `A` is `[input_dim, rank]` and `B` `[rank, output_dim]`. Unlike MLET both factors ship.

    Source: Lan et al., ALBERT (factorized embedding parameterization), ICLR 2020,
    arXiv:1909.11942.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        rank: Width of the narrow table.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If `rank` is not positive.

    Example:
        >>> layer = LowRankEmbedding(input_dim=10_000, output_dim=64, rank=4)
        >>> layer.num_parameters
        40256
    """

    formula = "A[i] @ B"
    source = "arXiv:1909.11942"
    size_argument = "rank"
    takes_metric = True
    reads_rows_of_ids = True

    def __init__(
        self,
        *args: Any,
        rank: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_positive(rank=rank)
        self.rank = int(rank)

    def tables(self) -> tuple[Table, ...]:
        rank = self.rank
        return (
            Table("factor", self.input_dim, rank, terms=rank, factors=2),
            Table("projection", rank, self.output_dim, terms=rank, factors=2, storage="float32"),
        )

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        return xp.matmul(xp.gather(t["factor"], ids), t["projection"])

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        return xp.scores(xp.scores(query, t["projection"]), t["factor"])

    def fold(self, xp: Ops, t: Tables) -> Tables:
        """Scales every column of `A` to max-abs 1, so that int8 spends its range on all alike."""
        largest = xp.abs_max(t["factor"], axis=0)
        return {
            "factor": xp.values(t["factor"]) / largest,
            "projection": xp.values(t["projection"]) * xp.reshape(largest, (-1, 1)),
        }

    def approximate(
        self, table: np.ndarray, weights: np.ndarray, metric: np.ndarray | None = None
    ) -> Tables:
        """The truncated singular value decomposition of the weighted rows."""
        space = closed_forms.Whitening(metric)
        factor, projection = closed_forms.low_rank(space.into(table), weights, self.rank)
        return {"factor": factor, "projection": space.back(projection)}

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        return range(1, output_dim + 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rank": self.rank}
