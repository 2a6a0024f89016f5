"""Tensor train: a table as a chain of three small tensors."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.approximation import tensor_train
from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive

_CORES = 3
_MOST_RANK = 256
_MOST_NUMBERS = 2**24
"""Of products of cores that are made for all pairs of digits: 64 MB in float32."""


@register_method
class TensorTrainEmbedding(CompressedEmbedding):
    """Tensor train: `vector(i) = G1[i1] G2[i2] G3[i3]`, a product of matrices.

    `i1`, `i2` and `i3` are the digits of the id, and `d1 d2 d3 = output_dim`. A row of the first
    core is a matrix `[d1, r]`, of the second `d2` matrices `[r, r]`, of the third `[r, d3]`; number
    `(p, q, s)` of a vector is `G1[i1][p] G2[i2][q] G3[i3][:, s]`. No byte is an id's own.

    Source: Yin et al., TT-Rec: tensor train compression for deep learning recommendation models,
    MLSys 2021, arXiv:2101.11714; `from_table` begins with Oseledets' TT-SVD, SIAM Journal on
    Scientific Computing 2011.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        rank: `r`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If `rank` is not positive.

    Example:
        >>> layer = TensorTrainEmbedding(1_000_000, 64, rank=16)
        >>> layer.shape_of_ids, layer.shape_of_vectors, round(layer.compression_ratio)
        ((100, 100, 100), (4, 4, 4), 556)
    """

    formula = "G1[i1] G2[i2] G3[i3]"
    source = "arXiv:2101.11714"
    size_argument = "rank"
    can_grow = False

    def __init__(self, *args: Any, rank: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check_positive(rank=rank)
        most = _most_rank(self.input_dim, self.output_dim)
        if rank > most:
            raise invalid(
                f"`rank` must be at most {most} for this table.",
                rank=rank,
                input_dim=self.input_dim,
                output_dim=self.output_dim,
            )
        self.rank = int(rank)

    @property
    def shape_of_ids(self) -> tuple[int, ...]:
        """Values of the digits of an id, of the first and most significant one first."""
        return _digits(self.input_dim)

    @property
    def shape_of_vectors(self) -> tuple[int, ...]:
        """Factors of the width."""
        return _factors(self.output_dim)

    def tables(self) -> tuple[Table, ...]:
        (n1, n2, n3), (d1, d2, d3), r = self.shape_of_ids, self.shape_of_vectors, self.rank
        core = partial(Table, terms=r * r, factors=_CORES)
        return (
            core("core_1", n1, d1 * r),
            core("core_2", n2, d2 * r * r),
            core("core_3", n3, r * d3),
        )

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        (_, n2, n3), (d1, d2, d3), r = self.shape_of_ids, self.shape_of_vectors, self.rank
        first = xp.unflatten(xp.gather(t["core_1"], ids // (n2 * n3)), (d1, r))
        second = xp.unflatten(xp.gather(t["core_2"], ids // n3 % n2), (d2, r, r))
        third = xp.unflatten(xp.gather(t["core_3"], ids % n3), (r, d3))
        rest = xp.concat([xp.batch_matmul(second[..., q, :, :], third) for q in range(d2)])
        vectors = xp.batch_matmul(first, rest)
        return xp.concat([vectors[..., p, :] for p in range(d1)])

    def lookup_many(self, xp: Ops, ids: Array, t: Tables) -> Array:
        """Products of the second and third core of all pairs of digits first, once for all ids.

        There are far fewer pairs than ids, and they take one product of two matrices, where each
        id would read `d2` matrices `[r, r]` of its own.
        """
        (_, n2, n3), (d1, d2, d3), r = self.shape_of_ids, self.shape_of_vectors, self.rank
        few = ids.shape.num_elements() or n2 * n3
        if few < n2 * n3 // 8 or n2 * n3 * d2 * r * d3 > _MOST_NUMBERS:
            return self.lookup(xp, ids, t)
        second = xp.unflatten(xp.gather(t["core_2"], xp.arange(n2)), (d2, r, r))
        third = xp.unflatten(xp.gather(t["core_3"], xp.arange(n3)), (r, d3))
        pairs = tf.reshape(tf.einsum("iqrs,jst->ijrqt", second, third), [n2 * n3, r * d2 * d3])
        rest = xp.unflatten(tf.gather(pairs, ids % (n2 * n3)), (r, d2 * d3))
        first = xp.unflatten(xp.gather(t["core_1"], ids // (n2 * n3)), (d1, r))
        vectors = xp.batch_matmul(first, rest)
        return xp.concat([vectors[..., p, :] for p in range(d1)])

    def approximate(self, table: np.ndarray, weights: np.ndarray) -> Tables:
        """TT-SVD, then weighted least squares of each core in turn."""
        (n1, n2, n3), (d1, d2, d3) = self.shape_of_ids, self.shape_of_vectors
        first, second, third = tensor_train.nearest(
            table, weights, self.shape_of_ids, self.shape_of_vectors, self.rank
        )
        return {
            "core_1": first.reshape(n1, d1 * self.rank),
            "core_2": second.reshape(n2, d2 * self.rank**2),
            "core_3": third.reshape(n3, self.rank * d3),
        }

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        return range(1, _most_rank(input_dim, output_dim) + 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rank": self.rank}


def _digits(input_dim: int) -> tuple[int, ...]:
    """Three numbers, as equal as can be, whose product is at least `input_dim`."""
    root = max(1, round(input_dim ** (1 / _CORES)))
    second = max(1, round((input_dim / root) ** 0.5))
    return -(-input_dim // (root * second)), second, root


def _factors(output_dim: int) -> tuple[int, ...]:
    """Three factors of a number, as equal as can be, the largest last."""
    found = min(
        (
            (a, b, output_dim // (a * b))
            for a in range(1, output_dim + 1)
            if output_dim % a == 0
            for b in range(a, output_dim // a + 1)
            if output_dim // a % b == 0 and output_dim // (a * b) >= b
        ),
        key=sum,
    )
    return found


def _most_rank(input_dim: int, output_dim: int) -> int:
    (n1, n2, n3), (d1, d2, d3) = _digits(input_dim), _factors(output_dim)
    first, last = min(n1 * d1, n2 * d2 * n3 * d3), min(n1 * d1 * n2 * d2, n3 * d3)
    return min(first, last, _MOST_RANK)
