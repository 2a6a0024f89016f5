"""The method that holds a trained table in a number of bytes with the least error."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.compression.candidates import Candidate, largest
from memcom_tf.errors import invalid
from memcom_tf.layers import (
    METHODS,
    CompressedEmbedding,
    FullEmbedding,
    LowRankEmbedding,
    ResidualQuantizedEmbedding,
)
from memcom_tf.layers.contract.sizing import largest_that_fits
from memcom_tf.progress import counted

Floats = npt.NDArray[np.float32]
_FULL = ("int8_per_row", "int4_per_row", "int2_per_row")
_SAMPLED = 1 << 15
"""Rows that an error is measured on, at most."""


@dataclass(frozen=True)
class Approximation:
    """A layer in place of a table.

    Attributes:
        candidate: Method and size.
        layer: The layer, built, with the tables in closed form.
        error: Squared error over squared length, summed over rows by their weight.
        stored_bytes: Bytes of its tables in a file.
    """

    candidate: Candidate
    layer: CompressedEmbedding
    error: float
    stored_bytes: int


def approximation_of(
    table: Floats,
    max_bytes: int,
    *,
    frequencies: Any = None,
    method: type[CompressedEmbedding] | None = None,
    report: Callable[[str], object] | None = None,
    **arguments: Any,
) -> Approximation | None:
    """The closed form of least error whose tables take at most so many bytes in a file.

    Where rows of 8 bits fit, these are taken. Else rows of 4 and of 2 bits, factors of low rank
    and residual codes are made and measured. None of them needs ids in any order.

    Args:
        table: `[input_dim, output_dim]`, trained.
        max_bytes: Bytes of the stored tables, at most.
        frequencies: `[input_dim]` how often each id occurs; None weighs all alike.
        method: The only one to try; None tries all of the above.
        report: Called with a line for each that was tried.
        **arguments: Further arguments of the layer, such as `name`.

    Returns:
        The best; None where nothing fits.
    """
    rows, width = table.shape
    if method is None:
        candidates = list(_candidates(rows, width, max_bytes))
    else:
        found = _of_method(method, rows, width, max_bytes)
        candidates = [] if found is None else [found]
    best = None
    for candidate in counted(candidates, "candidate"):
        layer = candidate.method.from_table(
            table, frequencies=frequencies, **candidate.arguments, **arguments
        )
        size = candidate.stored_bytes(rows, width)
        made = Approximation(candidate, layer, _error(table, layer, frequencies), size)
        if report is not None:
            report(
                f"{layer.name}, {rows:,} x {width}: {candidate}, {size:,} bytes, squared error "
                f"{made.error:.2%}"
            )
        if best is None or made.error < best.error:
            best = made
    return best


def largest_ratio(
    input_dim: int, output_dim: int, method: type[CompressedEmbedding] | None = None
) -> float:
    """How many times smaller than a float32 table the smallest closed form of a table is.

    Args:
        input_dim: Rows of the table.
        output_dim: Width of the table.
        method: The only one that counts; None takes the smallest of those that are tried.

    Example:
        >>> round(largest_ratio(1000, 64), 1)
        48.7
    """

    def fits(max_bytes: int) -> bool:
        if method is not None:
            return _of_method(method, input_dim, output_dim, max_bytes) is not None
        return any(True for _ in _candidates(input_dim, output_dim, max_bytes))

    dense = 4 * input_dim * output_dim
    smallest = bisect_left(range(dense), True, key=fits)
    return dense / max(smallest, 1)


def method_named(method: str | type[CompressedEmbedding] | None) -> Any:
    """A registered method by its class or the name of it.

    Raises:
        ValueError: If there is none of that name.
    """
    if method is None or isinstance(method, type):
        return method
    if method not in METHODS:
        raise invalid(f"`method` must be one of {sorted(METHODS)}.", method=method)
    return METHODS[method]


def _candidates(input_dim: int, output_dim: int, max_bytes: int) -> Iterator[Candidate]:
    for storage in _FULL:
        full = Candidate(FullEmbedding, {"storage": {"embeddings": storage}})
        if full.stored_bytes(input_dim, output_dim) <= max_bytes:
            yield full
            if storage == "int8_per_row":
                return

    def of_rank(rank: int) -> Candidate:
        return Candidate(LowRankEmbedding, {"rank": rank, "storage": {"factor": "int4_per_row"}})

    def of_books(count: int) -> Candidate:
        storage = {"codebooks": "int4_per_row"}
        return Candidate(ResidualQuantizedEmbedding, {"num_codebooks": count, "storage": storage})

    for make in (of_rank, of_books):
        size = largest(make, output_dim, input_dim, output_dim, max_bytes)
        if size:
            yield make(size)


def _of_method(
    method: type[CompressedEmbedding], input_dim: int, output_dim: int, max_bytes: int
) -> Candidate | None:
    """The largest layer of a method that fits."""
    argument = method.size_argument
    if not argument:
        only = Candidate(method)
        return only if only.stored_bytes(input_dim, output_dim) <= max_bytes else None

    def sized(size: int) -> Candidate:
        return Candidate(method, {argument: size})

    largest = largest_that_fits(
        method.size_range(input_dim, output_dim),
        lambda size: sized(size).stored_bytes(input_dim, output_dim) <= max_bytes,
    )
    return None if largest is None else sized(largest)


def _error(table: Floats, layer: CompressedEmbedding, frequencies: Any) -> float:
    rows = np.arange(len(table))
    if len(rows) > _SAMPLED:
        rows = np.sort(np.random.default_rng(0).permutation(len(table))[:_SAMPLED])
    weights = np.ones(len(table)) if frequencies is None else np.asarray(frequencies, np.float64)
    wanted = table[rows].astype(np.float64)
    squared = ((np.asarray(layer(rows)) - wanted) ** 2).sum(axis=1)
    total = weights[rows] @ (wanted**2).sum(axis=1)
    return float(weights[rows] @ squared / total) if total else 0.0
