"""What rankers share that score a catalogue: query times table, and the softmax that trains it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.layers.contract.layer import CompressedEmbedding
from memcom_tf.models.free_ids import Integers, without_free_ids
from memcom_tf.models.negatives import EXCLUDED, Negatives, NegativeSampler
from memcom_tf.models.replicas import num_replicas
from memcom_tf.models.softmax import cross_entropy
from memcom_tf.optimizers.adaptation import adapted_layers, with_adaptation
from memcom_tf.tables import check_positive
from memcom_tf.vocabulary import PADDING_ID, Vocabulary


class CatalogueRanker(keras.Model):
    """Scores `query . vector(i) + item_bias[i]` of every item, trained by their softmax.

    Trained by `fit(history, target)` with the cross-entropy of the softmax over the catalogue, or
    over the target and items drawn (`NegativeSampler`). A subclass makes the queries and has the
    tables.

    Args:
        num_negatives: Items drawn for the softmax; None takes the whole catalogue.
        vocabulary: The `Vocabulary` that gave the ids: its free ids are neither trained nor ranked,
            its counts decide how often an item is drawn.
        **kwargs: Arguments of `keras.Model`.

    Raises:
        ValueError: If `num_negatives` is not positive.
    """

    def __init__(
        self,
        *,
        num_negatives: int | None = None,
        vocabulary: Vocabulary | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_negatives is not None:
            check_positive(num_negatives=num_negatives)
        self.num_negatives = num_negatives
        self.vocabulary = vocabulary
        self._sampler: NegativeSampler | None = None
        self._loss_mean = keras.metrics.Mean(name="loss")

    def query(self, history: Any, training: bool = False, distinct: bool = False) -> Any:
        """Query vectors `[b, output_dim]` of histories; `distinct` as in `candidate_logits`."""
        raise NotImplementedError

    @property
    def scored_embedding(self) -> CompressedEmbedding:
        """The table of the scored items."""
        raise NotImplementedError

    @property
    def item_bias_embedding(self) -> CompressedEmbedding | None:
        """The table of the items' biases `[input_dim, 1]`, where they have any."""
        raise NotImplementedError

    @property
    def embeddings(self) -> list[CompressedEmbedding]:
        """Every table of the model."""
        raise NotImplementedError

    def build_once(self) -> None:
        """Creates the variables where they do not exist yet.

        The sampled softmax computes its loss without a call, which is where Keras would build.
        """
        raise NotImplementedError

    @property
    def free_ids(self) -> Integers:
        """The ids that no item of the vocabulary has yet."""
        return np.empty(0, np.int64) if self.vocabulary is None else self.vocabulary.free_ids

    def score(self, query: Any, candidates: Any) -> Any:
        """Scores of candidates: queries `[b, d]` and ids `[n]` give `[b, n]`."""
        biases = self.item_bias_embedding
        scores = tf.matmul(query, self.scored_embedding(candidates), transpose_b=True)
        if biases is not None:
            scores = scores + tf.squeeze(biases(candidates), -1)
        return scores

    def score_all(self, query: Any) -> Any:
        """Scores of the whole catalogue: queries `[b, d]` give `[b, input_dim]`."""
        biases = self.item_bias_embedding
        scores = self.scored_embedding.score_all(query)
        if biases is not None:
            scores = scores + biases.score_all(tf.ones([1, 1], scores.dtype))
        return without_free_ids(scores, self.free_ids)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Trains as `keras.Model.fit`, and lets tables change that do so between steps."""
        if adapted_layers(self):
            kwargs["callbacks"] = with_adaptation(self, kwargs.get("callbacks"))
        return super().fit(*args, **kwargs)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step on `(history, target)`."""
        history, target = data[:2]
        self.build_once()
        with tf.GradientTape() as tape, self.added_losses() as added:
            loss = self._cross_entropy(history, target)
            # What every replica adds counts once.
            added += self.losses
            total = loss + sum(added) / num_replicas() if added else loss
            scaled = self.optimizer.scale_loss(total) if self._scales_loss else total
        variables = self.trainable_variables
        gradients = tape.gradient(scaled, variables)
        if self.compute_dtype == "float16":
            # Keras' LossScaleOptimizer overlooks what overflowed in the rows of a sparse gradient.
            gradients = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return self._noted(loss)

    def test_step(self, data: Any) -> dict[str, Any]:
        """The loss on `(history, target)`."""
        history, target = data[:2]
        self.build_once()
        return self._noted(self._cross_entropy(history, target, False))

    def _noted(self, loss: Any) -> dict[str, Any]:
        # The metric is the mean over the replicas of what is their parts.
        self._loss_mean.update_state(loss * num_replicas())
        return {"loss": self._loss_mean.result()}

    @property
    def metrics(self) -> list[Any]:
        """The running mean of the loss, which Keras resets at every epoch."""
        return [self._loss_mean]

    @property
    def _scales_loss(self) -> bool:
        return hasattr(self.optimizer, "scale_loss")

    def draw_negatives(self) -> Negatives | None:
        """The items that a step of training compares its targets with; None takes all."""
        if self.num_negatives is None:
            return None
        if self._sampler is None:
            input_dim, counts = self.scored_embedding.input_dim, None
            if self.vocabulary is not None and self.vocabulary.counts is not None:
                counts = np.zeros(input_dim)
                ids = np.arange(self.vocabulary.first_id, input_dim)
                counts[np.setdiff1d(ids, self.free_ids)] = self.vocabulary.counts
            self._sampler = NegativeSampler(input_dim, free_ids=self.free_ids, counts=counts)
        return self._sampler(self.num_negatives)

    @contextmanager
    def added_losses(self) -> Iterator[list[Any]]:
        """What lookups in training add to the loss meanwhile."""
        losses: list[Any] = []
        with ExitStack() as stack:
            for embedding in self.embeddings:
                stack.enter_context(embedding.collected_losses(losses))
            yield losses

    def candidate_logits(
        self,
        history: Any,
        target: Any,
        negatives: Negatives | None,
        training: bool = False,
        distinct: bool = False,
    ) -> Any:
        """Logits of the candidates of a step, float32.

        Args:
            history: `[b, L]` ids.
            target: `[b, P]` ids, padded with zeros.
            negatives: What was drawn, `[n]`; None takes the whole catalogue.
            training: Whether to drop out.
            distinct: Whether an id that occurs several times is looked up once, which is faster
                where a lookup is more than reading a row; XLA cannot compile it.

        Returns:
            `[b, P + n]`: the targets, then the negatives, corrected for how often they were to be
            expected; padding and negatives that are targets are excluded by a very low logit.
            `[b, input_dim]` without negatives.
        """
        with ExitStack() as stack:
            for embedding in self.embeddings:
                stack.enter_context(embedding.rounded_once())
            return self._candidate_logits(history, target, negatives, training, distinct)

    def _candidate_logits(
        self,
        history: Any,
        target: Any,
        negatives: Negatives | None,
        training: bool,
        distinct: bool,
    ) -> Any:
        query = self.query(history, training, distinct)
        if negatives is None:
            return tf.cast(self.score_all(query), tf.float32)
        biases = self.item_bias_embedding
        vectors = look_up(self.scored_embedding, target, distinct)
        positive = tf.reduce_sum(query[:, None] * vectors, axis=2)
        if biases is not None:
            positive = positive + tf.squeeze(biases(target), -1)
        positive = tf.where(target == PADDING_ID, EXCLUDED, tf.cast(positive, tf.float32))
        negative = tf.cast(self.score(query, negatives.ids), tf.float32)
        return tf.concat([positive, negatives.correct(negative, target)], axis=1)

    def _cross_entropy(self, history: Any, target: Any, training: bool = True) -> Any:
        target = tf.convert_to_tensor(target)
        target = tf.reshape(target, [tf.shape(target)[0], -1])
        negatives = self.draw_negatives() if training else None
        return cross_entropy(
            self.candidate_logits(history, target, negatives, training), target, negatives
        )


def look_up(embedding: CompressedEmbedding, ids: Any, distinct: bool) -> Any:
    """Vectors of ids; with `distinct` each id is looked up once, however often it occurs."""
    if not distinct:
        return embedding(ids)
    ids = tf.convert_to_tensor(ids)
    unique, places = tf.unique(tf.reshape(ids, [-1]))
    return tf.gather(embedding(unique), tf.reshape(places, tf.shape(ids)))
