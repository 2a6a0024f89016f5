"""Bounds of what quantization changes, derived by running `lookup` on balls instead of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from memcom_tf.ops.interface import Ops

from .fold import ShippedEmbedding
from .quantize import QuantizedTable

_ROUNDING = 2.0**-23
"""Relative error of a float32 operation, with room for one more rounding inside a fused one."""


@dataclass(frozen=True)
class Ball:
    """All numbers within `radius` of `middle`, elementwise; arithmetic encloses every result."""

    middle: np.ndarray
    radius: np.ndarray

    __array_ufunc__ = None  # so that `array * ball` asks the ball

    def __getitem__(self, key: Any) -> Ball:
        return Ball(self.middle[key], np.broadcast_to(self.radius, self.middle.shape)[key])

    def __add__(self, other: Any) -> Ball:
        other = _ball(other)
        rounding = _ROUNDING * (np.abs(self.middle) + np.abs(other.middle))
        return Ball(self.middle + other.middle, self.radius + other.radius + rounding)

    def __mul__(self, other: Any) -> Ball:
        other = _ball(other)
        radius = (
            np.abs(self.middle) * other.radius
            + np.abs(other.middle) * self.radius
            + self.radius * other.radius
        )
        middle = self.middle * other.middle
        return Ball(middle, radius + _ROUNDING * np.abs(middle))

    __radd__ = __add__
    __rmul__ = __mul__


def _ball(x: Any) -> Ball:
    return x if isinstance(x, Ball) else Ball(np.asarray(x, np.float64), np.zeros(()))


class BallOps:
    """`memcom_tf.ops.interface.Ops` over quantized tables, as far as `lookup` needs it."""

    def gather(self, table: QuantizedTable, rows: np.ndarray) -> Any:
        if table.holds_codes:  # exact
            return table.take(rows).astype(np.int64)
        radius = table.radius[rows % len(table.radius)]
        middle = table.take(rows).astype(np.float64)
        return Ball(middle, radius + _ROUNDING * np.abs(middle))

    def matmul(self, x: Ball, table: QuantizedTable) -> Ball:
        values = table.dequantized().astype(np.float64)
        radii = table.radius[np.arange(table.rows) % len(table.radius)]
        radii = np.broadcast_to(radii, values.shape)
        x_radius = np.broadcast_to(x.radius, x.middle.shape)
        radius = np.abs(x.middle) @ radii + x_radius @ (np.abs(values) + radii)
        terms = np.abs(x.middle) @ np.abs(values)
        return Ball(x.middle @ values, radius + len(values) * _ROUNDING * terms)

    def sum(self, x: Ball) -> Ball:
        radius = np.broadcast_to(x.radius, x.middle.shape)
        rounding = x.middle.shape[-2] * _ROUNDING * np.abs(x.middle)
        return Ball(x.middle.sum(axis=-2), (radius + rounding).sum(axis=-2))

    def concat(self, parts: list[Ball]) -> Ball:
        radii = [np.broadcast_to(part.radius, part.middle.shape) for part in parts]
        middles = [part.middle for part in parts]
        return Ball(np.concatenate(middles, axis=-1), np.concatenate(radii, axis=-1))

    def minimum(self, x: np.ndarray, limit: int) -> np.ndarray:
        return np.minimum(x, limit)


def embedding_ball(shipped: ShippedEmbedding, ids: np.ndarray) -> Ball:
    """Where the trained vectors of ids must lie, given the stored tables.

    Args:
        shipped: The folded and quantized embedding.
        ids: Integer ids `[n]`.

    Returns:
        A ball around the stored vectors `[n, output_dim]` that holds the trained ones: half a
        quantization step of every table carried through `lookup`, plus the float32 rounding.
    """
    # `lookup` uses the part of `Ops` that balls have.
    return shipped.layer.lookup(cast(Ops, BallOps()), ids, shipped.tables)
