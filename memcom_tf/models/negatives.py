"""Which items a target is compared with, where not with all of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from memcom_tf.models.free_ids import draw_ids

_PLACES_AN_ITEM = 4
"""Size of the urn of popular items, for each item."""
EXCLUDED = -1e9
"""Logit of what is no candidate: a probability of 0, and finite."""


class Negatives(NamedTuple):
    """Items that were drawn, `[n]`, ids rising.

    Attributes:
        ids: int32 ids.
        log_probability: float32 logarithm of the probability that an id is in such a draw; the
            second and later ones of an id do not count, and are said to be `-EXCLUDED`.
    """

    ids: Any
    log_probability: Any

    def correct(self, logits: Any, target: Any) -> Any:
        """Logits as if all items were compared, with each example's targets excluded.

        Args:
            logits: `[b, n]` float32.
            target: `[b, P]` ids.

        Returns:
            `[b, n]`.
        """
        logits = logits - self.log_probability
        target = tf.cast(target, tf.int32)
        place = tf.minimum(
            tf.reshape(tf.searchsorted(self.ids, tf.reshape(target, [-1])), tf.shape(target)),
            tf.size(self.ids) - 1,
        )
        drawn = tf.cast(tf.gather(self.ids, place) == target, tf.float32)
        return exclude(logits, place, drawn)

    @property
    def as_they_are(self) -> Negatives:
        """The same items, whose logits stay as they are."""
        return Negatives(self.ids, tf.zeros_like(self.log_probability))


def exclude(logits: Any, places: Any, share: Any = None) -> Any:
    """Logits of which some are very low, as of no candidate.

    Args:
        logits: `[b, n]` float32.
        places: `[b, P]` which of them, in each row.
        share: `[b, P]` 1 where it is to be excluded, else 0; None excludes all.

    Returns:
        `[b, n]`.
    """
    places = tf.cast(places, tf.int32)
    row = tf.zeros_like(places) + tf.range(tf.shape(places)[0])[:, None]
    lower = tf.cast(tf.ones_like(places), tf.float32) if share is None else share
    return tf.tensor_scatter_nd_add(logits, tf.stack([row, places], -1), EXCLUDED * lower)


class NegativeSampler:
    """Draws items: a share of them by popularity, the others uniformly, all with replacement.

    An item that occurred `c` times is drawn with a probability of
    `(1 - share) / items + share * c^0.75 / sum c^0.75`, the latter rounded to places of an urn.

    Args:
        input_dim: Ids are below it; id 0 is not drawn.
        free_ids: Rising ids that are not drawn.
        counts: `[input_dim]` how often each id occurred; None draws all uniformly.
        popular_share: The share that is drawn by popularity.

    Example:
        >>> sampler = NegativeSampler(5, counts=[0, 100, 1, 1, 0])
        >>> negatives = sampler(1000)
        >>> 1 <= int(tf.reduce_min(negatives.ids)) <= int(tf.reduce_max(negatives.ids)) < 5
        True
    """

    def __init__(
        self,
        input_dim: int,
        *,
        free_ids: npt.ArrayLike = (),
        counts: npt.ArrayLike | None = None,
        popular_share: float = 0.5,
    ) -> None:
        self._input_dim = input_dim
        self._free_ids = np.asarray(free_ids, np.int64)
        weights = np.zeros(input_dim) if counts is None else np.asarray(counts, np.float64) ** 0.75
        self._share = popular_share if weights.sum() > 0 else 0.0
        items = input_dim - 1 - len(self._free_ids)
        probability = np.full(input_dim, (1 - self._share) / items)
        if self._share:
            places = np.ceil(weights / weights.sum() * _PLACES_AN_ITEM * items).astype(np.int64)
            self._urn = np.repeat(np.arange(input_dim, dtype=np.int32), places)
            probability += self._share * places / places.sum()
        self._log_absence = np.log1p(-np.minimum(probability, 1 - 1e-9)).astype(np.float32)

    def __call__(self, count: int, by_popularity: bool = True) -> Negatives:
        """Draws `count` items; all of them uniformly where popularity does not count.

        The logarithms of the probabilities are those of a draw by popularity in any case.
        """
        ids, _ = draw_ids(count, self._input_dim, self._free_ids)
        if self._share and by_popularity:
            places = tf.random.uniform([count], 0, len(self._urn), tf.int32)
            popular = tf.random.uniform([count]) < self._share
            ids = tf.where(popular, tf.gather(self._urn, places), ids)
        ids = tf.sort(ids)
        absence = count * tf.gather(self._log_absence, ids)
        again = tf.concat([[False], ids[1:] == ids[:-1]], axis=0)
        return Negatives(ids, tf.where(again, -EXCLUDED, tf.math.log(-tf.math.expm1(absence))))
