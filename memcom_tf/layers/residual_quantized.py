"""Residual quantization: a sum of rows, one of each codebook."""

from __future__ import annotations

from typing import Any

import numpy as np

from memcom_tf.approximation import closed_forms, codebooks
from memcom_tf.errors import invalid
from memcom_tf.layers.codebook import CodebookEmbedding
from memcom_tf.layers.contract.layer import register_method
from memcom_tf.layers.contract.sharing import (
    bucket_rows,
    check_sharing,
    rows_in_graph,
    spread_over_ids,
)
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables


@register_method
class ResidualQuantizedEmbedding(CodebookEmbedding):
    """A sum of rows of codebooks: `vector(i) = (S[i mod m] +) sum_k B_k[c_k(i)]`.

    Every `B_k` is `[num_codes, output_dim]`, and the integer codes `c` are `[input_dim,
    num_codebooks]`. An id costs `num_codebooks` codes, the books nearly nothing. With `num_buckets`
    there is a row `S` for every bucket of ids: where ids are numbered by similarity
    (`memcom_tf.ordering`) the bucket is one more code, which costs no bits. With `num_unshared = h`
    the ids below `h` have a row of `S` of their own, as in `MEmComEmbedding`. The codes are
    chosen by `from_table`, and are not trained; all else is.

    Source: Chen et al., Approximate nearest neighbor search by residual vector quantization,
    Sensors 2010; Babenko and Lempitsky, Additive quantization, CVPR 2014; learned for embeddings
    by Shu and Nakayama, ICLR 2018, arXiv:1711.01068.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_codebooks: Number of books.
        num_codes: Rows of a book, from 2 to 256; a code takes 4 bits up to 16 rows, else 8.
        num_buckets: Rows that ids share, `m`; None leaves the table out.
        num_unshared: Ids from 0 on that have a row of that table of their own, `h`.
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
    variants = ({"num_codes": 20}, {"num_codes": 11, "num_buckets": 2, "num_unshared": 3})

    def __init__(
        self,
        *args: Any,
        num_codebooks: int,
        num_codes: int = 256,
        num_buckets: int | None = None,
        num_unshared: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, num_codebooks=num_codebooks, num_codes=num_codes, **kwargs)
        if num_buckets is not None:
            check_sharing(num_buckets, num_unshared, self.input_dim)
            num_buckets = int(num_buckets)
        elif num_unshared:
            raise invalid(
                "`num_unshared` needs `num_buckets`.",
                "Pass how many rows the other ids share.",
                num_unshared=num_unshared,
            )
        self.num_buckets = num_buckets
        self.num_unshared = int(num_unshared)
        self.shares_by_remainder = num_buckets is not None

    def tables(self) -> tuple[Table, ...]:
        terms = self.num_codebooks + self.shares_by_remainder
        rows = self.num_codebooks * self.num_codes
        books = Table("codebooks", rows, self.output_dim, terms=terms)
        if self.num_buckets is None:
            return (self._code_table(), books)
        rows_of_ids = self.num_unshared + self.num_buckets
        shared = Table("shared", rows_of_ids, self.output_dim, terms=terms)
        return (self._code_table(), books, shared)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        first_rows = np.array(self._first_rows, np.int32)
        vectors = xp.sum(xp.gather(t["codebooks"], xp.gather(t["codes"], ids) + first_rows))
        if self.num_buckets is None:
            return vectors
        shared = rows_in_graph(xp, ids, self.num_buckets, self.num_unshared)
        return vectors + xp.gather(t["shared"], shared)

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        scores = self._summed(xp, xp.scores(query, t["codebooks"]), self._first_rows, t)
        if self.num_buckets is None:
            return scores
        of_rows = xp.scores(query, t["shared"])
        return scores + spread_over_ids(
            xp, of_rows, self.input_dim, self.num_buckets, self.num_unshared
        )

    def approximate(
        self, table: np.ndarray, weights: np.ndarray, metric: np.ndarray | None = None
    ) -> Tables:
        """Residual quantization, refined by least squares and beam search in turns."""
        back = None
        if metric is not None:
            root, back = closed_forms.roots(metric)
            table = table @ root
        found = codebooks.residual(table, weights, self.num_codebooks, self.num_codes, self._groups)
        tables = {"codebooks": found.books.reshape(-1, self.output_dim)}
        if found.shared is not None:
            tables["shared"] = found.shared
        if back is not None:
            tables = {name: values @ back for name, values in tables.items()}
        return {"codes": found.codes, **tables}

    def _nearest_codes(self, table: np.ndarray, t: Tables) -> np.ndarray:
        if self._groups is not None:
            table = table - t["shared"][self._groups.of_row]
        return codebooks.residual_codes(table, self._books(t))

    @property
    def _groups(self) -> codebooks.Groups | None:
        if self.num_buckets is None:
            return None
        rows = bucket_rows(np.arange(self.input_dim), self.num_buckets, self.num_unshared)
        return codebooks.Groups(rows, self.num_unshared + self.num_buckets)

    def get_config(self) -> dict[str, Any]:
        sharing = {"num_buckets": self.num_buckets, "num_unshared": self.num_unshared}
        return {**super().get_config(), **sharing}
