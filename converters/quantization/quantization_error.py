"""What quantization takes from the rows of a table, relative to how long they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # descriptions are read where there is no TensorFlow
    from .quantize import QuantizedTable

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_ROWS_AT_A_TIME = 1 << 16
_ZEROED, _ZEROED_OF_NARROW = 0.01, 0.1
"""Share of rows that became zeros, from which on it is worth a warning: of rows of a few values,
some are near 0 by chance."""
_NARROW = 4
_LOST = 0.5
"""Error of the median row, from which on it is."""
_SAME = 1e-6
"""Rows that differ by less of their length are one row, to float32."""


class QuantizationWarning(UserWarning):
    """A table is stored in a way that loses most of what was trained."""


@dataclass(frozen=True)
class RowErrors:
    """Euclidean distance of a stored row from the trained one, over the trained one's norm.

    Attributes:
        median: Of all rows that are not zero.
        worst: The largest.
        quantiles: Of the shares `QUANTILES` of these rows.
        rows: Rows that are not zero.
        zeroed: Those of them that are stored as zeros.
        longest: The row with the largest norm ...
        longest_ratio: ... and that norm over the median one.
        of_difference: The median of the distances over how far the trained rows are from their
            mean, which is what tells rows apart.
    """

    median: float
    worst: float
    quantiles: tuple[float, ...] = (0.0,) * 5
    rows: int = 0
    zeroed: int = 0
    longest: int = 0
    longest_ratio: float = 1.0
    of_difference: float = 0.0


def row_errors(values: np.ndarray, stored: QuantizedTable) -> RowErrors:
    """Measures the error of every row of a table.

    Args:
        values: float `[rows, width]`, folded, as trained.
        stored: What was made of them.

    Returns:
        The errors; 0 where no row is of other values than zero. With one value in a row they are
        relative errors of values, of which the smallest have the largest.

    Example:
        >>> from memcom_tf.tables import Table
        >>> from memcom_tf.converters.quantization.quantize import quantize_table
        >>> values = np.array([[127.0, 0.4], [0.0, 0.0]], np.float32)
        >>> table = Table("table", 2, 2, storage="int8_per_table")
        >>> errors = row_errors(values, quantize_table(table, values))
        >>> round(errors.worst * 127, 4)
        0.4
    """
    mean = np.mean(values, axis=0, dtype=np.float64)
    blocks = np.split(np.arange(len(values)), range(_ROWS_AT_A_TIME, len(values), _ROWS_AT_A_TIME))
    parts = [
        _of_rows(np.asarray(values[rows], np.float64), stored.take(rows), mean) for rows in blocks
    ]
    norms, distances, differences, zeros = map(np.concatenate, zip(*parts, strict=True))
    known = norms > 0
    if not known.any():
        return RowErrors(0.0, 0.0)
    errors = distances[known] / norms[known]
    apart = differences > _SAME * norms
    of_difference = distances[apart] / differences[apart]
    longest = int(norms.argmax())
    return RowErrors(
        median=float(np.median(errors)),
        worst=float(errors.max()),
        quantiles=tuple(np.quantile(errors, QUANTILES).tolist()),
        rows=int(known.sum()),
        zeroed=int((known & zeros).sum()),
        longest=longest,
        longest_ratio=float(norms[longest] / np.median(norms[known])),
        of_difference=float(np.median(of_difference)) if apart.any() else 0.0,
    )


def _of_rows(trained: np.ndarray, stored: np.ndarray, mean: Any) -> tuple[Any, ...]:
    """Norms, distances, distances from the mean, and whether nothing is stored, of some rows."""
    return (
        np.linalg.norm(trained, axis=1),
        np.linalg.norm(stored - trained, axis=1),
        np.linalg.norm(trained - mean, axis=1),
        ~stored.any(axis=1),
    )


def losses(name: str, stored: QuantizedTable, errors: RowErrors) -> Iterator[str]:
    """Sentences on what is lost of a table that nobody would want to lose.

    Args:
        name: How the table is called.
        stored: The table.
        errors: Its `row_errors`.
    """
    kind = str(stored.storage).replace("_", " ")
    what = f"table {name!r}, stored as {kind}:"
    bound = _ZEROED if stored.width >= _NARROW else _ZEROED_OF_NARROW
    if errors.zeroed >= max(1, bound * errors.rows):
        share = f"{errors.zeroed:,} of {errors.rows:,} rows ({errors.zeroed / errors.rows:.2%})"
        yield f"{what} {share} became zeros.{_advice(stored, errors)}"
    elif errors.median >= _LOST:
        yield (
            f"{what} the median row is off by {errors.median:.0%} of its length."
            f"{_advice(stored, errors)}"
        )
    elif errors.of_difference >= _LOST:
        yield (
            f"{what} the median row is off by {errors.of_difference:.0%} of what tells it from "
            "the mean row, though by little of its length. Store it in more bits, or subtract "
            "the mean from the rows and add it in the model."
        )


def _advice(stored: QuantizedTable, errors: RowErrors) -> str:
    if stored.holds_floats:
        return " Store the table as int8, which has scales, or as float32."
    if stored.scaled_by_row:
        return " Store the table in more bits."
    longest = (
        f" Row {errors.longest:,} is {errors.longest_ratio:,.0f} times as long as the median row, "
        "and one scale serves all."
        if errors.longest_ratio >= 2
        else ""
    )
    return f"{longest} Store the table with a scale for each row, or in more bits."
