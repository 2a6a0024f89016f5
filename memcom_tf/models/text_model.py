"""What models of one field of texts have in common: a table whose vectors they take the mean of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.errors import invalid
from memcom_tf.features import Features
from memcom_tf.layers import CompressedEmbedding
from memcom_tf.models.field_model import FieldModel
from memcom_tf.models.rebuilding import copy_of
from memcom_tf.vocabulary import PADDING_ID, SHARED_ID

if TYPE_CHECKING:
    from typing_extensions import Self

POOLED: dict[str, Any] = {"combiner": "mean", "mask_zero": True}
"""Arguments of the table: it gives the mean of the values that there are."""


class TextModel(FieldModel):
    """A model of texts; a subclass has the attributes, `dense_layers` and `get_config`."""

    tokenizer: ClassVar[str]
    """Of the field."""
    made_with: ClassVar[str]
    """The function that makes the field."""
    embedding: CompressedEmbedding

    @property
    def dense_layers(self) -> list[Any]:
        """The layers behind the mean, in their order."""
        raise NotImplementedError

    @property
    def width(self) -> int:
        """Width of the vectors of the table."""
        return self.embedding.output_dim

    def check_field_and_table(self) -> None:
        """Requires one field of the tokenizer, and a table of it that gives means.

        Raises:
            ValueError: If there is another.
        """
        fields = self.features.categorical
        if len(fields) != 1 or self.features.numeric or fields[0].tokenizer != self.tokenizer:
            raise invalid(
                f"The features must be one field of texts, cut into {self.tokenizer}.",
                f"Make them with `memcom_tf.features.{self.made_with}`.",
                fields=self.features.names,
            )
        found = {name: getattr(self.embedding, name) for name in (*POOLED, "input_dim")}
        if found != {**POOLED, "input_dim": fields[0].input_dim}:
            raise invalid(
                f"The table must have {fields[0].input_dim} ids, and give the mean of "
                f"{self.tokenizer}.",
                'Pass `combiner="mean"` and `mask_zero=True`.',
                **found,
            )

    def build(self, input_shape: Any = None) -> None:
        """Creates the variables."""
        if not self.embedding.built:
            self.embedding.build(None)
        width = self.width
        for dense in self.dense_layers:
            dense.build((None, width))
            width = dense.units
        keras.layers.Layer.build(self, input_shape)

    def ids_of(self, inputs: Any) -> Any:
        """Ids of the table; one that it does not have is that of unknown values."""
        ids = tf.cast(inputs["ids"], tf.int32)
        known = tf.logical_and(ids >= 0, ids < self.embedding.input_dim)
        return tf.where(known, ids, SHARED_ID)

    def with_embedding(
        self, embedding: CompressedEmbedding, features: Features | None = None
    ) -> Self:
        """The same model with another table, and all else that was trained.

        Args:
            embedding: The table; one that is built keeps its values.
            features: The same values under other ids; None keeps these.

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
        return [weight for layer in self.dense_layers for weight in layer.weights]

    def get_config(self) -> dict[str, Any]:
        """The arguments that all have; the vocabulary is saved beside them."""
        return {
            "name": self.name,
            "features": self.features.to_config(),
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


def without_some(ids: Any, dropout: Any) -> Any:
    """Ids of a step of training, of which a layer of dropout leaves a share out."""
    kept = dropout(tf.ones(tf.shape(ids)), training=True)
    return tf.where(kept > 0, ids, PADDING_ID)
