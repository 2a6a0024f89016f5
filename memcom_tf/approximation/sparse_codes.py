"""A dictionary of atoms, and the few of them that come nearest to each row of a table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from memcom_tf.approximation.closed_forms import Floats

_ITERATIONS = 10
_ROWS_AT_A_TIME = 1 << 14
_RIDGE = 1e-6


def learn_dictionary(
    table: Floats, weights: Floats, num_atoms: int, num_nonzero: int, seed: int = 0
) -> Floats:
    """Atoms `[num_atoms, d]` of which a few make each row, by the method of optimal directions.

    Codes by `orthogonal_matching_pursuit`, and the least squares solution for the atoms, in turns.
    An atom that no row uses becomes the row that is made worst.

    Source: Engan et al., Method of optimal directions for frame design, ICASSP 1999.
    """
    rng = np.random.default_rng(seed)
    lengths = np.linalg.norm(table, axis=1)
    likely = weights * lengths
    count = min(num_atoms, int((likely > 0).sum()))
    atoms = rng.normal(size=(num_atoms, table.shape[1])).astype(np.float32)
    if count:
        atoms[:count] = table[rng.choice(len(table), count, replace=False, p=likely / likely.sum())]
    for _ in range(_ITERATIONS):
        atoms = _unit(atoms)
        normal = np.zeros((num_atoms, num_atoms))
        right = np.zeros((num_atoms, table.shape[1]))
        errors = np.zeros(len(table))
        for part in _parts(len(table)):
            chosen, factors = orthogonal_matching_pursuit(table[part], atoms, num_nonzero)
            sparse = np.zeros((len(chosen), num_atoms), np.float32)
            np.put_along_axis(sparse, chosen, factors, axis=1)
            weighted = sparse * weights[part, None]
            normal += weighted.T @ sparse
            right += weighted.T @ table[part]
            errors[part] = weights[part] * ((table[part] - sparse @ atoms) ** 2).sum(axis=1)
        used = np.diagonal(normal) > 0
        ridge = _RIDGE * np.trace(normal) / num_atoms + 1e-30
        atoms = np.linalg.solve(normal + ridge * np.eye(num_atoms), right).astype(np.float32)
        worst = np.argsort(-errors, kind="stable")[: int((~used).sum())]
        atoms[np.flatnonzero(~used)[: len(worst)]] = table[worst]
    return _unit(atoms)


def orthogonal_matching_pursuit(
    table: Floats, atoms: Floats, num_nonzero: int
) -> tuple[npt.NDArray[np.int64], Floats]:
    """For each row the atoms that are chosen one after the other, and their factors.

    Each next atom is the one that points most along what is left; all factors are then those of
    least squares.

    Args:
        table: `[n, d]`.
        atoms: `[m, d]` of length 1.
        num_nonzero: Atoms of a row, at most `m`.

    Returns:
        Atoms `[n, num_nonzero]`, no two of a row the same, and factors of the same shape.

    Source: Pati et al., Orthogonal matching pursuit, Asilomar 1993.

    Example:
        >>> atoms = np.eye(3, dtype=np.float32)
        >>> chosen, factors = orthogonal_matching_pursuit(np.float32([[0, 3, -2]]), atoms, 2)
        >>> chosen.tolist(), factors.round(3).tolist()
        ([[1, 2]], [[3.0, -2.0]])
    """
    chosen = np.zeros((len(table), num_nonzero), np.int64)
    factors = np.zeros((len(table), num_nonzero), np.float32)
    products = (atoms @ atoms.T).astype(np.float64)
    for part in _parts(len(table)):
        rows = table[part]
        along = rows @ atoms.T
        left = rows
        for step in range(num_nonzero):
            likely = np.abs(left @ atoms.T)
            np.put_along_axis(likely, chosen[part, :step], -1.0, axis=1)
            chosen[part, step] = likely.argmax(axis=1)
            so_far = chosen[part, : step + 1]
            normal = products[so_far[:, :, None], so_far[:, None, :]]
            normal = normal + _RIDGE * np.eye(step + 1)
            right = np.take_along_axis(along, so_far, axis=1)[..., None]
            solved = np.linalg.solve(normal, right)[..., 0].astype(np.float32)
            factors[part, : step + 1] = solved
            left = rows - np.einsum("ns,nsd->nd", solved, atoms[so_far])
    return chosen, factors


def _unit(atoms: Floats) -> Floats:
    lengths = np.linalg.norm(atoms, axis=1, keepdims=True)
    return (atoms / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def _parts(count: int) -> Iterator[slice]:
    for begin in range(0, count, _ROWS_AT_A_TIME):
        yield slice(begin, min(count, begin + _ROWS_AT_A_TIME))
