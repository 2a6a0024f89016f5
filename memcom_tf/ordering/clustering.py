"""Centres of item vectors, and the centres nearest to an item: k-means by faiss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.approximation.libraries import import_libraries

_TRAINED_PER_CENTRE = 64
"""Items a centre is trained on at most."""
_EXHAUSTIVE = 4096
"""Up to so many centres are all compared with every item; above, those of the nearest cells."""
_CELLS_IN_TRAINING = 4
_CELLS_IN_SEARCH = 8
_ROWS_AT_A_TIME = 20_000

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Centres:
    """Centres to be searched.

    Args:
        vectors: `[m, d]` centres.
        exhaustive: Whether every centre is compared, however many there are.
    """

    def __init__(self, vectors: Floats, exhaustive: bool = False) -> None:
        self.vectors = np.ascontiguousarray(vectors)
        self._index = _index(
            len(vectors), vectors.shape[1], None if exhaustive else _CELLS_IN_SEARCH
        )
        self._index.train(self.vectors)
        self._index.add(self.vectors)

    def nearest(
        self, x: Floats, count: int, advance: Callable[[float], None] = lambda part: None
    ) -> npt.NDArray[np.int32]:
        """The numbers `[n, count]` of the nearest centres, nearest first; -1 for none found."""
        found = np.empty((len(x), min(count, len(self.vectors))), np.int32)
        for begin in range(0, len(x), _ROWS_AT_A_TIME):
            part = slice(begin, begin + _ROWS_AT_A_TIME)
            found[part] = self._index.search(x[part], found.shape[1])[1]
            advance(len(found[part]) / len(x))
        return found


def cluster(
    x: Floats,
    weights: Floats,
    count: int,
    iterations: int,
    seed: int,
    advance: Callable[[float], None],
) -> Floats:
    """Centres `[count, d]` of length 1 by spherical k-means.

    Args:
        x: `[n, d]` of length 1.
        weights: `[n]` weights of the items.
        count: How many centres, at most n.
        iterations: Iterations.
        seed: Seed of the choice of the first centres.
        advance: Called after each iteration, with the part of all that it was.

    Returns:
        The centres.
    """
    faiss = import_libraries().faiss
    centres = np.empty((0, x.shape[1]), np.float32)
    index = _index(count, x.shape[1], _CELLS_IN_TRAINING)
    for _ in range(iterations):
        # One iteration at a time, so that it can be said how far it is.
        settings = faiss.ClusteringParameters()
        settings.niter, settings.seed, settings.spherical = 1, seed, True
        settings.min_points_per_centroid = 1
        settings.max_points_per_centroid = _TRAINED_PER_CENTRE
        clustering = faiss.Clustering(x.shape[1], count, settings)
        faiss.copy_array_to_vector(centres.ravel(), clustering.centroids)
        clustering.train(x, index, weights)
        centres = faiss.vector_to_array(clustering.centroids).reshape(count, -1)
        advance(1 / iterations)
    return centres


def _index(count: int, width: int, cells: int | None) -> Any:
    """An index of inner products for so many vectors; of many, so many cells are searched."""
    faiss = import_libraries().faiss
    if cells is None or count <= _EXHAUSTIVE:
        return faiss.IndexFlatIP(width)
    index = faiss.index_factory(width, f"IVF{int(count**0.5)},Flat", faiss.METRIC_INNER_PRODUCT)
    index.nprobe, index.cp.spherical, index.cp.min_points_per_centroid = cells, True, 1
    return index
