"""Bounds of what quantization changes, derived by running `lookup` on balls instead of numbers."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from memcom_tf.ops import balls
from memcom_tf.ops.balls import ROUNDING, Ball
from memcom_tf.ops.operations import Version

from .fold import ShippedEmbedding
from .quantize import QuantizedTable

_OF_FOLDS = "only a fold uses it"
_NOT_READ = {"abs_max": _OF_FOLDS, "extremes": "it orders numbers that are known up to an error"}


class BallOps(Version, arrays="ball", lacks=_NOT_READ):
    """`memcom_tf.ops.interface.Ops` over quantized tables, as balls around what they hold."""

    def gather(self, table: Any, rows: np.ndarray) -> Any:
        if not isinstance(table, QuantizedTable):  # computed on the way
            return table[rows]
        if table.holds_integers:  # exact
            return table.take(rows).astype(np.int64)
        radius = table.radius[rows % len(table.radius)]
        middle = table.take(rows).astype(np.float64)
        return Ball(middle, radius + ROUNDING * np.abs(middle))

    def column(self, table: QuantizedTable, index: int) -> np.ndarray:
        return table.take(np.arange(table.rows))[:, index].astype(np.int64)

    def values(self, table: QuantizedTable) -> Ball:
        return cast(Ball, self.gather(table, np.arange(table.rows)))

    def matmul(self, x: Any, table: QuantizedTable) -> Ball:
        return balls.product(x, self._stored(table))

    def scores(self, query: Any, table: QuantizedTable) -> Ball:
        stored = self._stored(table)
        return balls.product(query, Ball(stored.middle.T, stored.radii.T))

    @staticmethod
    def _stored(table: Any) -> Ball:
        """The rows as products take them, which scale what comes out."""
        if not isinstance(table, QuantizedTable):  # computed on the way
            return balls.as_ball(table)
        radius = table.radius[np.arange(table.rows) % len(table.radius)]
        return Ball(table.dequantized().astype(np.float64), radius)


class _TrainedBallOps(BallOps):
    """The same over trained tables, which are exact: what is left is the rounding of float32."""

    def gather(self, table: Any, rows: np.ndarray) -> Any:
        values = table[rows]
        return balls.as_ball(values) if values.dtype.kind == "f" else values.astype(np.int64)

    def column(self, table: Any, index: int) -> np.ndarray:
        return table[:, index].astype(np.int64)

    def values(self, table: Any) -> Ball:
        return balls.as_ball(table)


def embedding_ball(shipped: ShippedEmbedding, ids: np.ndarray) -> Ball:
    """Where the trained vectors of ids must lie, given the stored tables.

    Args:
        shipped: The folded and quantized embedding.
        ids: Integer ids `[n]`.

    Returns:
        A ball around the stored vectors `[n, output_dim]` that holds the trained ones: half a
        quantization step of every table carried through `lookup`, plus the float32 rounding of
        the file, of the fold and of training, whose sums need not have the same order.

    Raises:
        UnsupportedOpError: If `lookup` does what balls do not; says what.
    """
    stored: Ball = shipped.layer.lookup(BallOps(), ids, shipped.tables)
    if shipped.trained.computes_as_stored:
        return stored
    trained = shipped.trained
    exact = balls.as_ball(trained.lookup(_TrainedBallOps(), ids, trained.table_values()))
    return Ball(stored.middle, stored.radius + 2 * exact.radii)
