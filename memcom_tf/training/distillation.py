"""Training after a teacher: its scores are targets too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.errors import invalid
from memcom_tf.layers.codebooks.codebook import CodebookEmbedding
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.models.losses import RankingLoss
from memcom_tf.models.replicas import first_of_replica, mean_over_replicas, num_replicas

_WITHOUT_HISTORY = 64


class DistilledRanker(keras.Model):
    """Trains a ranker on targets and on the scores of a teacher.

    The loss is `(1 - share) * loss(target) + share * CE(softmax of the teacher's logits)`, over the
    targets and `num_negatives` drawn items, or the whole catalogue. The teacher does not change.

    After a teacher one history in 64 is left out, so that the student learns what the teacher shows
    to somebody without one.

    After a teacher nothing is dropped out: its scores, which are of whole queries, keep the student
    from learning targets by heart, and of halves of queries they cannot be learned.

    Source: Hinton et al., Distilling the knowledge in a neural network, arXiv:1503.02531.

    Args:
        student: The ranker that is trained.
        teacher: A ranker with the same ids; None trains on the targets alone.
        share: Share of the teacher in the loss, in [0, 1].
        dropout: Whether the student drops out; None only without a teacher.
        loss: What it learns targets by, as of `memcom_tf.models.RankingLoss`.

    Raises:
        ValueError: If the share is out of range, or ids do not fit.

    Example:
        >>> from memcom_tf.models import NextItemRanker
        >>> from memcom_tf.layers import FullEmbedding, MEmComEmbedding
        >>> teacher = NextItemRanker(FullEmbedding(50, 8), history_length=4)
        >>> student = NextItemRanker(MEmComEmbedding(50, 8, num_buckets=9), history_length=4)
        >>> model = DistilledRanker(student, teacher)
        >>> model.compile("adam")
        >>> history = [[1, 2, 0, 0], [7, 3, 9, 0]]
        >>> _ = model.fit(np.array(history), np.array([4, 5]), verbose=0)
    """

    def __init__(
        self,
        student: CatalogueRanker,
        teacher: CatalogueRanker | None = None,
        share: float = 0.7,
        dropout: bool | None = None,
        loss: Any = "softmax",
    ) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise invalid("`share` must be in [0, 1].", share=share)
        if teacher is not None:
            own, other = student.vocabulary, teacher.vocabulary
            if own is not None and other is not None and own.fingerprint != other.fingerprint:
                raise invalid(
                    "Student and teacher must have the same vocabulary.",
                    "Bring the teacher's ids into the student's order.",
                    student=own,
                    teacher=other,
                )
            sizes = student.item_embedding.input_dim, teacher.item_embedding.input_dim
            if sizes[0] != sizes[1]:
                raise invalid(
                    "`input_dim` of student and teacher must be the same.",
                    student=sizes[0],
                    teacher=sizes[1],
                )
        self.student = student
        student.ranking_loss = RankingLoss(loss)
        self.share = share
        self.dropout = teacher is None if dropout is None else dropout
        # Kept from Keras: what does not train is neither counted nor saved.
        self._teacher = (teacher,)
        if teacher is not None:
            teacher.build_once()
        self._looks_up_distinct = any(
            isinstance(embedding, CodebookEmbedding) for embedding in student.embeddings
        )
        self._loss_mean = keras.metrics.Mean(name="loss")
        self._cross_entropy_mean = keras.metrics.Mean(name="cross_entropy")

    @property
    def metrics(self) -> list[Any]:
        """The running means of the loss and of its part on the targets."""
        return [self._loss_mean, self._cross_entropy_mean]

    @property
    def supports_jit(self) -> bool:
        """Whether XLA may compile the step: where it may compile the student's tables."""
        return not self._looks_up_distinct and all(
            embedding.supports_jit for embedding in self.student.embeddings
        )

    @supports_jit.setter
    def supports_jit(self, value: bool) -> None:
        pass  # The tables decide.

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The student's scores."""
        return self.student(inputs, training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step on `(inputs, target)`."""
        inputs, target = data[:2]
        if self._teacher[0] is not None:
            inputs = _some_without_history(inputs)
        self.student.build_once()
        target = tf.reshape(target, [tf.shape(target)[0], -1])
        negatives = self.student.draw_negatives()
        with tf.GradientTape() as tape, self.student.added_losses() as added:
            logits = self.student.candidate_logits(
                inputs, target, negatives, self.dropout, distinct=self._looks_up_distinct
            )
            hard = self.student.ranking_loss(logits, target, negatives)
            loss = hard
            if self._teacher[0] is not None:
                with tape.stop_recording():  # or its tables would count as trained, too
                    known = self._teacher[0].candidate_logits(inputs, target, negatives)
                soft = tf.nn.softmax_cross_entropy_with_logits(
                    labels=tf.stop_gradient(tf.nn.softmax(known)), logits=logits
                )
                loss = (1 - self.share) * hard + self.share * mean_over_replicas(soft)
            total = loss + sum([*self.student.losses, *added]) / num_replicas()
        variables = self.student.trainable_variables
        gradients = tape.gradient(total, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._loss_mean.update_state(loss * num_replicas())
        self._cross_entropy_mean.update_state(hard * num_replicas())
        return {metric.name: metric.result() for metric in self.metrics}


def _some_without_history(inputs: Any) -> Any:
    """The inputs of a step, of which one row in so many has a history of padding."""
    history = inputs.get("history") if isinstance(inputs, Mapping) else inputs
    if history is None:
        return inputs
    rows = tf.shape(history)[0]
    keeps = (first_of_replica(rows) + tf.range(rows)) % _WITHOUT_HISTORY > 0
    history = history * tf.cast(keeps, history.dtype)[:, None]
    return {**inputs, "history": history} if isinstance(inputs, Mapping) else history
