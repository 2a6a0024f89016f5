"""The loss of a ranker: the softmax over all items, or over those that were drawn."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from memcom_tf.models.negatives import Negatives
from memcom_tf.models.replicas import over_replicas
from memcom_tf.vocabulary import PADDING_ID


def cross_entropy(logits: Any, target: Any, negatives: Negatives | None) -> Any:
    """Mean cross-entropy of the targets of all examples, those of other replicas included.

    Args:
        logits: What `NextItemRanker.candidate_logits` returned.
        target: `[b, P]` ids, padded with zeros.
        negatives: What was drawn; None where the logits are of the whole catalogue.

    Returns:
        A float32 scalar. Of several replicas it is this one's part: their sum is the mean.
    """
    if negatives is None:
        positive = tf.gather(logits, target, batch_dims=1)
        total = tf.reduce_logsumexp(logits, axis=1, keepdims=True)
    else:
        # A target competes with what was drawn, not with the other targets.
        count = tf.shape(target)[1]
        positive = logits[:, :count]
        others = tf.reduce_logsumexp(logits[:, count:], axis=1, keepdims=True)
        total = positive + tf.nn.softplus(others - positive)
    present = tf.cast(target != PADDING_ID, tf.float32)
    losses = tf.reduce_sum((total - positive) * present)
    return tf.math.divide_no_nan(losses, over_replicas(tf.reduce_sum(present)))
