"""A text classifier: the class of a document from the mean of the vectors of its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memcom_tf._keras import keras
from memcom_tf.errors import invalid
from memcom_tf.features import Features
from memcom_tf.features.tokens import WORDS
from memcom_tf.layers import CompressedEmbedding, FullEmbedding
from memcom_tf.models.text_model import POOLED, TextModel, without_some
from memcom_tf.tables import check_positive
from memcom_tf.tasks import Classes

START = 0.05
"""Standard deviation of the vectors at the start."""


@keras.saving.register_keras_serializable("memcom_tf")
class TextClassifier(TextModel):
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
    tokenizer = WORDS
    made_with = "fit_text"

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
        self.check_field_and_table()

    @property
    def dense_layers(self) -> list[Any]:
        """The hidden layers, and that of the classes."""
        return [*self._hidden, self._classes]

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Probabilities of classes."""
        ids = self.ids_of(inputs)
        if training and self.word_dropout:
            ids = without_some(ids, self._drop_words)
        x = self._drop_vector(self.embedding(ids), training=training)
        for dense in self._hidden:
            x = self._drop(dense(x), training=training)
        return self._classes(x)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; the vocabulary is saved beside them."""
        return {
            **super().get_config(),
            "classes": list(self.classes),
            "hidden_units": list(self.hidden_units),
            "word_dropout": self.word_dropout,
            "vector_dropout": self.vector_dropout,
            "dropout": self.dropout,
        }


def start() -> Any:
    """Initializer of the vectors."""
    return keras.initializers.RandomNormal(stddev=START)


def full_table(features: Features, width: int) -> CompressedEmbedding:
    """A full table for the words of a field."""
    (field,) = features.categorical
    return FullEmbedding(field.input_dim, width, start(), name="words", **POOLED)
