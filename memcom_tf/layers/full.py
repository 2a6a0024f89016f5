"""A plain embedding table."""

from __future__ import annotations

from typing import Any

import numpy as np

from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables


@register_method
class FullEmbedding(CompressedEmbedding):
    """One row an id: `vector(i) = E[i]`, `E` of shape `[input_dim, output_dim]`.

    The baseline that the other methods are measured against. It is `keras.layers.Embedding` with
    a `combiner`, `score_all` and checked ids; with `weights` it is built at once, as there.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        **kwargs: The same by keyword.

    Example:
        >>> layer = FullEmbedding(input_dim=1000, output_dim=8, combiner="mean")
        >>> tuple(layer(np.array([[1, 2, 3], [4, 5, 6]])).shape)
        (2, 8)
    """

    formula = "E[i]"
    source = "baseline"
    reads_rows_of_ids = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self._initial_table is not None:
            self.build(None)

    @property
    def embeddings(self) -> Any:
        """The variable of the table, `[input_dim, output_dim]`.

        Raises:
            AttributeError: Before the layer is built.
        """
        self._require_built()
        return self.variable("embeddings")

    def tables(self) -> tuple[Table, ...]:
        # Beside four values or fewer, a scale for each row would outweigh the saved bits.
        storage = "int8_per_row" if self.output_dim > 4 else "int16_per_table"
        return (Table("embeddings", self.input_dim, self.output_dim, storage=storage),)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        return xp.gather(t["embeddings"], ids)

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        return xp.scores(query, t["embeddings"])

    def approximate(self, table: np.ndarray, weights: np.ndarray) -> Tables:
        return {"embeddings": table}

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        return range(1)
