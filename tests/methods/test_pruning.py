"""Rows that lose columns: while training, in closed form, and in the file."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf import (
    FullEmbedding,
    MixedDimensionEmbedding,
    PrunedEmbedding,
    StaircaseEmbedding,
)
from memcom_tf._keras import keras
from memcom_tf.approximation.allocation import best_steps
from memcom_tf.converters import convert
from memcom_tf.layers.adaptive.pruned import CRITERIA
from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.training import AdaptTables

ITEMS, WIDTH = 300, 8
STEPS = ((300, 2), (60, 2), (20, 4))


def vectors_of(layer):
    return np.asarray(layer(np.arange(layer.input_dim)))


def model_of(layer):
    inputs = keras.Input((1,), dtype="int32", name="ids")
    flat = keras.layers.Flatten()(layer(inputs))
    return keras.Model(inputs, keras.layers.Dense(1)(flat))


def fitted(layer, important, *, epochs=8, seed=0):
    """A model of which half of all rows look the important ids up, and learn large numbers."""
    rng = np.random.default_rng(seed)
    ids = np.where(
        rng.random((960, 1)) < 0.5,
        rng.choice(important, (960, 1)),
        rng.integers(0, ITEMS, (960, 1)),
    )
    model = model_of(layer)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    targets = np.where(np.isin(ids, important), 3.0 * (ids % 2) - 1.5, 0.0).astype(np.float32)
    model.fit(ids, targets, epochs=epochs, callbacks=[AdaptTables()], verbose=0)
    return model


def test_an_id_has_the_columns_that_its_place_earns():
    table = np.random.default_rng(0).normal(size=(ITEMS, WIDTH)).astype(np.float32)
    layer = StaircaseEmbedding.from_table(table, steps=STEPS)
    vectors = vectors_of(layer)
    np.testing.assert_array_equal(vectors[:20], table[:20])
    np.testing.assert_array_equal(vectors[20:60, :4], table[20:60, :4])
    np.testing.assert_array_equal(vectors[:, :2], table[:, :2])
    np.testing.assert_allclose(vectors[60:, 2:4], np.tile(table[60:, 2:4].mean(0), (240, 1)), 1e-4)
    np.testing.assert_allclose(vectors[20:, 4:], np.tile(table[20:, 4:].mean(0), (280, 1)), 1e-4)


def test_ranks_and_directions_lower_the_error_of_a_table_that_needs_them():
    rng = np.random.default_rng(0)
    large = rng.choice(ITEMS, 20, replace=False)
    factors = rng.normal(size=(ITEMS, 2)) @ rng.normal(size=(2, WIDTH))
    table = factors + 0.3 * rng.normal(size=(ITEMS, WIDTH))
    table[large] += 4 * rng.normal(size=(20, WIDTH))
    errors = {}
    for name, kwargs in {
        "plain": {},
        "ranked": {"ranked": True},
        "both": {"ranked": True, "projection": True},
    }.items():
        layer = StaircaseEmbedding.from_table(table, steps=STEPS, **kwargs)
        errors[name] = ((vectors_of(layer) - table) ** 2).sum()
    assert errors["ranked"] < 0.8 * errors["plain"]
    assert errors["both"] < 0.5 * errors["ranked"]


def test_a_block_of_no_ids_is_shared_by_all():
    layer = StaircaseEmbedding(ITEMS, WIDTH, steps=((50, 5), (0, 3)))
    vectors = vectors_of(layer)
    assert len(np.unique(vectors[:, 5:], axis=0)) == 1
    assert len(np.unique(vectors[:, :5], axis=0)) == 51
    assert [table.rows for table in layer.tables()] == [51, 1]


@pytest.mark.few(2)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_important_ids_keep_their_columns_and_the_file_has_no_others(criterion):
    important = np.arange(75, 90)  # the first of a group, which gates rank as a whole
    layer = PrunedEmbedding(
        ITEMS, WIDTH, steps=STEPS, criterion=criterion, adapts_every=10, rounds=12
    )
    model = fitted(layer, important)
    ranks = layer.table_values()["rank"][:, 0]
    assert sorted(ranks) == list(range(ITEMS))
    # By gradients alone, ids that are learned well matter less.
    least = 5 if criterion == "gradient" else 12
    assert (ranks[important] < 20).sum() >= least
    np.testing.assert_array_equal(layer.table_values()["reach"][:, 0], [300, 60, 20])
    shipped = layer.ships_as()
    folded = layer.fold(NumpyOps(), layer.table_values())
    assert {name: len(rows) for name, rows in folded.items()} == {
        "rank": ITEMS, "block_0": 300, "block_1": 61, "block_2": 21
    }  # fmt: skip
    np.testing.assert_allclose(
        shipped.lookup(NumpyOps(), np.arange(ITEMS), folded), vectors_of(layer), atol=1e-6
    )
    converted = convert(model)
    assert converted.verification.passed
    assert converted.report["embeddings"][0]["method"] == "PrunedEmbedding"


def test_nothing_is_pruned_at_first_and_all_at_the_end_by_a_schedule_of_cubes():
    layer = PrunedEmbedding(ITEMS, WIDTH, steps=STEPS, adapts_every=5, rounds=10)
    layer.build(None)
    t = layer.table_values()
    np.testing.assert_array_equal(t["reach"][:, 0], [ITEMS] * 3)
    reach = [layer.adapt(step, t).tables["reach"][:, 0] for step in (5, 25, 50, 500)]
    np.testing.assert_array_equal(reach[0], np.ceil([300, 60 + 240 * 0.729, 20 + 280 * 0.729]))
    np.testing.assert_array_equal(reach[1], [300, 60 + 240 / 8, 20 + 280 / 8])
    np.testing.assert_array_equal(reach[2:], [[300, 60, 20]] * 2)


def test_what_was_pruned_grows_again_as_it_was():
    layer = PrunedEmbedding(ITEMS, WIDTH, steps=STEPS, criterion="frequency", adapts_every=5)
    layer.build(None)
    t = layer.table_values()
    embeddings = t["embeddings"]
    for first in (100, 200):
        t["uses"] = np.zeros((ITEMS, 1), np.float32)
        t["uses"][first : first + 10] = 1
        layer.assign_tables(t)
        change = layer.adapt_tables(10**6)
        t = layer.table_values()
        np.testing.assert_array_equal(
            vectors_of(layer)[first : first + 10], embeddings[first : first + 10]
        )
        assert change.tables["uses"].max() == pytest.approx(0.9)
    lost = vectors_of(layer)[150:160]
    np.testing.assert_array_equal(lost[:, 4:], np.tile(t["fill"][:, 4:], (10, 1)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "Either `num_full` or `steps` must be passed"),
        ({"num_full": 3, "steps": STEPS}, "Either `num_full` or `steps`"),
        ({"num_full": 0}, "`num_full` must be a positive integer"),
        ({"steps": ((300, 2), (60, 2))}, "must be 8 together"),
        ({"steps": ((300, 2), (60, 0), (20, 6))}, "one at least in each"),
        ({"steps": ((301, 2), (60, 6))}, "must fall, from 300 at most"),
        ({"steps": ((60, 2), (60, 6))}, "must fall"),
        ({"steps": ((60, 2), (-1, 6))}, "to 0 at least"),
        ({"steps": (60, 8)}, "must be pairs of integers"),
        ({"steps": ((60.5, 8),)}, "must be pairs of integers"),
    ],
)
@pytest.mark.parametrize("method", [StaircaseEmbedding, PrunedEmbedding])
def test_steps_that_are_none_are_named(method, arguments, words):
    with pytest.raises(ValueError, match=words):
        method(ITEMS, WIDTH, **arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"criterion": "luck"}, "`criterion` must be one of"),
        ({"decay": 1.5}, r"`decay` in \[0, 1\]"),
        ({"rounds": 0}, "`rounds` must be a positive integer"),
    ],
)
def test_settings_of_pruning_that_are_none_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        PrunedEmbedding(ITEMS, WIDTH, num_full=20, **arguments)


def test_more_ids_than_float32_can_tell_apart_are_refused():
    with pytest.raises(ValueError, match="`input_dim` must be at most 16777216"):
        PrunedEmbedding(2**24 + 1, 1, num_full=20)


def falling_table(rows=400, width=8):
    """Rows of falling length, whose first columns are the larger ones."""
    rng = np.random.default_rng(0)
    columns = 2.0 ** -np.arange(width)
    return rng.normal(size=(rows, width)) * columns / np.arange(1, rows + 1)[:, None] ** 0.7


def error_of(layer, table, weights=1.0):
    return (weights * ((vectors_of(layer) - table) ** 2).sum(axis=1)).sum()


def stored(layer):
    return sum(table.stored_bytes for table in layer.stored_tables())


@pytest.mark.parametrize("projection", [False, True])
@pytest.mark.parametrize("ranked", [False, True])
def test_the_best_steps_fill_the_bytes_and_lose_least(ranked, projection):
    table = falling_table()
    if projection:
        table = table @ np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    if ranked:
        table = np.random.default_rng(2).permutation(table)
    layer = StaircaseEmbedding.within_bytes(table, 2200, ranked=ranked, projection=projection)
    assert 1700 < stored(layer) <= 2200
    kwargs = {"ranked": ranked, "projection": projection}
    for num_full in (5, 20, 40):
        other = StaircaseEmbedding.from_table(table, num_full=num_full, **kwargs)
        if stored(other) <= 2200:
            assert error_of(layer, table) < error_of(other, table)


def test_the_best_steps_are_those_of_all_that_were_tried():
    """One block after the other, by trying all numbers of ids."""
    table = falling_table(40, 2).astype(np.float32)
    weights = np.linspace(2, 1, 40).astype(np.float32)
    steps = best_steps(table, weights, max_bytes=30)
    mean = (table * weights[:, None]).sum(0) / weights.sum()
    gains = weights[:, None] * (table - mean) ** 2

    def gain(first, second):
        return gains[:first, 0].sum() + gains[:second, 1].sum()

    reached = [ids for ids, width in steps for _ in range(width)]
    most = max(gain(one, two) for one in range(41) for two in range(one + 1) if one + two <= 28)
    # At a price there are not all numbers: those between two prices fit less well.
    assert gain(*reached) > 0.85 * most


def test_important_ids_get_more_bits():
    table = falling_table(400, 16)
    layer = MixedDimensionEmbedding.within_bytes(table, 2500)
    assert 2100 < stored(layer) <= 2500
    bits = [int(form.partition("_")[0][3:]) for form in layer.storage.values()]
    assert bits == sorted(bits, reverse=True) and len(bits) > 1
    one = FullEmbedding.from_table(table, storage={"embeddings": "int2_per_row"})
    assert stored(one) > 2500 and error_of(layer, table) < error_of(one, table)
    assert convert(model_of(layer)).verification.passed


@pytest.mark.parametrize("method", [MixedDimensionEmbedding, StaircaseEmbedding])
def test_too_few_bytes_and_tables_that_are_none_are_named(method):
    table = falling_table()
    with pytest.raises(ValueError, match=r"`max_bytes` must leave room.*max_bytes=5"):
        method.within_bytes(table, 5)
    with pytest.raises(ValueError, match="`table` must be"):
        method.within_bytes(table[0], 5000)
    with pytest.raises(ValueError, match="`frequencies` must hold one"):
        method.within_bytes(table, 5000, frequencies=[1.0])
