"""Vectors of items from who chose what, where no trained table is at hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memcom_tf.approximation.libraries import import_libraries
from memcom_tf.errors import invalid
from memcom_tf.tables import check_positive


def interaction_vectors(
    user: npt.ArrayLike, item: npt.ArrayLike, num_items: int, width: int = 64, *, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Vectors of items whose products tell how many users they have in common.

    With `A[u, i] = 1` where user `u` chose item `i`, `B = D_user^-1/2 A D_item^-1/2` (`D` are the
    row and column sums) and its truncated singular value decomposition `B ~ U S V^T`, the vectors
    are the rows of `V S`.

    Args:
        user: `[n]` users of interactions, integers or strings. Training interactions alone: what
            a model is tested on must not choose its order.
        item: `[n]` numbers of items, in `[0, num_items)`.
        num_items: Number of items; those without interactions get zeros.
        width: Width of a vector, fewer where there are fewer users or items.
        seed: Seed of the randomized decomposition.

    Returns:
        `[num_items, width]`.

    Raises:
        ValueError: If the arrays do not fit, or an item is out of range.
        ImportError: If scikit-learn is not installed.

    Example:
        >>> vectors = interaction_vectors(["ann", "ann", "bob"], [0, 1, 2], num_items=4, width=2)
        >>> vectors.shape
        (4, 2)
    """
    check_positive(num_items=num_items, width=width)
    users, items = np.asarray(user), np.asarray(item)
    if users.ndim != 1 or users.shape != items.shape or not len(items):
        raise invalid(
            "`user` and `item` must be `[n]` with n > 0.",
            "Pass one of each for every interaction.",
            user=users.shape,
            item=items.shape,
        )
    if items.dtype.kind not in "iu" or items.min() < 0 or items.max() >= num_items:
        raise invalid(
            f"`item` must hold integers in [0, {num_items}).",
            "Pass `vocabulary.ids(...) - vocabulary.first_id`.",
            dtype=str(items.dtype),
            **({} if items.dtype.kind not in "iu" else {"smallest": items.min().item()}),
        )
    libraries = import_libraries()
    rows = np.unique(users, return_inverse=True)[1]
    ones = np.ones(len(rows), np.float32)
    chosen = libraries.csr_matrix((ones, (rows, items)), shape=(rows.max() + 1, num_items))
    chosen.data[:] = 1.0  # an item that a user chose twice counts once
    of_users = np.sqrt(np.asarray(chosen.sum(axis=1)).ravel())
    of_items = np.sqrt(np.maximum(np.asarray(chosen.sum(axis=0)).ravel(), 1.0))
    normalised = chosen.multiply(1 / of_users[:, None]).multiply(1 / of_items[None, :]).tocsr()
    width = min(width, *chosen.shape)
    _, values, right = libraries.randomized_svd(normalised, width, random_state=seed)
    return np.ascontiguousarray((right.T * values).astype(np.float32))
