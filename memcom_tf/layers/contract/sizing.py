"""Layers of a wanted size, layers that approximate a table, and layers that grow."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from memcom_tf.errors import invalid, message
from memcom_tf.tables import check_positive


def layer_for_ratio(cls: Any, input_dim: int, output_dim: int, ratio: float, **kwargs: Any) -> Any:
    """Finds the largest layer of a class that compresses enough: its `for_ratio`.

    Args:
        cls: A `CompressedEmbedding`, whose compression falls as `size_argument` rises along
            `size_range`.
        input_dim: Size of the vocabulary.
        output_dim: Width of an embedding.
        ratio: Wanted `compression_ratio`, 1 or more.
        **kwargs: Further arguments of the layer.

    Returns:
        A layer.

    Raises:
        ValueError: If `ratio` is below 1 or above what the method can reach, which is named.
    """
    check_positive(input_dim=input_dim, output_dim=output_dim)
    if not ratio >= 1:
        raise invalid("`ratio` must be 1 or more.", ratio=ratio)

    def sized(size: int) -> Any:
        argument = {cls.size_argument: size} if cls.size_argument else {}
        return cls(**{"input_dim": input_dim, "output_dim": output_dim, **argument, **kwargs})

    sizes = cls.size_range(input_dim, output_dim, **kwargs)
    smallest = sized(sizes[0])
    if smallest.compression_ratio < ratio:
        raise invalid(
            f"`ratio` must be at most {smallest.compression_ratio:.6g} for {cls.__name__} "
            f"with input_dim={input_dim}, output_dim={output_dim}.",
            "Choose a smaller ratio or another method.",
            ratio=ratio,
            **kwargs,
        )
    largest = largest_that_fits(sizes, lambda size: sized(size).compression_ratio >= ratio)
    return sized(sizes[0] if largest is None else largest)


def largest_that_fits(sizes: Sequence[int], fits: Callable[[int], bool]) -> int | None:
    """The largest of rising sizes that fits, of which the smaller do if a larger one does.

    Example:
        >>> largest_that_fits(range(100), lambda size: size**2 <= 50)
        7
    """
    place = bisect_left(sizes, True, key=lambda size: not fits(size))
    return sizes[place - 1] if place else None


def layer_from_table(
    cls: Any, table: Any, ratio: float | None, frequencies: Any, metric: Any, **kwargs: Any
) -> Any:
    """Makes a layer of a class that looks up nearly what a table holds: its `from_table`."""
    values = np.asarray(table, np.float32)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise invalid(
            "`table` must be `[input_dim, output_dim]`, finite.",
            shape=values.shape,
            finite=bool(np.isfinite(values).all()),
        )
    weights = np.ones(len(values)) if frequencies is None else np.asarray(frequencies)
    if weights.shape != (len(values),) or not ((weights >= 0) & np.isfinite(weights)).all():
        raise invalid(
            "`frequencies` must hold one finite number of 0 or more for each row of the table.",
            frequencies=weights.shape,
            table=values.shape,
        )
    if not weights.any():
        raise invalid("`frequencies` must not all be 0.", "Leave them out.")
    if ratio is None:
        layer = cls(*values.shape, **kwargs)
    else:
        layer = cls.for_ratio(*values.shape, ratio, **kwargs)
    weights = weights.astype(np.float32)
    if metric is None:
        tables = layer.approximate(values, weights)
    else:
        tables = layer.approximate(values, weights, _checked_metric(cls, metric, values.shape[1]))
    if tables is None:
        raise NotImplementedError(
            message(
                f"{cls.__name__} must be trained: it has no tables in closed form.",
                "Choose another method, or train it on the vectors of the table.",
            )
        )
    layer.build(None)
    layer.assign_tables(tables)
    return layer


def grown_layer(layer: Any, input_dim: int) -> Any:
    """Makes a layer of the same tables with rows for more ids: `grown` of a layer."""
    check_positive(input_dim=input_dim)
    if input_dim < layer.input_dim:
        raise invalid(
            f"`input_dim` must be at least {layer.input_dim}, that of the layer.",
            "Ids cannot be taken away.",
            input_dim=input_dim,
        )
    if input_dim > layer.input_dim and not layer.can_grow:
        raise NotImplementedError(
            message(
                f"{type(layer).__name__} cannot grow: with `input_dim` its hash functions change.",
                "Choose another method, or an `input_dim` with room from the start.",
                input_dim=input_dim,
            )
        )
    grown = type(layer).from_config({**layer.get_config(), "input_dim": int(input_dim)})
    grown.build(None)
    tables = grown.table_values()
    for name, values in layer.table_values().items():
        tables[name] = np.concatenate([values, tables[name][len(values) :]])
    grown.assign_tables(tables)
    return grown


def _checked_metric(cls: Any, metric: Any, output_dim: int) -> np.ndarray:
    if not cls.takes_metric:
        raise invalid(
            f"`metric` must be None for {cls.__name__}, which measures errors by their length.",
            "Leave it out, or choose a method of codebooks.",
        )
    matrix = np.asarray(metric, np.float64)
    fits = matrix.shape == (output_dim, output_dim) and np.isfinite(matrix).all()
    if not fits or not np.allclose(matrix, matrix.T, rtol=1e-4, atol=1e-6 * np.abs(matrix).max()):
        raise invalid(
            "`metric` must be `[output_dim, output_dim]`, finite and symmetric.",
            "Pass the second moment of queries, `Q.T @ Q`.",
            metric=matrix.shape,
            output_dim=output_dim,
        )
    eigenvalues = np.linalg.eigvalsh(matrix)
    if eigenvalues[-1] <= 0 or eigenvalues[0] < -1e-4 * eigenvalues[-1]:
        raise invalid(
            "`metric` must be positive semi-definite, and not zero.",
            "Pass the second moment of queries, `Q.T @ Q`.",
            smallest_eigenvalue=eigenvalues[0].item(),
            largest_eigenvalue=eigenvalues[-1].item(),
        )
    return matrix
