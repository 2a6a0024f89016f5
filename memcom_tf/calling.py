"""Calling a model with inputs in whatever structure it takes them: one by one, or all as one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from memcom_tf._keras import keras
from memcom_tf.errors import for_reader, invalid

_NOT_INPUTS = ("self", "training", "mask")


def call_model(model: Any, inputs: Any, training: bool = False) -> Any:
    """Calls a model, for inference unless it is said to be in training.

    A list or tuple is passed one by one to a `call(self, user, item)`, a dict by the names of such
    arguments; to any other `call`, the structure is passed as it is.

    Args:
        model: A Keras model.
        inputs: Tensors in a structure.
        training: Whether it is in training.

    Returns:
        What the model returns.
    """
    required, names = _arguments(model)
    if isinstance(inputs, (list, tuple)) and len(inputs) > 1 and required > 1:
        return model(*inputs, training=training)
    if isinstance(inputs, Mapping) and set(names[:required]) <= set(inputs) <= set(names):
        return model(**inputs, training=training)
    return model(inputs, training=training)


def known_inputs(model: Any) -> Any:
    """What a model says that it is called with, as symbolic tensors or specs; None if nothing."""
    if isinstance(model, keras.Sequential):
        return model.inputs[0] if model.inputs else None
    if getattr(model, "inputs", None):
        return model.input
    if getattr(model, "save_spec", lambda: None)() is not None:  # tf_keras, once called
        (first, *others), _ = model.save_spec()
        return [first, *others] if others else first
    return None


def inputs_missing(model: Any, instead: str = "") -> ValueError:
    """The error where nobody said what a subclassed model is called with.

    Args:
        model: The model.
        instead: What else the reader at the command line may do.
    """
    return invalid(
        "The inputs of a subclassed model must be given.",
        for_reader(
            'Pass `inputs`, as in inputs={"user": tf.TensorSpec([None], tf.int32)}, or a batch.',
            f"Say what it is called with, as in --inputs 'user:int32[?]' 'item:int32[?]'{instead}.",
        ),
        model=model.name,
    )


def input_names(model: Any, inputs: Any) -> list[str] | None:
    """Names that a model itself gives to a list of inputs that it takes one by one."""
    required, names = _arguments(model)
    one_by_one = isinstance(inputs, (list, tuple)) and 1 < len(inputs) <= len(names)
    return names[: len(inputs)] if one_by_one and required > 1 else None


def _arguments(model: Any) -> tuple[int, list[str]]:
    """How many arguments `call` must be given, and what all of them are called."""
    try:
        parameters = inspect.signature(model.call).parameters.values()
    except (TypeError, ValueError):
        return 1, []
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
    taken = [p for p in parameters if p.kind in kinds and p.name not in _NOT_INPUTS]
    return sum(p.default is inspect.Parameter.empty for p in taken), [p.name for p in taken]
