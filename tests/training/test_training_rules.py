"""Methods whose training is more than a lookup: other maths, losses, counts, tables that change."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.datasets import Interactions
from memcom_tf.evaluation import leave_last_out
from memcom_tf.kernels import selection
from memcom_tf.layers import (
    METHODS,
    Adaptation,
    CompressedEmbedding,
    FullEmbedding,
    Table,
    TrainingLookup,
)
from memcom_tf.layers.adaptive.cafe import CAFEEmbedding
from memcom_tf.layers.adaptive.clustered import ClusteredEmbedding
from memcom_tf.layers.adaptive.pruned import PrunedEmbedding
from memcom_tf.layers.codebooks.trained_codes import TrainedCodesEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.optimizers import SGD, Adagrad, LazyAdam, move_rows
from memcom_tf.optimizers.adaptation import with_adaptation
from memcom_tf.training import AdaptTables, DistilledRanker, TrainingSettings, fine_tune, train
from tests.project.test_seams import Reassigned

ITEMS, WIDTH = 40, 6
IDS = np.array([[1, 2, 2], [7, 39, 1]], np.int32)


@pytest.fixture(autouse=True)
def _warnings_again(monkeypatch):
    monkeypatch.setattr(selection, "_warned", set())


@keras.saving.register_keras_serializable("rules")
class Pruned(CompressedEmbedding):
    """Rows times a mask in training; `adapt` zeroes the smaller half of what training keeps."""

    formula, source = "E[i]", "a test"
    adapts_every = 2
    share = 0.5

    def tables(self):
        shape = self.input_dim, self.output_dim
        return (Table("rows", *shape), Table.of_mask("mask", *shape))

    def lookup(self, xp, ids, t):
        return xp.gather(t["rows"], ids)

    def train_lookup(self, xp, ids, t):
        mask = xp.to_float(xp.gather(t["mask"], ids))
        vectors = xp.gather(t["rows"], ids) * mask
        return TrainingLookup(vectors, loss=self.share * tf.reduce_sum(vectors**2))

    def adapt(self, step, t):
        sizes = np.abs(t["rows"])
        mask = (sizes > np.quantile(sizes, self.share)).astype(np.uint8)
        return Adaptation({"mask": mask, "rows": t["rows"] * mask})


def functional(layer):
    ids = keras.Input((3,), dtype="int32", name="ids")
    model = keras.Model(ids, layer(ids))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def ranker(layer, length=3):
    model = NextItemRanker(layer, history_length=length)
    model.build((None, length))
    return model


def test_of_most_methods_training_is_the_lookup_and_tables_stay():
    for method in METHODS.values():
        apart = method.train_lookup is not CompressedEmbedding.train_lookup
        apart_by_name = TrainedCodesEmbedding, CAFEEmbedding, PrunedEmbedding
        assert apart == issubclass(method, apart_by_name)
        adapts = method.adapt is not CompressedEmbedding.adapt
        assert adapts == issubclass(method, (CAFEEmbedding, PrunedEmbedding, ClusteredEmbedding))


def test_inference_is_the_lookup_and_training_is_not():
    layer = Pruned(ITEMS, WIDTH)
    layer.build(None)
    tables = layer.table_values()
    tables["mask"][:] = 0
    layer.assign_tables(tables)
    rows = tables["rows"]
    layer.is_adapted = True
    np.testing.assert_array_equal(layer(IDS), rows[IDS])
    assert not np.any(layer(IDS, training=True))
    with tf.GradientTape() as tape:
        assert not np.any(layer(IDS))
        # What Keras says is inference is none of training.
        np.testing.assert_array_equal(layer(IDS, training=False), rows[IDS])
        with tape.stop_recording():
            np.testing.assert_array_equal(layer(IDS), rows[IDS])


@pytest.mark.few(2)
@pytest.mark.parametrize("kind", ["functional", "ranker", "distilled"])
def test_what_lookups_add_to_the_loss_is_minimized(kind):
    """One step of plain gradient descent, against gradients by hand."""
    layer = Pruned(ITEMS, WIDTH)
    layer.build(None)
    rows = layer.table_values()["rows"]
    history, target = IDS, np.array([3, 2])
    if kind == "functional":
        model = functional(layer)
        data = history, np.zeros((*history.shape, WIDTH), np.float32)

        def loss_of(table):
            found = tf.gather(table, history)
            return tf.reduce_mean(found**2) + 0.5 * tf.reduce_sum(found**2)
    else:
        model = ranker(layer)
        twin = ranker(FullEmbedding(ITEMS, WIDTH))
        twin.set_weights([w for w in model.get_weights() if w.dtype == np.float32])
        if kind == "distilled":
            model = DistilledRanker(model)
        model.compile(keras.optimizers.SGD(0.1))
        data = history, target

        def loss_of(table):
            found = tf.gather(table, history)
            return twin._loss(history, target) + 0.5 * tf.reduce_sum(found**2)

    if kind == "functional":
        variable = tf.Variable(rows)
        with tf.GradientTape() as tape:
            loss = loss_of(variable)
        expected = rows - 0.1 * tf.convert_to_tensor(tape.gradient(loss, variable))
    else:
        variable = twin.item_embedding.trainable_variables[0]
        with tf.GradientTape() as tape:
            loss = loss_of(tf.convert_to_tensor(variable))
        gradient = tape.gradient(loss, variable.value if hasattr(variable, "path") else variable)
        expected = rows - 0.1 * tf.convert_to_tensor(gradient)
    layer.is_adapted = True
    model.fit(*data, batch_size=2, epochs=1, verbose=0, shuffle=False)
    np.testing.assert_allclose(layer.table_values()["rows"], expected, atol=1e-6)


def test_a_teacher_computes_as_in_inference():
    teacher, student = (
        ranker(Reassigned(ITEMS, WIDTH, num_rows=20)),
        ranker(FullEmbedding(ITEMS, WIDTH)),
    )
    model = DistilledRanker(student, teacher)
    model.compile("adam")
    model.fit(IDS, np.array([3, 2]), verbose=0)
    assert not teacher.item_embedding.table_values()["uses"].any()


def test_counts_are_of_what_was_looked_up():
    layer = Reassigned(ITEMS, WIDTH, num_rows=20)
    model = functional(layer)
    zeros = np.zeros((2, 3, WIDTH))
    model.fit(IDS, zeros, epochs=3, verbose=0, callbacks=[AdaptTables()])
    expected = np.zeros(ITEMS)
    np.add.at(expected, IDS, 3)
    np.testing.assert_array_equal(layer.table_values()["uses"][:, 0], expected)


def test_tables_change_between_steps_and_what_is_pruned_stays_zero():
    layer = Pruned(ITEMS, WIDTH)
    model = functional(layer)
    targets = np.random.default_rng(0).normal(size=(2, 3, WIDTH))
    model.fit(IDS, targets, epochs=1, verbose=0, callbacks=[AdaptTables()])
    assert layer.table_values()["rows"].all()  # it is asked after two
    model.fit(IDS, targets, epochs=1, verbose=0, callbacks=[AdaptTables()])
    tables = layer.table_values()
    assert (tables["rows"] == 0).mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(tables["rows"] == 0, tables["mask"] == 0)


@pytest.mark.few(2)
@pytest.mark.parametrize("way", ["fit of a ranker", "train", "fine_tune"])
def test_who_trains_adapts(way):
    layer = Reassigned(ITEMS, WIDTH, num_rows=20)
    layer.build(None)
    original, steps = layer.adapt_tables, []
    layer.adapt_tables = lambda step: steps.append(step) or original(step)
    rng = np.random.default_rng(0)
    ids = rng.integers(1, ITEMS, (160, 3))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*changes its tables between steps")
        if way == "fit of a ranker":
            model = ranker(layer)
            model.compile("adam")
            model.fit(ids, np.ones(160, np.int32), batch_size=8, verbose=0)
        elif way == "train":
            item = np.concatenate([np.arange(ITEMS - 1), rng.integers(0, ITEMS - 1, 161)])
            split = leave_last_out(Interactions(np.arange(200) // 10, item), history_length=3)
            model = NextItemRanker(layer, history_length=3, vocabulary=split.vocabulary)
            train(model, split, TrainingSettings(epochs=1, batch_size=8, evaluate_every=9))
        else:
            full = functional(FullEmbedding(ITEMS, WIDTH))
            fine_tune(functional(layer), ids, original=full, epochs=1, batch_size=8)
    assert steps[:2] == [8, 16]


def test_callbacks_of_any_form_are_kept():
    model = functional(Reassigned(ITEMS, WIDTH, num_rows=20))
    own = keras.callbacks.Callback()
    for given in (own, [own], (own,), keras.callbacks.CallbackList([own], add_history=False)):
        found = with_adaptation(model, given)
        assert [type(callback) for callback in found] == [AdaptTables, keras.callbacks.Callback]
        assert found[1] is own
    adapting = [AdaptTables(), own]
    assert with_adaptation(model, adapting) == adapting
    assert with_adaptation(functional(FullEmbedding(ITEMS, WIDTH)), own) == [own]


def test_a_model_that_nobody_adapts_is_warned_of_once():
    model = functional(Reassigned(ITEMS, WIDTH, num_rows=20))
    with pytest.warns(RuntimeWarning, match=r"callbacks=\[memcom_tf.training.AdaptTables"):
        model.fit(IDS, np.zeros((2, 3, WIDTH)), verbose=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*changes its tables")
        model.predict(IDS, verbose=0)


@pytest.mark.long
def test_a_resumed_training_adapts_as_one_in_one_go(tmp_path):
    def trained(checkpoint, epochs):
        keras.utils.set_random_seed(3)
        rng = np.random.default_rng(0)
        item = np.concatenate([np.arange(ITEMS - 1), rng.integers(0, ITEMS - 1, 361)])
        log = Interactions(user=np.arange(400) // 10, item=item)
        split = leave_last_out(log, history_length=3)
        layer = Reassigned(ITEMS, WIDTH, num_rows=20)
        model = NextItemRanker(layer, history_length=3, vocabulary=split.vocabulary)
        settings = TrainingSettings(epochs=4, batch_size=32, evaluate_every=1)
        if epochs < 4:
            calls = []

            class StopError(Exception):
                pass

            original = layer.adapt_tables

            def stopping(step):
                calls.append(step)
                if step > 16:
                    raise StopError
                return original(step)

            layer.adapt_tables = stopping
            with pytest.raises(StopError):
                train(model, split, settings, checkpoint=checkpoint)
            return None
        record = train(model, split, settings, checkpoint=checkpoint)
        return record, layer.table_values()

    trained(tmp_path / "state.npz", 2)
    resumed = trained(tmp_path / "state.npz", 4)
    whole = trained(None, 4)
    assert resumed[0] == whole[0]
    for name, values in whole[1].items():
        np.testing.assert_allclose(resumed[1][name], values, atol=1e-6)


OPTIMIZERS = {
    "LazyAdam": (LazyAdam, 0.0),
    "Adagrad": (lambda: Adagrad(initial_accumulator_value=0.2), 0.2),
    "row-wise Adagrad": (lambda: Adagrad(row_wise=True, initial_accumulator_value=0.2), 0.2),
    "SGD": (lambda: SGD(0.1, momentum=0.9), 0.0),
    "keras Adam": (lambda: keras.optimizers.Adam(amsgrad=True), 0.0),
    "keras Adagrad": (lambda: keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.2), 0.2),
}


@pytest.mark.few(3)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_of_optimizers_moves_with_rows(name):
    make, start = OPTIMIZERS[name]
    tables = [keras.layers.Embedding(5, 2), keras.layers.Embedding(4, 2)]
    ids = keras.Input((), dtype="int32")
    model = keras.Model(ids, tables[0](ids) + tables[1](ids))
    model.compile(make(), "mse")
    model.fit(np.arange(4), np.random.default_rng(0).normal(size=(4, 2)), epochs=2, verbose=0)

    def slots():
        return [np.array(v) for v in model.optimizer.variables if v.shape[:1] == (5,)]

    def others():
        return [np.array(v) for v in model.optimizer.variables if v.shape[:1] != (5,)]

    before, rest = slots(), others()
    assert before
    move_rows(model.optimizer, tables[0].embeddings, [3, -1, 1, 0, 2])
    for old, new in zip(before, slots(), strict=True):
        np.testing.assert_array_equal(new[[0, 2, 3, 4]], old[[3, 1, 0, 2]])
        np.testing.assert_allclose(new[1], start)
    for old, new in zip(rest, others(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_row_that_moves_takes_its_momentum_along():
    """Two ids change places in the middle: trained as if they had not."""

    class Swapped(Reassigned):
        adapts_every = 3

        def adapt(self, step, t):
            order = np.arange(self.num_rows)[::-1].copy()
            tables = {"row_of": order[t["row_of"]], "rows": t["rows"][order]}
            return Adaptation(tables, rows_from={"rows": order})

    class Still(Reassigned):
        adapts_every = 0

    found = []
    for method in (Swapped, Still):
        keras.utils.set_random_seed(1)
        model = functional(method(ITEMS, WIDTH, num_rows=20))
        model.compile(keras.optimizers.Adam(0.05), "mse")
        targets = np.random.default_rng(0).normal(size=(2, 3, WIDTH))
        model.fit(IDS, targets, epochs=8, verbose=0, callbacks=[AdaptTables()])
        found.append(model(np.arange(ITEMS - ITEMS % 3).reshape(-1, 3)))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Adaptation({"nothing": np.zeros(3)}), "must change tables among"),
        (Adaptation({"rows": np.zeros((2, 2))}), "Table 'rows' must be"),
        (Adaptation({"row_of": np.full((ITEMS, 1), 20)}), r"integers in \[0, 20\)"),
    ],
)
def test_changes_that_do_not_fit_are_refused_and_change_nothing(change, words):
    layer = Reassigned(ITEMS, WIDTH, num_rows=20)
    before = layer.build(None) or layer.table_values()
    layer.adapt = lambda step, t: change
    with pytest.raises(ValueError, match=words):
        layer.adapt_tables(8)
    for name, values in layer.table_values().items():
        np.testing.assert_array_equal(values, before[name])


def test_other_maths_in_training_and_rounding_in_training_exclude_each_other():
    with pytest.raises(ValueError, match="`quantization_aware` of Pruned"):
        Pruned(ITEMS, WIDTH, storage={"rows": "int4_per_row"})
    layer = Pruned(ITEMS, WIDTH, storage={"rows": "int4_per_row"}, quantization_aware=False)
    assert [str(table.storage) for table in layer.stored_tables()] == ["int4_per_row"]


def test_tables_of_training_do_not_ship():
    layer = Reassigned(ITEMS, WIDTH, num_rows=20)
    model = functional(layer)
    conversion = convert(model)
    assert conversion.verification.passed
    tables = conversion.report["embeddings"][0]["tables"]
    assert [table["name"] for table in tables] == ["row_of", "rows"]
    assert layer.compression_ratio == 4 * ITEMS * WIDTH / (2 * ITEMS + 4 * 20 * WIDTH)
    assert layer.num_parameters == 20 * WIDTH
    assert layer.parameter_bytes == 2 * ITEMS + 4 * 20 * WIDTH + 4 * ITEMS


@keras.saving.register_keras_serializable("rules")
class Signed(CompressedEmbedding):
    """A row by the remainder, times signs that never change."""

    formula, source = "s(i) E[i mod m]", "a test"

    def tables(self):
        signs = Table.of_constants(
            "signs", self.input_dim, 1, initializer=self._signs, storage="int2_per_table"
        )
        return (signs, Table("rows", 10, self.output_dim))

    def _signs(self, shape, dtype=None, **kwargs):
        return tf.cast(1 - 2 * (tf.range(shape[0])[:, None] // 3 % 2), dtype)

    def lookup(self, xp, ids, t):
        return xp.gather(t["signs"], ids) * xp.gather(t["rows"], ids % 10)


def test_constants_are_not_trained_and_cost_what_they_cost_in_the_file():
    layer = Signed(ITEMS, WIDTH)
    model = functional(layer)
    signs = layer.table_values()["signs"]
    model.fit(IDS, np.ones((2, 3, WIDTH)), epochs=2, verbose=0)
    np.testing.assert_array_equal(layer.table_values()["signs"], signs)
    assert layer.num_parameters == 10 * WIDTH
    assert layer.parameter_bytes == ITEMS + 40 * WIDTH  # a row fills a byte
    conversion = convert(model, weights={"*/signs": "float32", "*": "int8"})
    assert conversion.verification.passed
    stored = {table["name"]: table for table in conversion.report["embeddings"][0]["tables"]}
    assert stored["signs"]["storage"] == "int2_per_table"
    assert stored["signs"]["worst_error"] < 1e-6
    assert stored["signs"]["data_bytes"] == ITEMS


@keras.saving.register_keras_serializable("rules")
class Indexed(CompressedEmbedding):
    """Rows that two indices choose."""

    formula, source = "E[r(i, 0)] + E[r(i, 1)]", "a test"

    def __init__(self, *args, num_rows, **kwargs):
        super().__init__(*args, **kwargs)
        self.num_rows = num_rows

    def tables(self):
        index = Table.of_index(
            "index", self.input_dim, 2, num_values=self.num_rows, initializer=self._spread
        )
        return (index, Table("rows", self.num_rows, self.output_dim, terms=2))

    def _spread(self, shape, dtype=None, **kwargs):
        places = tf.range(shape[0] * shape[1]) * 1009 % self.num_rows
        return tf.cast(tf.reshape(self.num_rows - 1 - places, shape), dtype)

    def lookup(self, xp, ids, t):
        return xp.sum(xp.gather(t["rows"], xp.gather(t["index"], ids)))

    def lookup_scores(self, xp, query, t):
        scores = xp.scores(query, t["rows"])
        columns = [xp.gather_columns(scores, xp.column(t["index"], k)) for k in range(2)]
        return columns[0] + columns[1]


@pytest.mark.few(1)
@pytest.mark.parametrize(("num_rows", "bits"), [(300, 16), (70_000, 32)])
def test_an_index_holds_what_codes_would_wrap(num_rows, bits, tmp_path):
    layer = Indexed(ITEMS, 2, num_rows=num_rows)
    model = ranker(layer)
    conversion = convert(model, k=5)
    assert conversion.verification.passed, conversion.verification
    index = next(t for t in conversion.report["embeddings"][0]["tables"] if t["name"] == "index")
    assert (index["bits"], index["data_bytes"]) == (bits, ITEMS * 2 * bits // 8)
    assert layer.table_values()["index"].max() > 255
    conversion.save(tmp_path / "model.tflite")
    file = CompressedModelFile(tmp_path / "model.tflite")
    vectors = file.run("embed", ids=np.arange(ITEMS, dtype=np.int32))["vectors"]
    np.testing.assert_allclose(vectors, layer(np.arange(ITEMS)), atol=2e-3)


def test_more_codes_than_a_byte_holds_are_refused():
    with pytest.raises(ValueError, match=r"`num_codes` must be in \[1, 256\].*Table.of_index"):
        Table.of_codes("codes", 9, 2, num_codes=1000, initializer="zeros")
    with pytest.raises(ValueError, match="kind 'constant' must have an initializer"):
        Table("signs", 9, 2, kind="constant")
    with pytest.raises(ValueError, match="`num_values` must be in"):
        Table.of_index("index", 9, 2, num_values=2**31, initializer="zeros")
