"""Exact top-k of a catalogue without sorting it."""

from __future__ import annotations

import tensorflow as tf

from memcom_tf.ops.interface import LOWEST, Array


def top_k_of_groups(scores: Array, k: int) -> Array:
    """Positions of the `k` largest values, by way of groups.

    The `k` largest values lie in the `k` groups with the largest maxima, so that TOPK runs over
    the groups' maxima and over the `k` groups instead of over everything.

    Args:
        scores: float32 `[n]`, `n` known.
        k: How many, at most `n`.

    Returns:
        int32 `[k]`: positions, by falling score; exact.
    """
    n = int(scores.shape[0])
    group = max(1, round((n / k) ** 0.5))
    count = -(-n // group)
    if group < 4 or count <= k:
        return tf.math.top_k(scores, k).indices
    # Groups are strided, so that neighbours in the order of popularity fall into different ones.
    padded = tf.pad(scores, [[0, group * count - n]], constant_values=LOWEST)
    grid = tf.reshape(padded, [group, count])
    columns = tf.math.top_k(tf.reduce_max(grid, axis=0), k).indices
    chosen = tf.gather(grid, columns, axis=1)
    positions = tf.math.top_k(tf.reshape(chosen, [-1]), k).indices
    return (positions // k) * count + tf.gather(columns, positions % k)
