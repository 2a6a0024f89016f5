"""The models that are converted, as functions of named tensors. Here: Keras models."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.calling import input_names, inputs_missing, known_inputs
from memcom_tf.errors import invalid
from memcom_tf.ops.interface import Array
from memcom_tf.text import printable

from ..tracing.frozen_graph import DENSE
from .names import file_names, node_names
from .ragged import RaggedSpec, as_ragged, ragged_spec

Function = Any
"""A `tf.function` with an input signature, which returns tensors by name."""
_HOW_TO_PASS = "Inputs are a tensor, a list or a dict, in the structure that `call` takes them."
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST_REASON = 500
_OF_KERAS = "Exception encountered when calling"
"""What Keras says of an error in the `call` of a layer; other errors of values are our own."""
_SCOPE = re.compile(r"'(.*)' is not a valid (?:root )?scope name", re.DOTALL)
Context = Callable[[Sequence[Array]], AbstractContextManager[None]]


class Source(ABC):
    """Where functions come from.

    Attributes:
        name: Name of the model.
        variables: Its variables, by names that tell them apart.
        parameters: Number of its trained values.
    """

    name: str
    variables: dict[str, Any]
    parameters: int

    @abstractmethod
    def functions(self, context: Context) -> dict[str, Any]:
        """Concrete functions by the name of their signature, traced in a context of the inputs."""


class KerasSource(Source):
    """A Keras model, with one signature.

    Args:
        model: A built model.
        inputs: What it is called with, as `tf.TensorSpec`s or example arrays in the same
            structure; None where the model knows, as functional and sequential ones do.
        function: Name of the signature, and what computes its outputs from inputs in their
            structure.
    """

    def __init__(self, model: Any, inputs: Any, function: tuple[str, Callable[[Any], Any]]) -> None:
        self.model, self.name = model, model.name
        self._signature, self._call = function
        self._inputs = inputs
        self.variables = by_name(
            (_path(variable).removeprefix(f"{model.name}/"), _tensor_of(variable))
            for variable in model.variables
        )
        self.parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)

    def functions(self, context: Context) -> dict[str, Any]:
        """The one function of the model."""
        structure = _structure_of(self.model, self._inputs)
        names, flat = _input_names(self.model, structure), tf.nest.flatten(structure)
        specs = [
            spec.inputs(name)
            if isinstance(spec, RaggedSpec)
            else [tf.TensorSpec(spec.shape, spec.dtype, name=name)]
            for spec, name in zip(flat, names, strict=True)
        ]

        @tf.function(input_signature=[*chain(*specs)])
        def run(*inputs: Array) -> dict[str, Array]:
            with context(inputs):
                waiting = iter(inputs)
                tensors = [
                    next(waiting) if len(spec) == 1 else as_ragged(next(waiting), next(waiting))
                    for spec in specs
                ]
                packed = tf.nest.pack_sequence_as(structure, tensors)
                return named_outputs(self._call(packed))

        try:
            return {self._signature: run.get_concrete_function()}
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if (found := _SCOPE.search(str(error))) is not None:
                raise invalid(
                    "The model and its layers must have names of letters, digits and `_.-`: in its "
                    "graphs TensorFlow allows no other, also not to predict.",
                    "Make the model again with other names.",
                    name=found[1],
                ) from error
            if isinstance(error, ValueError) and _OF_KERAS not in str(error):
                raise
            reason = printable(_reason(error), _LONGEST_REASON)
            raise invalid(
                "The model must accept the inputs that it is called with, but its `call` raises "
                f"{type(error).__name__}: {reason}.",
                "" if self._inputs is None else _HOW_TO_PASS,
                model=self.name,
                inputs=dict(zip(names, flat, strict=True)),
            ) from error


def _reason(error: Exception) -> str:
    """What an error says, without the lines in which Keras says where and with which arguments."""
    text = _COLORS.sub("", str(error))
    said = text.partition(_OF_KERAS)[2].partition("Arguments received")[0]
    lines = [line.strip() for line in said.splitlines()[1:] if line.strip()]
    lines = lines or [line.strip() for line in text.splitlines() if line.strip()][-1:]
    return lines[0] if lines else repr(error)


def by_name(named: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Variables by their names, with a number behind a name that others have too."""
    found: dict[str, Any] = {}
    for own, variable in {id(variable): (own, variable) for own, variable in named}.values():
        name, number = own, 1
        while name in found:
            number += 1
            name = f"{own}_{number}"
        found[name] = variable
    return found


def named_outputs(outputs: Any) -> dict[str, Array]:
    """Outputs by name: their own, or `output_0` and so on, in sorted order."""
    if isinstance(outputs, dict) and all(tf.is_tensor(value) for value in outputs.values()):
        return dict(zip(file_names(outputs), outputs.values(), strict=True))
    flat = tf.nest.flatten(outputs)
    digits = len(str(len(flat) - 1))
    return {f"output_{index:0{digits}d}": tensor for index, tensor in enumerate(flat)}


def _structure_of(model: Any, inputs: Any) -> Any:
    """`tf.TensorSpec`s in the structure that the model is called with."""
    if inputs is None:
        inputs = known_inputs(model)
    if inputs is None:
        raise inputs_missing(model, ", or save it with model.export(), and convert the folder")
    for tensor in tf.nest.flatten(inputs):
        if getattr(tensor, "sparse", False):
            raise invalid(
                DENSE,
                "Let the model take ids that are padded, or ragged.",
                name=_plain(tensor.name),
            )
    return tf.nest.map_structure(_spec_of, inputs)


def _spec_of(tensor: Any) -> Any:
    """The spec of a symbolic tensor, or of an example, whose first axis is the batch."""
    if (ragged := ragged_spec(tensor)) is not None:
        return ragged
    if isinstance(tensor, tf.TensorSpec):
        return tensor
    name = getattr(tensor, "name", None)
    if isinstance(tensor, np.ndarray | tf.Tensor):
        return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)
    return tf.TensorSpec(tensor.shape, getattr(tensor.dtype, "name", tensor.dtype), name)


def _input_names(model: Any, structure: Any) -> list[str]:
    """Names of the flattened inputs: their own, else their key, else the argument's or a number."""
    flat = tf.nest.flatten(structure)
    fallback = [f"input_{index}" for index in range(len(flat))]
    if isinstance(structure, dict) and len(structure) == len(flat):
        fallback = [str(key) for key in sorted(structure)]
    elif (own := input_names(model, structure)) is not None and len(own) == len(flat):
        fallback = own
    pairs = zip(flat, fallback, strict=True)
    return node_names(_plain(spec.name or name) for spec, name in pairs)


def _plain(name: str) -> str:
    return name.partition(":")[0].replace("/", "_")


def _path(variable: Any) -> str:
    return str(getattr(variable, "path", variable.name)).removesuffix(":0")


def _tensor_of(variable: Any) -> Any:
    return variable if isinstance(variable, tf.Variable) else variable.value
