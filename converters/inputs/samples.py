"""Samples that a user gives: what a model was made for, from Python or from a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.errors import invalid

from ..model_file.arrays import integers_of
from .files import read_columns
from .function import Group, ModelFunction, Rows, num_rows, some_rows

Samples = Any
"""Arrays by the names of the inputs, a batch in the structure of the model's inputs, a
`tf.data.Dataset` of these, or the path of an .npz, .csv or .parquet file."""
_MOST_ROWS = 512
_ROWS_OF_A_CALL = 64
_SHOWN = 5


def samples_of(samples: Samples, model: ModelFunction) -> list[Group]:
    """Samples as groups of inputs of a function.

    Args:
        samples: What the user gave.
        model: The function.

    Returns:
        Groups of at most 64 rows, evenly from all.

    Raises:
        ValueError: If they are not what the function takes, or the model refuses them.
    """
    rows = rows_of(samples, model)
    count = num_rows(rows)
    some = np.unique(np.linspace(0, count - 1, min(count, _MOST_ROWS)).astype(int))
    groups = []
    if model.batched:
        for part in np.array_split(some, -(-len(some) // _ROWS_OF_A_CALL)):
            accepted = model.accepted(some_rows(rows, part))
            if accepted is not None:
                groups.append(Group("samples", [model.arrays(accepted)], True))
    elif model.accepts(rows):
        groups.append(Group("samples", [model.arrays(rows)], False))
    if not groups:
        raise invalid(
            "The model must accept the samples.",
            "Give inputs as `predict` takes them.",
            inputs=model.names,
        )
    return groups


def rows_of(samples: Samples, model: ModelFunction) -> Rows:
    """Samples as rows of the inputs of a function, all of them, in their order.

    Raises:
        ValueError: If they are not what the function takes.
    """
    return _checked(_named(samples, model), model)


def _named(samples: Samples, model: ModelFunction) -> dict[str, Any]:
    """Values by the names of inputs."""
    if isinstance(samples, str | Path):
        return read_columns(Path(samples), model.names)
    if isinstance(samples, tf.data.Dataset):
        samples = next(iter(samples.take(1)), None)
        if samples is None:
            raise invalid("The samples must have a batch.", "Give a dataset that is not empty.")
    if _is_for_fit(samples, len(model.names)):
        samples = samples[0]
    if isinstance(samples, Mapping):
        if not set(samples) >= set(model.names):
            raise _others(model, received=sorted(samples))
        return {name: samples[name] for name in model.names}
    flat = tf.nest.flatten(samples) if not isinstance(samples, np.ndarray) else [samples]
    if len(model.names) == 1 and len(flat) > 1:  # rows as plain lists
        flat = [samples]
    if len(flat) != len(model.names):
        raise _others(model, received=[type(value).__name__ for value in flat])
    return dict(zip(model.names, flat, strict=True))


def _is_for_fit(samples: Samples, count: int) -> bool:
    """Whether samples are (inputs, labels) or (inputs, labels, weights), as `fit` takes them."""
    if not isinstance(samples, tuple) or len(samples) not in (2, 3):
        return False
    return isinstance(samples[0], Mapping) or len(samples) != count


def _others(model: ModelFunction, received: list[str]) -> ValueError:
    return invalid(
        f"The samples must have the inputs of the model: {', '.join(model.names)}.",
        "Give arrays by these names.",
        samples=received,
    )


def _checked(named: Mapping[str, Any], model: ModelFunction) -> Rows:
    rows: Rows = {}
    for name in model.names:
        spec, values = model.spec(name), named[name]
        if model.is_ragged(name):
            rows[name] = _ragged_rows(name, values)
            continue
        try:
            array = np.asarray(values)
            found = array.astype(spec.dtype.as_numpy_dtype)
        except (ValueError, TypeError, OverflowError) as error:
            raise _unfit(name, spec, type(values).__name__) from error
        if array.dtype == object or (
            not np.array_equal(found.astype(np.float64), array.astype(np.float64), equal_nan=True)
            and spec.dtype.is_integer
        ):
            if array.dtype.kind in "iu":
                dtype = np.dtype(spec.dtype.as_numpy_dtype)
                raise invalid(
                    f"Samples of `{name}` must be integers that fit {dtype.name}: "
                    f"{integers_of(dtype)}.",
                    "Give inputs as `predict` takes them.",
                    **{name: array[found != array].reshape(-1)[:_SHOWN].tolist()},
                )
            raise _unfit(name, spec, array.dtype)
        if found.ndim == 1 and spec.shape.rank == 2 and spec.shape[1] == 1:
            found = found[:, None]
        if not spec.shape.is_compatible_with(found.shape):
            raise _unfit(name, spec, list(found.shape))
        rows[name] = found
    counts = {name: len(rows[name]) for name in model.names if model.spec(name).shape.rank}
    if model.batched and (len(set(counts.values())) != 1 or 0 in counts.values()):
        raise invalid(
            "The samples must have as many rows of every input, and at least one.",
            "Give arrays whose first axes are equal.",
            rows=counts,
        )
    return rows


def _unfit(name: str, spec: Any, received: object) -> ValueError:
    return invalid(
        f"Samples of `{name}` must be {spec.dtype.name} of the shape {spec.shape}.",
        "Give inputs as `predict` takes them.",
        received=received,
    )


def _ragged_rows(name: str, values: Any) -> list[np.ndarray]:
    if hasattr(values, "to_list"):  # a tf.RaggedTensor
        values = values.to_list()
    try:
        rows = [np.asarray(row) for row in values]
    except (ValueError, TypeError) as error:
        raise invalid(f"Samples of `{name}` must be rows of numbers.") from error
    if any(row.ndim != 1 for row in rows):
        raise invalid(
            f"Samples of `{name}` must be rows of numbers.", "Give a list of lists.", rows=len(rows)
        )
    return rows
