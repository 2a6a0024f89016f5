"""Codes that begin as hashes and become clusters of what was learned."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf import ClusteredEmbedding, MultiGranularEmbedding, ResidualQuantizedEmbedding
from memcom_tf._keras import keras
from memcom_tf.converters import convert
from memcom_tf.training import AdaptTables

ITEMS, WIDTH = 400, 8


def vectors_of(layer):
    return np.asarray(layer(np.arange(layer.input_dim)))


def test_ids_that_are_alike_come_to_share_rows():
    """Of four kinds of ids, each with its own target; hashes know nothing of them."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 4, ITEMS)
    targets = np.eye(4, dtype=np.float32)[kinds] * 4

    def trained(clusterings):
        keras.utils.set_random_seed(1)
        layer = ClusteredEmbedding(
            ITEMS, WIDTH, num_codebooks=2, num_codes=16, adapts_every=50, clusterings=clusterings
        )
        inputs = keras.Input((), dtype="int32", name="ids")
        model = keras.Model(inputs, keras.layers.Dense(4)(layer(inputs)))
        model.compile(keras.optimizers.Adam(0.03), "mse")
        ids = np.tile(np.arange(ITEMS), 4)
        model.fit(ids, targets[ids], epochs=40, batch_size=80, callbacks=[AdaptTables()], verbose=0)
        found = model.predict(np.arange(ITEMS), verbose=0).argmax(axis=1)
        return model, (found == kinds).mean()

    _, of_one = trained(1)
    model, of_many = trained(8)
    assert of_many > of_one + 0.1
    assert convert(model).verification.passed


def test_a_clustering_keeps_the_vectors_nearly_and_empties_the_hashed_rows():
    rng = np.random.default_rng(0)
    layer = ClusteredEmbedding(ITEMS, WIDTH, num_codebooks=2, num_codes=32, adapts_every=10)
    layer.build(None)
    t = layer.table_values()
    t["hashed"] = 0.1 * rng.normal(size=t["hashed"].shape)
    layer.assign_tables(t)
    before = vectors_of(layer)
    change = layer.adapt_tables(10)
    assert not change.tables["hashed"].any()
    assert set(change.rows_from) == {"codebooks", "hashed"}
    error = ((vectors_of(layer) - before) ** 2).sum() / ((before - before.mean(0)) ** 2).sum()
    assert error < 0.25
    assert layer.adapt_tables(10 * layer.clusterings + 10) is None  # then it is settled


def test_reassigned_codes_come_nearer_to_a_table():
    rng = np.random.default_rng(0)
    layer = ClusteredEmbedding(ITEMS, WIDTH, num_codebooks=2, num_codes=16)
    layer.build(None)
    table = rng.normal(size=(ITEMS, WIDTH)).astype(np.float32)
    before = ((vectors_of(layer) - table) ** 2).sum()
    assert layer.reassign(table) > 0.5
    assert ((vectors_of(layer) - table) ** 2).sum() < before


def test_rare_ids_take_few_codes_of_half_the_bits():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(ITEMS, WIDTH)).astype(np.float32)
    layer = MultiGranularEmbedding.from_table(table, num_codebooks=4, num_frequent=80)
    t = layer.table_values()
    assert t["rare_codes"].max() < 16 <= t["codes"].max()
    errors = ((vectors_of(layer) - table) ** 2).sum(axis=1)
    assert errors[:80].mean() < 0.2 * errors[80:].mean()
    stored = {table.name: table.stored_bytes for table in layer.tables()}
    assert stored["codes"] == 80 * 4 and stored["rare_codes"] == 320 * 2


def test_given_codes_choose_the_rows():
    codes = np.array([[0, 3], [0, 1], [2, 2]])
    layer = ResidualQuantizedEmbedding.from_codes(codes, WIDTH)
    books = layer.table_values()["codebooks"].reshape(2, 4, WIDTH)
    expected = books[0][codes[:, 0]] + books[1][codes[:, 1]]
    np.testing.assert_allclose(vectors_of(layer), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (np.zeros((3, 2)), "must be a matrix of integers"),
        (np.zeros(3, int), "must be a matrix of integers"),
        (np.zeros((0, 2), int), "must be a matrix of integers"),
        (np.full((3, 2), 256), "must be from 0 to 255"),
        (np.full((3, 2), -1), "must be from 0 to 255"),
    ],
)
def test_codes_that_are_none_are_named(codes, words):
    with pytest.raises(ValueError, match=words):
        ResidualQuantizedEmbedding.from_codes(codes, WIDTH)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_codebooks": 3}, "must be a divisor"),
        ({"num_codebooks": 2, "num_frequent": ITEMS}, "must be less than `input_dim`"),
        ({"num_codebooks": 2, "num_rare_codes": 300}, "at most as many"),
        ({"num_codebooks": 2, "num_codes": 1}, r"must be in \[2, 256\]"),
    ],
)
def test_sizes_that_are_none_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        MultiGranularEmbedding(ITEMS, WIDTH, **arguments)
