"""Product quantization: cuts of the vector, each from a codebook of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from memcom_tf.approximation import closed_forms, codebooks
from memcom_tf.errors import invalid
from memcom_tf.layers.codebooks.codebook import CodebookEmbedding
from memcom_tf.layers.contract.layer import register_method
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables


@register_method
class ProductQuantizedEmbedding(CodebookEmbedding):
    """Concatenated rows of codebooks: `vector(i) = concat_k B_k[c_k(i)]`.

    Every `B_k` is `[num_codes, output_dim / num_codebooks]`, and the integer codes `c` are
    `[input_dim, num_codebooks]`. An id costs `num_codebooks` codes, the books nearly nothing. The
    codes are chosen by `from_table`, and are not trained; the books are.

    Source: Jegou et al., Product quantization for nearest neighbor search, TPAMI 2011; learned
    for embeddings by Shu and Nakayama, ICLR 2018, arXiv:1711.01068.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_codebooks: Number of books, a divisor of `output_dim`.
        num_codes: Rows of a book, from 2 to 256; a code takes 4 bits up to 16 rows, else 8.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a number is out of range, or `num_codebooks` no divisor.

    Example:
        >>> layer = ProductQuantizedEmbedding(1_000_000, 64, num_codebooks=8)
        >>> round(layer.compression_ratio, 1)
        31.7
        >>> layer(np.array([5, 999_999])).shape
        TensorShape([2, 64])
    """

    formula = "concat_k B_k[c_k(i)]"
    source = "arXiv:1711.01068"
    variants = ({"num_codes": 16},)

    def __init__(self, *args: Any, num_codebooks: int, num_codes: int = 256, **kwargs: Any) -> None:
        super().__init__(*args, num_codebooks=num_codebooks, num_codes=num_codes, **kwargs)
        if self.output_dim % self.num_codebooks:
            raise invalid(
                "`num_codebooks` must be a divisor of `output_dim`.",
                num_codebooks=num_codebooks,
                output_dim=self.output_dim,
            )

    @property
    def _width(self) -> int:
        return self.output_dim // self.num_codebooks

    def tables(self) -> tuple[Table, ...]:
        rows = self.num_codebooks * self.num_codes
        books = Table("codebooks", rows, self._width, storage="int8_per_table")
        return (self._code_table(), books)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        codes = xp.gather(t["codes"], ids)
        parts = [
            xp.gather(t["codebooks"], codes[..., book] + first)
            for book, first in enumerate(self._first_rows)
        ]
        return xp.concat(parts)

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        # Every cut of the query with every book: the books are small.
        scores = xp.scores(xp.reshape(query, (-1, self.num_codebooks, self._width)), t["codebooks"])
        rows = self.num_codebooks * self.num_codes
        scores = xp.reshape(scores, (-1, self.num_codebooks * rows))
        first_columns = [book * rows + first for book, first in enumerate(self._first_rows)]
        return self._summed(xp, scores, first_columns, t)

    def approximate(
        self, table: np.ndarray, weights: np.ndarray, metric: np.ndarray | None = None
    ) -> Tables:
        """k-means on every cut of the vectors; of a metric the blocks of the cuts count."""
        width = self._width
        cuts = [slice(begin, begin + width) for begin in range(0, self.output_dim, width)]
        spaces = [closed_forms.Whitening(metric, cut) for cut in cuts]
        seen = [space.into(table[:, cut]) for space, cut in zip(spaces, cuts, strict=True)]
        codes, books = codebooks.product(
            np.concatenate(seen, axis=1), weights, self.num_codebooks, self.num_codes
        )
        books = np.concatenate(
            [space.back(book) for space, book in zip(spaces, books, strict=True)]
        )
        return {"codes": codes, "codebooks": books}

    def _nearest_codes(self, table: np.ndarray, t: Tables) -> np.ndarray:
        return codebooks.product_codes(table, self._books(t))

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> Sequence[int]:
        return [k for k in range(1, output_dim + 1) if output_dim % k == 0]
