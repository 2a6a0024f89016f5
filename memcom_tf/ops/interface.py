"""What a method may use to compute: the namespace `xp` that `lookup` and `lookup_scores` get."""

from __future__ import annotations

from typing import Any

from memcom_tf.tables import TableValue

Array = Any
"""A tensor, an array or whatever else an implementation of `Ops` computes with."""


LOWEST = -3.0e38
"""Below every score, and finite, so that it survives a multiplication by 0."""


class UnsupportedOpError(TypeError):
    """A version of `Ops` lacks an operation. Training then falls back, and a proof measures."""


class Ops:
    """The operations beside `+ - * // %`, slicing and `None`-indexing that methods use.

    A table is opaque to a method: it is read by the operations that take a `table`, so that the
    same lines run over float variables, arrays and int8 tables. The others compute with what was
    read; `memcom_tf.ops.operations` has them in all versions.
    """

    def gather(self, table: TableValue, rows: Array) -> Array:
        """Rows of a table: `[n, d]` at `rows` of any shape gives `rows.shape + [d]`.

        Of a table of codes they are int32, to gather by in turn.
        """

    def column(self, table: TableValue, index: int) -> Array:
        """A column `[n]` of a table of codes, as int32."""

    def values(self, table: TableValue) -> Array:
        """Every row of a table, as values to compute with; for narrow tables only."""

    def matmul(self, x: Array, table: TableValue) -> Array:
        """`x @ table`: `[..., r]` and `[r, d]` give `[..., d]`."""

    def scores(self, query: Array, table: TableValue) -> Array:
        """`query @ table^T`: `[..., d]` and `[n, d]` give `[..., n]`, also of computed rows."""

    def abs_max(self, table: TableValue, axis: int) -> Array:
        """Largest magnitudes along an axis of a table, which stays, with length 1.

        1 where all is 0, and a constant to gradients: for factors that cancel in a fold.
        """

    def extremes(self, table: TableValue, num_buckets: int, first: int = 0) -> tuple[Array, Array]:
        """Smallest and largest value `[m]` of a table `[n, 1]`, by `(i - first) mod m` of its rows.

        The rows before `first` do not count.
        """
        raise UnsupportedOpError("it uses extremes")

    def sum(self, x: Array) -> Array:
        """Sums over the axis before the last: `[..., k, d]` gives `[..., d]`."""

    def concat(self, parts: list[Array]) -> Array:
        """Joins along the last axis."""

    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        """Reshapes, one dimension may be -1."""

    def tile(self, x: Array, count: int) -> Array:
        """Repeats `[b, n]` along the last axis to `[b, count * n]`."""

    def unflatten(self, x: Array, shape: tuple[int, ...]) -> Array:
        """Gives the last axis a shape: `[..., n]` gives `[..., *shape]`."""

    def gather_columns(self, x: Array, columns: Array) -> Array:
        """Columns of `x`: `[b, n]` at `columns [v]` gives `[b, v]`."""

    def batch_matmul(self, x: Array, y: Array) -> Array:
        """Products of matrices: `[..., n, k]` and `[..., k, d]` give `[..., n, d]`."""

    def minimum(self, x: Array, limit: int) -> Array:
        """The smaller of each element and `limit`."""

    def arange(self, n: int) -> Array:
        """The int32 ids `0 ... n - 1`."""

    def maximum(self, x: Array, y: Array) -> Array:
        """The larger of two elements, elementwise."""

    def where(self, condition: Array, x: Array, y: Array | float) -> Array:
        """`x` where the condition holds, else `y`, which may be a number."""

    def top_k(self, x: Array, k: int) -> Array:
        """Positions `[k]` of the `k` largest of `x [n]`, by falling value."""

    def argmin(self, x: Array) -> Array:
        """Position of the smallest along the last axis, as int32: `[..., n]` gives `[...]`."""

    def to_float(self, x: Array) -> Array:
        """Integers as float32."""

    def to_int32(self, x: Array) -> Array:
        """Integers of any type as int32, such as ids beside integers of a table."""

    def stop_gradient(self, x: Array) -> Array:
        """The same, a constant to gradients."""

    def relu(self, x: Array) -> Array:
        """`max(x, 0)`."""

    def sigmoid(self, x: Array) -> Array:
        """`1 / (1 + exp(-x))`."""

    def softplus(self, x: Array) -> Array:
        """`log(1 + exp(x))`."""

    def tanh(self, x: Array) -> Array:
        """The hyperbolic tangent."""
