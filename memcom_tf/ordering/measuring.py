"""An order by similarity as later vectors see it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.ordering.clustering import Centres
from memcom_tf.ordering.order import SimilarityOrder, unit_vectors
from memcom_tf.ordering.similarity import mean_similarity
from memcom_tf.tables import RowSharing


def measured_order(
    vectors: npt.ArrayLike, ids: npt.ArrayLike, sharing: RowSharing, *, first_id: int = 1
) -> SimilarityOrder:
    """The order that items have already, measured by vectors that it was not made of.

    The centre of a bucket is the mean of its unit vectors; a bucket without items has zeros. With
    these centres `place` finds ids for later items, and nothing of the time when the order was made
    is needed. Vectors of two logs cannot be compared: all must be of one kind and one log.

    Args:
        vectors: `[n, d]` vectors of the items.
        ids: `[n]` their ids, each once.
        sharing: How ids share rows.
        first_id: The smallest id of the vocabulary.

    Returns:
        The order, without a reserve. By chance the same ids are dealt out at random.

    Raises:
        ValueError: If sizes do not fit, a vector is not finite, or no item shares a row.

    Example:
        >>> vectors = [[1, 0], [0, 1], [1, 0.1], [0.1, 1]]
        >>> good = measured_order(vectors, [1, 2, 3, 4], RowSharing(num_buckets=2))
        >>> bad = measured_order(vectors, [1, 2, 4, 3], RowSharing(num_buckets=2))
        >>> good.mean_similarity > 0.99 > bad.mean_similarity
        True
    """
    x, given = unit_vectors(vectors), np.asarray(ids, np.int64)
    shares = given >= sharing.num_dedicated
    if given.shape != (len(x),) or not shares.any():
        raise invalid(
            "`ids` must hold one id for each vector, some of them of items that share a row.",
            ids=given.shape,
            vectors=x.shape,
            num_dedicated=sharing.num_dedicated,
        )
    x, count = x[shares], sharing.num_buckets
    buckets = sharing.rows_of(given[shares]) - sharing.num_dedicated
    sums = np.zeros((count, x.shape[1]), np.float32)
    np.add.at(sums, buckets, x)
    centres = unit_vectors(sums)
    by_chance = np.random.default_rng(0).permutation(buckets)
    return SimilarityOrder(
        ids=given,
        centres=centres,
        num_dedicated=sharing.num_dedicated,
        first_id=first_id,
        reserve=0,
        share_in_nearest=float((Centres(centres).nearest(x, 1)[:, 0] == buckets).mean()),
        mean_similarity=mean_similarity(x, buckets, count),
        mean_similarity_by_chance=mean_similarity(x, by_chance, count),
    )
