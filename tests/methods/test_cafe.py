"""Rows that ids earn and lose while training."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf import CAFEEmbedding
from memcom_tf._keras import is_keras_3, keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.kernels import use
from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.training import AdaptTables
from tests.native import needs_native

ITEMS, WIDTH, OWN, SHARED, BUCKETS = 400, 6, 12, 10, 30
counted = pytest.mark.parametrize("sketch_buckets", [None, BUCKETS], ids=["exact", "sketch"])


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


def rows_of(layer, t=None):
    return layer._rows_of(NumpyOps(), np.arange(ITEMS), t or layer.table_values())


def hot(layer):
    return set(np.flatnonzero(rows_of(layer) < OWN).tolist())


def cells_of(scores, layer):
    """The tables of a layer with a sketch that has counted so much of each id."""
    sketch = layer._sketch
    t = layer.table_values()
    ids, values = np.array(list(scores)), np.array(list(scores.values()))
    names = sketch.names
    found = sketch.inserted([t[name] for name in names], ids, values)
    return t | dict(zip((names.ids, names.scores, names.errors), found, strict=True))


# Ids that are learned well have small gradients, however frequent.
@counted
@pytest.mark.parametrize(("importance", "least"), [("gradient", 5), ("frequency", 9)])
def test_important_ids_have_rows_until_the_stream_drifts(importance, least, sketch_buckets):
    layer = layer_of(importance=importance, decay=0.5, sketch_buckets=sketch_buckets)
    early, late = np.arange(100, 110), np.arange(300, 310)
    fitted(layer, early)
    assert len(hot(layer) & set(early.tolist())) >= least
    fitted(layer, late, seed=1)
    assert len(hot(layer) & set(late.tolist())) >= least
    assert len(hot(layer) & set(early.tolist())) <= 3
    row_of = rows_of(layer)
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


@counted
def test_hot_first_has_the_same_vectors_and_no_index(sketch_buckets):
    layer = layer_of(sketch_buckets=sketch_buckets)
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
        ({"sketch_buckets": 0}, "`sketch_buckets` must be a positive integer"),
        ({"sketch_buckets": 3}, "must be at most 3 times `sketch_buckets`"),
        ({"sketch_buckets": 5, "num_warm": 4}, "must be at most 3 times `sketch_buckets`"),
        ({"num_warm": -1}, "`num_warm` must be a positive integer"),
        ({"warm_buckets": 3}, "`warm_buckets` is for `num_warm` ids"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        layer_of(**arguments)


def test_a_cell_takes_the_vector_and_the_state_along_with_the_row():
    layer = layer_of(sketch_buckets=BUCKETS)
    layer.build(None)
    t = cells_of({7: 3.0, 133: 9.0, 250: 1.0}, layer)
    changes = layer.adapt(5, t)
    after = t | changes.tables
    row_of = rows_of(layer, after)
    assert np.flatnonzero(row_of < OWN).tolist() == [7, 133, 250]
    before = t["rows"][rows_of(layer, t)]
    np.testing.assert_array_equal(after["rows"][row_of], before)
    np.testing.assert_array_equal(
        changes.rows_from["rows"][row_of[[7, 133, 250]]], OWN + np.array([7, 133, 250]) % SHARED
    )
    np.testing.assert_allclose(after["cell_scores"], 0.98 * t["cell_scores"], rtol=1e-6)
    gone = after | {"cell_scores": np.zeros_like(t["cell_scores"])}
    assert not layer.adapt(10, gone).tables["cell_rows"].any()


def test_cells_change_hands_only_for_much_more_important_ids():
    layer = layer_of(num_dedicated=1, sketch_buckets=BUCKETS)
    layer.build(None)
    t = cells_of({5: 10.0}, layer)
    t |= layer.adapt(1, t).tables
    for score, keeps in ((10.5, True), (12.0, False)):
        scores = np.where(t["cell_scores"] > 0, np.float32(10), 0)
        cells = t["cell_ids"], t["cell_rows"], scores, t["cell_errors"]
        judged = layer._sketch.inserted(cells, np.array([6]), np.array([score]))
        now = t | dict(zip(("cell_ids", "cell_scores", "cell_errors"), judged, strict=True))
        rows = rows_of(layer, now | layer.adapt(2, now).tables)
        assert (rows[5] == 0, rows[6] == 0) == (keeps, not keeps)


def test_one_cell_of_a_bucket_is_left_for_ids_that_come():
    layer = CAFEEmbedding(ITEMS, WIDTH, num_buckets=SHARED, num_dedicated=3, sketch_buckets=1)
    layer.build(None)
    t = cells_of({1: 4.0, 2: 3.0, 3: 2.0, 4: 1.0}, layer)
    t |= layer.adapt(1, t).tables
    assert np.flatnonzero(rows_of(layer, t) < 3).tolist() == [1, 2, 3]
    names = layer._sketch.names
    for value, hot_ids in ((1.5, [1, 2, 3]), (90.0, [1, 2, 9])):
        cells = [t[name] for name in names]
        found = layer._sketch.inserted(cells, np.array([9]), np.array([value]))
        now = t | dict(zip((names.ids, names.scores, names.errors), found, strict=True))
        assert now["cell_errors"].max() > 0  # the score that it inherited is none of its own
        now |= layer.adapt(2, now).tables
        assert np.flatnonzero(rows_of(layer, now) < 3).tolist() == hot_ids


def test_no_table_has_a_row_for_each_id():
    layer = CAFEEmbedding(10**6, 8, num_buckets=500, sketch_buckets=600)
    assert max(table.rows for table in layer.tables()) == 1000
    exact = CAFEEmbedding(10**6, 8, num_buckets=500)
    assert layer.compression_ratio > 40 * exact.compression_ratio
    assert not layer.reads_rows_of_ids and exact.reads_rows_of_ids
    if is_keras_3:
        assert not layer.supports_jit and exact.supports_jit


@pytest.mark.parametrize("importance", ["gradient", "frequency"])
@pytest.mark.parametrize("mode", ["reference", pytest.param("native", marks=needs_native)])
def test_training_counts_in_the_sketch_and_inference_does_not(importance, mode):
    layer = layer_of(importance=importance, sketch_buckets=BUCKETS, mask_zero=True, combiner="sum")
    layer.build(None)
    layer.is_adapted = True
    ids = tf.ragged.constant([[3, 9, 9], [], [70]])
    layer(ids)
    assert not layer.table_values()["cell_scores"].any()
    with use(mode), tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(ids) ** 2 + layer(ids))
    tape.gradient(total, layer.trainable_variables)
    t = layer.table_values()
    known = t["cell_ids"] > 0
    scores = dict(zip((t["cell_ids"] - 1)[known].tolist(), t["cell_scores"][known], strict=True))
    assert set(scores) == {3, 9, 70}
    np.testing.assert_allclose(sum(scores.values()), 8, rtol=1e-5)
    if importance == "frequency":
        assert (scores[9], scores[3]) == (4, 2)


@needs_native
def test_a_model_that_is_fitted_counts_the_same_without_the_ops():
    found = []
    for mode in ("reference", "native"):
        layer = layer_of(importance="frequency", sketch_buckets=BUCKETS)
        with use(mode):
            fitted(layer, np.arange(100, 110), epochs=1)
        found.append(layer.table_values())
    for name in layer._sketch.names:
        np.testing.assert_array_equal(found[0][name], found[1][name])
    assert found[0]["cell_rows"].any()


def test_tables_that_are_no_sketch_are_refused():
    layer = layer_of(sketch_buckets=BUCKETS)
    layer.build(None)
    t = cells_of({7: 3.0}, layer)
    layer.assign_tables(t)
    layer.variable("cell_rows").assign(np.where(t["cell_ids"] > 0, 2**30, 0))
    for training in (False, True):
        with pytest.raises(tf.errors.InvalidArgumentError):
            layer(np.array([7]), training=training)
    for refused in (lambda: layer.adapt_tables(5), layer.table_values, layer.hot_first):
        with pytest.raises(ValueError, match=r"'cell_rows' must hold integers in \[0, 13\)"):
            refused()


def test_a_trained_sketch_is_saved_resumed_converted_and_proved(tmp_path):
    layer = layer_of(sketch_buckets=BUCKETS)
    model = fitted(layer, np.arange(100, 110), epochs=2)
    assert len(hot(layer)) == OWN
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = next(one for one in loaded.layers if isinstance(one, CAFEEmbedding))
    assert again.get_config() == layer.get_config()
    before, after = layer.table_values(), again.table_values()
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)
    conversion = convert(loaded)
    assert conversion.verification.passed
    conversion.save(tmp_path / "model.tflite")
    file = CompressedModelFile(tmp_path / "model.tflite")
    ids = np.arange(ITEMS, dtype=np.int32)[:, None]
    found = next(iter(file.run("serving_default", ids=ids).values()))
    np.testing.assert_allclose(found, model(ids), atol=0.02)


def test_settings_without_a_sketch_are_those_of_earlier_models():
    earlier = layer_of().get_config()
    del earlier["sketch_buckets"]
    layer = CAFEEmbedding.from_config(earlier)
    assert [table.name for table in layer.tables()] == ["row_of", "rows", "importance"]


def test_rows_change_hands_under_a_strategy():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        layer = layer_of(importance="frequency")
        model = keras.Sequential([layer, keras.layers.Flatten(), keras.layers.Dense(1)])
        model.compile("adam", "mse")
    ids = np.tile(np.arange(100, 110), 20)[:, None]
    model.fit(ids, ids % 2, batch_size=20, callbacks=[AdaptTables()], verbose=0)
    assert hot(layer) == set(range(100, 110))


@counted
def test_the_ids_behind_the_hot_ones_read_two_rows_and_keep_their_sum(sketch_buckets):
    layer = layer_of(sketch_buckets=sketch_buckets, num_dedicated=2, num_warm=3, warm_buckets=4)
    layer.build(None)

    def kind(t, item):
        row = rows_of(layer, t)[item]
        return "hot" if row < 2 else "warm" if row >= 2 + SHARED else "cold"

    def vectors(t):
        return layer.lookup(NumpyOps(), np.arange(ITEMS), t)

    counts = {5: 9.0, 6: 8.0, 7: 7.0, 8: 6.0, 9: 5.0, 11: 4.0}
    if sketch_buckets:
        t = cells_of(counts, layer)
    else:
        t = layer.table_values()
        t["importance"][list(counts), 0] = list(counts.values())
    after = t | layer.adapt(5, t).tables
    assert [kind(after, item) for item in (5, 6, 7, 8, 9, 11)] == [
        "hot", "hot", "warm", "warm", "warm", "cold"
    ]  # fmt: skip
    np.testing.assert_array_equal(vectors(after)[[5, 6, 11]], vectors(t)[[5, 6, 11]])
    second = t["warm"][layer._second_row(np.array([7, 8, 9]))]
    np.testing.assert_allclose(vectors(after)[[7, 8, 9]], vectors(t)[[7, 8, 9]] + second, rtol=1e-6)
    # Number 7 becomes hot with the sum that it had, in the place of number 6.
    if sketch_buckets:
        after["cell_scores"][after["cell_ids"] == 7 + 1] = 90
    else:
        after["importance"][7] = 90
    last = after | layer.adapt(10, after).tables
    assert [kind(last, item) for item in (5, 6, 7)] == ["hot", "warm", "hot"]
    np.testing.assert_array_equal(vectors(last)[7], vectors(after)[7])
    layer.assign_tables(last)
    assert layer.has_row([[5, 6, 7]]).tolist() == [[True, False, True]]
    with pytest.raises(ValueError, match="`num_warm` must be 0"):
        layer.hot_first()
