"""Truncation: frequent ids keep a row of their own, the rest share one."""

from __future__ import annotations

from typing import Any

import numpy as np

from memcom_tf.approximation import closed_forms
from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive


@register_method
class TruncatedEmbedding(CompressedEmbedding):
    """Truncated vocabulary: `vector(i) = T[min(i, n)]`.

    The first `num_kept` ids keep a row, all others share the last one. Ids must be numbered by
    falling frequency, as `memcom_tf.Vocabulary` does.

    Source: the "truncate rare" baseline of Pansare et al., MLSys 2022, arXiv:2203.10135.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_kept: Ids that keep a row, `n`; below `input_dim`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If `num_kept` is not in `[1, input_dim)`.

    Example:
        >>> layer = TruncatedEmbedding(input_dim=1000, output_dim=8, num_kept=99)
        >>> layer.compression_ratio
        10.0
    """

    formula = "T[min(i, n)]"
    source = "arXiv:2203.10135"
    size_argument = "num_kept"

    def __init__(
        self,
        *args: Any,
        num_kept: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_positive(num_kept=num_kept)
        if num_kept >= self.input_dim:
            raise invalid(
                "`num_kept` must be below `input_dim`.",
                "Use FullEmbedding to keep every row.",
                num_kept=num_kept,
                input_dim=self.input_dim,
            )
        self.num_kept = int(num_kept)

    def tables(self) -> tuple[Table, ...]:
        return (Table("kept", self.num_kept + 1, self.output_dim),)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        return xp.gather(t["kept"], xp.minimum(ids, self.num_kept))

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        scores = xp.scores(query, t["kept"])
        rest = xp.tile(scores[:, self.num_kept :], self.input_dim - self.num_kept)
        return xp.concat([scores[:, : self.num_kept], rest])

    def approximate(self, table: np.ndarray, weights: np.ndarray) -> Tables:
        """The first rows, and the weighted mean of the others."""
        rows = np.minimum(np.arange(self.input_dim), self.num_kept)
        return {"kept": closed_forms.means(table, weights, rows, self.num_kept + 1)}

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        return range(1, input_dim)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_kept": self.num_kept}
