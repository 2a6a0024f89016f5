"""Methods of somebody else, as short as they should be: trained, saved, converted and proved."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.converters import convert, verify
from memcom_tf.kernels import selection, use
from memcom_tf.layers import Adaptation, CompressedEmbedding, Table, TrainingLookup
from memcom_tf.models import NextItemRanker
from memcom_tf.tables import RangedTable, RowRange

ITEMS, WIDTH, LENGTH = 120, 8, 4


@keras.saving.register_keras_serializable("seams")
class Damped(CompressedEmbedding):
    """Rows over a number of the id: of quotients no bound is known."""

    formula, source = "E[i] / (1 + relu(s[i]))", "a test"

    def tables(self):
        return (
            Table("rows", self.input_dim, self.output_dim),
            Table("scales", self.input_dim, 1, storage="int16_per_table"),
        )

    def lookup(self, xp, ids, t):
        return xp.gather(t["rows"], ids) / (1.0 + xp.relu(xp.gather(t["scales"], ids)))


def test_a_method_without_a_bound_is_measured_and_held_against_its_own_values(tmp_path):
    ids = keras.Input((), dtype="int32", name="ids")
    layer = Damped(ITEMS, WIDTH)
    model = keras.Model(ids, layer(ids))
    converted = convert(model)
    assert converted.verification.passed, converted.verification
    checks = {check.name: check for check in converted.verification.checks}
    assert checks["embed: error, not bounded"].bound is None
    assert "known up to an error" in checks["embed: error, not bounded"].detail
    assert checks["embed against the file's own values, in spreads"].value < 1e-4
    converted.save(tmp_path / "model.tflite")
    layer.set_weights([w + 0.01 for w in layer.get_weights()])
    assert not verify(model, tmp_path / "model.tflite").passed


@keras.saving.register_keras_serializable("seams")
class Reassigned(CompressedEmbedding):
    """Rows that an index chooses: the ids of training's favour get rows of their own."""

    formula, source = "E[r(i)]", "a test"
    adapts_every = 8

    def __init__(self, *args, num_rows, **kwargs):
        super().__init__(*args, **kwargs)
        self.num_rows = num_rows

    def tables(self):
        row_of = Table.of_index(
            "row_of", self.input_dim, 1, num_values=self.num_rows, initializer=self._by_remainder
        )
        rows = Table("rows", self.num_rows, self.output_dim)
        return (row_of, rows, Table.of_statistics("uses", self.input_dim, 1))

    def _by_remainder(self, shape, dtype=None, **kwargs):
        return tf.cast(tf.range(shape[0])[:, None] % self.num_rows, dtype)

    def lookup(self, xp, ids, t):
        return xp.gather(t["rows"], xp.gather(t["row_of"], ids)[..., 0])

    def train_lookup(self, xp, ids, t):
        vectors = self.lookup(xp, ids, t)
        loss = 1e-3 * tf.reduce_mean(vectors**2)
        return TrainingLookup(vectors, loss, counts={"uses": (ids, 1.0)})

    def adapt(self, step, t):
        """Row `k` becomes that of the `k`-th most used id; the last rows are shared."""
        rank = np.empty(self.input_dim, np.int64)
        rank[np.argsort(-t["uses"][:, 0], kind="stable")] = np.arange(self.input_dim)
        own = self.num_rows // 2
        row_of = np.where(rank < own, rank, own + rank % (self.num_rows - own))[:, None]
        first = np.unique(row_of, return_index=True)[1]
        rows_from = t["row_of"][first, 0]
        tables = {"row_of": row_of, "rows": t["rows"][rows_from], "uses": t["uses"] / 2}
        return Adaptation(tables, rows_from={"rows": rows_from})

    def get_config(self):
        return {**super().get_config(), "num_rows": self.num_rows}


@keras.saving.register_keras_serializable("seams")
class MixedPrecision(CompressedEmbedding):
    """One table, of which frequent ids have 8 bits, others 4 and half the width, rare ones none."""

    formula, source = "E[i]", "a test"

    def __init__(self, *args, num_frequent, num_rare, **kwargs):
        super().__init__(*args, **kwargs)
        self.num_frequent, self.num_rare = num_frequent, num_rare
        others = self.input_dim - num_frequent - num_rare
        ranges = (
            RowRange(num_frequent, self.output_dim, "int8_per_row"),
            RowRange(others, self.output_dim // 2, "int4_per_row"),
            RowRange(num_rare, 0),
        )
        self.rows = RangedTable("rows", self.output_dim, ranges)

    def tables(self):
        return self.rows.tables()

    def lookup(self, xp, ids, t):
        return self.rows.gather(xp, ids, t)

    def lookup_scores(self, xp, query, t):
        return self.rows.scores(xp, query, t)

    def get_config(self):
        sizes = {"num_frequent": self.num_frequent, "num_rare": self.num_rare}
        return {**super().get_config(), **sizes}


LAYERS = {
    "mixed precision": lambda: MixedPrecision(ITEMS, WIDTH, num_frequent=30, num_rare=10),
    "re-assigned": lambda: Reassigned(ITEMS, WIDTH, num_rows=60),
}


@pytest.mark.few(1)
@pytest.mark.parametrize("name", LAYERS)
def test_a_short_method_is_trained_saved_converted_and_proved(name, tmp_path, monkeypatch):
    monkeypatch.setattr(selection, "_warned", set())
    rng = np.random.default_rng(0)
    histories = rng.integers(1, ITEMS, (256, LENGTH))
    targets = histories[:, 0] % (ITEMS - 1) + 1
    model = NextItemRanker(LAYERS[name](), history_length=LENGTH)
    model.build((None, LENGTH))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss)
    with use("reference"):
        history = model.fit(histories, targets, epochs=20, verbose=0).history["loss"]
    assert history[-1] < 0.95 * history[0]
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(loaded(histories), model(histories))
    convert(loaded, k=5, verify=False).save(tmp_path / "model.tflite")
    proof = verify(model, tmp_path / "model.tflite")
    assert proof.passed, proof
    assert "embed: error over its derived bound" in [check.name for check in proof.checks]
