"""A next-item ranker: history in, scores of the catalogue out. The shape that phones use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding
from memcom_tf.layers.full import FullEmbedding
from memcom_tf.models.assets import load_vocabulary, save_vocabulary
from memcom_tf.models.catalogue_ranker import CatalogueRanker, check_vocabulary, look_up
from memcom_tf.ops.reference import combine
from memcom_tf.tables import check_positive
from memcom_tf.tasks import NextItem
from memcom_tf.vocabulary import PADDING_ID, Vocabulary

if TYPE_CHECKING:
    from typing_extensions import Self

_RECENCY_RATE = 5.0
"""Learning rate of the recency weights relative to the tables'; the variable is scaled by it."""
_RECENCY_SLOPE = 0.1
"""What an item loses in the log of its weight at the start, for each item that followed it."""


def _recency_at_start(shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
    return tf.cast(
        -_RECENCY_SLOPE / _RECENCY_RATE * tf.range(shape[0], dtype=tf.float32), dtype or tf.float32
    )


@keras.saving.register_keras_serializable("memcom_tf")
class NextItemRanker(CatalogueRanker):
    """Ranks items by what a user chose before.

    `score(i) = query . output_embedding(i) + item_bias[i]`, where the query is the history's
    mean, weighted by a learned softmax over recency, plus the last item under a learned gate,
    plus a learned vector; of that sum `q`, `q + q P` with a learned matrix `P`, plus what a tower
    of dense layers makes of it. Trained by
    `fit(history, target)` with the cross-entropy of the softmax over the catalogue, or over the
    target and `num_negatives` sampled items: half of them uniformly, and half by the counts of
    the vocabulary to the power of 0.75, where it has any. Logits are corrected for how likely an
    item is to be drawn. `target` is `[b]`, or `[b, P]` padded with zeros; all targets of a
    batch count alike.

    Args:
        item_embedding: Table of the history's items, any `CompressedEmbedding` with
            `combiner=None`.
        history_length: Items of the history that are seen, `L`.
        output_embedding: Table of the scored items; None ties it to `item_embedding`.
        hidden_units: Widths of the tower's hidden layers; a linear layer of the embedding's
            width, which starts at zero, follows. Empty leaves the tower out.
        activation: Activation of the hidden layers.
        dropout: Rate of dropout on the query before the tower.
        item_dropout: Rate at which items of a history are left out in training.
        item_bias: Whether items have a bias, which learns popularity.
        query_bias: Whether a learned vector is added to the query, which learns popularity in
            `output_dim` numbers, where biases of items take `input_dim`.
        query_projection: Whether there is the matrix `P [output_dim, output_dim]`, which starts at
            zero. Without it, and with one table for both sides, an item is as near to the item
            after it as to the one before it.
        recency: Whether the order of a history counts; without it the query is the plain mean.
        item_bias_storage: How the biases are stored and trained, "int8_per_table" for one byte
            each; None leaves them at two.
        num_negatives: Items sampled for the softmax; None takes the whole catalogue.
        vocabulary: The `Vocabulary` that gave the ids; saved with the model, it lets the
            exported file rank by title. Its free ids are neither trained nor ranked.
        **kwargs: Arguments of `keras.Model`; `dtype` is that of `item_embedding` by default.

    Call arguments:
        inputs: Histories `[b, history_length]`: ids in order of time, then zeros.

    Returns of a call:
        Scores `[b, input_dim]` of all ids; those of padding mean nothing, those of free ids are
        below all others.

    Raises:
        ValueError: If an embedding pools, sizes or dtypes do not match, or a rate is out of range.

    Example:
        >>> from memcom_tf.layers import MEmComEmbedding
        >>> ranker = NextItemRanker(MEmComEmbedding(1000, 16, num_buckets=100), history_length=5)
        >>> tuple(ranker(np.array([[3, 8, 11, 0, 0]])).shape)
        (1, 1000)
    """

    task = NextItem()
    reads_padding = False

    def __init__(
        self,
        item_embedding: CompressedEmbedding,
        *,
        history_length: int,
        output_embedding: CompressedEmbedding | None = None,
        hidden_units: Sequence[int] = (),
        activation: str = "relu",
        dropout: float = 0.0,
        item_dropout: float = 0.0,
        item_bias: bool = True,
        query_bias: bool = False,
        query_projection: bool = False,
        recency: bool = True,
        item_bias_storage: str | None = None,
        num_negatives: int | None = None,
        vocabulary: Vocabulary | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", item_embedding.dtype_policy)
        super().__init__(num_negatives=num_negatives, vocabulary=vocabulary, **kwargs)
        check_positive(history_length=history_length)
        if self.compute_dtype != item_embedding.compute_dtype:
            raise invalid(
                "The ranker must compute in the dtype of its embedding.",
                "Leave its `dtype` out, or make the embedding with it too.",
                compute_dtype=self.compute_dtype,
                item_embedding=item_embedding.compute_dtype,
            )
        for embedding in (item_embedding, output_embedding):
            if embedding is not None and embedding.combiner is not None:
                raise invalid(
                    "The ranker pools by itself: `combiner` of its embeddings must be None.",
                    combiner=embedding.combiner,
                )
        if output_embedding is not None:
            _check_same("input_dim", item_embedding, output_embedding)
            _check_same("output_dim", item_embedding, output_embedding)
            _check_same("compute_dtype", item_embedding, output_embedding)
        for embedding in (item_embedding, output_embedding):
            if vocabulary is not None and embedding is not None:
                check_vocabulary(vocabulary, embedding)
        self.item_embedding = item_embedding
        self.history_length = int(history_length)
        self.output_embedding = output_embedding
        self.hidden_units = tuple(hidden_units)
        self.activation = activation
        self.dropout = dropout
        self.item_dropout = item_dropout
        self.item_bias = item_bias
        self.query_bias = query_bias
        self.query_projection = query_projection
        self.recency = recency
        self.item_bias_storage = item_bias_storage
        policy = {"dtype": self.dtype_policy}
        self._drop = keras.layers.Dropout(dropout, **policy)
        self._drop_items = keras.layers.Dropout(item_dropout, **policy)
        width = item_embedding.output_dim
        self._tower = [keras.layers.Dense(n, activation, **policy) for n in self.hidden_units]
        if self._tower:
            last = keras.layers.Dense(width, kernel_initializer="zeros", **policy)
            self._tower.append(last)
        self._item_bias = None
        if item_bias:
            storage = {"embeddings": item_bias_storage} if item_bias_storage else None
            self._item_bias = FullEmbedding(
                item_embedding.input_dim, 1, "zeros", name="item_bias", storage=storage, **policy
            )
        # A table, so that files hold it in integers as they do others.
        self._projection = None
        if query_projection:
            self._projection = FullEmbedding(
                width, width, "zeros", name="query_projection", **policy
            )

    @property
    def scored_embedding(self) -> CompressedEmbedding:
        """The table of the output side."""
        return self.output_embedding or self.item_embedding

    @property
    def item_bias_embedding(self) -> CompressedEmbedding | None:
        """The table of the items' biases `[input_dim, 1]`, where they have any."""
        return self._item_bias

    @property
    def item_tables(self) -> list[CompressedEmbedding]:
        """The tables of the history, and of the scored items where it is another."""
        tables = (self.item_embedding, self.output_embedding)
        return [table for table in tables if table is not None]

    @property
    def embeddings(self) -> list[CompressedEmbedding]:
        """Every table of the model: of the history, of the scored items, of their biases."""
        return [*self.item_tables, *filter(None, [self._item_bias])]

    @property
    def query_specs(self) -> dict[str, tf.TensorSpec]:
        """Histories of ids."""
        return {"history": tf.TensorSpec([None, self.history_length], tf.int32, name="history")}

    def like(
        self, item_tables: Sequence[Any], vocabulary: Vocabulary | None, **changed: Any
    ) -> Self:
        """A new ranker as this one, with other tables, as `CatalogueRanker.like`."""
        names = ("item_embedding", "output_embedding")
        layers = dict(zip(names, item_tables, strict=False))
        config = {**self.get_config(), **changed, **layers}
        return type(self)(**config, vocabulary=vocabulary)

    def build(self, input_shape: Any = None) -> None:
        """Creates the variables."""
        for embedding in self.embeddings:
            if not embedding.built:
                embedding.build(None)
        width = self.item_embedding.output_dim
        if self._projection is not None:
            self._projection.build(None)
        for dense in self._tower:
            dense.build((None, width))
            width = dense.units
        if self.recency:
            self._recency = self.add_weight(
                name="recency", shape=(self.history_length,), initializer=_recency_at_start
            )
            self._last_item_gate = self.add_weight(
                name="last_item_gate",
                shape=(self.item_embedding.output_dim,),
                initializer=keras.initializers.Constant(0.5),
            )
        self._scale = self.add_weight(name="scale", shape=(), initializer="ones")
        if self.query_bias:
            self._query_bias = self.add_weight(
                name="query_bias", shape=(self.item_embedding.output_dim,), initializer="zeros"
            )
        keras.layers.Layer.build(self, input_shape)

    def query(self, history: Any, training: bool = False, distinct: bool = False) -> Any:
        """Query vectors `[b, output_dim]` of histories `[b, history_length]`."""
        history = tf.convert_to_tensor(history)
        dtype = self.compute_dtype
        known = tf.cast(history != PADDING_ID, tf.float32)
        weights, is_last = self._recency_weights(known) if self.recency else (known, None)
        weights = tf.cast(self._drop_items(weights, training=training), dtype)
        vectors = look_up(self.item_embedding, history, distinct)
        query = combine(vectors, weights, "mean")
        if is_last is not None:
            gate = tf.cast(tf.convert_to_tensor(self._last_item_gate), dtype)
            query = query + gate * combine(vectors, tf.cast(is_last, dtype), "sum")
        query = tf.cast(tf.convert_to_tensor(self._scale), dtype) * query
        query = self._drop(query, training=training)
        if self.query_bias:
            query = query + tf.cast(tf.convert_to_tensor(self._query_bias), dtype)
        if self._projection is not None:
            query = query + tf.linalg.matmul(query, self._projection(tf.range(query.shape[-1])))
        hidden = query
        for dense in self._tower:
            hidden = dense(hidden)
        return query + hidden if self._tower else query

    def _recency_weights(self, known: Any) -> tuple[Any, Any]:
        """Weights of the items by age, and which item is the last."""
        # Age counts back from the last item: 0, 1, 2, ...; negative in the padding.
        last = tf.reduce_sum(known, axis=1, keepdims=True) - 1.0
        age = last - tf.range(self.history_length, dtype=tf.float32)
        logits = tf.cast(_RECENCY_RATE * tf.convert_to_tensor(self._recency), tf.float32)
        # A GPU has no kernel of this for integers.
        weights = tf.gather(tf.exp(logits), tf.cast(tf.nn.relu(age), tf.int32))
        return weights * known, tf.cast(age == 0.0, tf.float32) * known

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Scores of the whole catalogue."""
        return self.score_all(self.query(inputs, training))

    def build_once(self) -> None:
        """Creates the variables where they do not exist yet.

        The sampled softmax computes its loss without a call, which is where Keras would build.
        """
        if not self.built:
            with tf.init_scope():
                self.build((None, self.history_length))

    def save_assets(self, dir_path: str) -> None:
        """Writes the vocabulary into the saved model; Keras calls this."""
        save_vocabulary(self.vocabulary, dir_path)

    def load_assets(self, dir_path: str) -> None:
        """Reads the vocabulary from the saved model; Keras calls this."""
        self.vocabulary = load_vocabulary(dir_path) or self.vocabulary

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; the vocabulary is saved beside them."""
        serialize = keras.saving.serialize_keras_object
        output = self.output_embedding
        return {
            "name": self.name,
            "item_embedding": serialize(self.item_embedding),
            "history_length": self.history_length,
            "output_embedding": None if output is None else serialize(output),
            "hidden_units": list(self.hidden_units),
            "activation": self.activation,
            "dropout": self.dropout,
            "item_dropout": self.item_dropout,
            "item_bias": self.item_bias,
            "query_bias": self.query_bias,
            "query_projection": self.query_projection,
            "recency": self.recency,
            "item_bias_storage": self.item_bias_storage,
            "num_negatives": self.num_negatives,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Makes a ranker from `get_config()`."""
        config = dict(config)
        for name in ("item_embedding", "output_embedding"):
            if isinstance(config[name], dict):
                config[name] = keras.saving.deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
        return cls(**config)


def _check_same(
    attribute: str, item_embedding: CompressedEmbedding, output_embedding: CompressedEmbedding
) -> None:
    received = getattr(item_embedding, attribute), getattr(output_embedding, attribute)
    if received[0] != received[1]:
        raise invalid(
            f"`{attribute}` of both embeddings must be the same.",
            item_embedding=received[0],
            output_embedding=received[1],
        )
