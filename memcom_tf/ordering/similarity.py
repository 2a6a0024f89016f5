"""Ids under which `id % num_buckets` is the same for similar items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.libraries import import_libraries
from memcom_tf.tables import check_positive

_CANDIDATES = 64
"""Nearest centres that an item may choose from before all centres with room are looked at."""
_ROWS_AT_A_TIME = 20_000

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SimilarityOrder:
    """The ids that `similarity_order` gave.

    Attributes:
        ids: `[n]` the id of each item, in the order in which the vectors were passed.
        num_buckets: The `num_buckets` of the layers that the order is for.
        share_in_nearest: Share of the items, between 0 and 1, that are in the bucket of their
            nearest centre; the others found it full.
        mean_similarity: Mean cosine between an item's vector and the mean of its bucket's.
        mean_similarity_by_chance: The same where buckets are filled by falling frequency.
    """

    ids: Integers
    num_buckets: int
    share_in_nearest: float
    mean_similarity: float
    mean_similarity_by_chance: float

    def __str__(self) -> str:
        return (
            f"{len(self.ids)} items in {self.num_buckets} buckets: "
            f"{100 * self.share_in_nearest:.1f} % in their nearest; cosine with the bucket's mean "
            f"{self.mean_similarity:.3f}, by chance {self.mean_similarity_by_chance:.3f}"
        )


def similarity_order(
    vectors: npt.ArrayLike,
    num_buckets: int,
    *,
    counts: npt.ArrayLike | None = None,
    first_id: int = 1,
    iterations: int = 10,
    seed: int = 0,
) -> SimilarityOrder:
    """Gives ids so that similar items share a row of a layer that looks up `id % num_buckets`.

    The unit vectors are clustered by k-means into as many clusters as there are buckets, an item
    that occurred `c` times weighing `sqrt(c + 1)`. Then items choose, most frequent first: the
    nearest centre that has room. Bucket `j` has room for exactly the ids `j`, `j + num_buckets`,
    ... up to the last: every id is given and none is left over. Within a bucket ids rise as the
    counts fall.

    Args:
        vectors: `[n, d]` vectors of the items: rows of a trained table, `interaction_vectors`, or
            what else tells which items are alike. Only their directions count.
        num_buckets: `num_buckets` of the layer, at most `n`.
        counts: `[n]` how often each item occurred in training; None takes all alike.
        first_id: The id of the first item, `Vocabulary.first_id`.
        iterations: Iterations of k-means.
        seed: Seed of k-means: the same arguments give the same order on one machine.

    Returns:
        The ids and how good the buckets are.

    Raises:
        ValueError: If sizes do not fit, or a vector is not finite.
        ImportError: If faiss is not installed.

    Example:
        >>> order = similarity_order([[1, 0], [0, 1], [1, 0.1], [0.1, 1]], num_buckets=2)
        >>> (order.ids % 2).tolist() in ([0, 1, 0, 1], [1, 0, 1, 0])
        True
        >>> order.share_in_nearest
        1.0
    """
    x, frequencies = _checked(vectors, num_buckets, counts, first_id)
    faiss = import_libraries().faiss
    clustering = faiss.Kmeans(
        x.shape[1],
        num_buckets,
        niter=iterations,
        seed=seed,
        spherical=True,
        min_points_per_centroid=1,
    )
    clustering.train(x, weights=np.sqrt(frequencies + 1.0).astype(np.float32))
    centres: Floats = clustering.centroids
    nearest = _nearest(faiss, centres, x, _CANDIDATES)
    capacity = np.bincount(_ids(first_id, len(x)) % num_buckets, minlength=num_buckets)
    # Buckets differ by one id at most: the largest clusters get the largest.
    of_cluster = np.empty(num_buckets, np.int64)
    crowd = np.bincount(nearest[:, 0], minlength=num_buckets)
    of_cluster[np.argsort(-crowd, kind="stable")] = np.argsort(-capacity, kind="stable")
    by_frequency = np.argsort(-frequencies, kind="stable")
    clusters = _choose(faiss, centres, x, nearest, capacity[of_cluster], by_frequency)
    ids = _number(of_cluster[clusters], frequencies, num_buckets, first_id)
    chance = np.empty(len(x), np.int64)
    chance[by_frequency] = _ids(first_id, len(x)) % num_buckets
    return SimilarityOrder(
        ids=ids,
        num_buckets=num_buckets,
        share_in_nearest=float((clusters == nearest[:, 0]).mean()),
        mean_similarity=_mean_similarity(x, ids % num_buckets, num_buckets),
        mean_similarity_by_chance=_mean_similarity(x, chance, num_buckets),
    )


def _checked(
    vectors: npt.ArrayLike, num_buckets: int, counts: npt.ArrayLike | None, first_id: int
) -> tuple[Floats, npt.NDArray[np.float64]]:
    """The vectors at length 1, and the counts."""
    check_positive(num_buckets=num_buckets, first_id=first_id)
    x = np.array(vectors, np.float32, order="C")
    if x.ndim != 2 or not len(x):
        raise invalid("`vectors` must be `[n, d]` with n > 0.", vectors=x.shape)
    if num_buckets > len(x):
        raise invalid(
            f"`num_buckets` must be at most {len(x)}, the number of items.",
            num_buckets=num_buckets,
        )
    if not np.isfinite(x).all():
        item = int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])
        raise invalid("`vectors` must be finite.", "Mend the vector of that item.", item=item)
    frequencies = np.zeros(len(x)) if counts is None else np.asarray(counts, np.float64)
    if frequencies.shape != (len(x),) or not ((frequencies >= 0) & np.isfinite(frequencies)).all():
        raise invalid(
            "`counts` must hold one finite number of 0 or more for each vector.",
            counts=frequencies.shape,
            vectors=x.shape,
        )
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return x, frequencies


def _ids(first_id: int, count: int) -> Integers:
    return np.arange(first_id, first_id + count)


def _nearest(faiss: Any, centres: Floats, x: Floats, count: int) -> Integers:
    """The numbers of the nearest centres, nearest first."""
    index = faiss.IndexFlatIP(x.shape[1])
    index.add(np.ascontiguousarray(centres))
    return np.asarray(index.search(x, min(count, len(centres)))[1], np.int64)


def _choose(
    faiss: Any,
    centres: Floats,
    x: Floats,
    nearest: Integers,
    capacity: Integers,
    by_frequency: Integers,
) -> Integers:
    """The cluster of each item: one after the other take the nearest with room left."""
    room = capacity.tolist()
    chosen = np.full(len(x), -1, np.int64)
    waiting, candidates = by_frequency, nearest[by_frequency]
    while len(waiting):
        for begin in range(0, len(waiting), _ROWS_AT_A_TIME):
            part = slice(begin, begin + _ROWS_AT_A_TIME)
            rows = zip(waiting[part].tolist(), candidates[part].tolist(), strict=True)
            for item, wanted in rows:
                cluster = next((c for c in wanted if room[c]), None)
                if cluster is not None:
                    room[cluster] -= 1
                    chosen[item] = cluster
        waiting = waiting[chosen[waiting] < 0]
        has_room = np.flatnonzero(np.array(room))
        if len(waiting):
            candidates = has_room[_nearest(faiss, centres[has_room], x[waiting], _CANDIDATES)]
    return chosen


def _number(
    buckets: Integers, frequencies: npt.NDArray[np.float64], num_buckets: int, first_id: int
) -> Integers:
    """Ids with the remainders `buckets`, the most frequent item of a bucket first."""
    in_order = np.lexsort((-frequencies, buckets))
    ids = _ids(first_id, len(buckets))
    numbers = np.empty(len(buckets), np.int64)
    numbers[in_order] = ids[np.argsort(ids % num_buckets, kind="stable")]
    return numbers


def _mean_similarity(x: Floats, buckets: Integers, num_buckets: int) -> float:
    in_order = np.argsort(buckets, kind="stable")
    found, start = np.unique(buckets[in_order], return_index=True)
    means = np.zeros((num_buckets, x.shape[1]), np.float32)
    means[found] = np.add.reduceat(x[in_order], start, axis=0)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return float(np.einsum("nd,nd->n", x, means[buckets]).mean())
