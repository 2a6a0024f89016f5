"""Losses of rankers: over the catalogue or drawn items, and over lists of graded items."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal, get_args

import tensorflow as tf

from memcom_tf.errors import invalid, message
from memcom_tf.models.negatives import EXCLUDED, Negatives, exclude
from memcom_tf.models.replicas import num_replicas, over_replicas
from memcom_tf.models.softmax import cross_entropy
from memcom_tf.vocabulary import PADDING_ID

LossName = Literal["softmax", "ranknet", "bpr", "listnet"]
LOSSES: tuple[str, ...] = get_args(LossName)

_NO_LABEL = -1.0
"""What losses of keras-rs leave out of a list."""


class RankingLoss:
    """What a ranker learns by.

    Of a target and the items that it is compared with, `s` being scores and `n` an item that is
    no target:

    - "softmax": `-log softmax(s)[target]`.
    - "ranknet": the mean over `n` of `log(1 + exp(s[n] - s[target]))`.
    - "bpr": the same of one `n`, drawn uniformly for each target.
    - "listnet": as "softmax".

    Of a list of items with labels, the larger the better:

    - "softmax": `-sum_i p_i log softmax(s)[i]`, where `p` are the labels over their sum.
    - "ranknet" and "bpr": `log(1 + exp(s[j] - s[i]))` of all pairs with `label[i] > label[j]`.
    - "listnet": as "softmax", where `p = softmax(label)`.

    Keras' SparseCategoricalCrossentropy is the softmax. Any other Keras loss is one of lists, as
    those of `keras_rs.losses`: it takes labels and scores `[b, n]`. Labels of targets are 1, of
    what they are compared with 0, and -1 of what does not count.

    Sources: Burges et al., Learning to rank using gradient descent, ICML 2005; Rendle et al., BPR,
    UAI 2009, arXiv:1205.2618; Cao et al., Learning to rank: from pairwise approach to listwise
    approach, ICML 2007.

    Args:
        loss: One of these names, or a Keras loss of lists.

    Raises:
        ValueError: If it is another name.
        ImportError: If it compares pairs, and keras-rs is not installed.

    Example:
        >>> logits, target = tf.constant([[0.0, 0.0, 2.0, 2.0]]), tf.constant([[2]])
        >>> [round(float(RankingLoss(name)(logits, target, None)), 3) for name in LOSSES[:2]]
        [0.82, 0.205]
    """

    def __init__(self, loss: Any = "softmax") -> None:
        if _is_cross_entropy(loss):
            loss = "softmax"
        if not callable(loss) and loss not in LOSSES:
            raise invalid(
                f"`loss` must be one of {LOSSES}, or a Keras loss of lists.",
                "Losses of keras_rs.losses are such.",
                loss=loss,
            )
        self.loss = loss
        self._pairs = pairwise_logistic() if loss in ("ranknet", "bpr") else None

    @property
    def is_of_probabilities(self) -> bool:
        """Whether drawn items stand for the catalogue, by how likely each is to be drawn."""
        return self.loss in ("softmax", "listnet")

    @property
    def draws_by_popularity(self) -> bool:
        """Whether half of the drawn items are popular ones."""
        return self.loss != "bpr"

    def __call__(self, logits: Any, target: Any, negatives: Negatives | None) -> Any:
        """This replica's part of the mean over the targets.

        Args:
            logits: What `candidate_logits` of a ranker returned.
            target: `[b, P]` ids, padded with zeros.
            negatives: What was drawn; None where the logits are of the whole catalogue.
        """
        if self.is_of_probabilities:
            return cross_entropy(logits, target, negatives)
        if negatives is None:
            positive = tf.gather(logits, target, batch_dims=1)
            padding = tf.zeros_like(target[:, :1])
            others = exclude(logits, tf.concat([target, padding], axis=1))
        else:
            count = tf.shape(target)[1]
            positive, others = logits[:, :count], logits[:, count:]
        if self._pairs is None:
            return self._of_lists(target, positive, others)
        if self.loss == "bpr":
            others = _one_of_each(others, tf.shape(target))
            losses = self._pairs(positive - others)
            counted = tf.cast(others > EXCLUDED / 2, tf.float32)
        else:
            # Of a pair with an excluded item the loss is 0.
            losses = tf.reduce_mean(self._pairs(positive[..., None] - others[:, None]), axis=2)
            counted = tf.ones_like(losses)
        counted *= tf.cast(target != PADDING_ID, tf.float32)
        total = over_replicas(tf.reduce_sum(counted))
        return tf.math.divide_no_nan(tf.reduce_sum(losses * counted), total)

    def _of_lists(self, target: Any, positive: Any, others: Any) -> Any:
        """A Keras loss of the targets with what they are compared with."""
        scores = tf.concat([positive, others], axis=1)
        ones = tf.where(target == PADDING_ID, _NO_LABEL, 1.0)
        zeros = tf.where(others > EXCLUDED / 2, 0.0, _NO_LABEL)
        return self.loss(tf.concat([ones, zeros], axis=1), scores) / num_replicas()

    def of_lists(self, labels: Any, scores: Any, is_item: Any) -> Any:
        """This replica's part of the mean over lists.

        Args:
            labels: `[b, n]`, the larger the better.
            scores: `[b, n]` float32.
            is_item: `[b, n]`, false where a list is at its end.
        """
        labels = tf.cast(labels, tf.float32)
        if self.is_of_probabilities:
            scores = tf.where(is_item, scores, EXCLUDED)
            if self.loss == "listnet":
                share = tf.nn.softmax(tf.where(is_item, labels, EXCLUDED))
            else:
                labels = tf.where(is_item, tf.maximum(labels, 0.0), 0.0)
                share = tf.math.divide_no_nan(labels, tf.reduce_sum(labels, 1, keepdims=True))
            losses = -tf.reduce_sum(share * tf.nn.log_softmax(scores), axis=1)
            counted = over_replicas(tf.cast(tf.shape(losses)[0], tf.float32))
            return tf.math.divide_no_nan(tf.reduce_sum(losses), counted)
        labels = tf.where(is_item, labels, _NO_LABEL)
        if self._pairs is None:
            return self.loss(labels, scores) / num_replicas()
        is_pair = (labels[:, :, None] > labels[:, None]) & is_item[:, :, None] & is_item[:, None]
        losses = self._pairs(scores[:, :, None] - scores[:, None])
        pairs = tf.cast(is_pair, tf.float32)
        total = over_replicas(tf.reduce_sum(pairs))
        return tf.math.divide_no_nan(tf.reduce_sum(losses * pairs), total)


def _is_cross_entropy(loss: Any) -> bool:
    """Whether it is Keras' name of the softmax, which rankers have been compiled with."""
    name = loss if isinstance(loss, str) else type(loss).__name__
    return name in ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy")


def _one_of_each(others: Any, shape: Any) -> Any:
    """For each target the score of one item that it is compared with."""
    place = tf.random.uniform(shape, 0, tf.shape(others)[1], tf.int32)
    return tf.gather(others, place, batch_dims=1)


def pairwise_logistic() -> Callable[[Any], Any]:
    """`log(1 + exp(-x))` of differences of scores, from keras-rs."""
    try:
        losses = import_module("keras_rs.losses")
    except ImportError as error:
        raise ImportError(
            message(
                "keras-rs must be installed for losses of pairs.",
                "Run: pip install keras-rs.",
                missing=error.name,
            )
        ) from error
    loss: Callable[[Any], Any] = losses.PairwiseLogisticLoss().pairwise_loss
    return loss
