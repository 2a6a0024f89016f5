"""Models made again with other tables in place of some: rankers, and any Keras model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.calling import call_model, inputs_missing
from memcom_tf.errors import message
from memcom_tf.layers import CompressedEmbedding, FullEmbedding
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.vocabulary import Vocabulary

Ranker = TypeVar("Ranker", bound=CatalogueRanker)
TablesOf = Callable[[CompressedEmbedding], CompressedEmbedding]
"""Makes the layer that takes another one's place."""

_POOLED = "EmbedReduce"
"""The pooling layer of keras-rs, known by its name so that it need not be installed."""


def ranker_with(
    ranker: Ranker,
    tables: TablesOf,
    vocabulary: Vocabulary | None = None,
    **changed: Any,
) -> Ranker:
    """A new ranker like another one, with other tables: as it starts, without what was trained.

    Args:
        ranker: The other one.
        tables: Makes the new layer of the history, and of the scored items, from the old one.
        vocabulary: That of the new one.
        **changed: Arguments of the ranker to change.
    """
    return ranker.like([tables(layer) for layer in ranker.item_tables], vocabulary, **changed)


def rebuilt_ranker(
    ranker: Ranker, vocabulary: Vocabulary | None, tables: TablesOf, **changed: Any
) -> Ranker:
    """A ranker with other tables, and all other weights of a trained one.

    Args:
        ranker: The trained ranker.
        vocabulary: The vocabulary of the new one.
        tables: Makes the new layer, built, of an old one.
        **changed: Arguments of the ranker to change; tables they leave out are left out.

    Returns:
        The new ranker, built.
    """
    made = [tables(layer) for layer in ranker.item_tables]
    new = ranker.like(made, vocabulary, **changed)
    new.build_once()
    for own, layer in zip(new.item_tables, made, strict=True):
        own.assign_tables(layer.table_values())
    if new.item_bias_embedding is not None and ranker.item_bias_embedding is not None:
        biases = tables(ranker.item_bias_embedding)
        new.item_bias_embedding.assign_tables(biases.table_values())
    for own, old in zip(_weights_but_tables(new), _weights_but_tables(ranker), strict=True):
        own.assign(old)
    return new


def copy_of(layer: CompressedEmbedding) -> CompressedEmbedding:
    """A layer of its own with the same tables."""
    copy = type(layer).from_config(layer.get_config())
    copy.build(None)
    copy.assign_tables(layer.table_values())
    return copy


def _weights_but_tables(ranker: CatalogueRanker) -> list[Any]:
    """By their places: names of layers are others in every ranker of a program."""
    tables = [*ranker.item_tables, *filter(None, [ranker.item_bias_embedding])]
    of_tables = {id(weight) for layer in tables for weight in layer.weights}
    return [weight for weight in ranker.weights if id(weight) not in of_tables]


def is_table(layer: Any) -> bool:
    """Whether a layer is an embedding that holds its table as it is."""
    if isinstance(layer, CompressedEmbedding):
        return isinstance(layer, FullEmbedding)
    return isinstance(layer, keras.layers.Embedding) or type(layer).__name__ == _POOLED


def table_of(layer: Any) -> Any:
    """Its table, `[input_dim, output_dim]`."""
    return np.asarray(layer.get_weights()[0], np.float32)


def with_layers(model: Any, replaced: dict[int, Any], inputs: Any) -> Any:
    """A copy of a model with other embeddings.

    Args:
        model: The model, which is not changed.
        replaced: Layers by the `id` of those whose place they take.
        inputs: What a subclassed model is called with.

    Returns:
        The model; all layers that are not replaced have their weights.
    """

    def new(layer: Any) -> Any:
        made = replaced.get(id(layer))
        return type(layer).from_config(layer.get_config()) if made is None else made

    if isinstance(model, keras.Sequential) or getattr(model, "inputs", None):
        copy = keras.models.clone_model(model, clone_function=new)
    else:
        copy = _subclassed(model, replaced, inputs)
    _copy_weights(model, copy, replaced)
    for name in ("vocabulary", "features"):
        if getattr(model, name, None) is not None:
            setattr(copy, name, getattr(model, name))
    return copy


def layers_of(model: Any) -> Iterator[Any]:
    """All layers of a model, each once."""
    seen = set()
    for layer in model._flatten_layers(include_self=False):
        if id(layer) not in seen:
            seen.add(id(layer))
            yield layer


def _copy_weights(model: Any, copy: Any, replaced: dict[int, Any]) -> None:
    """Gives a copy the weights of all layers but those that were replaced."""
    new = {id(layer) for layer in replaced.values()}
    kept = [layer for layer in layers_of(model) if id(layer) not in replaced]
    copies = [layer for layer in layers_of(copy) if id(layer) not in new]
    for layer, other in zip([model, *kept], [copy, *copies], strict=True):
        for weight, own in zip(_own_weights(layer), _own_weights(other), strict=True):
            own.assign(weight)


def _own_weights(layer: Any) -> list[Any]:
    inner = layer._flatten_layers(include_self=False)
    of_others = {id(weight) for part in inner for weight in part.weights}
    return [weight for weight in layer.weights if id(weight) not in of_others]


def _subclassed(model: Any, replaced: dict[int, Any], inputs: Any) -> Any:
    """The model made again from its config, with new layers among its attributes."""
    if inputs is None:
        raise inputs_missing(model)
    try:
        copy = type(model).from_config(model.get_config())
    except (TypeError, NotImplementedError) as error:
        raise TypeError(
            message(
                f"A subclassed model must be made again by its config, which says: {error}.",
                "Define `get_config`, or build the model with layers of memcom_tf.layers.",
                model=model.name,
            )
        ) from error
    of_keras = vars(keras.Model())
    for name, value in list(vars(model).items()):
        if name not in of_keras and not name.startswith("_self_") and name in vars(copy):
            own = vars(copy)[name]
            changed = _exchanged(value, own, replaced)
            if changed is not None:
                _forget(copy, own)
                setattr(copy, name, changed)
    call_model(copy, tf.nest.map_structure(_zeros, inputs))
    return copy


def _exchanged(value: Any, own: Any, replaced: dict[int, Any]) -> Any:
    """The copy's own attribute with new layers in it; None where it needs none."""
    if id(value) in replaced:
        return replaced[id(value)]
    if isinstance(value, list) and any(id(part) in replaced for part in value):
        return [replaced.get(id(part), mine) for part, mine in zip(value, own, strict=True)]
    if isinstance(value, dict) and any(id(part) in replaced for part in value.values()):
        return {key: replaced.get(id(part), own[key]) for key, part in value.items()}
    return None


def _forget(model: Any, value: Any) -> None:
    """Keras 3 keeps a layer whose attribute is set anew among those of the model."""
    for layer in tf.nest.flatten(value):
        if hasattr(model, "_tracker") and is_table(layer):
            model._tracker.untrack(layer)


def _zeros(spec: Any) -> Any:
    return tf.zeros([size or 1 for size in spec.shape], spec.dtype)
