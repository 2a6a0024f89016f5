"""What a model computes of the values of fields: means of several, and what it sees of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.features import Numeric
from memcom_tf.vocabulary import PADDING_ID

_FARTHEST = 10.0
"""Standard deviations from the mean at which numbers end."""


def pooled_over_values(vectors: Any, ids: Any) -> Any:
    """The mean `[b, 1, d]` of the vectors `[b, length, d]` of ids that are not padding.

    Of a field of one value it is that vector, also where the value is missing.
    """
    if ids.shape[1] == 1:
        return vectors
    known = tf.cast(ids != PADDING_ID, vectors.dtype)[..., None]
    count = tf.reduce_sum(known, axis=1, keepdims=True)
    return tf.reduce_sum(vectors * known, axis=1, keepdims=True) / tf.maximum(count, 1.0)


def seen_numbers(values: Any, fields: Sequence[Numeric]) -> tuple[Any, Any]:
    """What a model sees of numbers `[b, n]`: floats `[b, 2 n]`, and categories `[b, n]`."""
    is_known = values == values
    known = tf.where(is_known, values, tf.zeros_like(values))
    logarithm = tf.sign(known) * tf.math.log(1.0 + tf.abs(known))
    log = tf.constant([[of.log for of in fields]])
    seen = tf.where(log, logarithm, known)
    mean = tf.constant([[of.mean for of in fields]], tf.float32)
    deviation = tf.constant([[of.deviation for of in fields]], tf.float32)
    is_known_float = tf.cast(is_known, tf.float32)
    standard = (seen - mean) / deviation * is_known_float
    standard = tf.minimum(tf.maximum(standard, -_FARTHEST), _FARTHEST)
    most = max(1, *(len(of.boundaries) for of in fields))
    boundaries = np.full((len(fields), most), np.inf, np.float32)
    for place, of in enumerate(fields):
        boundaries[place, : len(of.boundaries)] = of.boundaries
    # The largest finite number in place of infinity, which no number reaches.
    boundaries = np.minimum(boundaries, np.finfo(np.float32).max)
    reached = tf.cast(known[..., None] >= tf.constant(boundaries[None]), tf.int32)
    bins = (1 + tf.reduce_sum(reached, axis=-1)) * tf.cast(is_known, tf.int32)
    return tf.concat([standard, 1.0 - is_known_float], axis=1), bins
