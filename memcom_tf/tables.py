"""How a method declares the tables that it stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.ops.interface import TableValue

Storage = Literal["int8_per_row", "int8_per_table", "int16_per_table", "float32"]
Tables = dict[str, TableValue]
"""Tables by name: variables, arrays or quantized tables."""


@dataclass(frozen=True)
class Table:
    """One stored table of a method.

    Attributes:
        name: Name of the variable, and key of the table in `lookup`.
        rows: Number of rows.
        width: Length of a row.
        initializer: Initial values; None takes the layer's `embeddings_initializer`, moved so
            that the composed vector has its variance (see `terms` and `factors`).
        terms: A vector is the sum of that many products ...
        factors: ... of that many independent tables.
        storage: How the converter may store it: integers with a scale per row or one for the
            table, or floats.
    """

    name: str
    rows: int
    width: int
    initializer: Any = None
    terms: int = 1
    factors: int = 1
    storage: Storage = "int8_per_row"

    @property
    def parameters(self) -> int:
        """Number of values."""
        return self.rows * self.width

    @property
    def holds_vectors(self) -> bool:
        """Whether rows are parts of vectors, which are regularized, not scalars of an id."""
        return self.initializer is None


def check_positive(**values: int) -> None:
    """Requires positive integers.

    Raises:
        ValueError: Naming the first argument that is not one.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise invalid(f"`{name}` must be a positive integer.", **{name: value})


def check_num_buckets(num_buckets: int, input_dim: int) -> None:
    """Requires `1 <= num_buckets <= input_dim`.

    Raises:
        ValueError: Naming both.
    """
    check_positive(num_buckets=num_buckets)
    if num_buckets > input_dim:
        raise invalid(
            "`num_buckets` must be at most `input_dim`.",
            "Use FullEmbedding for a row an id.",
            num_buckets=num_buckets,
            input_dim=input_dim,
        )
