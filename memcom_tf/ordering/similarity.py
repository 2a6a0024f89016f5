"""Ids under which `id % num_buckets` is the same for similar items."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memcom_tf.approximation.libraries import import_libraries
from memcom_tf.errors import invalid
from memcom_tf.ordering.assignment import Filled, choose, refined
from memcom_tf.ordering.clustering import Centres, Floats, Integers, cluster
from memcom_tf.ordering.order import CANDIDATES, SimilarityOrder, unit_vectors
from memcom_tf.progress import progress_bar
from memcom_tf.tables import check_positive

_ITEMS_REFINED = 250_000
"""In all rounds of refinement together: of more, finding the nearest centres takes minutes."""
_MOST_ROUNDS = 8
_CLUSTERING, _SEARCHING = 0.6, 0.35
"""About what parts of the time they take, of many items; the rest is choosing."""


def similarity_order(
    vectors: npt.ArrayLike,
    num_buckets: int,
    *,
    num_dedicated: int = 0,
    counts: npt.ArrayLike | None = None,
    importance: npt.ArrayLike | None = None,
    first_id: int = 1,
    reserve: int = 0,
    iterations: int = 10,
    seed: int = 0,
    progress: bool | None = None,
) -> SimilarityOrder:
    """Gives ids so that similar items share a row of a layer that looks up `id % num_buckets`.

    The unit vectors are clustered by k-means into as many clusters as there are buckets, an item
    that occurred `c` times weighing `sqrt(c + 1)`. Then items choose, most frequent first: the
    nearest centre that has room. Of up to 250,000 items, centres then move to the means of what
    chose them, and all choose again, eight times or fewer. Bucket `j` has room for exactly the ids
    `j`, `j + num_buckets`, ... up to the last: every id is given and none is left over, but for
    the free ids of a `reserve`, which follow. Within a bucket ids rise as the counts fall. With
    `num_dedicated` the most important items, by default the most frequent, get the ids below it,
    and are in no bucket; buckets then begin at that id.

    Args:
        vectors: `[n, d]` vectors of the items: rows of a trained table, `interaction_vectors`, or
            what else tells which items are alike. Only their directions count. New items need
            vectors of the same kind, so that for a catalogue that grows texts or contents are best.
        num_buckets: `num_buckets` of the layer, at most `n`.
        num_dedicated: `num_dedicated` of the layer.
        counts: `[n]` how often each item occurred in training; None takes all alike.
        importance: `[n]` how much each item is in need of a row of its own; None takes `counts`.
            `counts * |vectors|^2` is what would be lost without any row.
        first_id: The id of the first item, `Vocabulary.first_id`.
        reserve: Ids of each bucket that are kept free for later items (`Vocabulary.appended`).
            `input_dim` rises by `reserve * num_buckets`, at the price of one number an id in
            MEmCom. An order without a reserve can be given one later (`Vocabulary.with_reserve`).
        iterations: Iterations of k-means.
        seed: Seed of k-means: the same arguments give the same order on one machine.
        progress: Whether a bar is shown on stderr; None shows it on a terminal, after two seconds.

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
    import_libraries()
    check_positive(num_buckets=num_buckets, first_id=first_id, iterations=iterations)
    for name, value in {"reserve": reserve, "num_dedicated": num_dedicated}.items():
        if value:
            check_positive(**{name: value})
    x = unit_vectors(vectors)
    frequencies = _checked("counts", counts, len(x))
    needed = frequencies if importance is None else _checked("importance", importance, len(x))
    dedicated = max(0, num_dedicated - first_id)
    if num_buckets > len(x) - dedicated:
        raise invalid(
            f"`num_buckets` must be at most {len(x) - dedicated}, the number of items that share.",
            num_buckets=num_buckets,
            num_dedicated=num_dedicated,
        )
    own, sharing = np.split(np.argsort(-needed, kind="stable"), [dedicated])
    every_id = np.empty(len(x), np.int64)
    by_frequency = np.argsort(-frequencies[own], kind="stable")
    every_id[own[by_frequency]] = np.arange(first_id, first_id + dedicated)
    sharing.sort()
    x, frequencies = x[sharing], frequencies[sharing]
    by_frequency = np.argsort(-frequencies, kind="stable")
    dense = np.arange(first_id + dedicated, first_id + dedicated + len(x))
    buckets = (dense - num_dedicated) % num_buckets
    with progress_bar(progress) as advance:
        weights = np.sqrt(frequencies + 1.0).astype(np.float32)
        centres = cluster(
            x,
            weights,
            num_buckets,
            iterations,
            seed,
            lambda part: advance("clustering items", _CLUSTERING * part),
        )
        nearest = Centres(centres).nearest(
            x, CANDIDATES, lambda part: advance("finding the nearest centres", _SEARCHING * part)
        )
        advance("filling buckets", 0.0)
        # Buckets differ by one id at most: the largest clusters get the largest.
        room = np.bincount(buckets, minlength=num_buckets)
        bucket_of = np.empty(num_buckets, np.int64)
        crowd = np.bincount(nearest[:, 0], minlength=num_buckets)
        bucket_of[np.argsort(-crowd, kind="stable")] = np.argsort(-room, kind="stable")
        full = Filled(centres, choose(centres, x, nearest, room[bucket_of], by_frequency), nearest)
        rounds = min(_MOST_ROUNDS, _ITEMS_REFINED // len(x))
        full = refined(full, x, weights, room[bucket_of], by_frequency, rounds)
        centres, clusters, nearest = full
        found = bucket_of[clusters]
        every_id[sharing] = _number(found, frequencies, dense, buckets)
        advance("measuring the buckets", 0.03)
        chance = np.empty(len(x), np.int64)
        chance[by_frequency] = buckets
        of_buckets = np.empty_like(centres)
        of_buckets[bucket_of] = centres
        return SimilarityOrder(
            ids=every_id,
            centres=of_buckets,
            num_dedicated=int(num_dedicated),
            first_id=int(first_id),
            reserve=int(reserve),
            share_in_nearest=float((clusters == nearest[:, 0]).mean()),
            mean_similarity=mean_similarity(x, found, num_buckets),
            mean_similarity_by_chance=mean_similarity(x, chance, num_buckets),
        )


def _checked(name: str, values: npt.ArrayLike | None, size: int) -> npt.NDArray[np.float64]:
    numbers = np.zeros(size) if values is None else np.asarray(values, np.float64)
    if numbers.shape != (size,) or not ((numbers >= 0) & np.isfinite(numbers)).all():
        raise invalid(
            f"`{name}` must hold one finite number of 0 or more for each vector.",
            **{name: numbers.shape},
            vectors=size,
        )
    return numbers


def _number(
    chosen: Integers, frequencies: npt.NDArray[np.float64], ids: Integers, buckets: Integers
) -> Integers:
    """The ids, whose buckets are given, for the chosen ones: the most frequent item first."""
    in_order = np.lexsort((-frequencies, chosen))
    numbers = np.empty(len(chosen), np.int64)
    numbers[in_order] = ids[np.argsort(buckets, kind="stable")]
    return numbers


def mean_similarity(x: Floats, buckets: Integers, num_buckets: int) -> float:
    """Mean cosine between unit vectors and the means of their buckets."""
    in_order = np.argsort(buckets, kind="stable")
    found, start = np.unique(buckets[in_order], return_index=True)
    means = np.zeros((num_buckets, x.shape[1]), np.float32)
    means[found] = np.add.reduceat(x[in_order], start, axis=0)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return float(np.einsum("nd,nd->n", x, means[buckets]).mean())
