"""Levels of 4 and 2 bits: between the multiples of a scale, or at them, whichever is nearer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.preparation.prepared import prepare
from memcom_tf.converters.quantization.quantize import looked_up, quantize_table
from memcom_tf.layers import FullEmbedding
from memcom_tf.tables import Storage, Table
from tests.quantization.test_profiles import filled

ROWS = 120
WIDTHS = [1, 5, 16, 33]
LOW = ["int4_per_row", "int4_per_table", "int2_per_row", "int2_per_table"]


def one_value_a_row(rng, shape):
    values = np.zeros(shape)
    values[np.arange(len(values)), rng.integers(0, shape[1], len(values))] = rng.normal(
        size=shape[0]
    )
    return values


TABLES = {
    "one value a row": one_value_a_row,
    "one in ten": lambda rng, shape: rng.normal(size=shape) * (rng.random(shape) < 0.1),
    "normal": lambda rng, shape: rng.normal(size=shape),
    "never below 0": lambda rng, shape: np.maximum(rng.normal(size=shape), 0),
    "heavy tails": lambda rng, shape: rng.standard_t(2, size=shape),
    "around 2": lambda rng, shape: rng.normal(2, 1, size=shape),
    "1 and -1": lambda rng, shape: rng.choice([-1.0, 1.0], size=shape),
    "zeros": lambda rng, shape: np.zeros(shape),
}


def values_of(kind, width):
    return TABLES[kind](np.random.default_rng(1), (ROWS, width)).astype(np.float32)


def squared_error(values, stored):
    return float(((stored - values.astype(np.float64)) ** 2).sum())


def with_the_largest_at_the_end(values, storage):
    """The plain way: the largest magnitude is the largest integer, and 0 is a level."""
    form = Storage.of(storage)
    axis = 1 if form.scaled_by == "row" else None
    scale = np.abs(values).max(axis=axis, keepdims=True) / form.largest
    steps = np.divide(values, scale, out=np.zeros_like(values), where=scale > 0)
    return np.clip(np.round(steps), -form.half, form.largest) * scale


@pytest.mark.few(40)
@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("storage", LOW)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_way_to_store_a_table_is_nearer(kind, storage, width):
    values = values_of(kind, width)
    table = Table("t", ROWS, width, storage=storage)
    stored = quantize_table(table, values)
    error = squared_error(values, stored.dequantized())
    of_each = [
        squared_error(values, quantize_table(table, values, in_file=str(way)).dequantized())
        for way in Storage.of(storage).alternatives()
    ]
    assert error == min(of_each)
    plain = squared_error(values, with_the_largest_at_the_end(values, storage))
    assert error <= plain * (1 + 1e-6) + 1e-9
    assert (np.abs(stored.dequantized() - values) <= stored.radius * (1 + 1e-6)).all()
    in_order = looked_up(stored, "litert")
    np.testing.assert_array_equal(in_order.dequantized(), stored.dequantized())


def test_what_a_level_at_zero_stores_exactly():
    values = values_of("one value a row", 16)
    for bits in (4, 2):
        table = Table("t", ROWS, 16, storage=f"int{bits}_per_row")
        stored = quantize_table(table, values)
        assert str(stored.storage) == f"int{bits}_midtread_per_row"
        np.testing.assert_allclose(stored.dequantized(), values, rtol=1e-6)
    stored = quantize_table(table, values_of("1 and -1", 16))
    assert str(stored.storage) == "int2_per_row"
    np.testing.assert_allclose(stored.dequantized(), values_of("1 and -1", 16), rtol=1e-6)


def tied(values):
    """A lookup in a table, and scores of all its rows."""

    class Tied(keras.Model):
        def __init__(self):
            super().__init__(name="tied")
            self.items = keras.layers.Embedding(*values.shape, name="items")

        def call(self, ids):
            vectors = self.items(ids)
            table = tf.convert_to_tensor(self.items.embeddings)
            return {"vectors": vectors, "scores": tf.matmul(vectors, table, transpose_b=True)}

    model = Tied()
    model(np.zeros([1], np.int32))
    model.items.set_weights([values])
    return model


@pytest.mark.few(3)
@pytest.mark.parametrize("profile", ["portable", "litert"])
@pytest.mark.parametrize(("kind", "bits"), [("int4", 4), ("int2", 2)])
@pytest.mark.parametrize(("table", "levels"), [("one in ten", "_midtread"), ("1 and -1", "")])
def test_files_hold_the_chosen_levels(profile, kind, bits, table, levels, tmp_path):
    values = values_of(table, 33)
    spec = tf.TensorSpec([None], tf.int32, name="ids")
    conversion = convert(tied(values), weights=kind, profile=profile, inputs=spec)
    assert conversion.verification.passed
    (described,) = conversion.report["embeddings"][0]["tables"]
    assert described["storage"] == f"int{bits}{levels}_per_row"
    assert described["data_bytes"] == ROWS * -(-33 * bits // 8)
    conversion.save(tmp_path / "model.tflite")
    file = CompressedModelFile(tmp_path / "model.tflite")
    found = file.run("serving_default", ids=np.arange(ROWS, dtype=np.int32))
    wanted = quantize_table(Table("t", ROWS, 33, storage=f"{kind}_per_row"), values).dequantized()
    np.testing.assert_allclose(found["vectors"], wanted, rtol=1e-6)
    np.testing.assert_allclose(found["scores"], wanted @ wanted.T, rtol=1e-3, atol=1e-3)


@pytest.mark.few(1)
@pytest.mark.parametrize("profile", ["portable", "litert"])
def test_a_layer_that_rounds_ships_the_levels_that_it_declares(profile):
    values = values_of("one in ten", 16)
    for storage in ("int2_per_row", "int2_midtread_per_row"):
        layer = FullEmbedding(ROWS, 16, storage={"embeddings": storage})
        model = keras.Sequential([keras.Input((3,), dtype="int32"), layer])
        layer.assign_tables({"embeddings": values})
        conversion = convert(model, profile=profile)
        (described,) = conversion.report["embeddings"][0]["tables"]
        assert described["storage"] == storage
        assert conversion.verification.passed
        assert conversion.verification.value("embed: largest error of a vector") < 1e-5
        # It is the layer that is far from the values, or near.
        error = squared_error(values, np.asarray(layer(np.arange(ROWS))))
        assert (error < 0.2 * (values**2).sum()) == ("midtread" in storage)


def test_a_layer_that_does_not_round_gets_the_nearer_levels():
    layer = FullEmbedding(
        ROWS, 16, storage={"embeddings": "int4_per_row"}, quantization_aware=False
    )
    model = keras.Sequential([keras.Input((3,), dtype="int32"), layer])
    layer.assign_tables({"embeddings": values_of("one in ten", 16)})
    conversion = convert(model)
    (described,) = conversion.report["embeddings"][0]["tables"]
    assert described["storage"] == "int4_midtread_per_row"
    assert conversion.verification.passed


def test_a_file_without_a_level_at_zero_keeps_its_numbers():
    """Files of earlier versions are compared with what these made of the model."""
    model = tied(values_of("one in ten", 16))
    arguments = {"weights": "int4", "profile": "portable", "k": 0}
    arguments["inputs"] = tf.TensorSpec([None], tf.int32, name="ids")
    today = prepare(model, **arguments)
    description = today.description(min_runtime_version="2.8.0", scores_in_integers=False)

    def stored_as(storage):
        (embedding,) = description.embeddings
        table = replace(embedding.tables[0], storage=storage)
        return replace(description, embeddings=[replace(embedding, tables=[table])])

    described = description.embeddings[0].tables[0].storage
    assert described == str(today.tables[0].storage) == "int4_midtread_per_row"
    before = prepare(model, **arguments, described=stored_as("int4_per_row"))
    assert str(before.tables[0].storage) == "int4_per_row"
    # A file cannot ask for other bits than it says at its head.
    again = prepare(model, **arguments, described=stored_as("int2_per_row")).tables[0]
    assert str(again.storage) == "int4_midtread_per_row"


def test_both_kinds_of_levels_in_one_model(tmp_path):
    user = keras.Input((), dtype="int32", name="user")
    item = keras.Input((), dtype="int64", name="item")
    users = keras.layers.Embedding(300, 33, name="users")
    items = keras.layers.Embedding(ROWS, 33, name="items")
    model = filled(keras.Model([user, item], keras.layers.Dot(1)([users(user), items(item)])))
    items.set_weights([values_of("one value a row", 33)])
    users.set_weights([np.random.default_rng(0).choice([-0.5, 0.5], (300, 33))])
    for profile in ("portable", "litert"):
        conversion = convert(model, weights="int2", profile=profile)
        assert conversion.verification.passed
        stored = {e["name"]: e["tables"][0]["storage"] for e in conversion.report["embeddings"]}
        assert set(stored.values()) == {"int2_per_row", "int2_midtread_per_row"}
        conversion.save(tmp_path / f"{profile}.tflite")
        file = CompressedModelFile(tmp_path / f"{profile}.tflite")
        ids = {"user": np.arange(100, dtype=np.int32), "item": np.arange(100, dtype=np.int64)}
        (found,) = file.run("serving_default", **ids).values()
        np.testing.assert_allclose(
            found, model.predict_on_batch([ids["user"], ids["item"]]), rtol=1e-5, atol=1e-6
        )
