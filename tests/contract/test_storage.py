"""Tables in fewer bits: what a layer computes with is what is stored, for every method."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.layers import CompressedEmbedding
from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.ops.quantization import integers_of, scales_of, values_of
from memcom_tf.ops.quantization_aware import RoundedTable
from memcom_tf.tables import FLOAT16, Storage
from tests.contract.methods import (
    CASES,
    INPUT_DIM,
    Case,
    every_method,
    every_method_that_rounds,
)

NUMPY = NumpyOps()
IDS = np.arange(INPUT_DIM)
LOW = [
    f"int{bits}{levels}_per_{scaled_by}"
    for bits in (4, 2)
    for levels in ("", "_midtread")
    for scaled_by in ("row", "table")
]


def storage_of_all(case: Case, storage: str) -> dict[str, str]:
    """That storage for vectors, and 8 bits for values of an id: by bucket where there are any."""
    chosen = {}
    for table in case.layer().stored_tables():
        if table.trainable and table.width > 1:
            chosen[table.name] = storage
        elif table.trainable:
            chosen[table.name] = "int8_per_bucket" if table.num_buckets else "int8_per_table"
    return chosen


def stored(case: Case, storage: str, **kwargs) -> CompressedEmbedding:
    return case.trained(storage=storage_of_all(case, storage), **kwargs)


def values_in_file(layer: CompressedEmbedding) -> dict[str, np.ndarray]:
    """What a file would hold, written down again from the documentation of the formats."""
    folded = layer.fold(NUMPY, layer.table_values())
    found = {}
    for table in layer.stored_tables():
        values = np.asarray(folded[table.name])
        if table.storage == FLOAT16:
            values = values.astype(np.float16).astype(np.float32)
        elif table.trainable:
            scales = scales_of(tf.constant(values), table.storage, table.num_buckets).numpy()
            scales = scales[np.arange(table.rows) % len(scales)]
            steps = np.divide(values, scales, out=np.zeros_like(values), where=scales > 0)
            bits = table.storage.bits
            most = 2 ** (bits - 1)
            if table.storage.is_low and table.storage.levels == "midtread":
                values = np.clip(np.rint(steps), -most, most - 1) * scales
            elif bits < 8:
                values = (np.clip(np.floor(steps), -most, most - 1) + 0.5) * scales
            else:
                values = np.rint(steps) * scales
        found[table.name] = values
    return found


@pytest.mark.few(34)
@every_method_that_rounds
@pytest.mark.parametrize(
    "storage",
    ["int8_per_row", "int4_per_table", "int2_per_row", "int2_midtread_per_row", "float16"],
)
def test_the_layer_computes_with_what_is_stored(case: Case, storage):
    layer = stored(case, storage)
    tables = values_in_file(layer)
    expected = layer.ships_as().lookup(NUMPY, IDS, tables)
    np.testing.assert_allclose(layer(IDS), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(layer(IDS, training=True), layer(IDS), atol=1e-6)
    some = np.array([[3, 3], [229, 0]])
    np.testing.assert_allclose(layer(some), expected[some], rtol=1e-5, atol=1e-5)
    query = np.random.default_rng(1).normal(size=(2, layer.output_dim)).astype(np.float32)
    np.testing.assert_allclose(layer.score_all(query), query @ expected.T, rtol=1e-3, atol=1e-3)
    # It is rounding, and not nothing.
    plain = case.trained()(IDS)
    if storage in layer.storage.values() and "int2" in storage:
        assert np.abs(np.asarray(plain) - expected).max() > 0.01


@every_method_that_rounds
def test_fewer_bits_are_farther_off(case: Case):
    plain = np.asarray(case.trained()(IDS))
    errors = [
        float(((np.asarray(stored(case, f"int{bits}_per_row")(IDS)) - plain) ** 2).mean())
        for bits in (8, 4, 2)
    ]
    assert errors == sorted(errors)
    assert errors[-1] < (plain**2).mean()


@every_method_that_rounds
@pytest.mark.parametrize("storage", ["int4_per_table", "int2_per_row"])
def test_a_gradient_passes_the_rounding(case: Case, storage):
    layer = stored(case, storage, combiner="mean")
    target = np.random.default_rng(3).normal(size=(2, layer.output_dim)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(np.array([[1, 1, 229], [0, 100, 5]])) * target)
    for gradient in tape.gradient(loss, layer.trainable_variables):
        assert np.abs(np.asarray(tf.convert_to_tensor(gradient))).max() > 0


@every_method
def test_it_is_saved_and_loaded(case: Case, tmp_path):
    inputs = keras.Input((4,), dtype="int32")
    layer = case.layer(storage=storage_of_all(case, "int4_per_row"), quantization_aware=False)
    model = keras.Model(inputs, layer(inputs))
    path = str(tmp_path / "model.keras")
    model.save(path)
    loaded = keras.models.load_model(path)
    ids = np.arange(8).reshape(2, 4)
    np.testing.assert_array_equal(loaded(ids), model(ids))
    assert loaded.layers[-1].storage == layer.storage
    assert loaded.layers[-1].quantization_aware is False


@every_method_that_rounds
def test_without_awareness_it_computes_with_what_was_trained(case: Case):
    layer = stored(case, "int2_per_table", quantization_aware=False)
    np.testing.assert_array_equal(layer(IDS), case.trained()(IDS))


@pytest.mark.long
def test_it_trains_the_same_twice():
    case = next(case for case in CASES if case.method.__name__ == "MEmComEmbedding")

    def train():
        keras.utils.set_random_seed(5)
        inputs = keras.Input((3,), dtype="int32")
        layer = case.layer(combiner="mean", storage=storage_of_all(case, "int4_per_row"))
        model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
        model.compile(keras.optimizers.Adam(0.01), "mse")
        ids = np.random.default_rng(0).integers(0, INPUT_DIM, (256, 3))
        targets = (ids[:, :1] % 2).astype(np.float32)
        return model.fit(ids, targets, epochs=3, verbose=0, shuffle=False).history["loss"]

    first, second = train(), train()
    assert first == second
    assert first[-1] < first[0]


@every_method_that_rounds
def test_wrong_storages_are_named(case: Case):
    def build(**storage):
        case.layer(storage=storage).build(None)

    name = next(t.name for t in case.layer().stored_tables() if t.trainable)
    with pytest.raises(ValueError, match=rf"`storage` must name tables among .*{name}.*name='x'"):
        build(x="int8_per_row")
    with pytest.raises(ValueError, match=r"must be one of .*Received: storage='int3_per_row'"):
        build(**{name: "int3_per_row"})
    with pytest.raises(ValueError, match=r"must be one of .*Received: storage='uint8'"):
        build(**{name: "uint8"})
    for table in case.layer().stored_tables():
        if table.holds_integers:
            with pytest.raises(ValueError, match=f"of kind {table.kind!r}"):
                build(**{table.name: "int8_per_row"})
        elif not table.num_buckets:
            with pytest.raises(ValueError, match="to be scaled by bucket"):
                build(**{table.name: "int8_per_bucket"})


@pytest.mark.parametrize("storage", LOW)
@pytest.mark.parametrize("width", [1, 16, 64])
def test_a_scale_leaves_the_least_squares(storage, width):
    """No scale from a third to twice of it is better by more than a few percent."""
    storage = Storage.of(storage)
    values = np.random.default_rng(2).laplace(size=(400, width)).astype(np.float32)

    def error(scales):
        integers = integers_of(values, scales, storage)
        squares = (values - np.asarray(values_of(integers, scales, storage))) ** 2
        return squares.sum(axis=1, keepdims=True) if storage.scaled_by == "row" else squares.sum()

    scales = scales_of(tf.constant(values), storage)
    others = [scales * np.float32(factor) for factor in np.linspace(0.3, 2, 60)]
    best = np.min([error(other) for other in others], axis=0)
    assert np.sum(error(scales)) <= 1.05 * np.sum(best) + 1e-6


@pytest.mark.parametrize("storage", ["int2_per_row", "int2_midtread_per_row"])
def test_zeros_stay_zeros(storage):
    table = next(iter(_full(storage).stored_tables()))
    rounded = RoundedTable(tf.zeros([table.rows, table.width]), table)
    np.testing.assert_array_equal(rounded.all(), 0)
    np.testing.assert_array_equal(rounded.rows(np.array([1, 2])), 0)


def _full(storage: str) -> CompressedEmbedding:
    from memcom_tf.layers import FullEmbedding

    return FullEmbedding(INPUT_DIM, 16, storage={"embeddings": storage})
