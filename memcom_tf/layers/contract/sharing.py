"""Which row of a shared table an id reads: its own, or that of its bucket."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import check_num_buckets, check_positive


def bucket_rows(ids: npt.ArrayLike, num_buckets: int, num_unshared: int) -> npt.NDArray[Any]:
    """The rows of ids: `i` below `num_unshared`, else `num_unshared + (i - num_unshared) mod m`.

    Example:
        >>> bucket_rows([0, 1, 2, 3, 4, 5], num_buckets=2, num_unshared=2).tolist()
        [0, 1, 2, 3, 2, 3]
    """
    ids = np.asarray(ids)
    own = np.minimum(ids, num_unshared)
    return own + (ids - own) % num_buckets


def rows_in_graph(xp: Ops, ids: Array, num_buckets: int, num_unshared: int) -> Array:
    """The same as operations on a tensor of ids."""
    if not num_unshared:
        return ids % num_buckets
    own = xp.minimum(ids, num_unshared)
    return own + (ids - own) % num_buckets


def spread_over_ids(
    xp: Ops, scores: Array, input_dim: int, num_buckets: int, num_unshared: int
) -> Array:
    """Scores `[b, input_dim]` of all ids, from those of the rows `[b, num_unshared + m]`."""
    shared = input_dim - num_unshared
    repeats = -(-shared // num_buckets)
    spread = xp.tile(scores[:, num_unshared:], repeats)[:, :shared]
    return xp.concat([scores[:, :num_unshared], spread]) if num_unshared else spread


def check_sharing(num_buckets: int, num_unshared: int, input_dim: int) -> None:
    """Requires at least one shared row, and an id for every row.

    Raises:
        ValueError: Otherwise.
    """
    check_num_buckets(num_buckets, input_dim)
    if num_unshared:
        check_positive(num_unshared=num_unshared)
    if not 0 <= num_unshared <= input_dim - num_buckets:
        raise invalid(
            f"`num_unshared` must be in [0, {input_dim - num_buckets}], "
            "which leaves an id for every bucket.",
            num_unshared=num_unshared,
            num_buckets=num_buckets,
            input_dim=input_dim,
        )
