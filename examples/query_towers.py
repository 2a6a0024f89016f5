"""Query models for `memcom_tf.models.RetrievalModel`: what people rank with, as Keras models.

Each reads a history of items by the table that scores them, and gives a vector as wide as theirs.
Ids of a history are in order of time, then zeros.
"""

from __future__ import annotations

from typing import Any

from memcom_tf._keras import keras
from memcom_tf.features import Features
from memcom_tf.layers import CompressedEmbedding


@keras.saving.register_keras_serializable("memcom_tf.examples")
class Places(keras.layers.Layer):
    """Adds a vector for each place of a history, counted from its end, to those of its items."""

    def build(self, input_shape: Any) -> None:
        """Creates the vectors."""
        shape = tuple(input_shape[0][1:])
        self.places = self.add_weight(name="places", shape=shape, initializer="random_normal")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Vectors `[b, L, d]` and truths `[b, L]`; those of padding become zeros."""
        import tensorflow as tf

        vectors, known = inputs
        known = tf.cast(known, vectors.dtype)
        age = tf.reduce_sum(known, 1, keepdims=True) - tf.cumsum(known, axis=1)
        places = tf.gather(tf.convert_to_tensor(self.places), tf.cast(age, tf.int32))
        return (vectors + places) * known[..., None]


@keras.saving.register_keras_serializable("memcom_tf.examples")
class LastOf(keras.layers.Layer):
    """The vector of the last known place; zeros of an empty history."""

    def call(self, inputs: Any) -> Any:
        """Vectors `[b, L, d]` and truths `[b, L]` give `[b, d]`."""
        import tensorflow as tf

        vectors, known = inputs
        known = tf.cast(known, vectors.dtype)
        count = tf.reduce_sum(known, axis=1, keepdims=True)
        is_last = known * tf.cast(tf.equal(tf.cumsum(known, axis=1), count), vectors.dtype)
        return tf.reduce_sum(vectors * is_last[..., None], axis=1)


@keras.saving.register_keras_serializable("memcom_tf.examples")
class Seen(keras.layers.Layer):
    """What each place of a history may look at: known places up to its own, and itself."""

    def call(self, inputs: Any) -> Any:
        """Truths `[b, L]` give `[b, L, L]`."""
        import tensorflow as tf

        length = inputs.shape[1]
        earlier = tf.constant([[i >= j for j in range(length)] for i in range(length)])
        itself = tf.eye(length, dtype=tf.bool)
        return (inputs[:, None] & earlier) | itself


def sasrec(items: CompressedEmbedding, length: int, blocks: int = 2, heads: int = 1) -> Any:
    """A tower of causal self-attention.

    Source: Kang and McAuley, Self-attentive sequential recommendation, ICDM 2018,
    arXiv:1808.09781.
    """
    layers, width = keras.layers, items.output_dim
    history = keras.Input([length], dtype="int32", name="history")
    known = Known()(history)
    x = Places()([items(history), known])
    x = layers.Dropout(0.2)(x)
    seen = Seen()(known)
    for _ in range(blocks):
        normed = layers.LayerNormalization(epsilon=1e-6)(x)
        attention = layers.MultiHeadAttention(heads, width // heads, dropout=0.2)
        x = x + attention(normed, normed, attention_mask=seen)
        normed = layers.LayerNormalization(epsilon=1e-6)(x)
        hidden = layers.Dropout(0.2)(layers.Dense(width, "relu")(normed))
        x = x + layers.Dense(width)(hidden)
    query = LastOf()([layers.LayerNormalization(epsilon=1e-6)(x), known])
    return keras.Model(history, query, name="sasrec")


def gru4rec(items: CompressedEmbedding, length: int, units: int = 64) -> Any:
    """A tower of a recurrent layer, unrolled: runtimes of phones have no operator for its loop.

    Source: Hidasi et al., Session-based recommendations with recurrent neural networks, ICLR 2016,
    arXiv:1511.06939.
    """
    history = keras.Input([length], dtype="int32", name="history")
    states = keras.layers.GRU(units, return_sequences=True, unroll=True)(items(history))
    query = keras.layers.Dense(items.output_dim)(LastOf()([states, Known()(history)]))
    return keras.Model(history, query, name="gru4rec")


def with_fields(items: CompressedEmbedding, length: int, features: Features) -> Any:
    """A tower of a history and of fields: of the user, of the hour, of the device."""
    layers, width = keras.layers, items.output_dim
    history = keras.Input([length], dtype="int32", name="history")
    inputs, parts = [history], [LastOf()([items(history), Known()(history)])]
    if features.categorical:
        ids = keras.Input([features.slots], dtype="int32", name="ids")
        rows = max(of.input_dim for of in features.categorical)
        columns = [layers.Embedding(rows, 8)(ids[:, i]) for i in range(features.slots)]
        inputs.append(ids)
        parts += columns
    if features.numeric:
        numbers = keras.Input([len(features.numeric)], name="numbers")
        inputs.append(numbers)
        parts.append(Present()(numbers))
    hidden = layers.Dense(width, "relu")(layers.Concatenate()(parts))
    return keras.Model(inputs, layers.Dense(width)(hidden), name="with_fields")


@keras.saving.register_keras_serializable("memcom_tf.examples")
class Known(keras.layers.Layer):
    """Which places of a history hold an item."""

    def call(self, inputs: Any) -> Any:
        """Ids give truths of the same shape."""
        import tensorflow as tf

        return tf.not_equal(inputs, 0)


@keras.saving.register_keras_serializable("memcom_tf.examples")
class Present(keras.layers.Layer):
    """Numbers of any size in a small range, and zeros where one is missing, which is no number."""

    def call(self, inputs: Any) -> Any:
        """Numbers give values of the same shape."""
        import tensorflow as tf

        present = tf.where(tf.math.is_nan(inputs), tf.zeros_like(inputs), inputs)
        return present / (1.0 + tf.abs(present))
