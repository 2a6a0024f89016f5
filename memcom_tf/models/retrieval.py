"""A ranker around any query model: what it makes of its inputs is compared with every item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.calling import call_model
from memcom_tf.errors import invalid
from memcom_tf.features import Features
from memcom_tf.layers.contract.finding import find_embeddings
from memcom_tf.layers.contract.layer import CompressedEmbedding
from memcom_tf.layers.full import FullEmbedding
from memcom_tf.models.assets import load_fields, load_vocabulary, save_fields, save_vocabulary
from memcom_tf.models.catalogue_ranker import CatalogueRanker, check_vocabulary
from memcom_tf.models.query_inputs import QueryInputs, check_fields
from memcom_tf.models.rebuilding import layers_of, with_layers
from memcom_tf.tasks import Retrieval
from memcom_tf.vocabulary import Vocabulary

if TYPE_CHECKING:
    from typing_extensions import Self


@keras.saving.register_keras_serializable("memcom_tf")
class RetrievalModel(CatalogueRanker):
    """Ranks items by a query vector that any Keras model computes.

    `score(i) = query_model(inputs) . item_embedding(i) + item_bias[i]`. The query model may hold
    `item_embedding` itself, as one that reads a history does: the table is then shared. Trained by
    `fit(inputs, target)`: `inputs` as the query model takes them, `target` ids `[b]`, or `[b, P]`
    padded with zeros; `compile(loss=...)` takes a `RankingLoss`.

    A file of it has the signatures `rank`, `score`, `query` and `embed`. An input of ids that the
    user had before is a history: `rank` leaves these out of its list, and apps fill it by titles.
    Inputs `ids` and `numbers` may be what `Features.encode` gives: apps then show a form.

    Args:
        query_model: Any Keras model that gives `[b, output_dim]`, of dense inputs whose sizes are
            fixed but for the batch.
        item_embedding: Table of the scored items, with `combiner=None`.
        vocabulary: The `Vocabulary` that gave the items' ids.
        item_bias: Whether items have a bias, which learns popularity.
        item_bias_storage: How the biases are stored and trained; None leaves them at two bytes.
        num_negatives: Items that a target is compared with; None takes the whole catalogue.
        history: Name of the input `[b, L]` with ids of items in order of time, then zeros. True
            takes the one called "history", or the only input where that is `[b, L]` of integers;
            False says that there is none.
        inputs: What a subclassed query model is called with: a `tf.TensorSpec`, or a dict of these
            by name. Functional and sequential models know.
        features: The fields that inputs `ids` and `numbers` are of.
        **kwargs: Arguments of `keras.Model`; `dtype` is that of `item_embedding` by default.

    Call arguments:
        inputs: As the query model takes them; several may be a dict by name.

    Returns of a call:
        Scores `[b, input_dim]` of all ids; those of padding mean nothing, those of free ids are
        below all others.

    Raises:
        ValueError: If widths, types or shapes do not fit, or inputs are not known.

    Example:
        >>> from memcom_tf.layers import MEmComEmbedding
        >>> items = MEmComEmbedding(1000, 16, num_buckets=100)
        >>> history = keras.Input([20], dtype="int32", name="history")
        >>> hour = keras.Input([1], name="hour")
        >>> read = keras.layers.GRU(16, unroll=True)(items(history))
        >>> query = keras.layers.Dense(16)(keras.layers.Concatenate()([read, hour]))
        >>> model = RetrievalModel(keras.Model([history, hour], query), items)
        >>> inputs = {"history": np.array([[3, 8, 11] + [0] * 17]), "hour": np.array([[0.3]])}
        >>> tuple(model(inputs).shape)
        (1, 1000)
    """

    task = Retrieval()

    def __init__(
        self,
        query_model: Any,
        item_embedding: CompressedEmbedding,
        *,
        vocabulary: Vocabulary | None = None,
        item_bias: bool = False,
        item_bias_storage: str | None = None,
        num_negatives: int | None = None,
        history: str | bool = True,
        inputs: Any = None,
        features: Features | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", item_embedding.dtype_policy)
        super().__init__(num_negatives=num_negatives, vocabulary=vocabulary, **kwargs)
        if not isinstance(item_embedding, CompressedEmbedding) or item_embedding.combiner:
            raise invalid(
                "`item_embedding` must be a layer of memcom_tf.layers with combiner=None.",
                "Take FullEmbedding, or FullEmbedding.from_table of vectors that are trained.",
                item_embedding=type(item_embedding).__name__,
            )
        if vocabulary is not None:
            check_vocabulary(vocabulary, item_embedding)
        known = QueryInputs.of(query_model, inputs, history)
        if features is not None:
            check_fields(features, known.specs)
        self.query_inputs = known
        self.history_length = known.history_length
        self._given = {"history": history, "inputs": inputs}
        self.features = features
        # First: the first table of a ranker's file is that of its items.
        self.item_embedding = item_embedding
        self.query_model = query_model
        self.item_bias, self.item_bias_storage = item_bias, item_bias_storage
        self._item_bias = None
        if item_bias:
            self._item_bias = FullEmbedding(
                item_embedding.input_dim,
                1,
                "zeros",
                name="item_bias",
                storage={"embeddings": item_bias_storage} if item_bias_storage else None,
                dtype=self.dtype_policy,
            )

    @property
    def scored_embedding(self) -> CompressedEmbedding:
        """The table of the items."""
        return self.item_embedding

    @property
    def item_bias_embedding(self) -> CompressedEmbedding | None:
        """The table of the items' biases `[input_dim, 1]`, where they have any."""
        return self._item_bias

    @property
    def item_tables(self) -> list[Any]:
        """The table of the items, and others of the query model with as many ids."""
        items = self.item_embedding
        others = [
            layer
            for layer in layers_of(self.query_model)
            if isinstance(layer, CompressedEmbedding | keras.layers.Embedding)
            and layer is not items
            and layer.input_dim == items.input_dim
        ]
        return [items, *others]

    @property
    def embeddings(self) -> list[CompressedEmbedding]:
        """Every compressed table of the model."""
        return find_embeddings(self)

    @property
    def query_specs(self) -> dict[str, tf.TensorSpec]:
        """The inputs of the query model by name; that of the history is called so."""
        return self.query_inputs.specs

    def query(self, inputs: Any, training: bool = False, distinct: bool = False) -> Any:
        """Query vectors `[b, output_dim]`; the query model decides what is looked up once."""
        structure = self.query_inputs.structured(inputs)
        found = call_model(self.query_model, structure, training)
        width = self.item_embedding.output_dim
        if len(found.shape) != 2 or found.shape[-1] != width:
            raise invalid(
                "The query model must give vectors [b, output_dim] as wide as those of the items.",
                "End it with keras.layers.Dense(output_dim).",
                shape=tuple(found.shape),
                output_dim=width,
            )
        return tf.cast(found, self.compute_dtype)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Scores of the whole catalogue."""
        return self.score_all(self.query(inputs, training))

    def build(self, input_shape: Any = None) -> None:
        """Creates the variables."""
        for table in (self.item_embedding, self._item_bias):
            if table is not None and not table.built:
                table.build(None)
        self.query(self.query_inputs.zeros())
        keras.layers.Layer.build(self, input_shape)

    def build_once(self) -> None:
        """Creates the variables where they do not exist yet."""
        if not self.built:
            with tf.init_scope():
                self.build(None)

    def like(
        self, item_tables: Sequence[Any], vocabulary: Vocabulary | None, **changed: Any
    ) -> Self:
        """A new ranker as this one, with other tables, as `CatalogueRanker.like`."""
        self.build_once()
        pairs = zip(self.item_tables, item_tables, strict=True)
        replaced = {id(old): new for old, new in pairs}
        inputs = self.query_inputs.structured(self.query_inputs.zeros())
        config = {**self._arguments(), "features": self.features, **changed}
        query_model = with_layers(self.query_model, replaced, inputs)
        return type(self)(query_model, item_tables[0], vocabulary=vocabulary, **config)

    def get_build_config(self) -> dict[str, Any]:
        """What `build_from_config` takes: that there are variables says enough."""
        return {"inputs": sorted(self.query_specs)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Creates the variables of a model that is loaded; Keras calls this."""
        self.build_once()

    def save_assets(self, dir_path: str) -> None:
        """Writes the vocabularies into the saved model; Keras calls this."""
        save_vocabulary(self.vocabulary, dir_path)
        if self.features is not None:
            save_fields(self.features, dir_path)

    def load_assets(self, dir_path: str) -> None:
        """Reads the vocabularies from the saved model; Keras calls this."""
        self.vocabulary = load_vocabulary(dir_path) or self.vocabulary
        if self.features is not None:
            self.features = load_fields(self.features, dir_path)

    def _arguments(self) -> dict[str, Any]:
        """Arguments of the constructor that say how, not what with."""
        return {
            "item_bias": self.item_bias,
            "item_bias_storage": self.item_bias_storage,
            "num_negatives": self.num_negatives,
            **self._given,
        }

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; the vocabularies are saved beside them."""
        serialize = keras.saving.serialize_keras_object
        inside = find_embeddings(self.query_model)
        shared = [place for place, layer in enumerate(inside) if layer is self.item_embedding]
        inputs = self._given["inputs"]
        return {
            "name": self.name,
            "query_model": serialize(self.query_model),
            # Of a table that both have: its place among those of the query model.
            "item_embedding": shared[0] if shared else serialize(self.item_embedding),
            **self._arguments(),
            "inputs": None if inputs is None else self.query_inputs.to_config(),
            "features": None if self.features is None else self.features.to_config(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Makes a model from `get_config()`."""
        config = dict(config)

        def made(value: Any) -> Any:
            if not isinstance(value, Mapping):
                return value
            return keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)

        query_model, items = made(config.pop("query_model")), made(config.pop("item_embedding"))
        if isinstance(items, int):
            items = find_embeddings(query_model)[items]
        if config["inputs"] is not None:
            config["inputs"] = QueryInputs.from_config(config["inputs"])
        if config["features"] is not None:
            config["features"] = Features.from_config(config["features"])
        return cls(query_model, items, **config)
