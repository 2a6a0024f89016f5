"""What quantization takes from the rows of a table, relative to how long they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # descriptions are read where there is no TensorFlow
    from .quantize import QuantizedTable

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_ROWS_AT_A_TIME = 1 << 16


@dataclass(frozen=True)
class RowErrors:
    """Euclidean distance of a stored row from the trained one, over the trained one's norm.

    Attributes:
        median: Of all rows that are not zero.
        worst: The largest.
        quantiles: Of the shares `QUANTILES` of these rows.
    """

    median: float
    worst: float
    quantiles: tuple[float, ...] = (0.0,) * 5


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
        >>> from memcom_tf.converters.quantize import quantize_table
        >>> values = np.array([[127.0, 0.4], [0.0, 0.0]], np.float32)
        >>> table = Table("table", 2, 2, storage="int8_per_table")
        >>> errors = row_errors(values, quantize_table(table, values))
        >>> round(errors.worst * 127, 4)
        0.4
    """
    found = []
    for start in range(0, len(values), _ROWS_AT_A_TIME):
        rows = np.arange(start, min(start + _ROWS_AT_A_TIME, len(values)))
        trained = np.asarray(values[rows], np.float64)
        norms = np.linalg.norm(trained, axis=1)
        distances = np.linalg.norm(stored.take(rows) - trained, axis=1)
        found.append(distances[norms > 0] / norms[norms > 0])
    errors = np.concatenate(found)
    if not len(errors):
        return RowErrors(0.0, 0.0)
    quantiles = tuple(np.quantile(errors, QUANTILES).tolist())
    return RowErrors(float(np.median(errors)), float(errors.max()), quantiles)
