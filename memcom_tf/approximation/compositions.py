"""Closed forms for tables whose rows are combined, one of each table for an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from memcom_tf.approximation.closed_forms import Floats, means

Operation = Literal["mult", "add", "concat"]
OPERATIONS: tuple[str, ...] = get_args(Operation)
"""How rows make a vector: the elementwise product, the sum, or one after the other."""

_ITERATIONS = 100
_ENOUGH = 1e-9
"""Of the squared length: what moves by less has come to its end."""


def widths_of(operation: str, count: int, output_dim: int) -> list[int]:
    """Widths of the rows of `count` tables that make vectors of a width.

    Example:
        >>> widths_of("concat", 3, 16), widths_of("add", 3, 16)
        ([6, 5, 5], [16, 16, 16])
    """
    if operation != "concat":
        return [output_dim] * count
    return [(output_dim + count - 1 - index) // count for index in range(count)]


def combined(operation: str, parts: Sequence[Any], concat: Any) -> Any:
    """The vectors that rows of each table make."""
    if operation == "concat":
        return concat(list(parts))
    result = parts[0]
    for part in parts[1:]:
        result = result + part if operation == "add" else result * part
    return result


def nearest(
    table: Floats,
    weights: Floats,
    rows: Mapping[str, npt.NDArray[Any]],
    counts: Mapping[str, int],
    operation: str,
) -> dict[str, Floats]:
    """Tables whose combined rows come near to the rows of a table, in least squares.

    Sums are solved for by conjugate gradients. Of products each table is solved for in turn, the
    others fixed: a ratio of two weighted means.

    Args:
        table: `[n, d]`.
        weights: `[n]` what the error of a row counts.
        rows: By the name of a table, which of its rows each of the `n` reads; the first is solved
            for first.
        counts: Rows of the tables.
        operation: How rows are combined; for "concat" in the order of `rows`.

    Returns:
        The tables by name.
    """
    if operation == "concat":
        cuts = np.cumsum(widths_of(operation, len(rows), table.shape[1]))[:-1]
        return {
            name: means(part, weights, rows[name], counts[name])
            for name, part in zip(rows, np.split(table, cuts, axis=1), strict=True)
        }
    if operation == "add":
        return _nearest_sums(table, weights, rows, counts)
    first, *others = rows
    width = table.shape[1]
    # Ones could be orthogonal to the solution.
    found = {name: _strongest(table, weights, rows, counts, name) for name in others}
    found[first] = np.zeros((counts[first], width), np.float32)
    before = None
    for _ in range(_ITERATIONS):
        for name in (first, *others):
            rest_of = np.prod([found[of][rows[of]] for of in rows if of != name], axis=0)
            of = rows[name], counts[name]
            products = means(table * rest_of, weights, *of)
            squares = means(rest_of**2, weights, *of)
            found[name] = (products / np.maximum(squares, 1e-30)).astype(np.float32)
        now = combined(operation, [found[name][rows[name]] for name in rows], np.concatenate)
        if before is not None and ((now - before) ** 2).sum() <= _ENOUGH * (now**2).sum():
            break
        before = now
    return found


def _nearest_sums(
    table: Floats,
    weights: Floats,
    rows: Mapping[str, npt.NDArray[Any]],
    counts: Mapping[str, int],
) -> dict[str, Floats]:
    """Conjugate gradients on the normal equations, each row scaled by its weight.

    Source: Hestenes and Stiefel, Methods of conjugate gradients for solving linear systems, 1952.
    """
    totals = {name: np.bincount(rows[name], weights, counts[name])[:, None] for name in rows}

    def means_of(x: Floats) -> dict[str, Floats]:
        """Of each table the weighted means of what its rows are read for."""
        return {name: means(x, weights, rows[name], counts[name]) for name in rows}

    def product(one: dict[str, Floats], other: dict[str, Floats]) -> npt.NDArray[np.float64]:
        return sum((totals[name] * one[name] * other[name]).sum(axis=0) for name in rows)

    def moved(start: dict[str, Floats], step: Any, by: dict[str, Floats]) -> dict[str, Floats]:
        return {name: (start[name] + step * by[name]).astype(np.float32) for name in rows}

    found = {name: np.zeros((counts[name], table.shape[1]), np.float32) for name in rows}
    left = means_of(table)
    direction, length = left, product(left, left)
    enough = _ENOUGH * length.sum()
    for _ in range(_ITERATIONS):
        if length.sum() <= enough:
            break
        image = means_of(sum(direction[name][rows[name]] for name in rows))
        step = length / np.maximum(product(direction, image), 1e-30)
        found, left = moved(found, step, direction), moved(left, -step, image)
        length, before = product(left, left), length
        direction = moved(left, length / np.maximum(before, 1e-30), direction)
    return found


def _strongest(
    table: Floats,
    weights: Floats,
    rows: Mapping[str, npt.NDArray[Any]],
    counts: Mapping[str, int],
    name: str,
) -> Floats:
    """Rows of one table for a product, where all else is fixed at what has the most energy.

    It is chosen for each column: the values of the ids that differ in this table's row alone.
    """
    key = np.zeros(len(table), np.int64)
    for other in rows:
        if other != name:
            key = key * counts[other] + rows[other]
    _, key = np.unique(key, return_inverse=True)
    size = int(key.max()) + 1
    energies = means(table**2, weights, key, size) * np.bincount(key, weights, size)[:, None]
    strongest = energies.argmax(axis=0)
    result = np.zeros((counts[name], table.shape[1]), np.float32)
    for chosen in np.unique(strongest):
        ids, columns = np.flatnonzero(key == chosen), np.flatnonzero(strongest == chosen)
        result[np.ix_(rows[name][ids], columns)] = table[np.ix_(ids, columns)]
    return result
