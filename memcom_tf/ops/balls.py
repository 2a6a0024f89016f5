"""Arithmetic of balls: numbers that are known up to an error, with the error of what follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from memcom_tf.ops.interface import UnsupportedOpError

ROUNDING = 2.0**-23
"""Relative error of a float32 operation, with room for one more rounding inside a fused one."""
_FUNCTION = 2.0**-20
"""The same of functions that runtimes approximate, relative to the largest that they take."""


@dataclass(frozen=True)
class Ball:
    """All numbers within `radius` of `middle`, elementwise; arithmetic encloses every result.

    Attributes:
        middle: float64, of any shape.
        radius: Of a shape that is broadcast to it.
    """

    middle: np.ndarray
    radius: np.ndarray

    __array_ufunc__ = None  # so that `array * ball` asks the ball

    @property
    def radii(self) -> np.ndarray:
        """A radius for each number."""
        return np.broadcast_to(self.radius, self.middle.shape)

    def __getitem__(self, key: Any) -> Ball:
        return Ball(self.middle[key], self.radii[key])

    def __add__(self, other: Any) -> Ball:
        return self._plus(other, 1.0)

    def __sub__(self, other: Any) -> Ball:
        return self._plus(other, -1.0)

    def __rsub__(self, other: Any) -> Ball:
        return as_ball(other) - self

    def _plus(self, other: Any, sign: float) -> Ball:
        other = as_ball(other)
        rounding = ROUNDING * (np.abs(self.middle) + np.abs(other.middle))
        return Ball(self.middle + sign * other.middle, self.radius + other.radius + rounding)

    def __mul__(self, other: Any) -> Ball:
        other = as_ball(other)
        radius = (
            np.abs(self.middle) * other.radius
            + np.abs(other.middle) * self.radius
            + self.radius * other.radius
        )
        middle = self.middle * other.middle
        return Ball(middle, radius + ROUNDING * np.abs(middle))

    def __neg__(self) -> Ball:
        return Ball(-self.middle, self.radius)

    __radd__ = __add__
    __rmul__ = __mul__

    def _unknown(self, *_: Any) -> Any:
        raise UnsupportedOpError("it divides or compares numbers that are known up to an error")

    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _unknown
    __pow__ = __rpow__ = __abs__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = _unknown


def as_ball(x: Any) -> Ball:
    """A ball, or numbers that are known exactly as one."""
    return x if isinstance(x, Ball) else Ball(np.asarray(x, np.float64), np.zeros(()))


def moved(move: Callable[..., np.ndarray], *balls: Any) -> Ball:
    """What stays as it is and is put elsewhere: middles and radii alike."""
    known = [as_ball(x) for x in balls]
    return Ball(move(*[x.middle for x in known]), move(*[x.radii for x in known]))


def chosen(choose: Callable[..., np.ndarray], *balls: Any) -> Ball:
    """The larger of several, say: no farther off than the farthest of them."""
    known = [as_ball(x) for x in balls]
    middle = choose(*[x.middle for x in known])
    radii = [np.broadcast_to(x.radius, middle.shape) for x in known]
    return Ball(middle, np.maximum.reduce(radii))


def function(compute: Callable[[np.ndarray], np.ndarray], steepest: float, x: Ball) -> Ball:
    """A function that is nowhere steeper than so much."""
    middle = compute(x.middle)
    return Ball(middle, steepest * x.radius + _FUNCTION * np.maximum(np.abs(middle), 1.0))


def total(x: Ball) -> Ball:
    """Sums over the axis before the last."""
    rounding = x.middle.shape[-2] * ROUNDING * np.abs(x.middle)
    return Ball(x.middle.sum(axis=-2), (x.radii + rounding).sum(axis=-2))


def product(x: Any, y: Any) -> Ball:
    """Products of matrices `[..., n, k]` and `[..., k, d]`."""
    x, y = as_ball(x), as_ball(y)
    radius = np.abs(x.middle) @ y.radii + x.radii @ (np.abs(y.middle) + y.radii)
    terms = np.abs(x.middle) @ np.abs(y.middle)
    return Ball(x.middle @ y.middle, radius + y.middle.shape[-2] * ROUNDING * terms)
