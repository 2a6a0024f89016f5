"""The update of a row: against NumPy, against Keras' own optimizers, and as a kernel."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.kernels import native
from memcom_tf.optimizers import RULES, Adagrad, LazyAdam
from tests.optimizers.cases import (
    CASES,
    DECAY,
    RATE,
    ROWS,
    WIDTH,
    assert_close,
    assert_equal,
    both,
    dense,
    every_case,
    exact,
    sparse,
    table,
    values_of,
)

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
