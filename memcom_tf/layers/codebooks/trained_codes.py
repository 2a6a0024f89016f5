"""Codes that train: each id has a row of its own in training, of which codes ship."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.layers.codebooks.product_quantized import ProductQuantizedEmbedding
from memcom_tf.layers.codebooks.residual_quantized import ResidualQuantizedEmbedding
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.layers.contract.method import TrainingLookup
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive


class TrainedCodesEmbedding(CompressedEmbedding):
    """Vectors made of the rows of codebooks that are nearest to a trained row.

    Training holds a full table, whose rows `q` are quantized at every lookup, and what is looked
    up are the rows of the books. Gradients reach the books, and pass the choice to `q` as if it
    were not there. The loss of a step has, beside, `loss_weight` times the mean over the lookups of
    `|v - sg(q)|^2 + commitment |q - sg(v)|^2`, `v` the vector and `sg` a constant to gradients.

    A file holds the codes and the books, as `ships_as` has them.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_codebooks: Number of books.
        num_codes: Rows of a book, from 2 to 256.
        loss_weight: Weight of the loss of quantization.
        commitment: Weight in it of what moves rows to the books.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a number is out of range.
    """

    size_argument = "num_codebooks"
    takes_metric = True
    can_grow = False
    _shipped: type[CompressedEmbedding]

    def __init__(
        self,
        *args: Any,
        num_codebooks: int,
        num_codes: int = 256,
        loss_weight: float = 1.0,
        commitment: float = 0.25,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_positive(num_codebooks=num_codebooks, num_codes=num_codes)
        self.num_codebooks, self.num_codes = int(num_codebooks), int(num_codes)
        self.loss_weight, self.commitment = float(loss_weight), float(commitment)
        if not (self.loss_weight >= 0 and self.commitment >= 0):
            raise invalid(
                "`loss_weight` and `commitment` must be 0 or more.",
                loss_weight=loss_weight,
                commitment=commitment,
            )
        self.ships_as()  # checks the sizes

    def ships_as(self) -> CompressedEmbedding:
        config = self.get_config()
        del config["loss_weight"], config["commitment"]
        return self._shipped.from_config(config)

    def tables(self) -> tuple[Table, ...]:
        books = self.ships_as().tables()[-1]
        return (Table("queries", self.input_dim, self.output_dim), books)

    def _chosen(self, xp: Ops, ids: Array, queries: Array, t: Tables) -> list[Array]:
        """For each book the row of `codebooks` that the query of each id takes."""
        raise NotImplementedError

    def _composed(self, xp: Ops, rows: list[Array], t: Tables) -> Array:
        """The vectors that rows of `codebooks` make."""
        raise NotImplementedError

    def _nearest(self, xp: Ops, x: Array, book: int, t: Tables, most: int | None = None) -> Array:
        """Rows of `codebooks` that are nearest to `x`, among the first `most` of a book."""
        first = book * self.num_codes
        rows = slice(first, first + (most or self.num_codes))
        values = xp.values(t["codebooks"])[rows]
        lengths = xp.sum((values * values)[..., None])[..., 0]
        distances = lengths - 2.0 * xp.scores(x, values)
        return xp.argmin(distances) + first

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        queries = xp.gather(t["queries"], ids)
        return self._composed(xp, self._chosen(xp, ids, queries, t), t)

    def train_lookup(self, xp: Ops, ids: Array, t: Tables) -> TrainingLookup:
        queries = xp.gather(t["queries"], ids)
        fixed = xp.stop_gradient(queries)
        vectors = self._composed(xp, self._chosen(xp, ids, fixed, t), t)
        loss = _mean_square(vectors - fixed)
        loss = loss + self.commitment * _mean_square(queries - xp.stop_gradient(vectors))
        return TrainingLookup(vectors + (queries - fixed), self.loss_weight * loss)

    def fold(self, xp: Ops, t: Tables) -> Tables:
        rows = self._chosen(xp, xp.arange(self.input_dim), xp.values(t["queries"]), t)
        codes = [row - book * self.num_codes for book, row in enumerate(rows)]
        of_ids = xp.concat([code[..., None] for code in codes])
        return {**self._code_tables(of_ids), "codebooks": xp.values(t["codebooks"])}

    def _code_tables(self, codes: Array) -> Tables:
        """The tables of codes that ship, from the codes of all ids."""
        return {"codes": codes}

    def approximate(
        self, table: np.ndarray, weights: np.ndarray, metric: np.ndarray | None = None
    ) -> Tables:
        """The books of what ships, and the table itself as what is quantized."""
        shipped: Any = self.ships_as()
        found = shipped.approximate(table, weights, *([metric] if self.takes_metric else []))
        return {"queries": table, "codebooks": found["codebooks"]}

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> Sequence[int]:
        return cls._shipped.size_range(input_dim, output_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_codebooks": self.num_codebooks,
            "num_codes": self.num_codes,
            "loss_weight": self.loss_weight,
            "commitment": self.commitment,
        }


@register_method
class DPQEmbedding(TrainedCodesEmbedding):
    """Differentiable product quantization: every cut of a trained row becomes a row of its book.

    `vector(i) = concat_k B_k[c_k(i)]` with `c_k(i) = argmin_c |q_k(i) - B_k[c]|`, where `q(i)` is
    a row of the id in training, and `q_k` its cut. `TrainedCodesEmbedding` says how it trains. It
    ships as `ProductQuantizedEmbedding`.

    Source: Chen et al., Differentiable product quantization for end-to-end embedding compression,
    ICML 2020, arXiv:1908.09756, the variant by vector quantization.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_codebooks: Number of books, a divisor of `output_dim`.
        num_codes: Rows of a book, from 2 to 256.
        loss_weight: Weight of the loss of quantization.
        commitment: Weight in it of what moves rows to the books.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a number is out of range, or `num_codebooks` no divisor.

    Example:
        >>> layer = DPQEmbedding(10_000, 64, num_codebooks=8, num_codes=16)
        >>> type(layer.ships_as()).__name__, round(layer.compression_ratio)
        ('ProductQuantizedEmbedding', 58)
    """

    formula = "concat_k nearest(B_k, q_k(i))"
    source = "arXiv:1908.09756"
    variants = ({"num_codes": 16},)
    _shipped = ProductQuantizedEmbedding

    def _chosen(self, xp: Ops, ids: Array, queries: Array, t: Tables) -> list[Array]:
        width = self.output_dim // self.num_codebooks
        return [
            self._nearest(xp, queries[..., book * width : (book + 1) * width], book, t)
            for book in range(self.num_codebooks)
        ]

    def _composed(self, xp: Ops, rows: list[Array], t: Tables) -> Array:
        return xp.concat([xp.gather(t["codebooks"], row) for row in rows])


@register_method
class TrainedResidualQuantizedEmbedding(TrainedCodesEmbedding):
    """Residual quantization that trains: what a book leaves of a row is for the next one.

    `vector(i) = sum_k B_k[c_k(i)]` with `c_k(i) = argmin_c |r_k(i) - B_k[c]|`. Here `r_1(i)` is a
    row of the id in training, and `r_(k+1)(i) = r_k(i) - B_k[c_k(i)]`. `TrainedCodesEmbedding` says
    how it trains. It is the quantizer of RQ-VAE without the encoder, and ships as
    `ResidualQuantizedEmbedding`.

    Source: Lee et al., Autoregressive image generation using residual quantization, CVPR 2022,
    arXiv:2203.01941; for items: Rajput et al., Recommender systems with generative retrieval,
    NeurIPS 2023, arXiv:2305.05065.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_codebooks: Number of books.
        num_codes: Rows of a book, from 2 to 256.
        loss_weight: Weight of the loss of quantization.
        commitment: Weight in it of what moves rows to the books.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> layer = TrainedResidualQuantizedEmbedding(10_000, 64, num_codebooks=4)
        >>> type(layer.ships_as()).__name__
        'ResidualQuantizedEmbedding'
    """

    formula = "sum_k nearest(B_k, r_k(i))"
    source = "arXiv:2203.01941"
    variants = ({"num_codes": 20},)
    _shipped = ResidualQuantizedEmbedding

    def _chosen(self, xp: Ops, ids: Array, queries: Array, t: Tables) -> list[Array]:
        rows, left = [], queries
        for book in range(self.num_codebooks):
            rows.append(self._nearest(xp, left, book, t))
            left = left - xp.gather(t["codebooks"], rows[-1])
        return rows

    def _composed(self, xp: Ops, rows: list[Array], t: Tables) -> Array:
        vectors = [xp.gather(t["codebooks"], row) for row in rows]
        return sum(vectors[1:], start=vectors[0])


def _mean_square(x: Array) -> Array:
    import tensorflow as tf

    return tf.reduce_mean(tf.reduce_sum(x * x, axis=-1))
