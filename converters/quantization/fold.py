"""From the embeddings of a trained model to the tables that ship."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.layers.contract.layer import CompressedEmbedding
from memcom_tf.ops.quantization_aware import RoundedTable
from memcom_tf.ops.reference import ReferenceOps
from memcom_tf.tables import FLOAT32, Tables

from .quantization_error import RowErrors, losses, row_errors
from .quantize import QuantizedTable, looked_up, quantize_table
from .weights import Profile, Stored, Weights, kind_of, stored_as

_ROWS_AT_A_TIME = 2**13


@dataclass(frozen=True)
class ShippedEmbedding:
    """What is exported of an embedding layer.

    Attributes:
        trained: The layer of the model.
        layer: The layer that computes with the stored tables, `trained.ships_as()`.
        tables: The stored tables by name.
        errors: What quantization took from their rows, by name; codes and floats lose nothing.
    """

    trained: CompressedEmbedding
    layer: CompressedEmbedding
    tables: dict[str, QuantizedTable]
    errors: dict[str, RowErrors]

    @property
    def losses(self) -> Iterator[str]:
        """Sentences on what is lost of tables that nobody would want to lose."""
        for name, errors in self.errors.items():
            if not _is_rounded(self.trained, name):
                yield from losses(f"{self.trained.name}/{name}", self.tables[name], errors)

    @property
    def names(self) -> list[str]:
        """Names of the tables in the model."""
        return [f"{self.trained.name}/{name}" for name in self.tables]

    def multiply_in_floats(self, names: Container[str]) -> bool:
        """Has some tables multiplied as floats, not in 8 bits; whether there were any."""
        found = [name for name in self.tables if f"{self.trained.name}/{name}" in names]
        for name in found:
            self.tables[name] = replace(self.tables[name], in_floats=True)
        return bool(found)

    def dequantized(self) -> dict[str, np.ndarray]:
        """The float32 values of the stored tables."""
        return {name: table.dequantized() for name, table in self.tables.items()}


def names_of(trained: CompressedEmbedding) -> list[str]:
    """Names of the tables that ship of a layer, in their order."""
    return [f"{trained.name}/{table.name}" for table in trained.stored_tables()]


def ship(
    trained: CompressedEmbedding,
    weights: Weights = "int8",
    profile: Profile = "portable",
    in_file: Mapping[str, Stored] = MappingProxyType({}),
) -> ShippedEmbedding:
    """Folds the tables of a trained layer, and stores them as they declare or as `weights` says.

    Tables that the layer itself rounds are stored as it does in any case. Those of a file, which
    `in_file` names, keep its levels.
    """
    folded = _folded(trained)
    tables, errors, steps = {}, {}, trained.trained_steps()
    for table in trained.stored_tables():
        is_rounded = _is_rounded(trained, table.name)
        name = f"{trained.name}/{table.name}"
        if not is_rounded:
            table = stored_as(table, kind_of(weights, name))
        values = np.asarray(folded[table.name])
        known = in_file[name].storage if name in in_file else None
        scales = steps.get(table.name) if is_rounded else None
        stored = quantize_table(table, values, is_rounded=is_rounded, in_file=known, scales=scales)
        stored = looked_up(stored, profile)
        tables[table.name] = stored
        if not stored.holds_integers and stored.storage != FLOAT32:
            errors[table.name] = row_errors(values, stored)
    return ShippedEmbedding(trained, trained.ships_as(), tables, errors)


def values_in_use(trained: CompressedEmbedding) -> dict[str, np.ndarray]:
    """The folded tables that a layer computes with, by name: rounded where it rounds them itself.

    A layer that has learned in few bits loses nothing when its tables are stored in these.
    """
    folded = _folded(trained)
    if trained.computes_as_stored:
        folded = trained.as_stored(folded)
    return {
        name: np.asarray(values.all() if isinstance(values, RoundedTable) else values)
        for name, values in folded.items()
    }


class _FoldOps(ReferenceOps):
    """Folds with sums that are the same on every machine, up to one of some 10^8.

    The order in which float32 products are summed depends on the processor: a file would differ
    from what another machine makes of the same model.
    """

    def matmul(self, x: Any, table: Any) -> Any:
        exact = np.asarray(table, np.float64)
        rows = np.asarray(x)
        found = np.empty((*rows.shape[:-1], exact.shape[-1]), np.float32)
        for start in range(0, len(rows), _ROWS_AT_A_TIME):
            stop = start + _ROWS_AT_A_TIME
            found[start:stop] = rows[start:stop].astype(np.float64) @ exact
        return tf.constant(found)


def _folded(trained: CompressedEmbedding) -> Tables:
    """The tables that ship, as floats: by the operations that a layer rounds after, if it does."""
    ops = ReferenceOps() if trained.computes_as_stored else _FoldOps()
    folded: Tables = trained.fold(ops, _as_tensors(trained.table_values()))
    return folded


def _is_rounded(trained: CompressedEmbedding, name: str) -> bool:
    """Whether a layer computes with a table as it is stored."""
    return trained.quantization_aware and name in trained.storage


def _as_tensors(tables: Tables) -> Tables:
    return {name: tf.constant(table) for name, table in tables.items()}
