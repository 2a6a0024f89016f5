"""A click model: the probability of a click from the fields of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.features import Features
from memcom_tf.layers import CompressedEmbedding, FullEmbedding
from memcom_tf.models.click_tables import (
    all_tables,
    check_tables,
    lookups,
    rows_of_full_tables,
    table_of,
)
from memcom_tf.models.field_model import FieldModel
from memcom_tf.models.field_values import pooled_over_values, seen_numbers
from memcom_tf.models.interactions import (
    check_interaction,
    crosses,
    dot_interaction,
    factorization,
    width_of_dots,
)
from memcom_tf.models.rebuilding import copy_of
from memcom_tf.tables import check_positive
from memcom_tf.tasks import Click

if TYPE_CHECKING:
    from typing_extensions import Self

_START = 0.01
_JOINT = "fields"


@keras.saving.register_keras_serializable("memcom_tf")
class ClickModel(FieldModel):
    """The probability of a click: vectors of fields, their interactions, dense layers.

    Every field has a vector `v_f [width]`: of a category its row, of several the mean of theirs,
    of a number the row of the interval that it lies in. The numbers themselves, as `Numeric` says,
    make one more by a linear layer. All of them, joined, are `x`, and

        logit = w . x + pairs(v) + mlp(x),  probability = sigmoid(logit)

    where `pairs` is by `interaction`: "deepfm" the sum of all products of two vectors; "dlrm"
    gives each of these products to the mlp; "dcn" is two cross layers, and their linear layer;
    "wide" is without, and without the mlp where `hidden_units` is empty: logistic regression.

    Fields whose tables are full share one table, in which each has its rows, so that a step looks
    all of them up at once. Tables of `tables` stand beside it. A value that the vocabulary does
    not know, and any id that a field does not have, is the unknown one; a missing one has an id of
    its own.

    Args:
        features: The fields.
        width: Width of the vectors.
        interaction: "deepfm", "dlrm", "dcn" or "wide".
        hidden_units: Widths of the dense layers.
        dropout: Rate of dropout behind each of these.
        embedding_dropout: Rate of dropout on the vectors of the fields.
        tables: Layers for tables that are not to be full, by the name of the table; see
            `compressed_tables`. One that is narrower than `width` is followed by a linear layer.
            One that is `k` times as wide gives `k` vectors: with a `CompositionalEmbedding` of
            `operation="concat"` each partition is a feature of its own, which the paper of
            complementary partitions calls feature generation.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        inputs: "ids" `[b, slots]` int32 and "numbers" `[b, numeric fields]` float32, NaN where one
            is missing, as `features.encode` returns; what there is of both.

    Returns of a call:
        Probabilities `[b, 1]`.

    Raises:
        ValueError: If an argument is out of range, or a layer does not fit its table.
        ImportError: If the interaction is of a package that is not installed.

    Example:
        >>> from memcom_tf.datasets import Rows
        >>> from memcom_tf.features import fit_features
        >>> rows = Rows.of({"site": ["a", "b", "a", "a"]}, {"age": [31, None, 18, 44]})
        >>> model = ClickModel(fit_features(rows), width=4)
        >>> tuple(model(model.features.encode(rows)).shape)
        (4, 1)
    """

    task = Click()

    def __init__(
        self,
        features: Features,
        *,
        width: int = 16,
        interaction: str = "deepfm",
        hidden_units: Sequence[int] = (64, 32),
        dropout: float = 0.2,
        embedding_dropout: float = 0.5,
        tables: Mapping[str, CompressedEmbedding] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive(width=width, **{f"hidden_units[{i}]": n for i, n in enumerate(hidden_units)})
        check_interaction(interaction)
        self.features = features
        self.width = int(width)
        self.interaction = interaction
        self.hidden_units = tuple(hidden_units)
        self.dropout, self.embedding_dropout = dropout, embedding_dropout
        self.tables = dict(tables or {})
        check_tables(features, self.tables, self.width)
        self.full_tables = rows_of_full_tables(features, self.tables)
        rows = sum(self.full_tables.values())
        start = keras.initializers.RandomNormal(stddev=_START)
        self.joint = FullEmbedding(rows, self.width, start, name=_JOINT) if rows else None
        self._widened = {
            name: keras.layers.Dense(self.width, use_bias=False, name=f"{name}_widened")
            for name, layer in self.tables.items()
            if layer.output_dim < self.width
        }
        self._numbers = keras.layers.Dense(width, name="numbers") if features.numeric else None
        self._drop_vectors = keras.layers.Dropout(embedding_dropout)
        self._wide = keras.layers.Dense(1, name="wide")
        self._dots = dot_interaction(name="dots") if interaction == "dlrm" else None
        self._crosses: list[Any] = []
        self._crossed = None
        if interaction == "dcn":
            self._crosses = crosses(self._num_fields * self.width)
            self._crossed = keras.layers.Dense(1, use_bias=False, name="crossed")
        self._hidden = [
            keras.layers.Dense(units, "relu", name=f"hidden_{place}")
            for place, units in enumerate(self.hidden_units)
        ]
        self._drop = keras.layers.Dropout(dropout)
        self._deep = keras.layers.Dense(1, use_bias=False, name="deep") if self._hidden else None

    @property
    def _num_fields(self) -> int:
        """Vectors of a row, that of the numbers together included."""
        numbers = len(self.features.numeric)
        of_categories = sum(self.vectors_of(of.table) for of in self.features.categorical)
        return of_categories + numbers + bool(numbers)

    def vectors_of(self, table: str) -> int:
        """How many vectors a field of a table gives: one, or as often as its layer is wider."""
        layer = self.tables.get(table)
        return 1 if layer is None else max(1, layer.output_dim // self.width)

    @property
    def embeddings(self) -> list[CompressedEmbedding]:
        """Every table of the model."""
        joint = [] if self.joint is None else [self.joint]
        return [*joint, *self.tables.values()]

    @property
    def table_layers(self) -> dict[str, CompressedEmbedding | None]:
        """The layer of each table by name; None where its rows are in the joint one."""
        return {name: self.tables.get(name) for name in all_tables(self.features)}

    def rows_of(self, table: str) -> slice:
        """The rows of a table in the joint one.

        Raises:
            KeyError: If it has a layer of its own, or there is none of that name.
        """
        first = 0
        for name, rows in self.full_tables.items():
            if name == table:
                return slice(first, first + rows)
            first += rows
        raise KeyError(table)

    def build(self, input_shape: Any = None) -> None:
        """Creates the variables."""
        for layer in self.embeddings:
            if not layer.built:
                layer.build(None)
        for name, dense in self._widened.items():
            dense.build((None, self.tables[name].output_dim))
        if self._numbers is not None:
            self._numbers.build((None, 2 * len(self.features.numeric)))
        width = self._num_fields * self.width
        self._wide.build((None, width))
        for cross in self._crosses:
            with tf.init_scope():  # its `build` leaves layers inside of it for the first call
                cross(tf.zeros([1, width]), tf.zeros([1, width]))
        if self._crossed is not None:
            self._crossed.build((None, width))
        if self._dots is not None:
            width += width_of_dots(self._num_fields)
        for dense in self._hidden:
            dense.build((None, width))
            width = dense.units
        if self._deep is not None:
            self._deep.build((None, width))
        keras.layers.Layer.build(self, input_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Probabilities of clicks."""
        return tf.sigmoid(self.logits(inputs, training))

    def logits(self, inputs: Any, training: bool = False) -> Any:
        """Logits `[b, 1]` of clicks."""
        return self.logits_of_vectors(self.vectors(inputs), training)

    def logits_of_vectors(self, vectors: Any, training: bool = False) -> Any:
        """Logits `[b, 1]` from the vectors `[b, fields, width]` of fields."""
        vectors = self._drop_vectors(vectors, training=training)
        x = tf.reshape(vectors, [-1, self._num_fields * self.width])
        logits = self._wide(x)
        deep = x
        if self.interaction == "deepfm":
            logits += factorization(vectors)
        elif self._dots is not None:
            deep = tf.concat([x, self._dots(tf.unstack(vectors, axis=1))], axis=1)
        elif self._crossed is not None:
            crossed = x
            for cross in self._crosses:
                crossed = cross(x, crossed)
            logits += self._crossed(crossed)
        for dense in self._hidden:
            deep = self._drop(dense(deep), training=training)
        return logits if self._deep is None else logits + self._deep(deep)

    def vectors(self, inputs: Any) -> Any:
        """Vectors `[b, fields, width]`, that of all numbers the last."""
        parts, numbers = lookups(self.features, inputs), None
        if self.features.numeric:
            values = tf.cast(inputs["numbers"], tf.float32)
            numbers, bins = seen_numbers(values, self.features.numeric)
            parts += [
                (table_of(of), bins[:, place : place + 1])
                for place, of in enumerate(self.features.numeric)
            ]
        pooled = [
            self._each_of_width(pooled_over_values(vectors, ids), name)
            for vectors, (name, ids) in zip(self._looked_up(parts), parts, strict=True)
        ]
        if self._numbers is not None:
            pooled.append(self._numbers(numbers)[:, None])
        return tf.concat(pooled, axis=1) if len(pooled) > 1 else pooled[0]

    def _each_of_width(self, vectors: Any, table: str) -> Any:
        """The vector `[b, 1, d]` of a field as all vectors `[b, k, width]` that it gives."""
        count = self.vectors_of(table)
        return vectors if count == 1 else tf.reshape(vectors, [-1, count, self.width])

    def _looked_up(self, parts: Sequence[tuple[str, Any]]) -> list[Any]:
        """Vectors `[b, length, width]` of ids `[b, length]`, those of full tables in one lookup."""
        firsts = {name: self.rows_of(name).start for name in self.full_tables}
        joint = [
            (place, ids + firsts[name]) for place, (name, ids) in enumerate(parts) if name in firsts
        ]
        found: dict[int, Any] = {}
        if joint:
            assert self.joint is not None
            vectors = self.joint(tf.concat([ids for _, ids in joint], axis=1))
            lengths = [ids.shape[1] for _, ids in joint]
            split = tf.split(vectors, lengths, axis=1) if len(joint) > 1 else [vectors]
            found = {place: one for (place, _), one in zip(joint, split, strict=True)}
        for place, (name, ids) in enumerate(parts):
            if name in self.tables:
                vectors = self.tables[name](ids)
                widened = self._widened.get(name)
                found[place] = vectors if widened is None else widened(vectors)
        return [found[place] for place in range(len(parts))]

    def with_tables(self, layers: Mapping[str, CompressedEmbedding]) -> Self:
        """The same model with other layers for some tables, and all else that was trained.

        Args:
            layers: Built layers, by the name of a table that is in the joint one.

        Returns:
            The model, built; this one is not changed.
        """
        config = {**self.get_config(), "features": self.features}
        config["tables"] = {**{name: copy_of(old) for name, old in self.tables.items()}, **layers}
        new = type(self).from_config(config)
        new.build_once()
        if new.joint is not None and self.joint is not None:
            rows = self.joint.table_values()["embeddings"]
            kept = [rows[self.rows_of(name)] for name in new.full_tables]
            new.joint.assign_tables({"embeddings": np.concatenate(kept)})
        mine, theirs = self._dense_weights(), new._dense_weights()
        for old, own in zip(mine, theirs, strict=True):
            own.assign(old)
        for name, widened in self._widened.items():
            new._widened[name].set_weights(widened.get_weights())
        return new

    def _dense_weights(self) -> list[Any]:
        """The weights of all layers but tables, and but those that widen a narrow one."""
        others = [self._numbers, self._wide, self._crossed, self._deep]
        dense = [*others, *self._crosses, *self._hidden]
        return [weight for layer in dense if layer is not None for weight in layer.weights]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; the vocabularies are saved beside them."""
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "features": self.features.to_config(),
            "width": self.width,
            "interaction": self.interaction,
            "hidden_units": list(self.hidden_units),
            "dropout": self.dropout,
            "embedding_dropout": self.embedding_dropout,
            "tables": {name: serialize(layer) for name, layer in self.tables.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Makes a model from `get_config()`."""
        config = dict(config)
        if not isinstance(config["features"], Features):
            config["features"] = Features.from_config(config["features"])
        config["tables"] = {
            name: keras.saving.deserialize_keras_object(layer, custom_objects=custom_objects)
            if isinstance(layer, dict)
            else layer
            for name, layer in config["tables"].items()
        }
        return cls(**config)
