"""Ragged inputs of a model, which are two inputs of a file: see `row_splits`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.ops.interface import Array

from ..model_file.row_splits import ROW_SPLITS


@dataclass(frozen=True)
class RaggedSpec:
    """A ragged input `[b, (L)]`.

    Attributes:
        dtype: Of its values.
        name: Its name, None where it has none.
    """

    dtype: Any
    name: str | None

    def inputs(self, name: str) -> list[Any]:
        """The specs of its values and of its splits, as inputs of a function."""
        return [
            tf.TensorSpec([None], self.dtype, name),
            tf.TensorSpec([None], tf.int32, f"{name}{ROW_SPLITS}"),
        ]


def ragged_spec(tensor: Any) -> RaggedSpec | None:
    """The spec of a symbolic, given or described ragged tensor; None of any other.

    Raises:
        ValueError: If rows are not all that is ragged.
    """
    spec = getattr(tensor, "type_spec", tensor)  # of tf_keras
    if isinstance(spec, tf.RaggedTensor):
        spec = tf.type_spec_from_value(spec)
    is_ragged = isinstance(spec, tf.RaggedTensorSpec) or getattr(spec, "ragged", False)
    if not is_ragged:
        return None
    name = getattr(tensor, "name", None)
    dtype = tf.as_dtype(getattr(spec.dtype, "name", spec.dtype))
    shape = list(spec.shape)
    if len(shape) != 2 or shape[1] is not None or not dtype.is_integer:
        raise invalid(
            "A ragged input must be ids of shape [batch, (ids of a row)].",
            "Pad it with zeros.",
            name=name,
            shape=tuple(shape),
            dtype=dtype.name,
        )
    return RaggedSpec(dtype, name)


def as_ragged(values: Array, row_splits: Array) -> Any:
    """The ragged tensor of a function's two inputs."""
    return tf.RaggedTensor.from_row_splits(values, row_splits, validate=False)
