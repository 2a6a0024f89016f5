"""Steps that are trained with the values that they round, and are stored as they were trained."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert, verify
from memcom_tf.converters.quantization.fold import ship
from memcom_tf.layers import (
    ClusteredEmbedding,
    FullEmbedding,
    HashedEmbedding,
    LowRankEmbedding,
    MEmComEmbedding,
    MultiLayerEmbedding,
    PrunedEmbedding,
)
from memcom_tf.models.rebuilding import copy_of
from memcom_tf.ops.learned_steps import rounded_by, sharing
from memcom_tf.ops.quantization import scales_of
from memcom_tf.optimizers import LazyAdam
from memcom_tf.ordering import extended_layer
from memcom_tf.tables import Storage
from memcom_tf.training.train import SCALARS
from memcom_tf.vocabulary import Vocabulary

ITEMS, WIDTH = 60, 12
IDS = np.arange(ITEMS)
LOW = [
    f"int{bits}{levels}_per_{scaled_by}"
    for bits in (4, 2)
    for levels in ("", "_midtread")
    for scaled_by in ("row", "table")
]
METHODS = [
    (FullEmbedding, {}, "embeddings"),
    (HashedEmbedding, {"num_buckets": 20}, "hashed"),
    (MEmComEmbedding, {"num_buckets": 20}, "shared"),
]


def made(storage="int4_per_row", method=FullEmbedding, table="embeddings", learned=True, **kwargs):
    layer = method(ITEMS, WIDTH, storage={table: storage}, learned_steps=learned, **kwargs)
    layer.build(None)
    return layer


def scaled(layer, factor: float):
    """The layer with steps that no other rule would give it."""
    tables = layer.table_values()
    for name in layer.trained_steps():
        tables[f"{name}_steps"] = factor * tables[f"{name}_steps"]
    layer.assign_tables(tables)
    return layer


def functional(layer):
    inputs = keras.Input((3,), dtype="int32", name="ids")
    return keras.Model(inputs, layer(inputs))


def drawn(storage: Storage, seed: int = 0):
    """Values within and beyond the levels, steps, and gradients of what is rounded."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(5, 7)).astype(np.float32)
    steps = rng.uniform(0.1, 0.6, (5 if storage.scaled_by == "row" else 1, 1)).astype(np.float32)
    return values, steps, rng.normal(size=(5, 7)).astype(np.float32)


def gradients(values, steps, upstream, storage, count):
    values, steps = tf.constant(values), tf.constant(steps)
    with tf.GradientTape() as tape:
        tape.watch((values, steps))
        total = tf.reduce_sum(rounded_by(values, steps, storage, count) * upstream)
    return [gradient.numpy() for gradient in tape.gradient(total, (values, steps))]


@pytest.mark.parametrize("storage", [*map(Storage.of, LOW)], ids=str)
def test_gradients_are_those_of_the_formula(storage):
    values, steps, upstream = drawn(storage)
    half = 2 ** (storage.bits - 1)
    shift = 0.5 if storage.levels == "midrise" else 0.0
    count = 7 if storage.scaled_by == "row" else 35
    of_values, of_steps, kinds = np.zeros((5, 7)), np.zeros(steps.shape), set()
    for i, j in np.ndindex(5, 7):
        row = i if len(steps) > 1 else 0
        v = float(values[i, j]) / float(steps[row, 0])
        lowest, largest = -half + shift, half - 1 + shift
        if v <= lowest or v >= largest:
            slope = lowest if v <= lowest else largest
        else:
            level = np.floor(v) + 0.5 if shift else np.rint(v)
            slope = level - v
            of_values[i, j] = upstream[i, j]
        kinds.add(np.sign(v) * (abs(v) >= half - 1 + shift))
        of_steps[row, 0] += upstream[i, j] * slope / np.sqrt(count * largest)
    assert sharing(storage, 5, 7) == count
    found = gradients(values, steps, upstream, storage, count)
    np.testing.assert_allclose(found[0], of_values, rtol=1e-5)
    np.testing.assert_allclose(found[1], of_steps, rtol=1e-4, atol=1e-5)
    assert storage.bits == 4 or len(kinds) > 1  # values beyond the levels are among them


@pytest.mark.parametrize("storage", [*map(Storage.of, LOW)], ids=str)
def test_gradients_are_the_differences_of_the_smooth_parts(storage):
    """Beyond the levels it is `level * s`, within them `w + s * (level - v)` of a fixed rest."""
    values, steps, upstream = drawn(storage, seed=1)
    exact, small = values.astype(np.float64), 1e-6
    v = exact / steps
    ends = np.array([storage.shift - storage.half, storage.shift + storage.largest])
    level = np.floor(v) + 0.5 if storage.shift else np.rint(v)
    inside = (v > ends[0]) & (v < ends[1])
    end = np.where(v < 0, *ends)

    def smooth(w, s):
        return (np.where(inside, w + s * (level - v), end * s) * upstream).sum()

    of_values = [
        (smooth(exact + small * one, steps) - smooth(exact - small * one, steps)) / (2 * small)
        for one in np.eye(35).reshape(-1, 5, 7)
    ]
    of_steps = [
        (smooth(exact, steps + small * one) - smooth(exact, steps - small * one)) / (2 * small)
        for one in np.eye(steps.size).reshape(-1, *steps.shape)
    ]
    found = gradients(values, steps, upstream, storage, 9)
    np.testing.assert_allclose(found[0].ravel(), of_values, rtol=1e-4, atol=1e-5)
    scale = np.sqrt(9 * ends[1])
    np.testing.assert_allclose(found[1].ravel() * scale, of_steps, rtol=1e-4, atol=1e-4)
    # It is rounding: what is computed is the smooth part at these very values.
    total = (rounded_by(values, steps, storage, 9).numpy() * upstream).sum()
    assert total == pytest.approx(smooth(exact, steps.astype(np.float64)), rel=1e-4)


@pytest.mark.parametrize(("method", "kwargs", "table"), METHODS)
@pytest.mark.parametrize("storage", ["int4_per_row", "int2_per_table", "int2_midtread_per_row"])
def test_steps_start_as_those_of_least_squares(method, kwargs, table, storage):
    layer = made(storage, method, table, **kwargs)
    for values in (layer.table_values(), None):
        if values is None:
            values = {
                name: np.random.default_rng(3).normal(0.3, 0.5, old.shape).astype(np.float32)
                for name, old in layer.table_values().items()
                if not name.endswith("_steps")
            }
            layer.assign_tables(values)
        plain = made(storage, method, table, learned=False, **kwargs)
        plain.assign_tables(values)
        np.testing.assert_array_equal(layer(IDS), plain(IDS))
        np.testing.assert_array_equal(layer.trained_steps()[table], ship(plain).tables[table].scale)
    assert not np.allclose(scaled(layer, 1.3)(IDS), plain(IDS))


def test_a_layer_from_a_table_has_the_steps_of_least_squares():
    table = np.random.default_rng(1).normal(size=(ITEMS, WIDTH)).astype(np.float32)
    layer = FullEmbedding.from_table(
        table, storage={"embeddings": "int2_per_row"}, learned_steps=True
    )
    expected = scales_of(tf.constant(table), Storage.of("int2_per_row"))
    np.testing.assert_allclose(layer.trained_steps()["embeddings"], expected, rtol=1e-6)


@pytest.mark.parametrize("storage", LOW)
def test_training_the_steps_alone_is_better_than_least_squares(storage):
    """Of every vector only the small half matters: least squares spend the levels on the other."""
    rng = np.random.default_rng(5)
    matters = np.repeat([1.0, 0.0], WIDTH // 2).astype(np.float32)
    table = (rng.normal(size=(ITEMS, WIDTH)) * np.where(matters, 0.3, 1.0)).astype(np.float32)
    layer = FullEmbedding.from_table(table, storage={"embeddings": storage}, learned_steps=True)
    variable = layer.variable("embeddings_steps")
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 150))

    def loss():
        return tf.reduce_sum((layer(IDS) - table) ** 2 * matters)

    before = float(loss())
    for _ in range(150):
        with tf.GradientTape() as tape:
            value = loss()
        optimizer.apply_gradients([(tape.gradient(value, variable), variable)])
    assert float(loss()) < 0.7 * before
    np.testing.assert_array_equal(layer.table_values()["embeddings"], table)


@pytest.mark.parametrize("storage", ["int4_per_row", "int2_per_table"])
def test_fit_trains_steps_and_values(storage):
    layer = made(storage)
    model = functional(layer)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    before = layer.table_values()
    rng = np.random.default_rng(2)
    targets = rng.normal(size=(64, 3, WIDTH))
    model.fit(rng.integers(0, ITEMS, (64, 3)), targets, epochs=2, verbose=0)
    for name, values in layer.table_values().items():
        assert np.abs(values - before[name]).max() > 1e-3
        assert "steps" not in name or (values > 0).all()


def test_steps_do_not_decay():
    layer = made("int4_per_row")
    optimizer = LazyAdam(weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=list(SCALARS))
    optimizer.build(layer.trainable_variables)
    decays = {"steps" in v.name: optimizer._use_weight_decay(v) for v in layer.trainable_variables}
    assert decays == {False: True, True: False}


def test_gradients_of_rows_and_of_their_steps_are_sparse():
    layer = made("int4_per_row")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(np.array([3, 5])) ** 2)
    found = tape.gradient(loss, layer.trainable_variables)
    assert len(found) == 2
    for gradient in found:
        assert isinstance(gradient, tf.IndexedSlices)
        assert gradient.indices.numpy().tolist() == [3, 5]


def test_steps_stay_positive_and_come_back():
    layer = made("int2_per_row")
    variable = layer.variable("embeddings_steps")
    target = np.sign(layer.table_values()["embeddings"])
    for start, steps in ((-0.01, 0.01), (0.0, 2.0**-60), (0.01, 0.01)):
        variable.assign(tf.fill(variable.shape, start))
        np.testing.assert_allclose(layer.trained_steps()["embeddings"], steps, rtol=1e-6)
        assert np.isfinite(layer(IDS)).all()
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((layer(IDS) - target) ** 2)
        gradient = tf.convert_to_tensor(tape.gradient(loss, variable)).numpy()
        # Descent makes all steps larger.
        assert (gradient > 0).all() if start < 0 else (gradient < 0).all()
        assert convert(functional(layer)).verification.passed


@pytest.mark.few(8)
@pytest.mark.parametrize(("method", "kwargs", "table"), METHODS)
@pytest.mark.parametrize("storage", LOW)
@pytest.mark.parametrize("profile", ["portable", "litert"])
def test_the_file_has_the_trained_steps(method, kwargs, table, storage, profile, tmp_path):
    layer = scaled(made(storage, method, table, **kwargs), 1.4)
    model = functional(layer)
    conversion = convert(model, profile=profile)
    assert conversion.verification.passed, conversion.verification
    steps = layer.trained_steps()[table]
    shipped = ship(layer, profile=profile).tables[table]
    np.testing.assert_array_equal(shipped.scale, steps)
    least_squares = copy_of(layer)
    least_squares.assign_tables(
        {name: v for name, v in layer.table_values().items() if "steps" not in name}
    )
    assert not np.allclose(least_squares(IDS), layer(IDS), atol=1e-4)
    conversion.save(tmp_path / "model.tflite")
    file = CompressedModelFile(tmp_path / "model.tflite")
    vectors = file.run("embed", ids=IDS.astype(np.int32))["vectors"]
    # Tables that are not named are stored in 8 or 16 bits.
    atol = 1e-6 if method is not MEmComEmbedding else 1e-4
    np.testing.assert_allclose(vectors, layer(IDS), rtol=1e-5, atol=atol)
    (item,) = conversion.report["embeddings"]
    assert {t["name"]: t["storage"] for t in item["tables"]}[table] == storage
    assert verify(model, tmp_path / "model.tflite").passed
    scaled(layer, 1.01)
    assert not verify(model, tmp_path / "model.tflite").passed


def test_a_folded_table_has_steps_of_its_own():
    layer = scaled(made("int4_per_row", MultiLayerEmbedding, inner_dim=16), 1.4)
    assert layer.trained_steps()["embeddings"].shape == (ITEMS, 1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(IDS) ** 2)
    found = tape.gradient(loss, layer.trainable_variables)
    assert len(found) == 3
    for gradient in found:
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0
    assert convert(functional(layer)).verification.passed


def test_a_file_costs_the_same_and_a_layer_its_steps():
    for storage, count in (("int4_per_row", ITEMS), ("int2_per_table", 1)):
        plain, learned = made(storage, learned=False), made(storage)
        assert len(plain.weights) == 1 and not plain.trained_steps()
        assert learned.num_parameters == plain.num_parameters + count
        assert learned.num_parameters == sum(int(np.prod(w.shape)) for w in learned.weights)
        assert learned.parameter_bytes == plain.parameter_bytes + 4 * count
        assert learned.compression_ratio == plain.compression_ratio
        sizes = [[t.stored_bytes for t in layer.stored_tables()] for layer in (plain, learned)]
        assert sizes[0] == sizes[1]
        learned.assign_tables(plain.table_values())
        reports = [convert(functional(layer)).report for layer in (plain, learned)]
        assert reports[0]["graph_bytes"] == reports[1]["graph_bytes"]


def test_steps_of_some_tables():
    storage = {"shared": "int4_per_table", "multiplier": "int8_per_bucket"}
    layer = MEmComEmbedding(ITEMS, WIDTH, num_buckets=20, storage=storage, learned_steps=["shared"])
    layer.build(None)
    assert list(layer.trained_steps()) == ["shared"]
    assert convert(functional(scaled(layer, 1.3))).verification.passed
    assert type(layer).from_config(layer.get_config()).learned_steps == ["shared"]


def test_saved_and_loaded(tmp_path):
    layer = scaled(made("int2_per_row"), 1.4)
    model = functional(layer)
    model.save(str(tmp_path / "model.keras"))
    loaded = keras.models.load_model(str(tmp_path / "model.keras"))
    assert loaded.layers[-1].learned_steps is True
    ids = IDS.reshape(-1, 3)
    np.testing.assert_array_equal(loaded(ids), model(ids))
    model.save_weights(str(tmp_path / "model.weights.h5"))
    other = functional(made("int2_per_row"))
    assert not np.allclose(other(ids), model(ids))
    other.load_weights(str(tmp_path / "model.weights.h5"))
    np.testing.assert_array_equal(other(ids), model(ids))


def test_layers_of_before_are_loaded():
    config = made(learned=False).get_config()
    del config["learned_steps"]
    assert FullEmbedding.from_config(config).learned_steps is False


@pytest.mark.parametrize("storage", ["int4_per_row", "int2_per_table"])
def test_copied_and_grown(storage):
    layer = scaled(made(storage), 1.4)
    np.testing.assert_array_equal(copy_of(layer)(IDS), layer(IDS))
    grown = layer.grown(ITEMS + 5)
    np.testing.assert_array_equal(grown(IDS), layer(IDS))
    if storage.endswith("row"):
        new = tf.constant(grown.table_values()["embeddings"][ITEMS:])
        expected = scales_of(new, Storage.of(storage))
        np.testing.assert_allclose(grown.trained_steps()["embeddings"][ITEMS:], expected, rtol=1e-6)


def test_extended_by_an_item():
    before, after = Vocabulary(["tea", "nail"]), Vocabulary(["tea", "nail", "milk"])
    layer = FullEmbedding(
        before.input_dim, WIDTH, storage={"embeddings": "int4_per_row"}, learned_steps=True
    )
    layer.build(None)
    extended = extended_layer(scaled(layer, 1.2), before, after)
    tea, nail, milk = np.asarray(extended(after.ids(["tea", "nail", "milk"])))
    np.testing.assert_array_equal([tea, nail], layer(before.ids(["tea", "nail"])))
    mean = extended.table_values()["embeddings"][after.ids("milk")]
    np.testing.assert_allclose(milk, mean, atol=0.6 * float(np.abs(mean).max()))


def test_tables_that_change_between_steps_of_training_have_new_steps():
    layer = ClusteredEmbedding(
        ITEMS, WIDTH, num_codebooks=2, num_codes=8, adapts_every=5, clusterings=2,
        storage={"codebooks": "int4_per_row"}, learned_steps=True,
    )  # fmt: skip
    layer.build(None)
    scaled(layer, 3.0)
    assert layer.adapt_tables(5) is not None
    books = tf.constant(layer.table_values()["codebooks"])
    expected = scales_of(books, Storage.of("int4_per_row"))
    np.testing.assert_allclose(layer.trained_steps()["codebooks"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"storage": {"embeddings": "int8_per_row"}}, "embeddings='int8_per_row'"),
        ({"storage": {"embeddings": "float16"}}, "embeddings='float16'"),
        ({"storage": {"embeddings": "int8_per_bucket"}}, "embeddings='int8_per_bucket'"),
        ({}, "no table is stored in 4 or 2 bits"),
        (
            {"storage": {"embeddings": "int4_per_row"}, "quantization_aware": False},
            "quantization_aware=False",
        ),
        (
            {"storage": {"embeddings": "int4_per_row"}, "learned_steps": ["other"]},
            r"unnamed=\['other'\]",
        ),
    ],
)
def test_what_has_no_steps_is_said(arguments, said):
    with pytest.raises(ValueError, match=said):
        FullEmbedding(ITEMS, WIDTH, **{"learned_steps": True, **arguments})


def test_methods_that_train_apart_have_no_steps():
    storage = {"embeddings": "int4_per_row"}
    with pytest.raises(ValueError, match="`quantization_aware` of PrunedEmbedding"):
        PrunedEmbedding(ITEMS, WIDTH, storage=storage, learned_steps=True)


def test_steps_of_another_shape_or_of_zero_are_refused():
    layer = made("int4_per_row")
    tables = layer.table_values()
    for steps, said in ((np.ones((1, 1)), "must be \\(60, 1\\)"), (np.zeros((60, 1)), "positive")):
        with pytest.raises(ValueError, match=said):
            layer.assign_tables({**tables, "embeddings_steps": steps})
    np.testing.assert_array_equal(
        layer.table_values()["embeddings_steps"], tables["embeddings_steps"]
    )


def test_the_product_of_two_tables_with_steps_is_the_file(tmp_path):
    layer = LowRankEmbedding(
        ITEMS, WIDTH, rank=4, learned_steps=True,
        storage={"factor": "int4_per_row", "projection": "int2_per_table"},
    )  # fmt: skip
    layer.build(None)
    assert convert(functional(scaled(layer, 1.2))).verification.passed
