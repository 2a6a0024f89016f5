"""SavedModels on their way to a file: which of their signatures, and whether they may be loaded."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.errors import for_reader, invalid
from memcom_tf.text import printable, printable_list

from ..tracing.frozen_graph import DENSE
from .saved_model_ops import require_harmless
from .source import Context, Source, by_name

_NO_NUMBERS = (tf.string, tf.variant, tf.resource)
_LONGEST_REASON = 500


class SavedModelSource(Source):
    """The signatures of a SavedModel.

    Args:
        path: Its folder.
        signatures: Names of those that are converted; None takes all whose inputs and outputs are
            numbers, and warns of the others.
        allow_unsafe_deserialization: Whether it may have operators that write files or run code.

    Raises:
        ValueError: If it may not be loaded, cannot be, or has no such signature.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        signatures: Sequence[str] | None = None,
        allow_unsafe_deserialization: bool = False,
    ) -> None:
        loaded = _loaded(Path(path), allow_unsafe_deserialization)
        self._functions = _chosen(dict(loaded.signatures), signatures, path)
        # Functions hold variables by weak references.
        self._loaded = loaded
        self.name = Path(os.path.abspath(path)).name
        self.variables = by_name(
            (variable.name.removesuffix(":0"), variable)
            for f in self._functions.values()
            for variable in f.variables
        )
        trained = [variable for variable in self.variables.values() if variable.trainable]
        self.parameters = sum(int(np.prod(variable.shape)) for variable in trained)

    def functions(self, context: Context) -> dict[str, Any]:
        """Those of the SavedModel, which are traced already."""
        return dict(self._functions)


def _loaded(path: Path, allow_unsafe_deserialization: bool) -> Any:
    try:
        if not allow_unsafe_deserialization:
            require_harmless(path)
        return tf.saved_model.load(str(path))
    # A graph that makes no sense raises whatever its parts raise.
    except (
        *(OSError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError),
        tf.errors.OpError,
    ) as error:
        first = next(iter(str(error).strip().splitlines()), repr(error))
        raise invalid(
            f"The SavedModel must be loadable: {printable(first, _LONGEST_REASON)}.",
            "Save it again with this TensorFlow.",
            path=str(path),
        ) from error


def _chosen(
    found: dict[str, Any], names: Sequence[str] | None, path: str | os.PathLike[str]
) -> dict[str, Any]:
    """The signatures to convert."""
    if not found:
        raise invalid(
            "The SavedModel must have a signature.",
            "Save it with model.export(), or with tf.saved_model.save(..., signatures=...).",
            path=str(path),
        )
    if names is not None:
        return {name: found[name] for name in chosen_signatures(names, found)}
    if "serving_default" in found:  # as Keras exports it, under both names
        found.pop("serve", None)
    without = {name: why for name, function in found.items() if (why := _no_numbers(function))}
    if len(without) == len(found):
        name, (tensor, dtype) = next(iter(without.items()))
        raise invalid(
            DENSE,
            "Save the model with a signature that takes the numbers behind its texts.",
            signature=name,
            name=tensor,
            dtype=dtype,
        )
    if without:
        warnings.warn(
            "Signatures whose inputs or outputs are not numbers are left out of the file: "
            f"{printable_list(sorted(without))}.",
            stacklevel=2,
        )
    return {name: function for name, function in found.items() if name not in without}


def chosen_signatures(names: Sequence[str], found: Iterable[str]) -> list[str]:
    """The signatures that were named, once each.

    Args:
        names: Their names.
        found: The names of those that there are.

    Raises:
        ValueError: If one is not there, or none is named.
    """
    found = sorted(found)
    if isinstance(names, str):
        names = [names]
    if not names or (unknown := [name for name in names if name not in found]):
        raise invalid(
            f"The signatures must be some of {found}.",
            for_reader("Pass their names in `signatures`.", "Give their names with --signature."),
            signatures=unknown if names else list(names),
        )
    return list(dict.fromkeys(names))


def _no_numbers(function: Any) -> tuple[str, str] | None:
    """Name and type of a tensor that is no number."""
    outputs = function.structured_outputs
    named = [(tensor.op.name, tensor.dtype) for tensor in function.inputs]
    named = named[: len(function.inputs) - len(function.captured_inputs)]
    named += [(name, spec.dtype) for name, spec in outputs.items()]
    return next(((name, dtype.name) for name, dtype in named if dtype in _NO_NUMBERS), None)
