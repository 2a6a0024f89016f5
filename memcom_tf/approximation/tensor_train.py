"""Three cores whose products of matrices come nearest to a table."""

from __future__ import annotations

from math import prod

import numpy as np

from memcom_tf.approximation.closed_forms import Floats

_TURNS = 60
_ENOUGH = 1e-9
"""Of the squared length: a turn that moves the vectors by less is the last."""
_MOST_MIDDLE_RANK = 16
"""Above it the middle core stays that of the decomposition: it has `rank^2` unknowns at once."""
_RIDGE = 1e-7

Shape = tuple[int, ...]
Cores = tuple[Floats, Floats, Floats]


def nearest(table: Floats, weights: Floats, ids: Shape, widths: Shape, rank: int) -> Cores:
    """The cores of a tensor train, by TT-SVD and weighted least squares of each in turn.

    Args:
        table: `[n, d]`.
        weights: `[n]` what the error of a row counts.
        ids: Three numbers whose product is at least `n`: values of the digits of an id.
        widths: Three numbers whose product is `d`.
        rank: Rank of the train.

    Returns:
        Cores `[n1, d1, rank]`, `[n2, d2, rank, rank]` and `[n3, rank, d3]`.

    Sources: Oseledets, Tensor-train decomposition, SIAM J. Sci. Comput. 2011; Holtz et al., The
    alternating linear scheme for tensor optimization in the tensor train format, same journal 2012.
    """
    whole = np.zeros((prod(ids), table.shape[1]), np.float32)
    whole[: len(table)] = table
    x = whole.reshape(*ids, *widths)
    w: np.ndarray = np.zeros(prod(ids), np.float32)
    w[: len(table)] = weights / max(float(weights.max()), 1e-30)
    w = w.reshape(ids)
    cores = _decomposed(x, rank)
    weighted = x * w[..., None, None, None]
    before = None
    for _ in range(_TURNS):
        cores = _in_turn(weighted, w, cores)
        now = _products(*cores)
        if before is not None and ((now - before) ** 2).sum() <= _ENOUGH * (now**2).sum():
            break
        before = now
    return cores


def _decomposed(x: Floats, rank: int) -> Cores:
    """Two truncated singular value decompositions."""
    n1, n2, n3, d1, d2, d3 = x.shape
    pairs = x.transpose(0, 3, 1, 4, 2, 5)
    first, rest = _split(pairs.reshape(n1 * d1, -1), rank)
    second, third = _split(rest.reshape(rank * n2 * d2, n3 * d3), rank)
    return (
        first.reshape(n1, d1, rank),
        second.reshape(rank, n2, d2, rank).transpose(1, 2, 0, 3),
        third.reshape(rank, n3, d3).transpose(1, 0, 2),
    )


def _in_turn(weighted: Floats, w: Floats, cores: Cores) -> Cores:
    """Each core solved for, the others fixed; `weighted` are the vectors times their weight."""
    first, second, third = cores
    # [n2, n3, r, d2, d3]: what the first core is multiplied by.
    rest = np.einsum("jqab,kbs->jkaqs", second, third, optimize=True)
    normal = np.einsum(
        "ijk,jkab->iab", w, np.einsum("jkaqs,jkbqs->jkab", rest, rest, optimize=True), optimize=True
    )
    right = np.einsum("ijkpqs,jkaqs->iap", weighted, rest, optimize=True)
    first = _solved(normal, right).transpose(0, 2, 1)
    rank = first.shape[-1]
    if rank <= _MOST_MIDDLE_RANK:
        of_first = np.einsum("ipa,ipb->iab", first, first, optimize=True)
        of_third = np.einsum("kas,kbs->kab", third, third, optimize=True)
        right = np.einsum("ijkpqs,ipa,kbs->jabq", weighted, first, third, optimize=True)
        right = right.reshape(len(second), rank * rank, -1)
        by_third = np.einsum("ijk,kbd->ijbd", w, of_third, optimize=True)
        normal = np.einsum("iac,ijbd->jabcd", of_first, by_third, optimize=True)
        solved = _solved(normal.reshape(len(second), rank * rank, rank * rank), right)
        second = solved.reshape(len(second), rank, rank, -1).transpose(0, 3, 1, 2)
    # [n1, n2, d1, d2, r]: what the third core is multiplied by.
    left = np.einsum("ipa,jqab->ijpqb", first, second, optimize=True)
    normal = np.einsum(
        "ijk,ijab->kab", w, np.einsum("ijpqa,ijpqb->ijab", left, left, optimize=True), optimize=True
    )
    right = np.einsum("ijkpqs,ijpqb->kbs", weighted, left, optimize=True)
    return first, second, _solved(normal, right)


def _products(first: Floats, second: Floats, third: Floats) -> Floats:
    left = np.einsum("ipa,jqab->ijpqb", first, second, optimize=True)
    return np.asarray(np.einsum("ijpqb,kbs->ijkpqs", left, third, optimize=True))


def _solved(normal: Floats, right: Floats) -> Floats:
    """Solutions of symmetric equations `[n, r, r]`, those without weight at zero."""
    size = normal.shape[-1]
    scale = np.trace(normal, axis1=1, axis2=2).astype(np.float64) / size
    ridge = (_RIDGE * scale + 1e-20)[:, None, None] * np.eye(size)
    return np.linalg.solve(normal.astype(np.float64) + ridge, right).astype(np.float32)


def _split(matrix: Floats, rank: int) -> tuple[Floats, Floats]:
    """Factors `[n, rank]` and `[rank, m]` of the nearest matrix of that rank, equally long."""
    if len(matrix) > matrix.shape[1]:
        right, left = _split(matrix.T, rank)
        return left.T, right.T
    values, directions = np.linalg.eigh(matrix.astype(np.float64) @ matrix.T)
    left = directions[:, ::-1][:, :rank]
    lengths = np.sqrt(np.sqrt(np.maximum(values[::-1][:rank], 1e-30)))
    right = (left.T @ matrix) / lengths[:, None]
    return (left * lengths).astype(np.float32), right.astype(np.float32)
