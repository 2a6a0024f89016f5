"""Codes from scratch: clusters of what is learned become codes, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.approximation import codebooks
from memcom_tf.errors import invalid
from memcom_tf.layers.codebooks.codebook import CodebookEmbedding
from memcom_tf.layers.contract.layer import register_method
from memcom_tf.layers.contract.method import Adaptation
from memcom_tf.ops.hashing import hash_numbers, hashed_by
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.tables import Table, Tables, check_positive


@register_method
class ClusteredEmbedding(CodebookEmbedding):
    """Clustered compositional embeddings: `vector(i) = concat_k (B_k[c_k(i)] + H_k[h_k(i)])`.

    A cut of the vector is a row of a book, which the code of the id chooses, and a row that a hash
    of the id chooses. At first codes are hashes, too. Every `adapts_every` steps, `clusterings`
    times in all, the cuts of all ids are clustered: the clusters become the codes, and their
    centroids the books. The hashed rows start from zero, by new hash functions. So ids come to
    share rows with those that are like them, and no table of all ids ever exists, in training
    neither. `fit` needs the callback `memcom_tf.training.AdaptTables`, which the trainers of this
    package pass themselves. What clusters is installed by `pip install "memcom_tf[order]"`.

    Source: Tsang and Ahle, Clustering the sketch: dynamic compression for embedding tables,
    NeurIPS 2023, arXiv:2210.05974.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_codebooks: Number of books, a divisor of `output_dim`.
        num_codes: Rows of a book, and hashed rows of a cut, from 2 to 256.
        adapts_every: Steps of training between two clusterings.
        clusterings: How many there are.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a number is out of range, or `num_codebooks` no divisor.
        ImportError: At a clustering, if faiss-cpu or scikit-learn is not installed.

    Example:
        >>> layer = ClusteredEmbedding(1_000_000, 64, num_codebooks=8)
        >>> round(layer.compression_ratio), layer.num_parameters
        (31, 32768)
    """

    formula = "concat_k (B_k[c_k(i)] + H_k[h_k(i)])"
    source = "arXiv:2210.05974"
    takes_metric = False
    can_grow = False
    variants = ({"num_codes": 8},)

    def __init__(
        self,
        *args: Any,
        num_codebooks: int,
        num_codes: int = 256,
        adapts_every: int = 500,
        clusterings: int = 6,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, num_codebooks=num_codebooks, num_codes=num_codes, **kwargs)
        check_positive(adapts_every=adapts_every, clusterings=clusterings)
        if self.output_dim % self.num_codebooks:
            raise invalid(
                "`num_codebooks` must be a divisor of `output_dim`.",
                num_codebooks=num_codebooks,
                output_dim=self.output_dim,
            )
        self.adapts_every, self.clusterings = int(adapts_every), int(clusterings)

    @property
    def _width(self) -> int:
        return self.output_dim // self.num_codebooks

    def tables(self) -> tuple[Table, ...]:
        rows = self.num_codebooks * self.num_codes

        def table(name: str) -> Table:
            return Table(name, rows, self._width, terms=2, storage="int8_per_table")

        functions = Table.of_index(
            "functions",
            self.num_codebooks,
            7,
            num_values=max(self.input_dim, self.num_codes, 11) * 2,  # a prime is below
            initializer=self._first_functions,
        )
        return (self._code_table(), functions, table("codebooks"), table("hashed"))

    def _functions(self, clustering: int) -> np.ndarray:
        """The hash functions after so many clusterings; the first of all make the first codes."""
        first = self.num_codebooks * (1 + clustering)
        indices = range(first, first + self.num_codebooks)
        return hash_numbers(self.input_dim, self.num_codes, indices)

    def _first_functions(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return tf.constant(self._functions(0), dtype)

    def _hashes(self, xp: Ops, ids: Array, t: Tables) -> Array:
        """Hashed rows of each book, `ids.shape + [num_codebooks]`."""
        numbers = xp.gather(t["functions"], xp.arange(self.num_codebooks))
        return hashed_by(numbers, xp.to_int32(ids), self.input_dim, self.num_codes)

    def _parts(self, xp: Ops, ids: Array, t: Tables) -> list[Array]:
        """The cuts of the vectors."""
        codes, hashes = xp.gather(t["codes"], ids), self._hashes(xp, ids, t)
        return [
            xp.gather(t["codebooks"], codes[..., book] + first)
            + xp.gather(t["hashed"], hashes[..., book] + first)
            for book, first in enumerate(self._first_rows)
        ]

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        return xp.concat(self._parts(xp, ids, t))

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        hashes, parts = self._hashes(xp, xp.arange(self.input_dim), t), []
        for book, first in enumerate(self._first_rows):
            cut = query[:, book * self._width : (book + 1) * self._width]
            rows = {"codebooks": xp.column(t["codes"], book), "hashed": hashes[:, book]}
            parts += [
                xp.gather_columns(xp.scores(cut, t[name]), of_ids + first)
                for name, of_ids in rows.items()
            ]
        return sum(parts[1:], start=parts[0])

    def adapt(self, step: int, t: dict[str, np.ndarray]) -> Adaptation | None:
        if step > self.adapts_every * self.clusterings:
            return None
        vectors = np.concatenate(self._parts(NumpyOps(), np.arange(self.input_dim), t), axis=1)
        anew = np.full(len(t["codebooks"]), -1)
        tables = self._clustered(vectors, np.ones(len(vectors)), seed=step)
        tables["functions"] = self._functions(-(-step // self.adapts_every))
        return Adaptation(tables, rows_from={"codebooks": anew, "hashed": anew})

    def _clustered(self, vectors: np.ndarray, weights: np.ndarray, seed: int) -> Tables:
        cuts = np.split(vectors.astype(np.float32), self.num_codebooks, axis=1)
        books = np.stack(
            [
                codebooks.k_means(cut, weights, self.num_codes, seed + book)
                for book, cut in enumerate(cuts)
            ]
        )
        rows = books.reshape(-1, self._width)
        codes = codebooks.product_codes(np.concatenate(cuts, axis=1), books)
        return {"codes": codes, "codebooks": rows, "hashed": np.zeros_like(rows)}

    def approximate(self, table: np.ndarray, weights: np.ndarray, metric: Any = None) -> Tables:
        """Clusters of the cuts, and hashed rows of zeros."""
        return {**self._clustered(table, weights, seed=0), "functions": self._functions(0)}

    def _nearest_codes(self, table: np.ndarray, t: Tables) -> np.ndarray:
        xp, ids = NumpyOps(), np.arange(self.input_dim)
        hashed = self._parts(xp, ids, {**t, "codebooks": np.zeros_like(t["codebooks"])})
        return codebooks.product_codes(table - np.concatenate(hashed, axis=1), self._books(t))

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> Sequence[int]:
        return [k for k in range(1, output_dim + 1) if output_dim % k == 0]

    def get_config(self) -> dict[str, Any]:
        own = {"adapts_every": self.adapts_every, "clusterings": self.clusterings}
        return {**super().get_config(), **own}
