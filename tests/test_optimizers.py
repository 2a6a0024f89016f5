"""Sparse optimizers: against NumPy, against Keras' own, and in all that Keras does with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.layers import MEmComEmbedding
from memcom_tf.ops import native, selection
from memcom_tf.optimizers import RULES, SGD, Adagrad, LazyAdam, SparseOptimizer

ROWS, WIDTH = 11, 4
RATE, DECAY, EPSILON = 0.05, 0.02, 1e-7


class Case(NamedTuple):
    make: Any
    oracle: Any
    stock: Any
    """Keras' optimizer of the same arguments."""

    def build(self, **kwargs: Any) -> SparseOptimizer:
        return self.make(**{"learning_rate": RATE, **kwargs})


def adam(value, slots, g, t, rate):
    m, v = slots
    m += 0.1 * (g - m)
    v += 0.001 * (g * g - v)
    value -= rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + EPSILON)


def adagrad(value, slots, g, t, rate):
    slots[0] += g * g
    value -= rate * g / np.sqrt(slots[0] + EPSILON)


def rowwise_adagrad(value, slots, g, t, rate):
    slots[0] += (g * g).mean(axis=1, keepdims=True)
    value -= rate * g / np.sqrt(slots[0] + EPSILON)


def sgd(value, slots, g, t, rate):
    value -= rate * g


def momentum(value, slots, g, t, rate):
    slots[0][:] = 0.9 * slots[0] - rate * g
    value += slots[0]


def nesterov(value, slots, g, t, rate):
    slots[0][:] = 0.9 * slots[0] - rate * g
    value += 0.9 * slots[0] - rate * g


def case(make: Any, oracle: Any, stock: Any, **settings: Any) -> Case:
    def ours(**kwargs: Any) -> Any:
        return make(**settings, **kwargs)

    def theirs(**kwargs: Any) -> Any:
        return stock(**settings, **kwargs)

    return Case(ours, oracle, theirs if stock else None)


K = keras.optimizers
CASES = {
    "adam": case(LazyAdam, adam, K.Adam),
    "adagrad": case(Adagrad, adagrad, K.Adagrad),
    "rowwise_adagrad": case(Adagrad, rowwise_adagrad, None, row_wise=True),
    "sgd": case(SGD, sgd, K.SGD),
    "momentum": case(SGD, momentum, K.SGD, momentum=0.9),
    "nesterov": case(SGD, nesterov, K.SGD, momentum=0.9, nesterov=True),
}
every_case = pytest.mark.parametrize("name", CASES)


@pytest.fixture(autouse=True)
def mode(request, monkeypatch):
    """What updates the rows; by the environment, which threads and subprocesses see too."""
    mode = getattr(request, "param", "reference")
    monkeypatch.setenv("MEMCOM_TF_OPS", mode)
    if mode == "native" and selection.status().implementation != "native":
        pytest.skip(selection.status().reason)
    return mode


both = pytest.mark.parametrize("mode", ["reference", "native"], indirect=True)


def variable(values: Any, name: str = "table", dtype: str = "float32") -> Any:
    values = np.asarray(values, np.float32)
    if is_keras_3:
        return keras.Variable(values, name=name, dtype=dtype)
    return tf.Variable(tf.cast(values, dtype), name=name)


def table(seed: int = 1, shape: tuple[int, ...] = (ROWS, WIDTH), **kwargs: Any) -> Any:
    return variable(np.random.default_rng(seed).normal(size=shape), **kwargs)


def sparse(rows: Any, seed: int = 2, shape: tuple[int, ...] = (ROWS, WIDTH)) -> tf.IndexedSlices:
    values = np.random.default_rng(seed).normal(size=(len(rows), *shape[1:])).astype(np.float32)
    return tf.IndexedSlices(tf.constant(values), tf.constant(rows, tf.int32), tf.constant(shape))


def dense(gradient: Any) -> np.ndarray:
    """The gradient as it is: duplicates summed, in float64."""
    if not isinstance(gradient, tf.IndexedSlices):
        return np.asarray(gradient, np.float64)
    whole = np.zeros(gradient.dense_shape.numpy())
    np.add.at(whole, gradient.indices.numpy(), gradient.values.numpy().astype(np.float64))
    return whole


def values_of(variables: Any) -> list[np.ndarray]:
    return [np.asarray(v).copy() for v in variables]


def exact(variable: Any) -> np.ndarray:
    """A copy in float64."""
    return np.asarray(tf.cast(tf.convert_to_tensor(variable), tf.float64)).copy()


def assert_close(found: Any, expected: Any, rtol: float = 2e-6) -> None:
    np.testing.assert_allclose(np.asarray(found), expected, rtol=rtol, atol=rtol)


def assert_equal(found: Any, expected: Any) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


# The update.

STEPS = [[3, 7, 3, 3], [0, 10], [7], [3, 9, 9, 0, 7, 7]]


@both
@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("decay", [None, DECAY])
@every_case
def test_rows_of_a_step_follow_the_formula_and_others_rest(name, decay, in_graph):
    optimizer = CASES[name].build(weight_decay=decay)
    ours = table()
    optimizer.build([ours])
    expected = exact(ours)
    slots = [exact(slot) for slot in optimizer.slots_of(ours)]

    def apply(values, rows):
        gradient = tf.IndexedSlices(values, rows, tf.constant([ROWS, WIDTH]))
        optimizer.apply_gradients([(gradient, ours)])

    step = tf.function(apply, reduce_retracing=True) if in_graph else apply
    for t, rows in enumerate(STEPS, start=1):
        gradient = sparse(rows, seed=t)
        before = values_of([ours, *optimizer.slots_of(ours)])
        step(gradient.values, gradient.indices)
        after = values_of([ours, *optimizer.slots_of(ours)])
        touched = np.unique(rows)
        untouched = np.setdiff1d(np.arange(ROWS), touched)
        assert_equal([x[untouched] for x in after], [x[untouched] for x in before])

        state = [expected[touched], *(slot[touched] for slot in slots)]
        state[0] -= RATE * (decay or 0) * state[0]
        CASES[name].oracle(state[0], state[1:], dense(gradient)[touched], t, RATE)
        for whole, part, found in zip([expected, *slots], state, after, strict=True):
            whole[touched] = part
            assert_close(found, whole)
    assert np.asarray(optimizer.iterations) == len(STEPS)


def test_every_rule_is_registered_and_tested():
    assert set(RULES) == set(CASES)
    for name in CASES:
        assert CASES[name].build().rule is RULES[name]


@pytest.mark.parametrize("decay", [None, DECAY])
@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].stock])
def test_dense_gradients_are_updated_as_by_keras(name, decay):
    def trained(optimizer):
        variables = [table(1), table(2, (WIDTH,)), table(3, (2, 3, 2)), table(4, ())]
        for t in range(4):
            rng = np.random.default_rng(t)
            gradients = [rng.normal(size=v.shape).astype(np.float32) for v in variables]
            optimizer.apply_gradients(
                [(tf.constant(g), v) for g, v in zip(gradients, variables, strict=True)]
            )
        return variables

    ours = trained(CASES[name].build(weight_decay=decay))
    theirs = trained(CASES[name].stock(learning_rate=RATE, weight_decay=decay))
    for found, expected in zip(ours, theirs, strict=True):
        assert_close(found, np.asarray(expected))


@both
@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 2e-6), ("float16", 1e-3)])
@every_case
def test_sparse_and_dense_are_one_rule(name, dtype, rtol):
    """A sparse gradient with all the rows is the dense one, whatever the rank of the variable."""
    for shape in [(5,), (5, 3), (5, 3, 2)]:
        whole, rows = table(shape=shape, dtype=dtype), table(shape=shape, dtype=dtype)
        order = [3, 1, 4, 0, 2]
        dense_one, sparse_one = CASES[name].build(), CASES[name].build()
        for t in range(2):
            gradient = sparse(order, seed=t, shape=shape)
            sparse_one.apply_gradients([(tf.cast(gradient, dtype), rows)])
            dense_one.apply_gradients([(tf.cast(dense(gradient), dtype), whole)])
        pairs = zip(sparse_one.slots_of(rows), dense_one.slots_of(whole), strict=True)
        for found, expected in [(rows, whole), *pairs]:
            assert_close(exact(found), exact(expected), rtol)


@every_case
def test_there_are_no_variables_but_slots_step_and_learning_rate(name):
    optimizer, ours = CASES[name].build(), table()
    optimizer.build([ours])
    own = {"iteration", "learning_rate"} & {v.name.split(":")[0] for v in optimizer.variables}
    assert len(optimizer.variables) == len(own) + len(optimizer.slots_of(ours))
    assert len(optimizer.slots_of(ours)) == {"adam": 2, "sgd": 0}.get(name, 1)


def test_row_wise_holds_one_number_a_row():
    optimizer = Adagrad(row_wise=True, initial_accumulator_value=0.3)
    shapes = [(ROWS, WIDTH), (5, 3, 2), (7,), ()]
    variables = [table(shape=shape) for shape in shapes]
    optimizer.build(variables)
    slots = [optimizer.slots_of(v)[0] for v in variables]
    assert [tuple(slot.shape) for slot in slots] == [(ROWS, 1), (5, 1, 1), (7,), ()]
    for slot in slots:
        np.testing.assert_array_equal(np.asarray(slot), np.float32(0.3))


@both
@every_case
def test_no_rows_are_no_change(name):
    optimizer, ours = CASES[name].build(weight_decay=DECAY), table()
    optimizer.apply_gradients([(sparse([3, 4]), ours)])
    before = values_of([ours, *optimizer.slots_of(ours)])
    optimizer.apply_gradients([(sparse([]), ours)])
    assert_equal([ours, *optimizer.slots_of(ours)], before)
    assert np.asarray(optimizer.iterations) == 2


@both
def test_int64_rows():
    ours, theirs = table(), table()
    gradient = sparse([5, 5, 1])
    wide = tf.IndexedSlices(gradient.values, tf.cast(gradient.indices, tf.int64))
    LazyAdam(RATE).apply_gradients([(gradient, ours)])
    LazyAdam(RATE).apply_gradients([(wide, theirs)])
    assert_equal([ours], [theirs])


@both
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@every_case
def test_computed_in_float32_and_stored_in_the_variables_dtype(name, dtype):
    optimizer, ours = CASES[name].build(weight_decay=DECAY), table(dtype=dtype)
    start = exact(ours)
    gradient = sparse([3, 7, 3])
    small = tf.IndexedSlices(tf.cast(gradient.values * 0.3, dtype), gradient.indices)
    optimizer.apply_gradients([(small, ours)])
    wide = tf.float64 if dtype == "float64" else tf.float32
    assert {slot.dtype for slot in optimizer.slots_of(ours)} <= {wide}
    given = tf.IndexedSlices(
        tf.cast(small.values, tf.float64), gradient.indices, gradient.dense_shape
    )
    expected = start.copy()
    expected[[3, 7]] *= 1 - RATE * DECAY
    fresh = CASES[name].build()
    fresh.build([ours])
    state = [exact(slot)[[3, 7]] for slot in fresh.slots_of(ours)]
    rows = expected[[3, 7]]
    CASES[name].oracle(rows, state, dense(given)[[3, 7]], 1, RATE)
    expected[[3, 7]] = rows
    found = exact(ours)
    # Half of the distance between neighbours of that dtype: nothing but the last rounding.
    precision = {"float16": 2**-11, "bfloat16": 2**-8, "float64": 1e-7}[dtype]
    np.testing.assert_allclose(found, expected, rtol=1.001 * precision, atol=1e-7)
    assert (found != start).any(axis=1).nonzero()[0].tolist() == [3, 7]


@pytest.mark.parametrize("mode", ["native"], indirect=True)
@every_case
def test_the_kernel_updates_what_it_can(name, monkeypatch):
    """Sparse gradients of tables of at most 32 bits."""
    called = []
    kernel = native.sparse_update
    monkeypatch.setattr(native, "sparse_update", lambda *args: called.append(args) or kernel(*args))
    optimizer = CASES[name].build()
    tables = [table(), table(dtype="float64"), table(dtype="float16"), table(name="whole")]
    slices = sparse([3, 7])
    gradients = [
        slices,
        tf.cast(slices, tf.float64),
        tf.cast(slices, tf.float16),
        tf.ones([ROWS, WIDTH]),
    ]
    optimizer.apply_gradients(zip(gradients, tables, strict=True))
    expected = [tables[0], tables[2]]
    assert [args[0] for args in called] == [name] * len(expected)
    for args, one in zip(called, expected, strict=True):
        assert isinstance(args[1], tf.Variable)
        assert_equal([args[1]], [one])
        assert [slot.ref() for slot in args[2]] == [slot.ref() for slot in optimizer.slots_of(one)]
        assert args[4].dtype == tf.float32


# What arrives from layers and tapes.


def memcom() -> Any:
    return MEmComEmbedding(40, WIDTH, num_buckets=9, combiner="mean", name="items")


def stock_embedding() -> Any:
    return keras.layers.Embedding(40, WIDTH)


def embedding_model(optimizer: Any, layer: Any = memcom, **kwargs: Any) -> Any:
    keras.utils.set_random_seed(3)
    ids = keras.Input((3,), dtype="int32")
    outputs = keras.layers.Dense(1, name="head")(keras.layers.Flatten()(layer()(ids)))
    model = keras.Model(ids, outputs)
    model.compile(optimizer, "mse", **kwargs)
    return model


def examples(n: int = 24, vocabulary: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the lower half of the vocabulary: many a row is in no batch."""
    rng = np.random.default_rng(5)
    ids = rng.integers(0, vocabulary, (n, 3)).astype(np.int32)
    return ids, ids.mean(axis=1, keepdims=True).astype(np.float32) / vocabulary


def fit(model: Any, steps: int = 3, start: int = 0) -> None:
    ids, target = examples(8 * (start + steps))
    model.fit(ids[8 * start :], target[8 * start :], batch_size=8, shuffle=False, verbose=0)


@both
@pytest.mark.parametrize("layer", [memcom, stock_embedding])
def test_gradients_of_lookups_arrive_sparse_and_move_only_their_rows(layer):
    seen = []

    class Watching(LazyAdam):
        def _update_jointly(self, pairs, learning_rate):
            seen.extend(isinstance(gradient, tf.IndexedSlices) for gradient, _ in pairs)
            return super()._update_jointly(pairs, learning_rate)

    model = embedding_model(Watching(RATE, weight_decay=DECAY), layer)
    *tables, _, _ = model.trainable_variables
    before = values_of(tables)
    fit(model)
    assert seen[: len(tables) + 2] == [True] * len(tables) + [False, False]
    # The last table has a row for every id.
    moved = (np.asarray(tables[-1]) != before[-1]).any(axis=1)
    assert set(moved.nonzero()[0]) == set(examples()[0].ravel())


class Unread(tf.IndexedSlices):
    """Slices that are computed when they are read, which nobody may do here."""

    def __init__(self, shape):
        self._shape = tf.TensorShape(shape)

    @property
    def shape(self):
        return self._shape

    @property
    def dtype(self):
        return tf.float32

    @property
    def values(self):
        raise AssertionError("values were read")

    indices = values


@pytest.mark.parametrize("use_ema", [False, True])
@pytest.mark.parametrize("decay", [None, DECAY])
def test_all_pairs_of_a_step_arrive_unread_before_any_update(decay, use_ema):
    class Joint(LazyAdam):
        def _update_jointly(self, pairs, learning_rate):
            (first, table), (second, bias) = pairs
            assert isinstance(table, tf.Variable)
            assert isinstance(first, Unread)
            table.assign_add(tf.ones_like(table))
            return [(None, table), (second, bias)]

    ours, bias = table(), table(2, (WIDTH,), name="bias")
    before, bias_before = values_of([ours, bias])
    optimizer = Joint(RATE, weight_decay=decay, use_ema=use_ema)
    optimizer.apply_gradients([(Unread((ROWS, WIDTH)), ours), (tf.ones([WIDTH]), bias)])
    assert_equal([ours], [before + 1])
    assert (np.asarray(bias) != bias_before).all()
    if use_ema:
        optimizer.finalize_variable_values([ours, bias])
    assert np.asarray(optimizer.iterations) == 1


# What Keras' arguments mean.


def test_schedules():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], [0.5, 0.25, 0.125])
    optimizer, ours = SGD(schedule), table()
    expected = exact(ours)
    for rate in [0.5, 0.25, 0.125, 0.125]:
        gradient = sparse([1, 2, 1])
        optimizer.apply_gradients([(gradient, ours)])
        expected -= rate * dense(gradient)
        assert_close(ours, expected)
    assert type(optimizer).from_config(optimizer.get_config()).get_config() == (
        optimizer.get_config()
    )


def test_the_learning_rate_can_be_set():
    optimizer, ours = SGD(0.5), table()
    gradient, before = sparse([1]), exact(ours)
    optimizer.learning_rate = 0.25
    optimizer.apply_gradients([(gradient, ours)])
    assert_close(ours, before - 0.25 * dense(gradient))


@both
@every_case
def test_multipliers_are_learning_rates_of_variables(name):
    """Of sparse and dense variables, of their decay, and the product of all that match."""
    factors = {"multi": 4.0, "er$": 2.5, "nothing|frozen": 0.0}

    def trained(names, **kwargs):
        variables = [table(i, name=name) for i, name in enumerate(names)]
        optimizer = CASES[name].build(weight_decay=DECAY, **kwargs)
        for t in range(3):
            gradients = [sparse([3, 4, 3], t), sparse([1, 3], t), tf.ones([ROWS, WIDTH])]
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return values_of(variables)

    names = ["multiplier", "frozen", "shared_er"]
    found = trained(names, learning_rate_multipliers=factors)
    rates = [trained(names, learning_rate=RATE * factor) for factor in (10.0, 0.0, 2.5)]
    for index, expected in enumerate(rates):
        assert_close(found[index], expected[index])
    assert_equal([found[1]], [np.asarray(table(1))])


def test_multipliers_are_found_in_the_path():
    model = embedding_model(LazyAdam(RATE, learning_rate_multipliers={r"^head/": 0.0}))
    before = values_of(model.trainable_variables)
    fit(model)
    for v, old in zip(model.trainable_variables, before, strict=True):
        of_head = v.shape in [(WIDTH, 1), (1,)]
        assert np.array_equal(np.asarray(v), old) == of_head


def test_decay_can_be_excluded():
    for how in ("names", "list"):
        decayed, excluded = table(1, name="shared"), table(1, name="bias")
        optimizer = SGD(RATE, weight_decay=DECAY)
        if how == "names":
            optimizer.exclude_from_weight_decay(var_names=["bias"])
        else:
            optimizer.exclude_from_weight_decay(var_list=[excluded])
        start, gradient = exact(decayed), sparse([2, 5, 2])
        optimizer.apply_gradients([(gradient, decayed), (gradient, excluded)])
        assert_close(excluded, start - RATE * dense(gradient))
        start[[2, 5]] *= 1 - RATE * DECAY
        assert_close(decayed, start - RATE * dense(gradient))


CLIPPINGS = {
    "clipnorm": lambda limit, *gs: [g * min(1, limit / np.linalg.norm(g)) for g in gs],
    "clipvalue": lambda limit, *gs: [np.clip(g, -limit, limit) for g in gs],
    "global_clipnorm": lambda limit, *gs: [
        g * min(1, limit / np.sqrt(sum((g * g).sum() for g in gs))) for g in gs
    ],
}


@both
@pytest.mark.parametrize("limit", [0.3, 2.0, 1e3])
@pytest.mark.parametrize("clipping", CLIPPINGS)
def test_clipping_is_that_of_the_dense_gradient(clipping, limit):
    seen = []

    class Watching(SGD):
        def _update_jointly(self, pairs, learning_rate):
            seen.extend(type(gradient) for gradient, _ in pairs)
            return pairs

    variables = [table(1), table(2, (WIDTH,)), table(3)]
    gradients = [sparse([3, 7, 3, 3]), tf.constant([1.0, -3.0, 0.5, 2.0]), sparse([0, 0], 4)]
    start = values_of(variables)
    Watching(1.0, **{clipping: limit}).apply_gradients(zip(gradients, variables, strict=True))
    expected = CLIPPINGS[clipping](limit, *map(dense, gradients))
    for v, old, gradient in zip(variables, start, expected, strict=True):
        assert_close(np.asarray(v), old - gradient, 1e-6)
    assert [issubclass(kind, tf.IndexedSlices) for kind in seen] == [True, False, True]


@pytest.mark.parametrize("clipping", ["clipnorm", "global_clipnorm"])
def test_norms_of_half_precision_do_not_overflow(clipping):
    ours, other = table(dtype="float16"), table()
    start = exact(ours)
    large = tf.IndexedSlices(tf.constant([[300.0, 0, 0, -400.0]], tf.float16), tf.constant([5]))
    nothing = tf.IndexedSlices(tf.zeros([1, WIDTH]), tf.constant([5]))
    SGD(1.0, **{clipping: 1.0}).apply_gradients([(large, ours), (nothing, other)])
    np.testing.assert_allclose((start - exact(ours))[5], [0.6, 0, 0, -0.8], atol=1e-3)


def test_an_infinite_global_norm_is_not_hidden():
    ours = table()
    optimizer = SGD(1.0, global_clipnorm=1.0)
    infinite = tf.IndexedSlices(tf.fill([1, WIDTH], np.inf), tf.constant([2]))
    bias = table(2, (WIDTH,))
    optimizer.apply_gradients([(infinite, ours), (tf.ones([WIDTH]), bias)])
    assert np.isnan(np.asarray(bias)).all()
    assert np.isnan(np.asarray(ours)).any(axis=1).nonzero()[0].tolist() == [2]


@both
@pytest.mark.skipif(not is_keras_3, reason="an argument of Keras 3")
def test_loss_scale_factor():
    """Powers of two scale exactly."""
    results = []
    for factor in (None, 2.0**10):
        model = embedding_model(SGD(RATE, loss_scale_factor=factor), stock_embedding)
        fit(model)
        results.append(values_of(model.trainable_variables))
    assert_equal(*results)


@pytest.mark.skipif(not is_keras_3, reason="an argument of Keras 3")
@pytest.mark.parametrize("settings", [{}, {"clipnorm": 0.01, "loss_scale_factor": 4.0}], ids=str)
def test_accumulated_gradients_are_dense(settings):
    """And therefore updated as by Keras."""
    results = []
    for optimizer in (LazyAdam, keras.optimizers.Adam):
        if optimizer is keras.optimizers.Adam:  # which cannot scale sparse gradients
            settings = {key: settings[key] for key in settings if key != "loss_scale_factor"}
        model = embedding_model(
            optimizer(RATE, gradient_accumulation_steps=2, weight_decay=DECAY, **settings)
        )
        fit(model, steps=6)
        results.append(values_of(model.trainable_variables))
    for found, expected in zip(*results, strict=True):
        assert_close(found, expected, 1e-5)


def test_moving_average_of_the_variables():
    optimizer, ours = SGD(RATE, use_ema=True, ema_momentum=0.75), table()
    average = None
    for t in range(3):
        optimizer.apply_gradients([(sparse([1, 3], t), ours)])
        value = exact(ours)
        if average is None:  # Keras 3 starts with the first values, tf_keras with those before
            average = value if is_keras_3 else 0.75 * np.asarray(table()) + 0.25 * value
        else:
            average = 0.75 * average + 0.25 * value
    optimizer.finalize_variable_values([ours])
    assert_close(ours, average)


@pytest.fixture
def half_precision():
    keras.mixed_precision.set_global_policy("mixed_float16")
    yield
    keras.mixed_precision.set_global_policy("float32")


@both
def test_mixed_precision(half_precision):
    """The loss is scaled, non-finite gradients skip the step, rows of no batch rest."""
    optimizer = LazyAdam(RATE, weight_decay=DECAY)
    wrapped = keras.mixed_precision.LossScaleOptimizer(optimizer, initial_scale=2.0**40)
    model = embedding_model(wrapped, stock_embedding)
    before = values_of(model.trainable_variables)
    fit(model, steps=1)
    assert_equal(model.trainable_variables, before)  # 2^40 is infinite in half precision
    losses = [model.evaluate(*examples(), verbose=0)]
    for _ in range(15):
        fit(model)
    losses.append(model.evaluate(*examples(), verbose=0))
    assert losses[1] < 0.5 * losses[0]
    moved = (np.asarray(model.trainable_variables[0]) != before[0]).any(axis=1)
    assert set(moved.nonzero()[0]) == set(examples()[0].ravel())


def test_it_compiles_with_xla():
    results = []
    for jit_compile in (False, True):
        model = embedding_model(LazyAdam(RATE, clipnorm=0.5), jit_compile=jit_compile)
        fit(model)
        results.append(values_of(model.trainable_variables))
    for found, expected in zip(*results, strict=True):
        assert_close(found, expected, 1e-5)


# Saving.

SETTINGS = {
    "adam": (LazyAdam, {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-5, "weight_decay": 0.1}),
    "adagrad": (Adagrad, {"initial_accumulator_value": 0.2, "epsilon": 1e-5, "clipnorm": 1.0}),
    "rowwise": (Adagrad, {"row_wise": True, "use_ema": True, "ema_momentum": 0.9}),
    "sgd": (SGD, {"clipvalue": 0.1}),
    "nesterov": (SGD, {"momentum": 0.9, "nesterov": True, "global_clipnorm": 1.0}),
}


def set_up(name: str) -> SparseOptimizer:
    make, settings = SETTINGS[name]
    return make(0.03, learning_rate_multipliers={"multiplier": 10.0}, **settings)


@pytest.mark.parametrize("name", SETTINGS)
def test_config_through_json(name):
    optimizer = set_up(name)
    for module in (
        (keras.saving.serialize_keras_object, keras.saving.deserialize_keras_object),
        (keras.optimizers.serialize, keras.optimizers.deserialize),
    ):
        again = module[1](json.loads(json.dumps(module[0](optimizer))))
        assert type(again) is type(optimizer)
        assert again.get_config() == optimizer.get_config()
    assert optimizer.name.replace("_", "").lower().startswith(type(optimizer).__name__.lower())
    config = optimizer.get_config()
    for argument, value in SETTINGS[name][1].items():
        assert config[argument] == value
    assert config["learning_rate_multipliers"] == {"multiplier": 10.0}
    assert config["learning_rate"] == pytest.approx(0.03)


@pytest.mark.parametrize("name", SETTINGS)
def test_training_goes_on_after_loading_as_if_never_interrupted(name, tmp_path):
    model = embedding_model(set_up(name))
    fit(model)
    path = str(tmp_path / "model.keras")
    model.save(path)
    loaded = keras.models.load_model(path)
    assert type(loaded.optimizer) is SETTINGS[name][0]
    for one in (model, loaded):
        fit(one, start=3)
    assert_equal(loaded.trainable_variables, model.trainable_variables)
    assert_equal(loaded.optimizer.variables, model.optimizer.variables)
    fresh = embedding_model(set_up(name))
    fresh.set_weights(keras.models.load_model(path).get_weights())
    fit(fresh, start=3)
    if name != "sgd":  # it has no state
        pairs = zip(fresh.trainable_variables, model.trainable_variables, strict=True)
        assert any(np.any(np.asarray(one) != np.asarray(other)) for one, other in pairs)


@pytest.mark.parametrize("name", ["adam", "rowwise"])
def test_checkpoints(name, tmp_path):
    model = embedding_model(set_up(name))
    fit(model)
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(tmp_path / "it")
    other = embedding_model(set_up(name))
    fit(other, steps=1)
    restored = tf.train.Checkpoint(model=other, optimizer=other.optimizer).restore(path)
    restored.assert_consumed()
    assert_equal(other.optimizer.variables, model.optimizer.variables)
    for one in (model, other):
        fit(one, start=3)
    assert_equal(other.trainable_variables, model.trainable_variables)


# Strategies.

MIRRORED = """
import sys
import numpy as np
import tensorflow as tf

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from memcom_tf._keras import keras
from memcom_tf.layers import MEmComEmbedding
from memcom_tf.optimizers import LazyAdam
from memcom_tf.optimizers.hooks import as_tf_variable
from tests.test_optimizers import SETTINGS, embedding_model, examples, set_up, values_of

default = tf.distribute.get_strategy()
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for name in ("adam", "rowwise", "nesterov"):
    results = []
    for strategy in (default, mirrored):
        with strategy.scope():
            optimizer = set_up(name)
            # Replicas clip their own gradients: a limit that is not reached.
            optimizer.clipnorm, optimizer.global_clipnorm = 1e6, None
            model = embedding_model(optimizer)
        before = values_of(model.trainable_variables)
        # Dense batches of even size: what the replicas add up to is the step of the whole batch.
        ids, target = examples(32)
        model.fit(ids, target, batch_size=8, shuffle=False, verbose=0)
        results.append(values_of([*model.trainable_variables, *optimizer.variables]))
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)
    # The replicas agree, and the second is not just a spectator.
    slots = optimizer.slots_of(model.trainable_variables[0])
    for variable in [*model.trainable_variables, *slots]:
        first, second = strategy.experimental_local_results(as_tf_variable(variable))
        assert "CPU:1" in second.device, second.device
        np.testing.assert_array_equal(first.numpy(), second.numpy())
    moved = (np.asarray(model.trainable_variables[1]) != before[1]).any(axis=1)
    assert set(moved.nonzero()[0]) == set(ids.ravel())

# A layer of ours trains on plain ops there, to the same end.
results = []
for strategy in (default, mirrored):
    keras.utils.set_random_seed(1)
    with strategy.scope():
        layer = MEmComEmbedding(20, 4, num_buckets=7, combiner="mean")
        model = keras.Sequential([keras.Input((6,), dtype="int32"), layer, keras.layers.Dense(1)])
        model.compile(LazyAdam(0.05), "mse")
    rng = np.random.default_rng(0)
    ids, target = rng.integers(0, 20, (32, 6)), rng.normal(size=(32, 1))
    model.fit(ids, target, batch_size=8, epochs=2, shuffle=False, verbose=0)
    results.append(values_of(model.trainable_variables))
for one, two in zip(*results, strict=True):
    np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-5)
print("mirrored")
"""


def test_mirrored_strategy_is_the_whole_batch():
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split()[-1:] == ["mirrored"], done.stderr


# Errors.

REFUSED = {
    "amsgrad": (
        lambda: LazyAdam(amsgrad=True),
        "`amsgrad` of LazyAdam must be False. Received: amsgrad=True. Use keras.optimizers.Adam",
    ),
    "expression": (
        lambda: SGD(learning_rate_multipliers={"(": 2.0}),
        "must be a regular expression. Received: expression='('.",
    ),
    "factor": (
        lambda: SGD(learning_rate_multipliers={"a": -1.0}),
        "must be a number of 0 or more. Received: expression='a', factor=-1.0.",
    ),
    "nowhere": (
        lambda: SGD(learning_rate_multipliers={"able": 1.0, "V": 2.0}).build(
            [table(), table(name="bias")]
        ),
        "must be found in a variable. Received: expression='V', factor=2.0. "
        "The variables are: table, bias.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    action, words = REFUSED[case]
    with pytest.raises(ValueError) as caught:
        action()
    assert words in str(caught.value)
