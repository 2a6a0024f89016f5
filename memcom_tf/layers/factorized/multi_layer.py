"""MLET: a wide table and a projection in training, one narrow table on the phone."""

from __future__ import annotations

from typing import Any

import numpy as np

from memcom_tf.approximation import closed_forms
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.layers.full import FullEmbedding
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive


@register_method
class MultiLayerEmbedding(CompressedEmbedding):
    """Multi-layer embedding training: `vector(i) = W1[i] @ W2`, which ships as one table.

    `W1` is `[input_dim, inner_dim]` and `W2` `[inner_dim, output_dim]` with `inner_dim` larger
    than `output_dim`. The product of the two layers steers the gradient, so that a narrower table
    reaches the quality of a wider one; what is compressed is `output_dim`. It folds to a
    `FullEmbedding` of `W1 @ W2`, so `compression_ratio` against a table of equal width is 1.

    Source: Ghaemmaghami et al., Training with multi-layer embeddings for model reduction, 2020,
    arXiv:2006.05623.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        inner_dim: Width in training, `k`; None takes `4 * output_dim`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If `inner_dim` is not positive.

    Example:
        >>> layer = MultiLayerEmbedding(input_dim=1000, output_dim=8)
        >>> type(layer.ships_as()).__name__, layer.ships_as().num_parameters
        ('FullEmbedding', 8000)
    """

    formula = "W1[i] @ W2, shipped as one table"
    source = "arXiv:2006.05623"

    def __init__(
        self,
        *args: Any,
        inner_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if inner_dim is None:
            inner_dim = 4 * self.output_dim
        check_positive(inner_dim=inner_dim)
        self.inner_dim = int(inner_dim)

    def tables(self) -> tuple[Table, ...]:
        inner = self.inner_dim
        return (
            Table("inner", self.input_dim, inner, terms=inner, factors=2),
            Table("projection", inner, self.output_dim, terms=inner, factors=2),
        )

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        return xp.matmul(xp.gather(t["inner"], ids), t["projection"])

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        return xp.scores(xp.scores(query, t["projection"]), t["inner"])

    def ships_as(self) -> FullEmbedding:
        config = self.get_config()
        del config["inner_dim"]
        return FullEmbedding.from_config(config)

    def fold(self, xp: Ops, t: Tables) -> Tables:
        return {"embeddings": xp.matmul(xp.values(t["inner"]), t["projection"])}

    def approximate(self, table: np.ndarray, weights: np.ndarray) -> Tables | None:
        """Exact, as the inner width is no less than the output's; else as `LowRankEmbedding`."""
        rank = min(self.inner_dim, self.output_dim)
        inner, projection = closed_forms.low_rank(table, weights, rank)
        rest = self.inner_dim - rank
        return {
            "inner": np.pad(inner, ((0, 0), (0, rest))),
            "projection": np.pad(projection, ((0, rest), (0, 0))),
        }

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        return range(1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "inner_dim": self.inner_dim}
