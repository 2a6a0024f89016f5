"""Product quantization of two grains: rare ids choose among fewer codes, which take fewer bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.approximation import codebooks
from memcom_tf.errors import invalid
from memcom_tf.layers.codebooks.trained_codes import TrainedCodesEmbedding
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.hashing import UniversalHash
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive

_MOST_CODES = 256
_FEW_CODES = 16


@register_method
class MultiGranularEmbedding(CompressedEmbedding):
    """Concatenated rows of codebooks, `vector(i) = concat_k B_k[c_k(i)]`, rare ids of few rows.

    Ids from `num_frequent` on choose among the first `num_rare_codes` rows of each book, so that
    a code of theirs takes 4 bits up to 16, and what is learned of them is shared by more ids. It
    suits a vocabulary in the order of frequency. The codes are chosen by `from_table`, or trained
    by `MGQEEmbedding`, which ships as this.

    Source: Kang et al., Learning multi-granular quantized embeddings for large-vocab categorical
    features in recommender systems, WWW 2020, arXiv:2002.08530.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_codebooks: Number of books, a divisor of `output_dim`.
        num_frequent: Ids from 0 on that choose among all rows; None takes a tenth.
        num_codes: Rows of a book, from 2 to 256.
        num_rare_codes: Rows of it for rare ids; None takes 16.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a number is out of range, or `num_codebooks` no divisor.

    Example:
        >>> layer = MultiGranularEmbedding(100_000, 64, num_codebooks=8)
        >>> layer.num_frequent, round(layer.compression_ratio)
        (10000, 51)
    """

    formula = "concat_k B_k[c_k(i)], c of 4 bits where i is rare"
    source = "arXiv:2002.08530"
    size_argument = "num_codebooks"
    can_grow = False
    variants = ({"num_codes": 16, "num_rare_codes": 4},)

    def __init__(
        self,
        *args: Any,
        num_codebooks: int,
        num_frequent: int | None = None,
        num_codes: int = _MOST_CODES,
        num_rare_codes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_positive(num_codebooks=num_codebooks, num_codes=num_codes)
        if num_frequent is None:
            num_frequent = -(-self.input_dim // 10)
        if num_rare_codes is None:
            num_rare_codes = min(_FEW_CODES, num_codes)
        check_positive(num_frequent=num_frequent, num_rare_codes=num_rare_codes)
        if not 2 <= num_codes <= _MOST_CODES or num_rare_codes > num_codes:
            raise invalid(
                f"`num_codes` must be in [2, {_MOST_CODES}], and `num_rare_codes` at most as many.",
                num_codes=num_codes,
                num_rare_codes=num_rare_codes,
            )
        if num_frequent >= self.input_dim:
            raise invalid(
                "`num_frequent` must be less than `input_dim`.",
                "Use ProductQuantizedEmbedding where all ids choose among all rows.",
                num_frequent=num_frequent,
                input_dim=self.input_dim,
            )
        if self.output_dim % num_codebooks:
            raise invalid(
                "`num_codebooks` must be a divisor of `output_dim`.",
                num_codebooks=num_codebooks,
                output_dim=self.output_dim,
            )
        self.num_codebooks, self.num_frequent = int(num_codebooks), int(num_frequent)
        self.num_codes, self.num_rare_codes = int(num_codes), int(num_rare_codes)

    @property
    def num_rare(self) -> int:
        """Ids that choose among few rows."""
        return self.input_dim - self.num_frequent

    @property
    def _first_rows(self) -> range:
        return range(0, self.num_codebooks * self.num_codes, self.num_codes)

    def tables(self) -> tuple[Table, ...]:
        rows, width = self.num_codebooks * self.num_codes, self.output_dim // self.num_codebooks
        return (
            self._code_table("codes", self.num_frequent, self.num_codes),
            self._code_table("rare_codes", self.num_rare, self.num_rare_codes),
            Table("codebooks", rows, width, storage="int8_per_table"),
        )

    def _code_table(self, name: str, rows: int, num_codes: int) -> Table:
        def hashed(shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
            hashes = [
                UniversalHash(rows, num_codes, book)(np.arange(rows))
                for book in range(self.num_codebooks)
            ]
            return tf.constant(np.stack(hashes, axis=1), dtype)

        return Table.of_codes(
            name, rows, self.num_codebooks, num_codes=num_codes, initializer=hashed
        )

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        # Ids of the other grain read the last or the first row, which is not taken.
        frequent = xp.gather(t["codes"], xp.minimum(ids, self.num_frequent - 1))
        rare = xp.gather(t["rare_codes"], xp.maximum(ids - self.num_frequent, 0))
        codes = xp.where((ids < self.num_frequent)[..., None], frequent, rare)
        parts = [
            xp.gather(t["codebooks"], codes[..., book] + first)
            for book, first in enumerate(self._first_rows)
        ]
        return xp.concat(parts)

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        width = self.output_dim // self.num_codebooks
        summed = []
        for name in ("codes", "rare_codes"):
            parts = []
            for book, first in enumerate(self._first_rows):
                cut = query[:, book * width : (book + 1) * width]
                rows = xp.column(t[name], book) + first
                parts.append(xp.gather_columns(xp.scores(cut, t["codebooks"]), rows))
            summed.append(sum(parts[1:], start=parts[0]))
        return xp.concat(summed)

    def approximate(self, table: np.ndarray, weights: np.ndarray) -> Tables:
        """k-means on every cut, of rare ids and then of what frequent ids have beside."""
        frequent, few = self.num_frequent, self.num_rare_codes
        books = []
        for part in np.split(table, self.num_codebooks, axis=1):
            book = codebooks.k_means(part[frequent:], weights[frequent:], few)
            if self.num_codes > few:
                own = codebooks.k_means(part[:frequent], weights[:frequent], self.num_codes - few)
                book = np.concatenate([book, own])
            books.append(book)
        stacked = np.stack(books)
        return {
            "codes": codebooks.product_codes(table[:frequent], stacked),
            "rare_codes": codebooks.product_codes(table[frequent:], stacked[:, :few]),
            "codebooks": np.concatenate(books),
        }

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> Sequence[int]:
        return [k for k in range(1, output_dim + 1) if output_dim % k == 0]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_codebooks": self.num_codebooks,
            "num_frequent": self.num_frequent,
            "num_codes": self.num_codes,
            "num_rare_codes": self.num_rare_codes,
        }


@register_method
class MGQEEmbedding(TrainedCodesEmbedding):
    """Multi-granular codes that train: `DPQEmbedding` whose rare ids choose among few rows.

    `TrainedCodesEmbedding` says how it trains. It ships as `MultiGranularEmbedding`.

    Source: Kang et al., Learning multi-granular quantized embeddings for large-vocab categorical
    features in recommender systems, WWW 2020, arXiv:2002.08530.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_codebooks: Number of books, a divisor of `output_dim`.
        num_codes: Rows of a book, from 2 to 256.
        loss_weight: Weight of the loss of quantization.
        commitment: Weight in it of what moves rows to the books.
        num_frequent: Ids from 0 on that choose among all rows; None takes a tenth.
        num_rare_codes: Rows of a book for rare ids; None takes 16.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a number is out of range, or `num_codebooks` no divisor.

    Example:
        >>> layer = MGQEEmbedding(10_000, 64, num_codebooks=8, num_frequent=500)
        >>> type(layer.ships_as()).__name__, round(layer.compression_ratio)
        ('MultiGranularEmbedding', 24)
    """

    formula = "concat_k nearest(B_k, q_k(i)), of few where i is rare"
    source = "arXiv:2002.08530"
    takes_metric = False
    variants = ({"num_codes": 16, "num_rare_codes": 4},)
    _shipped = MultiGranularEmbedding

    num_frequent: int | None = None
    num_rare_codes: int | None = None

    def __init__(
        self,
        *args: Any,
        num_frequent: int | None = None,
        num_rare_codes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.num_frequent, self.num_rare_codes = num_frequent, num_rare_codes
        self.ships_as()  # checks the sizes

    @property
    def _sizes(self) -> tuple[int, int]:
        """Frequent ids, and codes of the others."""
        shipped: Any = self.ships_as()
        return shipped.num_frequent, shipped.num_rare_codes

    def _chosen(self, xp: Ops, ids: Array, queries: Array, t: Tables) -> list[Array]:
        width = self.output_dim // self.num_codebooks
        num_frequent, num_rare_codes = self._sizes
        is_frequent = ids < num_frequent
        chosen = []
        for book in range(self.num_codebooks):
            cut = queries[..., book * width : (book + 1) * width]
            of_all = self._nearest(xp, cut, book, t)
            of_few = self._nearest(xp, cut, book, t, num_rare_codes)
            chosen.append(xp.where(is_frequent, of_all, of_few))
        return chosen

    def _composed(self, xp: Ops, rows: list[Array], t: Tables) -> Array:
        return xp.concat([xp.gather(t["codebooks"], row) for row in rows])

    def _code_tables(self, codes: Array) -> Tables:
        frequent, _ = self._sizes
        return {"codes": codes[:frequent], "rare_codes": codes[frequent:]}

    def get_config(self) -> dict[str, Any]:
        own = {"num_frequent": self.num_frequent, "num_rare_codes": self.num_rare_codes}
        return {**super().get_config(), **own}
