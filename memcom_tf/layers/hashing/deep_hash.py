"""Deep hash embeddings: a small network over many hashes of the id, and no table at all."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from memcom_tf._keras import keras
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.hashing import UniversalHashes
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive

_VALUES = 1_000_000
"""Of a hash: as in the paper."""


@register_method
class DeepHashEmbedding(CompressedEmbedding):
    """Deep hash embeddings: `vector(i) = W_L relu(... relu(W_1 e(i) + b_1) ...) + b_L`.

    `e(i)` are `num_hashes` hashes of the id, each scaled to `[-1, 1]`. No byte is an id's own. A
    lookup costs the products of the whole network, so that it suits a few lookups for an answer,
    as of a click model: scores of a catalogue compute every vector anew, which is too much for a
    phone. The paper's network has Mish and batch normalization where this one has relu alone.

    Source: Kang et al., Learning to embed categorical features without embedding tables for
    recommendation, KDD 2021, arXiv:2010.10784.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        hidden: Width of the hidden layers.
        num_hashes: Hashes of an id.
        num_layers: Hidden layers.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a size is not positive or the vocabulary too large.

    Example:
        >>> layer = DeepHashEmbedding(1_000_000, 16, hidden=128)
        >>> layer.num_parameters == 64 * 128 + 128 + 128 * 128 + 128 + 128 * 16 + 16
        True
    """

    formula = "network(hashes of i)"
    source = "arXiv:2010.10784"
    size_argument = "hidden"
    can_grow = False
    variants = ({"num_hashes": 16},)

    def __init__(
        self,
        *args: Any,
        hidden: int,
        num_hashes: int = 64,
        num_layers: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_positive(hidden=hidden, num_hashes=num_hashes, num_layers=num_layers)
        self.hidden, self.num_hashes = int(hidden), int(num_hashes)
        self.num_layers = int(num_layers)
        self._hashes = UniversalHashes(self.input_dim, _VALUES, self.num_hashes)

    def tables(self) -> tuple[Table, ...]:
        widths = [self.num_hashes, *[self.hidden] * self.num_layers]
        tables = []
        for index, (before, after) in enumerate(pairwise(widths)):
            he = keras.initializers.HeNormal(seed=index)
            tables += [
                Table(f"kernel_{index}", before, after, initializer=he),
                Table(f"bias_{index}", 1, after, initializer="zeros"),
            ]
        # Squares of hashes are a third in the mean, and the layers keep that.
        terms = max(1, self.hidden // 3)
        return (
            *tables,
            Table("kernel_out", self.hidden, self.output_dim, terms=terms),
            Table("bias_out", 1, self.output_dim, initializer="zeros"),
        )

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        x = xp.to_float(self._hashes(ids)) * np.float32(2 / (_VALUES - 1)) - np.float32(1)
        for index in range(self.num_layers):
            x = xp.relu(xp.matmul(x, t[f"kernel_{index}"]) + xp.values(t[f"bias_{index}"])[0])
        return xp.matmul(x, t["kernel_out"]) + xp.values(t["bias_out"])[0]

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        return range(1, max(2, round((input_dim * output_dim) ** 0.5)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden": self.hidden,
            "num_hashes": self.num_hashes,
            "num_layers": self.num_layers,
        }
