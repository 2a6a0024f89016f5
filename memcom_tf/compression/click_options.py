"""Ways to store the tables of a click model, what each loses, and the best within a size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.compression.candidates import Candidate
from memcom_tf.layers import (
    CompressedEmbedding,
    FullEmbedding,
    ResidualQuantizedEmbedding,
    TruncatedEmbedding,
)
from memcom_tf.models.click import ClickModel
from memcom_tf.models.click_tables import lookups
from memcom_tf.models.field_values import pooled_over_values

_SHARES = 2, 4, 8, 16, 32, 64
"""How many times fewer rows a truncated table keeps."""
_CODES = (1, 256), (2, 256), (4, 256)
_FEWER_CODES = (2, 16), (3, 16)
"""Books, and their rows, of a table that is large and of one that is not."""
_ROWS_A_CODE = 4
"""Fewer rows are no reason for a codebook."""
_LAYER_BYTES, _BOOK_BYTES = 1900, 500
_LOW = "int4_per_table"


@dataclass(frozen=True)
class Option:
    """A way to store a table.

    Attributes:
        candidate: The layer in its place; None where it stays in the table of all fields.
        bytes: Of the stored table, and about what the graph takes for a layer of its own.
        loss: What the log loss of the model rises by, measured with this table alone replaced; not
            a number where it begins anew.
        anew: Whether the layer begins at random, and is trained.
    """

    candidate: Candidate | None
    bytes: int
    loss: float
    anew: bool = False

    def __str__(self) -> str:
        return "rows of 8 bits" if self.candidate is None else str(self.candidate)


@dataclass(frozen=True)
class TableChoice:
    """What became of a table.

    Attributes:
        name: Its name.
        rows: Its ids.
        chosen: How it is stored.
        rejected: The next larger way that there was no room for; None where the largest is taken.
    """

    name: str
    rows: int
    chosen: Option
    rejected: Option | None

    def __str__(self) -> str:
        loses = "trained anew" if self.chosen.anew else f"log loss +{self.chosen.loss:.5f}"
        text = (
            f"{self.name}, {self.rows:,} rows: {self.chosen}, {self.chosen.bytes:,} bytes, {loses}"
        )
        if self.rejected is None:
            return text
        return (
            f"{text}; {self.rejected} would take {self.rejected.bytes:,} for "
            f"+{self.rejected.loss:.5f}"
        )


class Measured:
    """Rows whose vectors are looked up once, to see what another table makes of their logits.

    Args:
        model: The model.
        inputs: The rows, encoded.
    """

    def __init__(self, model: ClickModel, inputs: dict[str, np.ndarray]) -> None:
        self._lookups = lookups(model.features, inputs)
        self._counts = [model.vectors_of(of) for of, _ in self._lookups]
        self._vectors = tf.unstack(model.vectors(inputs), axis=1)
        self._of_vectors = tf.function(model.logits_of_vectors, reduce_retracing=True)
        self._logits = self._of_vectors(tf.stack(self._vectors, axis=1))
        p = tf.sigmoid(self._logits)
        self._weights = p * (1 - p)

    def rise(self, table: str, layer: CompressedEmbedding) -> float:
        """What the log loss rises by, to second order, with a layer in the place of a table."""
        changed: list[Any] = []
        for (of, ids), count in zip(self._lookups, self._counts, strict=True):
            if of == table:  # a full one, which gives one vector
                changed.append(pooled_over_values(layer(ids), ids)[:, 0])
            else:
                changed += self._vectors[len(changed) : len(changed) + count]
        changed += self._vectors[len(changed) :]
        moved = self._of_vectors(tf.stack(changed, axis=1)) - self._logits
        return float(tf.reduce_mean(self._weights * moved**2) / 2)


def options_of(
    table: np.ndarray, counts: np.ndarray, rise: Callable[[CompressedEmbedding], float]
) -> list[Option]:
    """The ways to store a table of which none is larger and worse than another, by rising bytes.

    Args:
        table: `[rows, width]`, as trained.
        counts: `[rows]` how often each id occurs.
        rise: What the log loss rises by with a layer in the place of the table.
    """
    found = []
    for candidate in _candidates(*table.shape):
        if candidate is None:
            found.append(rows_of_8_bits(table, rise))
            continue
        layer = candidate.method.from_table(table, frequencies=counts, **candidate.arguments)
        size = _stored_bytes(layer) + _graph_bytes(candidate)
        found.append(Option(candidate, size, rise(layer)))
    return _undominated(found)


def rows_of_8_bits(table: np.ndarray, rise: Callable[[CompressedEmbedding], float]) -> Option:
    """A table that stays in the one of all fields; arguments are those of `options_of`."""
    layer = _full(table)
    return Option(None, _stored_bytes(layer), rise(layer))


def _stored_bytes(layer: CompressedEmbedding) -> int:
    return sum(part.stored_bytes for part in layer.stored_tables())


def best_within(options: dict[str, list[Option]], room: float) -> dict[str, Option] | None:
    """The ways with the least sum of losses, of at most so many bytes in all; None if none fits.

    They are the best for a price of a byte, which is lowered as far as the room allows.

    Example:
        >>> ways = [Option(None, 10, 4.0), Option(None, 20, 1.0), Option(None, 40, 0.0)]
        >>> others = [Option(None, 10, 0.4), Option(None, 20, 0.1)]
        >>> found = best_within({"a": ways, "b": others}, 35)
        >>> {name: way.bytes for name, way in found.items()}
        {'a': 20, 'b': 10}
    """

    def at(price: float) -> dict[str, Option]:
        return {
            name: min(ways, key=lambda way: (way.loss + price * way.bytes, way.bytes))
            for name, ways in options.items()
        }

    def size(chosen: dict[str, Option]) -> int:
        return sum(way.bytes for way in chosen.values())

    smallest = {name: min(ways, key=lambda way: way.bytes) for name, ways in options.items()}
    if size(smallest) > room:
        return None
    low, high, best = 0.0, 1.0, smallest
    if size(at(low)) <= room:
        return at(low)
    for _ in range(100):
        middle = (low * high) ** 0.5 if low else high * 1e-3
        chosen = at(middle)
        if size(chosen) <= room:
            high, best = middle, chosen
        else:
            low = middle
    return best


def _candidates(rows: int, width: int) -> list[Candidate | None]:
    """Ways to store a table; None is rows of 8 bits in the table of all fields."""
    found: list[Candidate | None] = [None]
    for storage in (_LOW, "int2_per_table"):
        found.append(Candidate(FullEmbedding, {"storage": {"embeddings": storage}}))
    for share in _SHARES:
        if rows // share > 8:
            arguments = {"num_kept": rows // share, "storage": {"kept": _LOW}}
            found.append(Candidate(TruncatedEmbedding, arguments))
    for books, codes in _CODES if rows >= _ROWS_A_CODE * 256 else _FEWER_CODES:
        if _ROWS_A_CODE * codes <= rows:
            arguments = {
                "num_codebooks": books,
                "num_codes": codes,
                "storage": {"codebooks": "int4_per_row"},
            }
            found.append(Candidate(ResidualQuantizedEmbedding, arguments))
    return found


def _graph_bytes(candidate: Candidate) -> int:
    """About what the graph of a file takes for a layer."""
    return _LAYER_BYTES + _BOOK_BYTES * int(candidate.arguments.get("num_codebooks", 0))


def _full(table: np.ndarray) -> FullEmbedding:
    storage = {"embeddings": "int8_per_row"}
    return FullEmbedding.from_table(table, storage=storage)


def _undominated(ways: Sequence[Option]) -> list[Option]:
    """By rising bytes, each with less loss than all smaller ones."""
    found: list[Option] = []
    for way in sorted(ways, key=lambda way: (way.bytes, way.loss)):
        if not found or way.loss < found[-1].loss:
            found.append(way)
    return found


def next_larger(ways: Sequence[Option], chosen: Option) -> Option | None:
    """The next larger way than the one chosen."""
    larger = [way for way in ways if way.bytes > chosen.bytes]
    return larger[0] if larger else None
