"""Ids that no item has: never ranked, never drawn, not trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from memcom_tf.ops.interface import LOWEST

Integers = npt.NDArray[np.int64]


def without_free_ids(scores: Any, free_ids: Integers) -> Any:
    """Puts the scores of free ids below all others, and keeps gradients from them.

    Args:
        scores: `[b, input_dim]` scores of all ids.
        free_ids: Ids, rising.

    Returns:
        `[b, input_dim]`.
    """
    if not len(free_ids):
        return scores
    # Free ids are the last ids, or among them: a constant for these alone.
    start = int(free_ids[0])
    is_free = np.zeros(scores.shape[-1] - start, np.bool_)
    is_free[free_ids - start] = True
    last = tf.where(is_free[None], tf.cast(LOWEST, scores.dtype), scores[:, start:])
    return tf.concat([scores[:, :start], last], axis=1)


def draw_ids(count: int, input_dim: int, free_ids: Integers) -> tuple[Any, int]:
    """Draws ids uniformly, but neither padding nor free ids.

    Args:
        count: How many.
        input_dim: Largest id + 1.
        free_ids: Ids, rising.

    Returns:
        int32 `[count]`, and among how many ids they were drawn.
    """
    number = input_dim - 1 - len(free_ids)
    drawn = tf.random.uniform([count], 1, 1 + number, tf.int32)
    if not len(free_ids):
        return drawn, number
    start = int(free_ids[0])
    after = np.setdiff1d(np.arange(start, input_dim), free_ids, assume_unique=True)
    after = np.append(after, 0).astype(np.int32)  # where there is none, for the sake of `gather`
    place = tf.maximum(drawn - start, 0)
    return tf.where(drawn < start, drawn, tf.gather(after, place)), number
