"""Rows that ids earn and lose while training."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf import CAFEEmbedding
from memcom_tf._keras import keras
from memcom_tf.converters import convert
from memcom_tf.training import AdaptTables

ITEMS, WIDTH, OWN, SHARED = 400, 6, 12, 10


def layer_of(**kwargs):
    settings = {"num_buckets": SHARED, "num_dedicated": OWN, "adapts_every": 5, **kwargs}
    return CAFEEmbedding(ITEMS, WIDTH, **settings)


def fitted(layer, important, *, epochs=6, seed=0):
    """A model of which the important ids are looked up in half of all rows."""
    rng = np.random.default_rng(seed)
    ids = np.where(
        rng.random((960, 1)) < 0.5,
        rng.choice(important, (960, 1)),
        rng.integers(0, ITEMS, (960, 1)),
    )
    inputs = keras.Input((1,), dtype="int32", name="ids")
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(layer(inputs))))
    model.compile(keras.optimizers.Adam(0.005), "mse")
    targets = (ids % 7).astype(np.float32)
    model.fit(ids, targets, epochs=epochs, callbacks=[AdaptTables()], verbose=0)
    return model


def hot(layer):
    row_of = layer.table_values()["row_of"][:, 0]
    return set(np.flatnonzero(row_of < OWN).tolist())


# Ids that are learned well have small gradients, however frequent.
@pytest.mark.parametrize(("importance", "least"), [("gradient", 6), ("frequency", 9)])
def test_important_ids_have_rows_of_their_own_until_the_stream_drifts(importance, least):
    layer = layer_of(importance=importance, decay=0.5)
    early, late = np.arange(100, 110), np.arange(300, 310)
    fitted(layer, early)
    assert len(hot(layer) & set(early.tolist())) >= least
    fitted(layer, late, seed=1)
    assert len(hot(layer) & set(late.tolist())) >= least
    assert len(hot(layer) & set(early.tolist())) <= 3
    t = layer.table_values()
    row_of = t["row_of"][:, 0]
    assert len(set(row_of[row_of < OWN])) == (row_of < OWN).sum()  # no two ids have one
    others = np.flatnonzero(row_of >= OWN)
    np.testing.assert_array_equal(row_of[others], OWN + others % SHARED)


def test_a_row_begins_with_the_vector_and_the_state_that_the_id_had():
    layer = layer_of()
    layer.build(None)
    t = layer.table_values() | {"importance": np.zeros((ITEMS, 1), np.float32)}
    t["importance"][[7, 133, 250], 0] = 3, 9, 1
    changes = layer.adapt(5, t)
    assert (changes.tables["row_of"][[7, 133, 250], 0] < OWN).all()
    before = t["rows"][t["row_of"][:, 0]]
    after = changes.tables["rows"][changes.tables["row_of"][:, 0]]
    np.testing.assert_array_equal(after, before)
    slots = changes.tables["row_of"][[7, 133, 250], 0]
    np.testing.assert_array_equal(
        changes.rows_from["rows"][slots], OWN + np.array([7, 133, 250]) % SHARED
    )
    np.testing.assert_allclose(changes.tables["importance"], 0.98 * t["importance"], rtol=1e-6)


def test_rows_change_hands_only_for_much_more_important_ids():
    layer = layer_of(num_dedicated=1)
    layer.build(None)
    t = layer.table_values() | {"importance": np.zeros((ITEMS, 1), np.float32)}
    t["importance"][5] = 10
    t |= layer.adapt(1, t).tables
    t["importance"][:] = 0
    t["importance"][[5, 6], 0] = 10, 10.5
    assert layer.adapt(2, t).tables["row_of"][5] == 0
    t["importance"][6] = 12
    again = layer.adapt(2, t).tables["row_of"]
    assert again[6] == 0 and again[5] >= 1


def test_importance_is_the_norm_of_the_gradient_over_the_mean():
    layer = layer_of(importance="gradient")
    layer.build(None)
    ids = tf.constant([3, 9, 9])
    scale = tf.constant([[1.0], [2.0], [3.0]])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(ids) * scale)
    tape.gradient(total, layer.trainable_variables)
    counted = layer.table_values()["importance"][:, 0]
    assert np.flatnonzero(counted).tolist() == [3, 9]
    np.testing.assert_allclose(counted[[3, 9]], [0.5, 2.5], rtol=1e-5)


def test_hot_first_has_the_same_vectors_and_no_index():
    layer = layer_of()
    fitted(layer, np.arange(100, 110), epochs=2)
    ids, other = layer.hot_first()
    assert len(set(ids.tolist())) == ITEMS
    np.testing.assert_array_equal(other(ids), layer(np.arange(ITEMS)))
    assert ITEMS <= other.input_dim < ITEMS + 4 * SHARED
    assert other.compression_ratio > 1.5 * layer.compression_ratio
    inputs = keras.Input((), dtype="int32", name="ids")
    assert convert(keras.Model(inputs, other(inputs))).verification.passed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_buckets": ITEMS + 1}, "must be at most `input_dim`"),
        ({"num_dedicated": ITEMS + 1}, "must be at most `input_dim`"),
        ({"adapts_every": 0}, "`adapts_every` must be a positive integer"),
        ({"importance": "age"}, "`importance` must be one of"),
        ({"decay": 1.5}, "`decay` in"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        layer_of(**arguments)
