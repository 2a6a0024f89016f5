"""Every method in every variant, at a size where each table has more than one row."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import is_keras_3
from memcom_tf.layers import METHODS, CompressedEmbedding, Table

INPUT_DIM, OUTPUT_DIM = 230, 16
_LAST_STEP = 10**6


class Case(NamedTuple):
    method: type[CompressedEmbedding]
    variant: dict[str, Any]

    def layer(self, ratio: float | None = None, **kwargs: Any) -> CompressedEmbedding:
        arguments = {"input_dim": INPUT_DIM, "output_dim": OUTPUT_DIM, **self.variant, **kwargs}
        if ratio is None:
            ratio = 1 if self.method.size_argument is None else 3
        return self.method.for_ratio(ratio=ratio, **arguments)

    @property
    def trains_apart(self) -> bool:
        """Whether training computes something else than `lookup`, or more."""
        return self.method.train_lookup is not CompressedEmbedding.train_lookup

    def trained(self, **kwargs: Any) -> CompressedEmbedding:
        """A layer whose tables all hold distinct values, as after training."""
        return fill(self.layer(**kwargs))


def fill(layer: CompressedEmbedding) -> CompressedEmbedding:
    """Gives every table distinct values."""
    layer.build(None)
    layer.assign_tables(random_tables(layer))
    if layer.adapts_every:
        _count_ids(layer)
        layer.adapt_tables(_LAST_STEP)
    return layer


def _count_ids(layer: CompressedEmbedding) -> None:
    """What a step of training counts of ids, for `adapt` to change something."""
    ids = np.minimum(np.random.default_rng(9).zipf(1.5, 300) - 1, layer.input_dim - 1)
    adapted, layer.is_adapted = layer.is_adapted, True
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(ids))
    tape.gradient(total, layer.trainable_variables)
    layer.is_adapted = adapted


def random_tables(layer: CompressedEmbedding) -> dict[str, np.ndarray]:
    """Distinct values for every table, and random codes; others stay."""
    rng = np.random.default_rng(7)
    values = layer.table_values()

    def drawn(table: Table) -> np.ndarray:
        if table.kind in ("constant", "statistics"):
            return values[table.name]
        if table.kind == "index":  # what it says, of other rows: a permutation stays one
            return rng.permutation(values[table.name])
        if table.trainable:
            return rng.normal(0.3, 0.5, (table.rows, table.width))
        return rng.integers(0, table.num_codes, (table.rows, table.width))

    return {table.name: drawn(table) for table in layer.tables()}


def in_float64(tables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tables with room for differences; codes stay codes."""
    return {
        name: table.astype(np.float64) if table.dtype == np.float32 else table
        for name, table in tables.items()
    }


# Variants differ in their maths, in which there is no Keras: tf_keras runs one of each method.
CASES = [
    Case(method, variant)
    for method in METHODS.values()
    for variant in (method.variants if is_keras_3 else method.variants[:1])
]


def name_of(case: Case) -> str:
    settings = ",".join(f"{key}={value}" for key, value in case.variant.items())
    return f"{case.method.__name__}({settings})"


def _marked(case: Case) -> Any:
    """Of each method the first variant is tested always, the others in the long tests."""
    is_first = case.variant == case.method.variants[0]
    return pytest.param(case, marks=() if is_first else pytest.mark.long, id=name_of(case))


every_method = pytest.mark.parametrize("case", list(map(_marked, CASES)))
every_method_that_rounds = pytest.mark.parametrize(
    "case",
    [_marked(case) for case in CASES if not case.trains_apart],
)
"""Those whose tables may be trained as they are stored: not where training computes apart."""
