"""What multiplying in 8 bits takes from products: runtimes round the query of an int8 kernel.

A row of queries has one scale, that of its largest value. Beside a price of 20,000 a vector of
values about 1 becomes zeros, and what the product says about it is lost. So products are computed
in both ways, on inputs of the model, and compared relative to how much they vary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import tensorflow as tf

from .frozen import FrozenFunction, Key
from .inputs import Group, ModelFunction
from .quantize import QuantizedTable
from .rounding import ROUNDED, Rounding

LARGEST_LOSS = 0.05
"""Root mean square over the outputs of a kernel, of errors relative to the spread of each."""
_MOST_OUTPUTS = 4096
_MOST_QUERIES = 2048
_LEAST_VARIATION = 1e-6


@dataclass(frozen=True)
class Loss:
    """What 8 bits take from a product.

    Attributes:
        value: Root mean square of errors, in spreads of the outputs.
        group: The inputs on which it is largest.
    """

    value: float
    group: str

    def __str__(self) -> str:
        return f"8-bit products lose {min(self.value, 1):.0%} of its spread ({self.group})"


def product_losses(
    original: FrozenFunction,
    model: ModelFunction,
    groups: Sequence[Group],
    tables: Mapping[Key, QuantizedTable],
) -> dict[Key, Loss]:
    """The loss of every product with an int8 table in a function.

    Args:
        original: The function as it was trained.
        model: The same for its inputs.
        groups: Inputs.
        tables: The tables that are multiplied in 8 bits.

    Returns:
        The largest loss of each over the groups.
    """
    sources = [(key, source) for key, source in original.products() if key in tables]
    if not sources:
        return {}
    fetched = {f"query_{place}": source for place, (_, source) in enumerate(sources)}
    queries = original.fetching(fetched).get_concrete_function()
    found: dict[Key, Loss] = {}
    for group in groups:
        runs = [
            queries(*[tf.constant(call[spec.name]) for spec in model.specs]) for call in group.calls
        ]
        for place, (key, _) in enumerate(sources):
            table = tables[key]
            parts = [np.asarray(run[f"query_{place}"]).reshape(-1, table.width) for run in runs]
            value = _loss(np.concatenate(parts), table)
            if key not in found or value > found[key].value:
                found[key] = Loss(value, group.name)
    return found


def _loss(queries: np.ndarray, table: QuantizedTable) -> float:
    queries = queries[np.isfinite(queries).all(axis=1)]
    queries = queries[_some(len(queries), _MOST_QUERIES)]
    if len(queries) < 2:
        return 0.0
    # Products of float32 queries may be larger than a float32.
    weights = table.take(_some(table.rows, _MOST_OUTPUTS)).astype(np.float64).T
    exact = queries.astype(np.float64) @ weights
    spread = exact.std(axis=0)
    varies = spread > _LEAST_VARIATION * np.abs(exact).max(axis=0)
    if not varies.any():
        return 0.0
    # An output that hardly varies has little to say.
    unit = np.maximum(spread, 0.05 * np.sqrt(np.mean(spread[varies] ** 2)))[varies]
    worst = 0.0
    for rounding in get_args(Rounding):
        if rounding != "none":
            rounded = np.asarray(ROUNDED[rounding](tf.constant(queries)), np.float64)
            errors = (rounded @ weights - exact)[:, varies] / unit
            worst = max(worst, float(np.sqrt(np.mean(errors**2))))
    return worst


def _some(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))
