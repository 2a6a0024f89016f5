"""Outputs of a file held against those of its model, relative to how much they vary.

An error of 0.01 is nothing in a score that goes from -5 to 5, and everything in the probability of
a click. So errors count relative to the spread of an output: the standard deviation of each of its
components over a group of inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FLOAT_TOLERANCE = 1e-3
"""Of errors: float32 rounding of a whole model, relative to the spread of an output."""
INTEGER_TOLERANCE = 5e-2
"""The same where a runtime multiplies in 8 bits, in one of the ways in which it may round."""
LARGEST_STEP = 0.008
"""Root mean square of what an output may change by where queries in 8 bits do in a last bit.

Where one lies halfway between two steps by chance it is less. More means that many do.
"""
LARGEST_LOSS = 0.2
"""Root mean square of what products in 8 bits may take of an output, relative to the spread."""
FLOAT_ROUNDING = 1e-6
"""Of float32 arithmetic, relative to the largest value of a component."""
_LEAST_VARIATION = 1e-6
"""Relative to the largest value: below it an output is constant up to rounding."""
LEAST_OF_TYPICAL = 0.25
"""Of a component's typical spread over a group, that a group counts with where it varies less."""
_LEAST_SHARE = 0.05
"""Of the typical spread, that a component counts with whose own is smaller."""


@dataclass(frozen=True)
class Spread:
    """How much an output varies.

    Attributes:
        unit: For each component of the last axis, what an error is divided by: its spread and what
            float32 rounding takes of values of its size.
        varies: Whether any component varies.
    """

    unit: np.ndarray
    varies: bool

    def beside(self, noise: np.ndarray, relative: float) -> Spread:
        """The same where outputs are known no better than up to some noise, of their shape."""
        table = noise.reshape(-1, len(self.unit))
        largest = np.where(np.isfinite(table), table, 0.0).max(axis=0, initial=0.0)
        return Spread(self.unit + largest / relative, self.varies)


def spread_of(values: np.ndarray, relative: float) -> Spread:
    """The spread of an output over a group of inputs.

    Args:
        values: Outputs, stacked along the first axis.
        relative: The tolerance that errors are compared with, relative to the unit.

    Returns:
        The spread by component of the last axis.
    """
    values = np.asarray(values, np.float64)
    table = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values.reshape(-1, 1)
    finite = np.isfinite(table)
    count = np.maximum(finite.sum(axis=0), 1)
    known = np.where(finite, table, 0.0)
    means = known.sum(axis=0) / count
    # Of magnitudes near the largest float the square would be none.
    largest = np.abs(known).max(axis=0, initial=0.0)
    scale = np.where(largest > 0, largest, 1.0)
    deviations = np.where(finite, (known - means) / scale, 0.0)
    spread = np.sqrt((deviations**2).sum(axis=0) / count) * scale
    varies = spread > _LEAST_VARIATION * largest
    typical = np.sqrt(np.mean(spread[varies] ** 2)) if varies.any() else 0.0
    if not varies.any():  # then errors count relative to the values
        spread, typical = largest, np.sqrt(np.mean(largest**2))
    least = _LEAST_SHARE * typical
    unit = np.maximum(spread, least) + largest * FLOAT_ROUNDING / relative
    return Spread(np.where(unit > 0, unit, 1.0), bool(varies.any()))


def spreads_of(groups: Sequence[np.ndarray], relative: float) -> list[Spread]:
    """The spreads of an output over groups of inputs.

    Over some groups it may hardly vary: long histories have much the same mean. There a component
    counts with a share of what is typical for it, the median of the groups over which it varies.

    Args:
        groups: Outputs for each group, as for `spread_of`.
        relative: As for `spread_of`.

    Returns:
        The spread over each group.
    """
    found = [spread_of(values, relative) for values in groups]
    same = {len(spread.unit) for spread in found}
    varying = [spread.unit for spread in found if spread.varies]
    if len(same) > 1 or not varying:
        return found
    least = LEAST_OF_TYPICAL * np.median(varying, axis=0)
    return [Spread(np.maximum(spread.unit, least), spread.varies) for spread in found]


def errors(found: np.ndarray, wanted: np.ndarray, spread: Spread) -> np.ndarray:
    """Errors in units of the spread, of the outputs' shape.

    0 where both are the same, or where the model has no number: the mean of a history that is
    masked throughout is 0 / 0. No number where the model has one is an error without bound.
    """
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.abs(found - wanted)
    gap = np.where((found == wanted) | np.isnan(wanted), 0.0, np.where(np.isnan(gap), np.inf, gap))
    if gap.ndim <= 1:
        return np.asarray(gap / spread.unit[0])
    return np.asarray(gap / spread.unit)
