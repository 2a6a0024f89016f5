"""A text classifier: the class of a document from the mean of the vectors of its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.errors import invalid
from memcom_tf.features import Features
from memcom_tf.layers import CompressedEmbedding, FullEmbedding
from memcom_tf.models.field_model import FieldModel
from memcom_tf.models.rebuilding import copy_of
from memcom_tf.tables import check_positive
from memcom_tf.tasks import Classes
from memcom_tf.vocabulary import PADDING_ID, SHARED_ID

START = 0.05
"""Standard deviation of the vectors at the start."""
POOLED: dict[str, Any] = {"combiner": "mean", "mask_zero": True}
"""Arguments of the table: it gives the mean of the words that there are."""


@keras.saving.register_keras_serializable("memcom_tf")
class TextClassifier(FieldModel):
    """The probabilities of classes: mean of word vectors, dense layers, softmax.

        x = mean_i v(w_i),  probabilities = softmax(W relu(H x + h) + b)

    over the words of a document that are seen. A word that the vocabulary does not know, and any
    id that it does not have, is the unknown one. In training, words are left out at random.

    Source: Iyyer et al., Deep unordered composition rivals syntactic methods for text
    classification, ACL 2015, from which leaving words out is as well.

    Args:
        features: The field of texts, of `memcom_tf.features.fit_text`.
        classes: Names of the classes, in the order of the outputs.
        width: Width of the word vectors, where `embedding` does not say.
        hidden_units: Widths of the dense layers before the last.
        word_dropout: Share of the words that a step of training leaves out.
        vector_dropout: Rate of dropout on the mean of the vectors.
        dropout: Rate of dropout behind each dense layer.
        embedding: The table of words, with `combiner="mean"` and `mask_zero=True`; None takes a
            full one.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        inputs: "ids" `[b, length]` int32, as `features.encode` returns.

    Returns of a call:
        Probabilities `[b, classes]`.

    Raises:
        ValueError: If an argument is out of range, or the table does not fit.

    Example:
        >>> from memcom_tf.features import fit_text
        >>> features = fit_text(["green tea", "cold milk", "cold tea"], min_count=1)
        >>> model = TextClassifier(features, ["milk", "tea"], width=4)
        >>> tuple(model(features.encode({"text": ["Milk!", "tea?"]})).shape)
        (2, 2)
    """

    task = Classes()

    def __init__(
        self,
        features: Features,
        classes: Sequence[str],
        *,
        width: int = 64,
        hidden_units: Sequence[int] = (64,),
        word_dropout: float = 0.5,
        vector_dropout: float = 0.4,
        dropout: float = 0.5,
        embedding: CompressedEmbedding | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive(width=width, **{f"hidden_units[{i}]": n for i, n in enumerate(hidden_units)})
        self.features = features
        self.classes = tuple(map(str, classes))
        self.hidden_units = tuple(hidden_units)
        self.word_dropout, self.vector_dropout = word_dropout, vector_dropout
        self.dropout = dropout
        self.embedding = embedding if embedding is not None else full_table(features, width)
        self._check()
        self._drop_words = keras.layers.Dropout(word_dropout)
        self._drop_vector = keras.layers.Dropout(vector_dropout)
        self._hidden = [
            keras.layers.Dense(units, "relu", name=f"hidden_{place}")
            for place, units in enumerate(self.hidden_units)
        ]
        self._drop = keras.layers.Dropout(dropout)
        self._classes = keras.layers.Dense(len(self.classes), "softmax", name="classes")

    def _check(self) -> None:
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise invalid(
                "There must be two classes or more, of different names.", "", classes=self.classes
            )
        fields = self.features.categorical
        if len(fields) != 1 or self.features.numeric or fields[0].tokenizer is None:
            raise invalid(
                "The features must be one field of texts.",
                "Make them with `memcom_tf.features.fit_text`.",
                fields=self.features.names,
            )
        found = {name: getattr(self.embedding, name) for name in (*POOLED, "input_dim")}
        if found != {**POOLED, "input_dim": fields[0].input_dim}:
            raise invalid(
                f"The table must have {fields[0].input_dim} ids, and give the mean of words.",
                'Pass `combiner="mean"` and `mask_zero=True`.',
                **found,
            )

    @property
    def width(self) -> int:
        """Width of the word vectors."""
        return self.embedding.output_dim

    def build(self, input_shape: Any = None) -> None:
        """Creates the variables."""
        if not self.embedding.built:
            self.embedding.build(None)
        width = self.width
        for dense in self._hidden:
            dense.build((None, width))
            width = dense.units
        self._classes.build((None, width))
        keras.layers.Layer.build(self, input_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Probabilities of classes."""
        ids = tf.cast(inputs["ids"], tf.int32)
        known = tf.logical_and(ids >= 0, ids < self.embedding.input_dim)
        ids = tf.where(known, ids, SHARED_ID)
        if training and self.word_dropout:
            kept = self._drop_words(tf.ones(tf.shape(ids)), training=True)
            ids = tf.where(kept > 0, ids, PADDING_ID)
        x = self._drop_vector(self.embedding(ids), training=training)
        for dense in self._hidden:
            x = self._drop(dense(x), training=training)
        return self._classes(x)

    def with_embedding(
        self, embedding: CompressedEmbedding, features: Features | None = None
    ) -> Self:
        """The same model with another table of words, and all else that was trained.

        Args:
            embedding: The table; one that is built keeps its values.
            features: The same words under other ids; None keeps these.

        Returns:
            The model, built; this one is not changed.
        """
        features = features or self.features
        config = {**self.get_config(), "features": features, "embedding": embedding}
        new = type(self).from_config(config)
        new.build_once()
        for own, old in zip(new._dense_weights(), self._dense_weights(), strict=True):
            own.assign(old)
        return new

    def copied(self) -> Self:
        """A model of its own with the same weights."""
        return self.with_embedding(copy_of(self.embedding))

    def _dense_weights(self) -> list[Any]:
        return [weight for layer in (*self._hidden, self._classes) for weight in layer.weights]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; the vocabulary is saved beside them."""
        return {
            "name": self.name,
            "features": self.features.to_config(),
            "classes": list(self.classes),
            "hidden_units": list(self.hidden_units),
            "word_dropout": self.word_dropout,
            "vector_dropout": self.vector_dropout,
            "dropout": self.dropout,
            "embedding": keras.saving.serialize_keras_object(self.embedding),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Makes a model from `get_config()`."""
        config = dict(config)
        if not isinstance(config["features"], Features):
            config["features"] = Features.from_config(config["features"])
        if isinstance(config["embedding"], dict):
            config["embedding"] = keras.saving.deserialize_keras_object(
                config["embedding"], custom_objects=custom_objects
            )
        return cls(**config)


def start() -> Any:
    """Initializer of the vectors."""
    return keras.initializers.RandomNormal(stddev=START)


def full_table(features: Features, width: int) -> CompressedEmbedding:
    """A full table for the words of a field."""
    (field,) = features.categorical
    return FullEmbedding(field.input_dim, width, start(), name="words", **POOLED)
