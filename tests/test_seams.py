"""Methods of somebody else, as short as they should be: trained, saved, converted and proved."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf._keras import keras
from memcom_tf.converters import convert, verify
from memcom_tf.layers import CompressedEmbedding, Table
from memcom_tf.models import NextItemRanker
from memcom_tf.ops import selection, use

ITEMS, WIDTH, LENGTH = 120, 8, 4


@keras.saving.register_keras_serializable("seams")
class KAryPartition(CompressedEmbedding):
    """A sum of rows by the digits of an id in base `radix`."""

    formula, source = "sum_k E_k[i // radix^k mod radix]", "a test"

    def __init__(self, *args, radix, **kwargs):
        super().__init__(*args, **kwargs)
        self.radix = radix

    @property
    def _digits(self):
        return next(k for k in range(1, 64) if self.radix**k >= self.input_dim)

    def tables(self):
        return tuple(Table(f"digit_{k}", self.radix, self.output_dim) for k in range(self._digits))

    def lookup(self, xp, ids, t):
        digits = [ids // self.radix**k % self.radix for k in range(self._digits)]
        rows = [xp.gather(t[f"digit_{k}"], digit) for k, digit in enumerate(digits)]
        return sum(rows[1:], rows[0])

    def get_config(self):
        return {**super().get_config(), "radix": self.radix}


@keras.saving.register_keras_serializable("seams")
class PathBasedPartition(CompressedEmbedding):
    """A row by the quotient, through a network of two layers that the remainder chooses."""

    formula, source = "W2_r relu(W1_r E[q] + b_r)", "a test"

    def __init__(self, *args, num_paths, hidden=4, **kwargs):
        super().__init__(*args, **kwargs)
        self.num_paths, self.hidden = num_paths, hidden

    def tables(self):
        size = self.output_dim * self.hidden
        return (
            Table("rows", -(-self.input_dim // self.num_paths), self.output_dim),
            Table("first", self.num_paths, size),
            Table("biases", self.num_paths, self.hidden),
            Table("second", self.num_paths, size),
        )

    def lookup(self, xp, ids, t):
        path = ids % self.num_paths
        x = xp.gather(t["rows"], ids // self.num_paths)
        first = xp.unflatten(xp.gather(t["first"], path), (self.output_dim, self.hidden))
        second = xp.unflatten(xp.gather(t["second"], path), (self.hidden, self.output_dim))
        x = xp.batch_matmul(x[..., None, :], first) + xp.gather(t["biases"], path)[..., None, :]
        return xp.batch_matmul(xp.relu(x), second)[..., 0, :]

    def get_config(self):
        return {**super().get_config(), "num_paths": self.num_paths, "hidden": self.hidden}


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


LAYERS = {
    "k-ary": lambda: KAryPartition(ITEMS, WIDTH, radix=5),
    "path-based": lambda: PathBasedPartition(ITEMS, WIDTH, num_paths=6),
}


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
    converted = convert(loaded, k=5)
    assert converted.verification.passed, converted.verification
    names = [check.name for check in converted.verification.checks]
    assert "embed: error over its derived bound" in names
    converted.save(tmp_path / "model.tflite")
    assert verify(model, tmp_path / "model.tflite").passed
