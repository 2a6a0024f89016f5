"""Vectors of items from their texts, for items that no table has."""

from __future__ import annotations

from typing import Any

from memcom_tf._keras import keras
from memcom_tf.features import Features
from memcom_tf.features.tokens import NGRAMS
from memcom_tf.layers import CompressedEmbedding, FullEmbedding
from memcom_tf.models.text_model import POOLED, TextModel, without_some
from memcom_tf.tables import check_positive
from memcom_tf.tasks import Vectors

START = 0.01
"""Standard deviation of the vectors of n-grams at the start: of zeros no hidden layer learns."""


@keras.saving.register_keras_serializable("memcom_tf")
class TextVectors(TextModel):
    """The vector of a text: mean of the vectors of its character n-grams, and a linear layer.

        x = mean_i v(g_i),  vector = W x + b,  or  W relu(H x + h) + b

    over the n-grams of a text that are seen. A text without any, such as an empty one, has the
    vector of nothing known: `b`, or `W relu(h) + b`. An id that there is not is that of no n-gram,
    id 1. The table starts near zeros: an n-gram that training has not seen adds next to nothing. In
    training, n-grams are left out at random.

    `memcom_tf.training.distill_text_vectors` trains it to give the vectors of a trained table, so
    that a new item has one that the queries of a ranker can be compared with.

    Source: Fusco and Antognini, Extracting text representations for terms and phrases in technical
    domains, ACL 2023, of a model of characters that is distilled from a table of vectors; the mean
    of n-grams is that of Bojanowski et al., Enriching word vectors with subword information, TACL
    2017.

    Args:
        features: The field of texts, of `memcom_tf.features.hashed_ngrams`.
        output_dim: Width of the vectors that it gives.
        width: Width of the vectors of n-grams, where `embedding` does not say.
        hidden_units: Width of a hidden layer; None leaves it out.
        ngram_dropout: Share of the n-grams that a step of training leaves out.
        embedding: The table of n-grams, with `combiner="mean"` and `mask_zero=True`; None takes a
            full one.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        inputs: "ids" `[b, length]` int32, as `features.encode` returns.

    Returns of a call:
        Vectors `[b, output_dim]`.

    Raises:
        ValueError: If an argument is out of range, or the table does not fit.

    Example:
        >>> from memcom_tf.features import hashed_ngrams
        >>> features = hashed_ngrams("title", num_buckets=100, max_ngrams=40)
        >>> model = TextVectors(features, 8, width=4)
        >>> tuple(model(features.encode({"title": ["Green tea", "緑茶", ""]})).shape)
        (3, 8)
    """

    task = Vectors()
    tokenizer = NGRAMS
    made_with = "hashed_ngrams"

    def __init__(
        self,
        features: Features,
        output_dim: int,
        *,
        width: int = 64,
        hidden_units: int | None = None,
        ngram_dropout: float = 0.5,
        embedding: CompressedEmbedding | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        hidden = {} if hidden_units is None else {"hidden_units": hidden_units}
        check_positive(output_dim=output_dim, width=width, **hidden)
        self.features = features
        self.output_dim = int(output_dim)
        self.hidden_units = hidden_units
        self.ngram_dropout = ngram_dropout
        self.embedding = embedding if embedding is not None else _full_table(features, width)
        self.check_field_and_table()
        self._drop_ngrams = keras.layers.Dropout(ngram_dropout)
        self._hidden = None
        if hidden_units is not None:
            self._hidden = keras.layers.Dense(hidden_units, "relu", name="hidden")
        self._vector = keras.layers.Dense(output_dim, name="vector")

    @property
    def dense_layers(self) -> list[Any]:
        """The hidden layer, where there is one, and the linear one."""
        return [layer for layer in (self._hidden, self._vector) if layer is not None]

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Vectors of texts."""
        ids = self.ids_of(inputs)
        if training and self.ngram_dropout:
            ids = without_some(ids, self._drop_ngrams)
        x = self.embedding(ids)
        for dense in self.dense_layers:
            x = dense(x)
        return x

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "output_dim": self.output_dim,
            "hidden_units": self.hidden_units,
            "ngram_dropout": self.ngram_dropout,
        }


def _full_table(features: Features, width: int) -> CompressedEmbedding:
    """A full table for the n-grams of a field."""
    input_dim = max(features.tables.values(), default=1)
    start = keras.initializers.RandomNormal(stddev=START)
    return FullEmbedding(input_dim, width, start, name="ngrams", **POOLED)
