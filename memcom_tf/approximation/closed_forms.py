"""Closed forms for the tables of a method that come nearest to a given table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_ROWS_AT_A_TIME = 1 << 18


def low_rank(table: Floats, weights: Floats, rank: int) -> tuple[Floats, Floats]:
    """Factors `A` `[n, rank]` and `B` `[rank, d]` that minimise `sum_i w_i |x_i - A_i B|^2`.

    `B` are the leading eigenvectors of `sum_i w_i x_i x_i^T`, and `A = X B^T`.
    """
    covariance = np.zeros((table.shape[1],) * 2)
    for begin in range(0, len(table), _ROWS_AT_A_TIME):
        part = slice(begin, begin + _ROWS_AT_A_TIME)
        rows = table[part].astype(np.float64)
        covariance += rows.T @ (rows * weights[part, None])
    directions = np.linalg.eigh(covariance)[1][:, ::-1][:, :rank].T.astype(np.float32)
    return table @ directions.T, np.ascontiguousarray(directions)


def means(table: Floats, weights: Floats, groups: npt.NDArray[Any], count: int) -> Floats:
    """Weighted means `[count, d]` of the rows of each group; zeros for groups without weight."""
    sums = np.zeros((count, table.shape[1]), np.float64)
    in_order = np.argsort(groups, kind="stable")
    found, start = np.unique(groups[in_order], return_index=True)
    sums[found] = np.add.reduceat((table * weights[:, None])[in_order], start, axis=0)
    total = np.bincount(groups, weights, count)
    return (sums / np.where(total > 0, total, 1)[:, None]).astype(np.float32)


class Whitening:
    """A space in which lengths are those that a metric measures.

    Directions that the metric does not see count a millionth of its mean, so that there is a way
    back.

    Args:
        metric: `[d, d]`, positive semi-definite; None leaves vectors as they are.
        cut: Takes a block on its diagonal.

    Example:
        >>> space = Whitening(np.diag([4.0, 1.0]))
        >>> space.into(np.ones((1, 2), np.float32)), space.back(np.ones((1, 2), np.float32))
        (array([[2., 1.]], dtype=float32), array([[0.5, 1. ]], dtype=float32))
    """

    def __init__(self, metric: npt.NDArray[np.float64] | None, cut: slice = slice(None)) -> None:
        self._root: Floats | None = None
        if metric is None:
            return
        values, directions = np.linalg.eigh(metric[cut, cut])
        lengths = np.sqrt(np.maximum(values, 1e-6 * np.trace(metric) / len(metric)))
        self._root = ((directions * lengths) @ directions.T).astype(np.float32)
        self._inverse = ((directions / lengths) @ directions.T).astype(np.float32)

    def into(self, vectors: Floats) -> Floats:
        """Vectors `[n, d]` in that space."""
        return vectors if self._root is None else vectors @ self._root

    def back(self, vectors: Floats) -> Floats:
        """Vectors of that space as they were."""
        return vectors if self._root is None else vectors @ self._inverse


def shared_directions(
    table: Floats, weights: Floats, groups: npt.NDArray[Any], count: int
) -> tuple[Floats, Floats]:
    """Rows `u` `[count, d]` and factors `v` `[n]` that minimise `sum_i w_i |x_i - v_i u_g(i)|^2`.

    `u` of a group points along the leading eigenvector of `sum w_i x_i x_i^T` over it, and
    `v_i = x_i u / |u|^2`. It is as long as makes the mean of `v^2` over the group 1, and points to
    where most of the group's weight is.
    """
    shared = np.zeros((count, table.shape[1]), np.float32)
    factors = np.zeros(len(table), np.float32)
    in_order = np.argsort(groups, kind="stable")
    found, start, size = np.unique(groups[in_order], return_index=True, return_counts=True)
    for members in np.unique(size):  # groups of one size at once
        chosen = found[size == members]
        rows = in_order[start[size == members][:, None] + np.arange(members)]
        at_a_time = max(1, _ROWS_AT_A_TIME // int(members))
        for begin in range(0, len(chosen), at_a_time):
            part = slice(begin, begin + at_a_time)
            direction, factor = _leading(table[rows[part]], weights[rows[part]])
            shared[chosen[part]] = direction
            factors[rows[part]] = factor
    return shared, factors


def _leading(x: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """The rank-1 factors of groups `[groups, members, d]`."""
    weighted = x * np.sqrt(weights)[..., None]
    if x.shape[1] < x.shape[2]:  # eigenvectors of the smaller of the two products
        leading = np.linalg.eigh(weighted @ weighted.transpose(0, 2, 1))[1][..., -1]
        direction = np.einsum("gmd,gm->gd", weighted, leading)
    else:
        direction = np.linalg.eigh(weighted.transpose(0, 2, 1) @ weighted)[1][..., -1]
    tiny = np.finfo(np.float32).tiny
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), tiny)
    factors = np.einsum("gmd,gd->gm", x, direction)
    length = np.sqrt((factors**2).mean(axis=1, keepdims=True))
    length *= np.where((factors * weights).sum(axis=1, keepdims=True) < 0, -1, 1)
    safe = np.where(length == 0, 1, length)
    return direction * length, factors / safe
