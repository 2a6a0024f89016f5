"""What multiplying in 8 bits takes from products: runtimes round the query of an int8 kernel.

A row of queries has one scale, that of its largest value. Beside a price of 20,000 a vector of
values about 1 becomes zeros, and what the product says about it is lost. So products are computed
in both ways, on inputs of the model, and compared relative to how much they vary: each by itself,
and the outputs of the model with all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ..inputs import Group, ModelFunction
from ..quantization.quantize import QuantizedTable
from ..tracing.frozen import FrozenFunction
from ..tracing.rounding import ROUNDINGS, rounded
from .references import Reference, Values
from .spread import INTEGER_TOLERANCE, LARGEST_LOSS, LARGEST_STEP, Spread, errors, spreads_of

LARGEST_PRODUCT_LOSS = 0.03
"""Root mean square over the outputs of a kernel, of errors relative to the spread of each."""
LARGEST_INTEGER_LOSS = 0.05
"""The same of a kernel that is multiplied in floats: if its integers take more, it stays floats."""
_MARGIN = 0.9
"""Of what the proof allows on the runtime, which is not computed to the last bit here."""
_LARGEST_ERROR = 1e150
"""Of which the square is a float."""
_MOST_OUTPUTS = 4096
_MOST_QUERIES = 2048


@dataclass(frozen=True)
class Loss:
    """What 8 bits take from a product.

    Attributes:
        value: Root mean square of errors, in spreads of the outputs.
        group: The inputs on which it is largest.
        of_integers: The same of products in floats with the integers, on whichever inputs that is
            largest: what storing the table in 8 bits takes by itself.
    """

    value: float
    group: str
    of_integers: float = 0.0

    def __str__(self) -> str:
        return f"8-bit products lose {_share(self.value)} of its spread ({self.group})"


class Product(NamedTuple):
    """A product with a table that is multiplied in 8 bits.

    Attributes:
        name: Of the table.
        table: The table.
        queries: The tensor of the queries.
        trained: The values of a kernel before they were integers; None of tables of vectors.
    """

    name: str
    table: QuantizedTable
    queries: str
    trained: np.ndarray | None = None


def product_losses(
    function: FrozenFunction,
    model: ModelFunction,
    groups: Sequence[Group],
    products: Sequence[Product],
) -> dict[str, Loss]:
    """The loss of every product with an int8 table in a function.

    Args:
        function: The function in which the queries are, over floats.
        model: The same for its inputs.
        groups: Inputs.
        products: The products.

    Returns:
        The largest loss of each table over the groups.
    """
    found: dict[str, Loss] = {}
    if not products:
        return found
    fetched = {product.queries: product.queries for product in products}
    queries = function.fetching(fetched).get_concrete_function()
    runs = [
        [queries(*[tf.constant(call[spec.name]) for spec in model.specs]) for call in group.calls]
        for group in groups
    ]
    for name, table, tensor, trained in products:
        parts = [
            _rows([np.asarray(run[tensor]) for run in of_group], table.width) for of_group in runs
        ]
        of_integers = 0.0 if trained is None else _of_integers(parts, table, trained)
        for group, value in zip(groups, _losses(parts, table), strict=True):
            if name not in found or value > found[name].value:
                found[name] = Loss(value, group.name, of_integers)
    return found


def _rows(queries: Sequence[np.ndarray], width: int) -> np.ndarray:
    """Some of the queries of a group, `[n, width]`."""
    rows = np.concatenate([part.reshape(-1, width) for part in queries])
    rows = rows[np.isfinite(rows).all(axis=1)]
    return rows[_some(len(rows), _MOST_QUERIES)]


def _losses(groups: Sequence[np.ndarray], table: QuantizedTable) -> list[float]:
    """For each group of queries the root mean square of errors, in spreads of the outputs."""
    # Products of float32 queries may be larger than a float32.
    weights = table.take(_some(table.rows, _MOST_OUTPUTS)).astype(np.float64).T
    exact = [queries.astype(np.float64) @ weights for queries in groups]
    units = spreads_of(exact, LARGEST_PRODUCT_LOSS)
    found = []
    for queries, products, unit in zip(groups, exact, units, strict=True):
        worst = 0.0
        for rounding in ROUNDINGS[1:] if unit.varies and len(queries) else ():
            in_8_bits = np.asarray(rounded(tf.constant(queries), rounding), np.float64)
            gaps = (in_8_bits @ weights - products) / unit.unit
            worst = max(worst, float(np.sqrt(np.mean(gaps**2))))
        found.append(worst)
    return found


def _of_integers(groups: Sequence[np.ndarray], table: QuantizedTable, trained: np.ndarray) -> float:
    """What integers take of products with a kernel, in spreads of its outputs; the largest."""
    rows = _some(table.rows, _MOST_OUTPUTS)
    wanted = trained[rows].astype(np.float64).T
    lost = table.take(rows).astype(np.float64).T - wanted
    units = spreads_of([queries.astype(np.float64) @ wanted for queries in groups], LARGEST_LOSS)
    found = [
        float(np.sqrt(np.mean((queries.astype(np.float64) @ lost / unit.unit) ** 2)))
        for queries, unit in zip(groups, units, strict=True)
        if unit.varies and len(queries)
    ]
    return max(found, default=0.0)


def _some(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def fault_of_outputs(reference: Reference, groups: Sequence[Group]) -> str | None:
    """What all 8-bit products of a function together do to its outputs that they must not.

    Integers are judged by the scores that decide them.

    Args:
        reference: The function over the file's own values.
        groups: Inputs.

    Returns:
        A sentence; None where all outputs lose little, and no more in a runtime that computes
        queries otherwise in their last bit: rows of 4 bits may lie halfway between the steps.
    """
    exact = [reference.outputs(group) for group in groups]
    noises = [reference.noise(group, wanted) for group, wanted in zip(groups, exact, strict=True)]
    judged = dict(_judged(reference, exact[0]))
    units: dict[str, list[Spread]] = {}
    for name in judged:
        of_name = spreads_of([wanted[name] for wanted in exact], INTEGER_TOLERANCE)
        units[name] = [
            unit.beside(noise[name], INTEGER_TOLERANCE) if name in noise else unit
            for unit, noise in zip(of_name, noises, strict=True)
        ]
    for rounding in ROUNDINGS[1:]:
        in_8_bits = reference.rounded(rounding)
        for place, group in enumerate(groups):
            found, changed = in_8_bits.outputs(group), in_8_bits.changed_outputs(group)
            for name, label in judged.items():
                values = exact[place][name], found[name], changed[name]
                if fault := _fault(*values, units[name][place]):
                    return f"{fault} of the spread of {label} ({group.name})"
    return None


def _judged(reference: Reference, outputs: Values) -> Iterator[tuple[str, str]]:
    """Tensors of floats, and what they are to the reader."""
    for name in reference.frozen.outputs:
        if outputs[name].dtype.kind == "f":
            yield name, name
        elif name in reference.decisions:
            for tensor in reference.decisions[name].sources:
                yield tensor, f"the scores behind {name}"


def _fault(exact: np.ndarray, found: np.ndarray, changed: np.ndarray, unit: Spread) -> str | None:
    """What is wrong with an output in 8 bits, and where queries change in their last bit."""
    if not exact.size or not unit.varies:
        return None
    if (lost := _root_mean_square(errors(found, exact, unit))) > _MARGIN * LARGEST_LOSS:
        return f"8-bit products lose {_share(lost)}"
    if (step := _root_mean_square(errors(changed, found, unit))) > LARGEST_STEP:
        return f"8-bit products turn a last bit into {_share(step)}"
    return None


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.minimum(values, _LARGEST_ERROR) ** 2)))


def _share(value: float) -> str:
    return f"{min(value, 1):.0%}"
