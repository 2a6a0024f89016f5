"""What rankers share that score a catalogue: query times table, and what trains them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding
from memcom_tf.models.free_ids import Integers, without_free_ids
from memcom_tf.models.losses import RankingLoss
from memcom_tf.models.negatives import EXCLUDED, Negatives, NegativeSampler
from memcom_tf.models.replicas import num_replicas
from memcom_tf.optimizers.adaptation import adapted_layers, with_adaptation
from memcom_tf.tables import check_positive
from memcom_tf.vocabulary import PADDING_ID, Vocabulary

if TYPE_CHECKING:
    from typing_extensions import Self


class CatalogueRanker(keras.Model):
    """Scores `query . vector(i) + item_bias[i]` of every item, trained by a `RankingLoss`.

    Trained by `fit(inputs, target)`, where a target competes with the catalogue, or with items
    drawn (`NegativeSampler`); or by `fit(inputs, {"candidates": ids, "labels": labels})`, where the
    items of each list compete with each other. A subclass makes the queries and has the tables.

    Args:
        num_negatives: Items that a target is compared with; None takes the whole catalogue.
        vocabulary: The `Vocabulary` that gave the ids: its free ids are neither trained nor ranked,
            its counts decide how often an item is drawn.
        **kwargs: Arguments of `keras.Model`.

    Raises:
        ValueError: If `num_negatives` is not positive.
    """

    item_embedding: CompressedEmbedding
    history_length: int
    reads_padding: ClassVar[bool] = True
    """Whether the vector of id 0 may count."""

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
        self.ranking_loss = RankingLoss()
        self._loss_mean = keras.metrics.Mean(name="loss")

    def query(self, inputs: Any, training: bool = False, distinct: bool = False) -> Any:
        """Query vectors `[b, output_dim]` of inputs; `distinct` as in `candidate_logits`."""
        raise NotImplementedError

    @property
    def query_specs(self) -> dict[str, tf.TensorSpec]:
        """The inputs of a query by name, the batch first."""
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
    def item_tables(self) -> list[Any]:
        """The tables of the items' vectors: the scored one, and those that queries are made of."""
        raise NotImplementedError

    @property
    def embeddings(self) -> list[CompressedEmbedding]:
        """Every compressed table of the model."""
        raise NotImplementedError

    def like(
        self, item_tables: Sequence[Any], vocabulary: Vocabulary | None, **changed: Any
    ) -> Self:
        """A new ranker as this one, with other tables in place of `item_tables`.

        Args:
            item_tables: Layers in the same order.
            vocabulary: That of the new one.
            **changed: Arguments of the constructor that are others.
        """
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

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, **kwargs: Any) -> None:
        """Says how to train, as `keras.Model.compile`.

        Args:
            optimizer: The optimizer.
            loss: As of `memcom_tf.models.RankingLoss`; None is "softmax".
            **kwargs: Further arguments of `keras.Model.compile`.
        """
        self.ranking_loss = RankingLoss(loss or "softmax")
        super().compile(optimizer, **kwargs)

    def get_compile_config(self) -> Any:
        """What a saved model is compiled with when it is loaded; Keras calls this."""
        config = super().get_compile_config()
        if config and isinstance(self.ranking_loss.loss, str):
            config["loss"] = self.ranking_loss.loss
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a model that is loaded; Keras calls this."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Trains as `keras.Model.fit`, and lets tables change that do so between steps."""
        if adapted_layers(self):
            kwargs["callbacks"] = with_adaptation(self, kwargs.get("callbacks"))
        return super().fit(*args, **kwargs)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step on `(inputs, target)`."""
        inputs, target = data[:2]
        self.build_once()
        with tf.GradientTape() as tape, self.added_losses() as added:
            loss = self._loss(inputs, target)
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
        """The loss on `(inputs, target)`."""
        inputs, target = data[:2]
        self.build_once()
        return self._noted(self._loss(inputs, target, False))

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
        loss = self.ranking_loss
        found = self._sampler(self.num_negatives, loss.draws_by_popularity)
        return found if loss.is_of_probabilities else found.as_they_are

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
        inputs: Any,
        target: Any,
        negatives: Negatives | None,
        training: bool = False,
        distinct: bool = False,
    ) -> Any:
        """Logits of the candidates of a step, float32.

        Args:
            inputs: Of `b` queries: of a `NextItemRanker` histories `[b, L]`.
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
            return self._candidate_logits(inputs, target, negatives, training, distinct)

    def _candidate_logits(
        self,
        inputs: Any,
        target: Any,
        negatives: Negatives | None,
        training: bool,
        distinct: bool,
    ) -> Any:
        query = self.query(inputs, training, distinct)
        if negatives is None:
            return tf.cast(self.score_all(query), tf.float32)
        positive = self.score_lists(query, target, distinct)
        positive = tf.where(target == PADDING_ID, EXCLUDED, positive)
        negative = tf.cast(self.score(query, negatives.ids), tf.float32)
        return tf.concat([positive, negatives.correct(negative, target)], axis=1)

    def score_lists(self, query: Any, candidates: Any, distinct: bool = False) -> Any:
        """Scores, float32, of candidates of each query: `[b, d]` and ids `[b, n]` give `[b, n]`."""
        biases = self.item_bias_embedding
        vectors = look_up(self.scored_embedding, candidates, distinct)
        scores = tf.reduce_sum(query[:, None] * vectors, axis=2)
        if biases is not None:
            scores = scores + tf.squeeze(biases(candidates), -1)
        return tf.cast(scores, tf.float32)

    def _loss(self, inputs: Any, target: Any, training: bool = True) -> Any:
        if isinstance(target, Mapping):
            return self._loss_of_lists(inputs, target, training)
        target = tf.convert_to_tensor(target)
        target = tf.reshape(target, [tf.shape(target)[0], -1])
        negatives = self.draw_negatives() if training else None
        logits = self.candidate_logits(inputs, target, negatives, training)
        return self.ranking_loss(logits, target, negatives)

    def _loss_of_lists(self, inputs: Any, lists: Mapping[str, Any], training: bool) -> Any:
        if set(lists) != {"candidates", "labels"}:
            raise invalid(
                "Targets that are a dict must be lists: `candidates` and `labels`, both `[b, n]`.",
                "Pad both with zeros where a list is shorter.",
                targets=sorted(lists),
            )
        candidates = tf.convert_to_tensor(lists["candidates"])
        with ExitStack() as stack:
            for embedding in self.embeddings:
                stack.enter_context(embedding.rounded_once())
            scores = self.score_lists(self.query(inputs, training), candidates)
        return self.ranking_loss.of_lists(lists["labels"], scores, candidates != PADDING_ID)


def look_up(embedding: CompressedEmbedding, ids: Any, distinct: bool) -> Any:
    """Vectors of ids; with `distinct` each id is looked up once, however often it occurs."""
    if not distinct:
        return embedding(ids)
    ids = tf.convert_to_tensor(ids)
    unique, places = tf.unique(tf.reshape(ids, [-1]))
    return tf.gather(embedding(unique), tf.reshape(places, tf.shape(ids)))


def check_vocabulary(vocabulary: Vocabulary, embedding: CompressedEmbedding) -> None:
    """Requires that a table of items has the ids of a vocabulary, in the order that it is for.

    Raises:
        ValueError: If it has not.
    """
    if vocabulary.input_dim != embedding.input_dim:
        raise invalid(
            "`input_dim` of the embedding must be that of the vocabulary.",
            input_dim=embedding.input_dim,
            vocabulary_input_dim=vocabulary.input_dim,
        )
    found, wanted = embedding.sharing, vocabulary.sharing
    if found is not None and wanted is not None and found != wanted:
        raise invalid(
            "`num_buckets` and `num_dedicated` of the embedding must be those of the vocabulary's "
            "similarity order.",
            "Order the vocabulary for these numbers, or change the layer.",
            **found.arguments(),
            **{f"vocabulary_{name}": value for name, value in wanted.arguments().items()},
        )
