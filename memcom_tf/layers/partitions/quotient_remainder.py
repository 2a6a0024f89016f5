"""Quotient-remainder: two small tables, indexed by the two digits of the id."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np

from memcom_tf.approximation import compositions
from memcom_tf.approximation.compositions import OPERATIONS
from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import RowSharing, Table, Tables


@register_method
class QuotientRemainderEmbedding(CompressedEmbedding):
    """Complementary partitions: `vector(i) = R[i mod m] op Q[i div m]`.

    `R` has `num_buckets` rows and `Q` has `ceil(input_dim / num_buckets)`; both use the same `m`,
    so that no two ids share both rows. `op` is the elementwise product, the sum, or the
    concatenation of two halves. The operation happens before pooling.

    With `own_dim = k` the first `k` numbers of a vector are the id's own, and the rest is made as
    above: `vector(i) = [O[i], R[i mod m] op Q[i div m]]`. Where several fields interact, one number
    of its own tells an id from those that it shares rows with.

    Source: Shi et al., Compositional embeddings using complementary partitions, KDD 2020,
    arXiv:1909.02107; `own_dim` is of this package.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_buckets: Rows of the remainder table, `m`.
        operation: "mult", "add" or "concat".
        own_dim: Numbers of a vector that each id has of its own, `k`.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If `num_buckets` is not in `[1, input_dim]`, the operation unknown, or
            `own_dim` leaves no width to be shared.

    Example:
        >>> layer = QuotientRemainderEmbedding(10_000, 64, num_buckets=100, operation="add")
        >>> layer.num_parameters == (100 + 100) * 64
        True
    """

    formula = "R[i mod m] op Q[i div m]"
    source = "arXiv:1909.02107"
    variants = (
        *({"operation": operation} for operation in OPERATIONS),
        {"operation": "add", "own_dim": 1},
    )
    size_argument = "num_buckets"
    sharing: RowSharing

    def __init__(
        self,
        *args: Any,
        num_buckets: int,
        operation: str = "mult",
        own_dim: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.sharing = RowSharing(num_buckets).of_ids(self.input_dim)
        if operation not in OPERATIONS:
            raise invalid(f"`operation` must be one of {OPERATIONS}.", operation=operation)
        least = 2 if operation == "concat" else 1
        if own_dim < 0 or self.output_dim - own_dim < least:
            raise invalid(
                f"`own_dim` must be 0 or more, and leave {least} or more of `output_dim` to "
                f"{operation!r}.",
                own_dim=own_dim,
                output_dim=self.output_dim,
            )
        self.operation = operation
        self.own_dim = int(own_dim)

    @property
    def num_buckets(self) -> int:
        """Rows of the remainder table, which ids share."""
        return self.sharing.num_buckets

    @property
    def num_quotients(self) -> int:
        """Rows of the quotient table."""
        return -(-self.input_dim // self.num_buckets)

    @property
    def _widths(self) -> tuple[int, int]:
        """Of a remainder's and of a quotient's row."""
        shared = self.output_dim - self.own_dim
        if self.operation == "concat":
            return shared - shared // 2, shared // 2
        return shared, shared

    def tables(self) -> tuple[Table, ...]:
        widths = self._widths
        terms = 2 if self.operation == "add" else 1
        factors = 2 if self.operation == "mult" else 1
        # Of narrow rows a scale each would take more than the numbers.
        storage = "int8_per_row" if self.own_dim > 4 else "int8_per_table"
        own = Table("own", self.input_dim, self.own_dim, storage=storage) if self.own_dim else None
        return (
            *([own] if own else []),
            Table("remainder", self.num_buckets, widths[0], terms=terms, factors=factors),
            Table("quotient", self.num_quotients, widths[1], terms=terms, factors=factors),
        )

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        remainder = xp.gather(t["remainder"], ids % self.num_buckets)
        quotient = xp.gather(t["quotient"], ids // self.num_buckets)
        own = [xp.gather(t["own"], ids)] if self.own_dim else []
        if self.operation == "concat":
            return xp.concat([*own, remainder, quotient])
        shared = remainder + quotient if self.operation == "add" else remainder * quotient
        return xp.concat([*own, shared]) if own else shared

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        if not self.own_dim:
            return self._shared_scores(xp, query, t)
        of_own = xp.scores(query[:, : self.own_dim], t["own"])
        return of_own + self._shared_scores(xp, query[:, self.own_dim :], t)

    def _shared_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        if self.operation == "mult":
            quotients = xp.gather(t["quotient"], xp.arange(self.num_quotients))
            scores = xp.scores(query[:, None, :] * quotients[None, :, :], t["remainder"])
        else:
            for_remainder, for_quotient = query, query
            if self.operation == "concat":
                half = self._widths[0]
                for_remainder, for_quotient = query[:, :half], query[:, half:]
            scores = (
                xp.scores(for_quotient, t["quotient"])[:, :, None]
                + xp.scores(for_remainder, t["remainder"])[:, None, :]
            )
        return xp.reshape(scores, (-1, self.num_quotients * self.num_buckets))[:, : self.input_dim]

    def approximate(self, table: np.ndarray, weights: np.ndarray) -> Tables:
        """Alternating least squares, in which each step is a weighted mean or a ratio of two."""
        ids = np.arange(self.input_dim)
        remainders, quotients = ids % self.num_buckets, ids // self.num_buckets
        rows = {"quotient": quotients, "remainder": remainders}
        if self.operation == "concat":  # in the order of the halves
            rows = {"remainder": remainders, "quotient": quotients}
        counts = {"remainder": self.num_buckets, "quotient": self.num_quotients}
        part = table[:, self.own_dim :]
        shared = compositions.nearest(part, weights, rows, counts, self.operation)
        return {"own": table[:, : self.own_dim], **shared} if self.own_dim else shared

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        return range(max(1, isqrt(input_dim)), input_dim + 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_buckets": self.num_buckets,
            "operation": self.operation,
            "own_dim": self.own_dim,
        }
