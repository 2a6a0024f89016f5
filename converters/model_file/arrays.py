"""What a caller passes, as the arrays that a graph takes: lists are taken, nothing is guessed."""

from __future__ import annotations

from typing import Any

import numpy as np

from memcom_tf.errors import invalid

_SHOWN = 5
_KINDS = {"b": "booleans", "i": "integers", "u": "integers", "f": "numbers"}


def as_array(
    name: str, values: Any, dtype: str | np.dtype[Any], shape: tuple[int, ...]
) -> np.ndarray:
    """The array of an input.

    Args:
        name: Of the input, for messages.
        values: An array, or numbers in lists.
        dtype: What the graph takes. Integers may come in any integer type that they fit, floats in
            any type of integers or floats.
        shape: What the graph takes, -1 where a size is free.

    Returns:
        The array, of that type and shape.

    Raises:
        ValueError: If values are of another kind, do not fit the type, or have another shape.

    Example:
        >>> as_array("ids", [3, 8], "int32", (-1,))
        array([3, 8], dtype=int32)
        >>> as_array("ids", [1.7], "int32", (-1,))
        Traceback (most recent call last):
            ...
        ValueError: `ids` must be integers of type int32. Received: ids=[1.7].
    """
    wanted = np.dtype(dtype)
    array = _array(name, values, wanted)
    fits = len(array.shape) == len(shape) and all(
        size in (given, -1) for size, given in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise invalid(
            f"`{name}` must have the shape {_shown_shape(shape)}.",
            "? is any size." if -1 in shape else "",
            shape=array.shape,
        )
    return np.ascontiguousarray(array, wanted).reshape(array.shape)


def _array(name: str, values: Any, wanted: np.dtype[Any]) -> np.ndarray:
    """Values of the wanted kind, not yet of the wanted type."""
    try:
        array = np.asarray(values)
    # Rows of several lengths, and whatever an object's own conversion raises.
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise _wrong_kind(name, values, wanted) from error
    if array.dtype == wanted:
        return array
    if not array.size and array.dtype.kind == "f":  # an empty list
        return array.astype(wanted)
    taken = {"b": "b", "f": "iuf"}.get(wanted.kind, "iu")
    if array.dtype.kind not in taken:
        raise _wrong_kind(name, values, wanted)
    if wanted.kind in "iu" and array.size:
        limits = np.iinfo(wanted)
        outside = array[(array < limits.min) | (array > limits.max)]
        if outside.size:
            raise invalid(
                f"`{name}` must be integers that fit {wanted.name}: {integers_of(wanted)}.",
                "Ids of a vocabulary do: map items to ids with it.",
                **{name: outside[:_SHOWN].tolist()},
            )
    return array


def integers_of(dtype: np.dtype[Any]) -> str:
    """The integers that a type has, as a reader is told them.

    Example:
        >>> integers_of(np.dtype("int32"))
        '-2,147,483,648 to 2,147,483,647'
    """
    limits = np.iinfo(dtype)
    return f"{limits.min:,} to {limits.max:,}"


def _wrong_kind(name: str, values: Any, wanted: np.dtype[Any]) -> ValueError:
    kind = _KINDS[wanted.kind]
    shown = values.reshape(-1)[:_SHOWN].tolist() if isinstance(values, np.ndarray) else values
    return invalid(f"`{name}` must be {kind} of type {wanted.name}.", **{name: shown})


def _shown_shape(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join("?" if size < 0 else str(size) for size in shape) + "]"
