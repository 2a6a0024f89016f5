"""Path-based partitions: a row by one digit of the id, changed by a small network of the other."""

from __future__ import annotations

from functools import partial
from math import isqrt
from typing import Any

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive


@register_method
class PathBasedEmbedding(CompressedEmbedding):
    """Path-based partitions: `vector(i) = W2_p relu(W1_p E[i div P] + b_p)`, `p = i mod P`.

    `E` has a row for every `num_paths` ids that follow each other, and every one of them has a
    network of its own, which it shares with all ids of the same remainder. With `hidden = 0` the
    network is linear: `vector(i) = W_p E[i div P] + b_p`. Rows of `E` may be narrower than vectors.

    Source: Shi et al., Compositional embeddings using complementary partitions, KDD 2020,
    arXiv:1909.02107, section 4.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_paths: Networks, `P`. A row of `E` is shared by so many ids.
        hidden: Width of the hidden layer; 0 leaves it out.
        inner_dim: Width of the rows of `E`; None takes `output_dim`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If `num_paths` is not in `[1, input_dim]`, or a width out of range.

    Example:
        >>> layer = PathBasedEmbedding(10_000, 64, num_paths=4, hidden=16)
        >>> layer.num_parameters == 2500 * 64 + 4 * (64 * 16 + 16 + 16 * 64)
        True
    """

    formula = "W2_p relu(W1_p E[i div P] + b_p), p = i mod P"
    source = "arXiv:1909.02107"
    variants = ({"hidden": 2}, {"hidden": 0, "inner_dim": 3})
    size_argument = "num_paths"

    def __init__(
        self,
        *args: Any,
        num_paths: int,
        hidden: int = 16,
        inner_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        inner_dim = self.output_dim if inner_dim is None else inner_dim
        check_positive(num_paths=num_paths, inner_dim=inner_dim)
        if num_paths > self.input_dim or not isinstance(hidden, int | np.integer) or hidden < 0:
            raise invalid(
                f"`num_paths` must be at most {self.input_dim}, the `input_dim`, and `hidden` "
                "an integer of 0 or more.",
                num_paths=num_paths,
                hidden=hidden,
            )
        self.num_paths, self.hidden = int(num_paths), int(hidden)
        self.inner_dim = int(inner_dim)

    def tables(self) -> tuple[Table, ...]:
        inner, width, hidden = self.inner_dim, self.output_dim, self.hidden
        rows = -(-self.input_dim // self.num_paths)
        if not hidden:
            factor = partial(Table, terms=inner, factors=2)
            return (
                factor("rows", rows, inner),
                factor("kernels", self.num_paths, inner * width),
                Table("biases", self.num_paths, width, initializer="zeros"),
            )
        # Half of what a relu lets through is 0.
        factor = partial(Table, terms=max(1, inner * hidden // 2), factors=3)
        return (
            factor("rows", rows, inner),
            factor("first_kernels", self.num_paths, inner * hidden),
            Table("biases", self.num_paths, hidden, initializer="zeros"),
            factor("second_kernels", self.num_paths, hidden * width),
        )

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        inner, width, hidden = self.inner_dim, self.output_dim, self.hidden
        path = ids % self.num_paths
        x = xp.gather(t["rows"], ids // self.num_paths)[..., None, :]
        biases = xp.gather(t["biases"], path)

        def kernels(name: str, shape: tuple[int, int]) -> Array:
            return xp.unflatten(xp.gather(t[name], path), shape)

        if not hidden:
            return xp.batch_matmul(x, kernels("kernels", (inner, width)))[..., 0, :] + biases
        x = xp.batch_matmul(x, kernels("first_kernels", (inner, hidden))) + biases[..., None, :]
        x = xp.batch_matmul(xp.relu(x), kernels("second_kernels", (hidden, width)))
        return x[..., 0, :]

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        hidden, inner = kwargs.get("hidden", 16), kwargs.get("inner_dim") or output_dim
        network = (inner + 1 + output_dim) * hidden if hidden else (inner + 1) * output_dim
        # More paths than these cost more in networks than they save in rows.
        most = max(1, isqrt(input_dim * inner // network))
        return range(min(most, input_dim), 0, -1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_paths": self.num_paths,
            "hidden": self.hidden,
            "inner_dim": self.inner_dim,
        }
