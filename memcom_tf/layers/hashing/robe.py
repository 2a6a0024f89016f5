"""ROBE: every chunk of a vector is a hashed piece of one shared array, with a hashed sign."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.hashing import UniversalHash
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive

_CHUNK = 8


@register_method
class ROBEEmbedding(CompressedEmbedding):
    """Random offset block embedding: `vector(i) = concat_c s_c(i) A[h_c(i)]`.

    One array `A` of `num_chunks` pieces of `chunk_size` numbers serves every id. Each part of a
    vector is the piece that a hash function of that part chooses, times a hashed sign. No byte is
    an id's own. Pieces begin at multiples of their size, where the paper's may begin anywhere.

    Source: Desai et al., Random offset block embedding array (ROBE) for CriteoTB benchmark MLPerf
    DLRM model, MLSys 2022, arXiv:2108.02191.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_chunks: Pieces of the shared array.
        chunk_size: Numbers of a piece, a divisor of `output_dim`; None takes 8, or the largest
            divisor that 8 has, too.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a size is not positive, `chunk_size` no divisor of `output_dim`, or the
            vocabulary too large.

    Example:
        >>> layer = ROBEEmbedding(10_000, 64, num_chunks=1000)
        >>> layer.num_parameters, round(layer.compression_ratio)
        (8000, 80)
    """

    formula = "concat_c s_c(i) A[h_c(i)]"
    source = "arXiv:2108.02191"
    size_argument = "num_chunks"
    can_grow = False

    def __init__(
        self, *args: Any, num_chunks: int, chunk_size: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if chunk_size is None:
            chunk_size = gcd(self.output_dim, _CHUNK)
        check_positive(num_chunks=num_chunks, chunk_size=chunk_size)
        if self.output_dim % chunk_size:
            raise invalid(
                "`chunk_size` must be a divisor of `output_dim`.",
                chunk_size=chunk_size,
                output_dim=self.output_dim,
            )
        self.num_chunks, self.chunk_size = int(num_chunks), int(chunk_size)
        parts = self.output_dim // self.chunk_size
        self._chunks = [UniversalHash(self.input_dim, self.num_chunks, k) for k in range(parts)]
        self._signs = [UniversalHash(self.input_dim, 2, parts + k) for k in range(parts)]

    def tables(self) -> tuple[Table, ...]:
        return (
            Table("array", self.num_chunks, self.chunk_size, storage="int8_per_table"),
            Table.of_constants("signs", 2, 1, initializer=_signs),
        )

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        return xp.concat([
            xp.gather(t["array"], chunk(ids)) * xp.gather(t["signs"], sign(ids))
            for chunk, sign in zip(self._chunks, self._signs, strict=True)
        ])  # fmt: skip

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        ids = xp.arange(self.input_dim)
        signs = xp.reshape(xp.values(t["signs"]), (1, -1))
        scores = []
        for index, (chunk, sign) in enumerate(zip(self._chunks, self._signs, strict=True)):
            part = query[:, index * self.chunk_size : (index + 1) * self.chunk_size]
            found = xp.gather_columns(xp.scores(part, t["array"]), chunk(ids))
            scores.append(found * xp.gather_columns(signs, sign(ids)))
        return sum(scores[1:], start=scores[0])

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        chunk = kwargs.get("chunk_size") or gcd(output_dim, _CHUNK)
        return range(1, input_dim * output_dim // chunk + 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_chunks": self.num_chunks,
            "chunk_size": self.chunk_size,
        }


def _signs(shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
    return tf.constant(np.reshape([-1.0, 1.0], shape), dtype or "float32")
