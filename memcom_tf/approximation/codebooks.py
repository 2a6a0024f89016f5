"""Small codebooks, and the codes of each row of a table, that come nearest to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from memcom_tf.approximation.libraries import import_libraries

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]

_SEED = 0
_ITERATIONS = 20
_SAMPLED_PER_CENTROID = 256
_SEEDED_PER_CENTROID = 32
_BEAM = 16
_ROUNDS = 10
_LEAST_GAIN = 5e-3
"""Rounds end when one lowers the error by less than this share."""
_RIDGE = 1e-10
"""Of the mean diagonal: settles what the data leaves open, as which book holds the mean."""
_REFINED_ROWS = 1 << 17
"""Of more rows a sample is refined: a turn over a million rows takes minutes."""
_ROWS_AT_A_TIME = 1 << 16
_SCRATCH_BYTES = 1 << 28


class Residual(NamedTuple):
    """`x_i ~ (shared[group_i] +) sum_k books[k, codes[i, k]]`."""

    codes: Codes
    """`[n, num_codebooks]`"""
    books: Floats
    """`[num_codebooks, num_codes, d]`"""
    shared: Floats | None
    """`[num_groups, d]`"""


class Groups(NamedTuple):
    """Rows that share a vector: the group of each row, and their number."""

    of_row: npt.NDArray[np.int64]
    num_groups: int


def k_means(x: Floats, weights: Floats, count: int, seed: int = _SEED) -> Floats:
    """Centroids `[count, d]` near to weighted rows; of many rows a sample is taken.

    Starts from distant rows (k-means++, Arthur and Vassilvitskii, SODA 2007). Where there are
    fewer rows with weight than centroids, some are repeated.
    """
    libraries = import_libraries()
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(weights)
    if len(rows) > count * _SAMPLED_PER_CENTROID:
        rows = np.sort(rng.choice(rows, count * _SAMPLED_PER_CENTROID, replace=False))
    if len(rows) <= count:
        return x[np.resize(rows, count)]
    x, weights = np.ascontiguousarray(x[rows]), weights[rows] / weights[rows].mean()
    few = np.sort(rng.permutation(len(x))[: count * _SEEDED_PER_CENTROID])
    start, _ = libraries.kmeans_plusplus(
        x[few], count, sample_weight=weights[few], random_state=seed
    )
    clustering = libraries.faiss.Kmeans(
        x.shape[1], count, niter=_ITERATIONS, seed=seed, min_points_per_centroid=1
    )
    clustering.train(x, weights=weights, init_centroids=np.ascontiguousarray(start))
    return np.asarray(clustering.centroids, np.float32)


def nearest(x: Floats, centroids: Floats) -> Codes:
    """The number of the nearest of at most 256 centroids, for each row."""
    faiss = import_libraries().faiss
    found = faiss.knn(np.ascontiguousarray(x), np.ascontiguousarray(centroids), 1)[1]
    return np.asarray(found[:, 0], np.uint8)


def product(x: Floats, weights: Floats, num_codebooks: int, num_codes: int) -> tuple[Codes, Floats]:
    """Product quantization: k-means on each of `num_codebooks` equal cuts of the rows.

    Source: Jegou et al., Product quantization for nearest neighbor search, TPAMI 2011.

    Returns:
        The codes, and the books `[num_codebooks, num_codes, d / num_codebooks]`.
    """
    books = np.stack(
        [
            k_means(part, weights, num_codes, seed)
            for seed, part in enumerate(np.split(x, num_codebooks, axis=1))
        ]
    )
    return product_codes(x, books), books


def product_codes(x: Floats, books: Floats) -> Codes:
    """The nearest codes of each cut of the rows."""
    parts = np.split(x, len(books), axis=1)
    return np.stack([nearest(part, book) for part, book in zip(parts, books, strict=True)], axis=1)


def residual(
    x: Floats,
    weights: Floats,
    num_codebooks: int,
    num_codes: int,
    groups: Groups | None = None,
    rounds: int = _ROUNDS,
) -> Residual:
    """Residual quantization, refined as additive quantization.

    Stage by stage k-means on what the stages before left (the groups' means are the first). Then
    in turns: all books, and the groups' vectors, at once by weighted least squares given the
    codes; and codes by beam search given the books, where that is nearer than the codes before.
    No turn raises the error, and the last one is of the books. Of more than 131,072 rows a sample
    takes the turns, half of it those of most weight, and the books that it ends with code all.

    Sources: Chen et al., Approximate nearest neighbor search by residual vector quantization,
    Sensors 2010. Babenko and Lempitsky, Additive quantization, CVPR 2014.

    Args:
        x: `[n, d]`.
        weights: `[n]` weight of the squared error of each row.
        num_codebooks: Number of books.
        num_codes: Rows of a book, at most 256.
        groups: Rows that share a further summand.
        rounds: How often to take turns, at most.
    """
    from memcom_tf.approximation.closed_forms import means

    weights = weights / weights.mean()
    shared = None
    rest = x
    if groups is not None:
        shared = means(x, weights, groups.of_row, groups.num_groups)
        rest = x - shared[groups.of_row]
    books = np.empty((num_codebooks, num_codes, x.shape[1]), np.float32)
    codes = np.empty((len(x), num_codebooks), np.uint8)
    for stage in range(num_codebooks):
        books[stage] = k_means(rest, weights, num_codes, stage)
        codes[:, stage] = nearest(rest, books[stage])
        rest = rest - books[stage][codes[:, stage]]
    found = Residual(codes, books, shared)
    if len(x) > _REFINED_ROWS:
        found = _refined_on_sample(x, weights, found, groups, rounds)
    else:
        found = _refined(x, weights, found, groups, rounds)
    return least_squares(x, weights, found, groups)


def _refined(
    x: Floats, weights: Floats, found: Residual, groups: Groups | None, rounds: int
) -> Residual:
    """Books and codes in turns, until these hardly lower the error."""
    error = _weighted_error(x, weights, found, groups)
    for _ in range(rounds):
        found = least_squares(x, weights, found, groups)
        found = found._replace(codes=_improved(x, found, groups))
        before, error = error, _weighted_error(x, weights, found, groups)
        if error >= before * (1 - _LEAST_GAIN):
            break
    return found


def _refined_on_sample(
    x: Floats, weights: Floats, found: Residual, groups: Groups | None, rounds: int
) -> Residual:
    """Books by turns over a sample of the rows, then the codes of all rows once."""
    rows, of_sample = _sample(weights, _REFINED_ROWS)
    # The vectors of groups stay where they are: a group has few rows in a sample.
    rest = x[rows] if groups is None else x[rows] - _shared_rows(found, groups, rows)
    start = Residual(found.codes[rows], found.books, None)
    refined = _refined(rest, of_sample, start, None, rounds)
    found = found._replace(books=least_squares(rest, of_sample, refined).books)
    return found._replace(codes=_improved(x, found, groups))


def _sample(weights: Floats, count: int) -> tuple[Any, Floats]:
    """Rows, half of them those of most weight, and weights by which they stand for all."""
    heaviest, others = np.split(np.argsort(-weights, kind="stable"), [count // 2])
    drawn = np.random.default_rng(_SEED).choice(others, count - len(heaviest), replace=False)
    rows = np.concatenate([heaviest, drawn])
    of_sample = weights[rows].astype(np.float32)
    of_sample[len(heaviest) :] *= len(others) / len(drawn)
    in_order = np.argsort(rows)
    return rows[in_order], of_sample[in_order]


def composed(found: Residual, groups: Groups | None, rows: slice = slice(None)) -> Floats:
    """The approximations of some rows."""
    books, codes = found.books, found.codes[rows]
    total = books[0][codes[:, 0]]
    for stage in range(1, len(books)):
        total += books[stage][codes[:, stage]]
    return total if groups is None else total + _shared_rows(found, groups, rows)


def residual_codes(x: Floats, books: Floats, beam: int = _BEAM) -> Codes:
    """The codes `[n, num_codebooks]` whose sums are nearest, by beam search over the books."""
    faiss = import_libraries().faiss
    num_codebooks, num_codes, width = books.shape
    bits = max(1, int(num_codes - 1).bit_length())
    # faiss takes powers of two: the first row again stands for the rows that are missing.
    again = np.repeat(books[:, :1], 2**bits - num_codes, axis=1)
    quantizer = faiss.ResidualQuantizer(width, num_codebooks, bits)
    filled = np.concatenate([books, again], axis=1)
    faiss.copy_array_to_vector(np.ascontiguousarray(filled).ravel(), quantizer.codebooks)
    quantizer.is_trained = True
    quantizer.max_beam_size = beam
    quantizer.max_mem_distances = _SCRATCH_BYTES
    quantizer.use_beam_LUT = 1
    quantizer.compute_codebook_tables()
    codes = np.empty((len(x), num_codebooks), np.uint8)
    for rows in _parts(len(x)):
        packed = quantizer.compute_codes(np.ascontiguousarray(x[rows]))
        found = faiss.unpack_bitstrings(packed, num_codebooks, bits)
        codes[rows] = np.where(found < num_codes, found, 0)
    return codes


def least_squares(
    x: Floats, weights: Floats, found: Residual, groups: Groups | None = None
) -> Residual:
    """The books and shared vectors that are best for the codes: weighted normal equations.

    The unknowns are the rows of all books and the groups' vectors. These meet only within their
    group, so that they are eliminated first, and one dense system of the books is left.
    """
    csr_matrix = import_libraries().csr_matrix
    num_codebooks, num_codes, width = found.books.shape
    size = num_codebooks * num_codes
    columns = found.codes + np.arange(num_codebooks) * num_codes
    chosen = csr_matrix(
        (
            np.repeat(weights.astype(np.float64), num_codebooks),
            columns.ravel(),
            np.arange(0, columns.size + 1, num_codebooks),
        ),
        shape=(len(x), size),
    )
    ones = csr_matrix((np.ones(columns.size), chosen.indices, chosen.indptr), chosen.shape)
    normal = (ones.T @ chosen).toarray()
    right = np.zeros((size, width))
    for rows in _parts(len(x)):
        right += chosen[rows].T @ x[rows].astype(np.float64)
    ridge = _RIDGE * np.trace(normal) / size
    if groups is None:
        solution = _solve(normal, right, ridge)
        return found._replace(books=solution.reshape(found.books.shape).astype(np.float32))
    member = csr_matrix(
        (np.ones(len(x)), groups.of_row, np.arange(len(x) + 1)), shape=(len(x), groups.num_groups)
    )
    weight_of_group = np.bincount(groups.of_row, weights, groups.num_groups) + ridge
    crossed = (member.T @ chosen).tocsr()
    sums = np.zeros((groups.num_groups, width))
    for rows in _parts(len(x)):
        weighted = x[rows] * weights[rows, None].astype(np.float64)
        sums += member[rows].T @ weighted
    of_mean = crossed.multiply(1 / weight_of_group[:, None]).tocsr()
    solution = _solve(normal - (crossed.T @ of_mean).toarray(), right - of_mean.T @ sums, ridge)
    shared = (sums - crossed @ solution) / weight_of_group[:, None]
    return found._replace(
        books=solution.reshape(found.books.shape).astype(np.float32),
        shared=shared.astype(np.float32),
    )


def _improved(x: Floats, found: Residual, groups: Groups | None) -> Codes:
    """Codes by beam search for the rows that come nearer by them, those before for the others."""
    codes = found.codes.copy()
    for rows in _parts(len(x)):
        wanted = x[rows]
        if groups is not None:
            wanted = wanted - _shared_rows(found, groups, rows)
        others = found._replace(codes=residual_codes(wanted, found.books))
        before, after = (
            ((wanted - total) ** 2).sum(axis=1)
            for total in (composed(found, None, rows), composed(others, None))
        )
        nearer = after < before
        codes[rows][nearer] = others.codes[nearer]
    return codes


def _weighted_error(x: Floats, weights: Floats, found: Residual, groups: Groups | None) -> float:
    return float(
        sum(
            weights[rows] @ ((x[rows] - composed(found, groups, rows)) ** 2).sum(axis=1)
            for rows in _parts(len(x))
        )
    )


def _shared_rows(found: Residual, groups: Groups, rows: Any) -> Any:
    return found.shared[groups.of_row[rows]]  # type: ignore[index]


def _solve(normal: Any, right: Any, ridge: float) -> npt.NDArray[np.float64]:
    normal[np.diag_indices(len(normal))] += ridge
    return np.linalg.solve(normal, right)


def _parts(count: int) -> Iterator[slice]:
    for begin in range(0, count, _ROWS_AT_A_TIME):
        yield slice(begin, min(begin + _ROWS_AT_A_TIME, count))
