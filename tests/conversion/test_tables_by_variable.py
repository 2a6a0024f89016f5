"""Tables are known by their variable: neither equal values nor equal names make two one."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.tracing import large

ROWS, WIDTH = 300, 16


def pretrained():
    return np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)


def two_towers():
    """Two tables of the same pretrained vectors."""
    inputs = [keras.Input((), dtype="int32", name=name) for name in ("user", "item")]
    tables = [keras.layers.Embedding(ROWS, WIDTH, name=name) for name in ("users", "items")]
    model = keras.Model(inputs, [table(x) for table, x in zip(tables, inputs, strict=True)])
    for table in tables:
        table.set_weights([pretrained()])
    return model


def stored(conversion):
    return {e["name"]: e["tables"][0]["storage"] for e in conversion.report["embeddings"]}


def vectors(conversion, folder, **inputs):
    conversion.save(folder / "model.tflite", overwrite=True)
    found = CompressedModelFile(folder / "model.tflite").run("serving_default", **inputs)
    return [values for _, values in sorted(found.items())]


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("from_folder", [False, True])
def test_equal_values_are_stored_as_each_is_asked(is_large, from_folder, tmp_path, monkeypatch):
    if is_large:
        monkeypatch.setattr(large, "LARGE_BYTES", 256)
    model = two_towers()
    if from_folder:
        if is_keras_3:
            model.export(tmp_path / "saved", verbose=False)
        else:
            model.save(tmp_path / "saved")
    source = tmp_path / "saved" if from_folder else model
    weights = {"*users*": "float32", "*items*": "int2"}
    conversion = convert(source, weights=weights, verify=False)
    kinds = {name.rpartition("/")[2]: kind for name, kind in stored(conversion).items()}
    assert kinds == {"users": "float32", "items": "int2_per_row"}
    ids = np.arange(ROWS, dtype=np.int32)
    users, items = vectors(conversion, tmp_path, user=ids, item=ids)
    np.testing.assert_array_equal(users, pretrained())
    assert 0.2 < np.abs(items - pretrained()).max() < 2


def test_equal_names_are_numbered(tmp_path):
    class Towers(keras.Model):
        def __init__(self):
            super().__init__(name="towers")
            self.tables = [keras.layers.Embedding(ROWS, WIDTH, name="table") for _ in range(2)]

        def call(self, ids):
            return tuple(table(ids) for table in self.tables)

    model = Towers()
    ids = np.arange(ROWS, dtype=np.int32)
    model(ids)
    for factor, table in enumerate(model.tables, 1):
        table.set_weights([factor * pretrained()])
    inputs = tf.TensorSpec([None], tf.int32, name="ids")
    conversion = convert(model, inputs=inputs, weights={"*_2": "float32"}, verify=False)
    tables = [table for e in conversion.report["embeddings"] for table in e["tables"]]
    kinds = {table["name"]: table["storage"] for table in tables}
    assert kinds == {"embeddings": "int8_per_row", "embeddings_2": "float32"}
    first, second = vectors(conversion, tmp_path, ids=ids)
    np.testing.assert_allclose(first, pretrained(), atol=0.02)
    np.testing.assert_array_equal(second, 2 * pretrained())


def test_a_table_of_a_strategy_is_found():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = two_towers()
    assert stored(convert(model)) == {"users": "int8_per_row", "items": "int8_per_row"}


@pytest.mark.parametrize("profile", ["portable", "litert"])
def test_products_with_tables_of_equal_integers_keep_their_scales(profile, tmp_path):
    """Twice a table has the same integers, under scales of its own."""

    class Scores(keras.Model):
        def __init__(self):
            super().__init__(name="scores")
            self.tables = [keras.layers.Embedding(ROWS, WIDTH, name=f"t{i}") for i in range(2)]

        def call(self, ids):
            queries = [table(ids) for table in self.tables]
            rows = [tf.convert_to_tensor(table.embeddings) for table in self.tables]
            return [tf.matmul(q, r, transpose_b=True) for q, r in zip(queries, rows, strict=True)]

    model = Scores()
    model(np.zeros(1, np.int32))
    for factor, table in enumerate(model.tables, 1):
        table.set_weights([factor * pretrained()])
    inputs = tf.TensorSpec([None], tf.int32, name="ids")
    conversion = convert(model, inputs=inputs, profile=profile, verify=False)
    found = vectors(conversion, tmp_path, ids=np.arange(50, dtype=np.int32))
    for factor, scores in enumerate(found, 1):
        wanted = factor**2 * pretrained()[:50] @ pretrained().T
        np.testing.assert_allclose(scores, wanted, atol=0.02 * np.abs(wanted).max())
