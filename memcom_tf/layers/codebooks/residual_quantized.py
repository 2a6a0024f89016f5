"""Residual quantization: a sum of rows, one of each codebook."""

from __future__ import annotations

from typing import Any

import numpy as np

from memcom_tf.approximation import closed_forms, codebooks
from memcom_tf.errors import invalid
from memcom_tf.layers.codebooks.codebook import CodebookEmbedding
from memcom_tf.layers.contract.layer import register_method
from memcom_tf.layers.contract.renaming import RENAMED
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import RowSharing, Table, Tables


@register_method
class ResidualQuantizedEmbedding(CodebookEmbedding):
    """A sum of rows of codebooks: `vector(i) = (S[i mod m] +) sum_k B_k[c_k(i)]`.

    Every `B_k` is `[num_codes, output_dim]`, and the integer codes `c` are `[input_dim,
    num_codebooks]`. An id costs `num_codebooks` codes, the books nearly nothing. With `num_buckets`
    there is a row `S` for every bucket of ids: where ids are numbered by similarity
    (`memcom_tf.ordering`) the bucket is one more code, which costs no bits. With
    `num_dedicated = h` the ids below `h` have a row of `S` of their own, as in `MEmComEmbedding`.
    The codes are chosen by `from_table`, and are not trained; all else is.

    Source: Chen et al., Approximate nearest neighbor search by residual vector quantization,
    Sensors 2010; Babenko and Lempitsky, Additive quantization, CVPR 2014; learned for embeddings
    by Shu and Nakayama, ICLR 2018, arXiv:1711.01068.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_codebooks: Number of books.
        num_codes: Rows of a book, from 2 to 256; a code takes 4 bits up to 16 rows, else 8.
        num_buckets: Rows that ids share, `m`; None leaves the table out.
        num_dedicated: Ids from 0 on that have a row of that table of their own, `h`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> layer = ResidualQuantizedEmbedding(1_000_000, 64, num_codebooks=8)
        >>> round(layer.compression_ratio, 1)
        30.0
        >>> layer(np.array([5, 999_999])).shape
        TensorShape([2, 64])
    """

    formula = "(S[i mod m] +) sum_k B_k[c_k(i)]"
    source = "arXiv:1711.01068"
    renamed_arguments = RENAMED
    variants = ({"num_codes": 20}, {"num_codes": 11, "num_buckets": 2, "num_dedicated": 3})

    def __init__(
        self,
        *args: Any,
        num_codebooks: int,
        num_codes: int = 256,
        num_buckets: int | None = None,
        num_dedicated: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, num_codebooks=num_codebooks, num_codes=num_codes, **kwargs)
        if num_buckets is not None:
            self.sharing = RowSharing(num_buckets, num_dedicated).of_ids(self.input_dim)
        elif num_dedicated:
            raise invalid(
                "`num_dedicated` needs `num_buckets`.",
                "Pass how many rows the other ids share.",
                num_dedicated=num_dedicated,
            )

    def tables(self) -> tuple[Table, ...]:
        terms = self.num_codebooks + (self.sharing is not None)
        rows = self.num_codebooks * self.num_codes
        books = Table("codebooks", rows, self.output_dim, terms=terms)
        if self.sharing is None:
            return (self._code_table(), books)
        shared = Table("shared", self.sharing.num_rows, self.output_dim, terms=terms)
        return (self._code_table(), books, shared)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        first_rows = np.array(self._first_rows, np.int32)
        vectors = xp.sum(xp.gather(t["codebooks"], xp.gather(t["codes"], ids) + first_rows))
        if self.sharing is None:
            return vectors
        return vectors + xp.gather(t["shared"], self.sharing.rows_in_graph(xp, ids))

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        scores = self._summed(xp, xp.scores(query, t["codebooks"]), self._first_rows, t)
        if self.sharing is None:
            return scores
        of_rows = xp.scores(query, t["shared"])
        return scores + self.sharing.spread_over_ids(xp, of_rows, self.input_dim)

    def approximate(
        self, table: np.ndarray, weights: np.ndarray, metric: np.ndarray | None = None
    ) -> Tables:
        """Residual quantization, refined by least squares and beam search in turns."""
        space = closed_forms.Whitening(metric)
        found = codebooks.residual(
            space.into(table), weights, self.num_codebooks, self.num_codes, self._groups
        )
        tables = {"codebooks": space.back(found.books.reshape(-1, self.output_dim))}
        if found.shared is not None:
            tables["shared"] = space.back(found.shared)
        return {"codes": found.codes, **tables}

    def _nearest_codes(self, table: np.ndarray, t: Tables) -> np.ndarray:
        if self._groups is not None:
            table = table - t["shared"][self._groups.of_row]
        return codebooks.residual_codes(table, self._books(t))

    @property
    def _groups(self) -> codebooks.Groups | None:
        if self.sharing is None:
            return None
        rows = self.sharing.rows_of(np.arange(self.input_dim))
        return codebooks.Groups(rows, self.sharing.num_rows)

    def get_config(self) -> dict[str, Any]:
        sharing = {"num_buckets": self.num_buckets, "num_dedicated": self.num_dedicated}
        return {**super().get_config(), **sharing}

    @property
    def num_buckets(self) -> int | None:
        """Rows that ids share; None where there is no such table."""
        return None if self.sharing is None else self.sharing.num_buckets

    @property
    def num_dedicated(self) -> int:
        """Ids from 0 on that have a row of their own."""
        return 0 if self.sharing is None else self.sharing.num_dedicated
