"""The inputs of a query model: their names, and which of them is a history of items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.calling import inputs_missing, known_inputs
from memcom_tf.errors import invalid
from memcom_tf.features import Features

HISTORY = "history"
"""The name that a file gives to the input of the items that a user had before."""
_CANDIDATES = "candidates"
"""The name of an input of `score`."""


@dataclass(frozen=True)
class QueryInputs:
    """The inputs of a query model.

    Attributes:
        structure: Their specs as the model takes them: one, or a list or dict of several.
        specs: They by name, where that of the history is "history".
        own: The names that the model gives them, by those names.
    """

    structure: Any
    specs: dict[str, tf.TensorSpec]
    own: dict[str, str]

    @classmethod
    def of(cls, model: Any, inputs: Any, history: str | bool) -> QueryInputs:
        """Those of a query model; arguments are those of `RetrievalModel`.

        Raises:
            ValueError: If they are not known, or of other kinds than they must be.
        """
        found = known_inputs(model) if inputs is None else inputs
        if found is None:
            raise inputs_missing(model)
        structure = _named(found)
        flat = tf.nest.flatten(structure)
        names = [spec.name for spec in flat]
        history_name = _history_name(flat, history)
        own = {HISTORY if name == history_name else name: name for name in names}
        specs = {
            name: tf.TensorSpec(spec.shape, _dtype(name, spec), name=name)
            for name, spec in zip(own, flat, strict=True)
        }
        if len(specs) < len(flat) or _CANDIDATES in specs:
            raise invalid(
                f"The inputs of a query model must have different names, and none `{_CANDIDATES}`.",
                "Name them: keras.Input(..., name=...).",
                names=names,
            )
        return cls(structure, specs, own)

    @property
    def history_length(self) -> int:
        """L of the history; 0 where there is none."""
        return int(self.specs[HISTORY].shape[1]) if HISTORY in self.specs else 0

    def by_name(self, inputs: Any) -> dict[str, Any]:
        """Inputs by name, of what a user passes: by those names, by the model's own, or in order.

        Raises:
            ValueError: If there are others than the model takes.
        """
        if not isinstance(inputs, Mapping):
            flat = list(inputs) if isinstance(inputs, (list, tuple)) and self._several else [inputs]
            inputs = dict(zip(self.specs, flat, strict=False))
        found = {
            name: inputs[name] if name in inputs else inputs[own]
            for name, own in self.own.items()
            if name in inputs or own in inputs
        }
        if len(found) < len(self.specs) or len(inputs) > len(found):
            raise invalid(
                f"The inputs of a query must be {list(self.specs)}.",
                "Pass a dict of arrays by these names.",
                inputs=list(inputs),
            )
        return found

    @property
    def _several(self) -> bool:
        return len(self.specs) > 1

    def structured(self, inputs: Any) -> Any:
        """Inputs as the query model takes them, in its types."""
        found = self.by_name(inputs)
        tensors = [
            tf.cast(tf.convert_to_tensor(found[name]), spec.dtype)
            for name, spec in zip(self.specs, tf.nest.flatten(self.structure), strict=True)
        ]
        return tf.nest.pack_sequence_as(self.structure, tensors)

    def zeros(self) -> dict[str, Any]:
        """Inputs of one query, all zeros."""
        return {
            name: tf.zeros([1, *spec.shape[1:]], spec.dtype) for name, spec in self.specs.items()
        }

    def to_config(self) -> Any:
        """The specs of the model as JSON: one, or by name."""
        specs = [
            {"shape": list(spec.shape), "dtype": spec.dtype.name, "name": spec.name}
            for spec in tf.nest.flatten(self.structure)
        ]
        is_one = isinstance(self.structure, tf.TensorSpec)
        return specs[0] if is_one else {spec["name"]: spec for spec in specs}

    @staticmethod
    def from_config(config: Mapping[str, Any]) -> Any:
        """What `inputs` of `RetrievalModel` was."""

        def spec(of: Mapping[str, Any]) -> tf.TensorSpec:
            return tf.TensorSpec(of["shape"], of["dtype"], name=of["name"])

        is_one = isinstance(config["shape"], list) if "shape" in config else False
        return spec(config) if is_one else {name: spec(of) for name, of in config.items()}


def check_fields(features: Features, specs: Mapping[str, tf.TensorSpec]) -> None:
    """Requires that inputs `ids` and `numbers` are those of fields.

    Raises:
        ValueError: If one is missing, or has another size.
    """
    sizes = {"ids": features.slots, "numbers": len(features.numeric)}
    for name, size in sizes.items():
        found = specs[name].shape[1:].as_list() if name in specs else None
        wanted = [size] if size else None
        if found != wanted:
            raise invalid(
                "The query model must take the fields: `ids` [b, slots] where there are categories "
                "and `numbers` [b, n] where there are numbers.",
                "They are what features.encode(rows) gives.",
                input=name,
                shape=found,
                of_the_fields=wanted,
            )


def _named(inputs: Any) -> Any:
    """Specs in the same structure, with names."""
    if not isinstance(inputs, Mapping):
        numbers = iter(range(len(tf.nest.flatten(inputs))))
        return tf.nest.map_structure(lambda x: _spec(x, f"input_{next(numbers)}"), inputs)
    return {name: _spec(inputs[name], name, name) for name in sorted(inputs)}


def _spec(tensor: Any, fallback: str, name: str | None = None) -> tf.TensorSpec:
    shape = tf.TensorShape(tensor.shape)
    if shape.rank is None or shape.rank < 2 or None in shape.as_list()[1:]:
        raise invalid(
            "The inputs of a query model must be dense, with sizes that are fixed but for the "
            "batch.",
            "Give a number its own axis: [b, 1].",
            input=name or getattr(tensor, "name", None) or fallback,
            shape=shape.as_list() if shape.rank is not None else None,
        )
    own = name or (getattr(tensor, "name", None) or fallback).partition(":")[0].replace("/", "_")
    dtype = getattr(tensor.dtype, "name", tensor.dtype)
    return tf.TensorSpec(shape, dtype, name=own)


def _dtype(name: str, spec: tf.TensorSpec) -> tf.DType:
    """As apps pass it: ids are int32."""
    return tf.int32 if name == HISTORY and spec.dtype.is_integer else spec.dtype


def _history_name(specs: list[tf.TensorSpec], history: str | bool) -> str | None:
    """Which of the inputs is the history."""
    if history is False:
        return None
    could_be = [
        spec.name
        for spec in specs
        if spec.shape.rank == 2 and np.dtype(spec.dtype.as_numpy_dtype).kind in "iu"
    ]
    if isinstance(history, str):
        if history not in could_be:
            raise invalid(
                "`history` must be the name of an input [b, L] of integers.",
                f"Inputs of that kind: {could_be}.",
                history=history,
            )
        return history
    if HISTORY in could_be:
        return HISTORY
    return could_be[0] if len(specs) == 1 and could_be else None
