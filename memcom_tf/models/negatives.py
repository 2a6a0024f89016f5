"""Which items a target is compared with, where not with all of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_PARTS = 4
"""Places of the popular items' urn, per item."""
EXCLUDED = -1e9
"""Logit of what is no candidate: a probability of 0, and finite."""


class Negatives(NamedTuple):
    """Items that were drawn, `[n]`.

    Attributes:
        ids: int32 ids.
        log_expected: float32 logarithm of how often each was to be expected in the draw.
    """

    ids: Any
    log_expected: Any


class NegativeSampler:
    """Draws items: a share of them by popularity, the others uniformly, all with replacement.

    An item that occurred `c` times is drawn with a probability of
    `(1 - share) / items + share * c^0.75 / sum c^0.75`, the latter rounded up to places of an urn.

    Args:
        input_dim: Ids are below it.
        reserved: Ids from it on are items.
        counts: `[input_dim - reserved]` how often each item occurred; None draws all uniformly.
        popular_share: The share that is drawn by popularity.

    Example:
        >>> sampler = NegativeSampler(5, reserved=1, counts=[100, 1, 1, 0])
        >>> negatives = sampler(1000)
        >>> 1 <= int(tf.reduce_min(negatives.ids)) <= int(tf.reduce_max(negatives.ids)) < 5
        True
    """

    def __init__(
        self,
        input_dim: int,
        *,
        reserved: int = 1,
        counts: npt.ArrayLike | None = None,
        popular_share: float = 0.5,
    ) -> None:
        self.reserved, self.input_dim = reserved, input_dim
        items = input_dim - reserved
        weights = np.zeros(items) if counts is None else np.asarray(counts, np.float64) ** 0.75
        self._share = popular_share if weights.sum() > 0 else 0.0
        self._urn = np.zeros(1, np.int32)
        probability = np.full(items, (1 - self._share) / items)
        if self._share:
            places = np.ceil(weights / weights.sum() * _PARTS * items).astype(np.int64)
            self._urn = np.repeat(np.arange(reserved, input_dim, dtype=np.int32), places)
            probability += self._share * places / places.sum()
        self._log_probability = np.log(np.maximum(probability, 1e-30)).astype(np.float32)

    def __call__(self, count: int) -> Negatives:
        """Draws `count` items."""
        ids = tf.random.uniform([count], self.reserved, self.input_dim, tf.int32)
        if self._share:
            places = tf.random.uniform([count], 0, len(self._urn), tf.int32)
            popular = tf.random.uniform([count]) < self._share
            ids = tf.where(popular, tf.gather(self._urn, places), ids)
        log_probability = tf.gather(self._log_probability, ids - self.reserved)
        return Negatives(ids, log_probability + float(np.log(count)))
