"""Fused ops under programs that no layer makes: right numbers, or an error, and no crash."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.kernels import selection, use
from tests.hostile_programs import Call, MalformedError, UnknownError, answer, damaged, random_call
from tests.native import needs_native

pytestmark = needs_native

RATE = 0.5


def attributes(call: Call, **changed):
    return {
        "T": tf.float32,
        "program": call.code,
        "constants": call.constants,
        "output_dim": call.output_dim,
        "combiner": call.combiner,
        "ragged": False,
        "weighted": call.weights is not None,
        "mask_zero": False,
        "updates_in_place": True,
        **changed,
    }


def batch(call: Call):
    weights = np.zeros(0, np.float32) if call.weights is None else call.weights
    splits = tf.zeros([0], tf.int64)
    return {"ids": tf.constant(call.ids), "row_splits": splits, "weights": tf.constant(weights)}


def dense(indices, values, shape):
    whole = np.zeros(shape)
    assert len(set(indices.numpy().tolist())) == len(indices), "a row twice"
    whole[indices.numpy()] = values.numpy()
    return whole


def slopes_of(found, call: Call):
    pairs = zip(found.indices, found.values, call.tables, strict=True)
    return [dense(indices, values, table.shape) for indices, values, table in pairs]


def answers(call: Call):
    """What each op says: its numbers, or None where it refuses."""
    with use("native"):
        ops = selection.library()
    tables = [tf.Variable(table) for table in call.tables]
    handles = [table.handle for table in tables]
    codes = [tf.Variable(table) for table in call.codes]
    gradient = tf.constant(call.gradient)
    said = {}

    def ask(name, question):
        try:
            said[name] = question()
        except (tf.errors.InvalidArgumentError, tf.errors.FailedPreconditionError, ValueError):
            said[name] = None

    lookup = {**batch(call), **attributes(call)}
    arguments = {**lookup, "gradient": gradient, "N": len(tables), "M": len(codes)}
    descent = {"states": [], "hyper": tf.constant([[RATE, 0.0]] * len(tables)), "rule": "sgd"}

    def taken():
        return ops.memcom_lookup_and_snapshot(
            tables=handles, codes=[table.handle for table in codes], **lookup
        )

    def snapshot():
        _, kept = taken()
        for table in (*tables, *codes):
            table.assign(table + 1)
        found = ops.memcom_lookup_snapshot_gradient(snapshot=kept, **arguments)
        pairs = zip((*tables, *codes), (*call.tables, *call.codes), strict=True)
        for table, value in pairs:
            table.assign(value)
        return slopes_of(found, call)

    ask("slopes of a snapshot", snapshot)

    def changes():
        pairs = zip(call.tables, tables, strict=True)
        return [(before - after.numpy()) / RATE for before, after in pairs]

    if codes:  # the ops without a snapshot have none
        ask("vectors", lambda: taken()[0].numpy())
        said["slopes"] = said["slopes of a snapshot"]

        def update():
            _, kept = taken()
            del arguments["N"]
            ops.memcom_lookup_snapshot_update(tables=handles, snapshot=kept, **descent, **arguments)
            return changes()

        ask("update", update)
        return said
    del arguments["N"], arguments["M"]
    ask("vectors", lambda: ops.memcom_lookup(tables=handles, **lookup).numpy())

    def slopes():
        return slopes_of(ops.memcom_lookup_gradient(tables=handles, **arguments), call)

    ask("slopes", slopes)

    def update():
        ops.memcom_lookup_update(tables=handles, **descent, **arguments)
        return changes()

    ask("update", update)
    return said


def check(call: Call, good: bool) -> bool:
    """Whether the call was answered, after comparing what was."""
    said = answers(call)
    try:
        vectors, slopes = answer(call)
    except UnknownError:
        assert not good
        return False
    except MalformedError:
        assert not good
        # What is wrong with the gradient alone does not concern the lookup.
        assert said["slopes"] is None and said["update"] is None, call
        return False
    size = 1 + max(np.abs(slope).max(initial=0) for slope in slopes)
    if good:
        assert said["vectors"] is not None and said["slopes"] is not None, call
    if said["vectors"] is not None:
        scale = 1 + np.abs(vectors).max(initial=0)
        np.testing.assert_allclose(said["vectors"], vectors, atol=1e-4 * scale)
    for name in ("slopes", "slopes of a snapshot", "update"):
        # Not every program can be updated in one op.
        if said[name] is not None:
            for found, wanted in zip(said[name], slopes, strict=True):
                np.testing.assert_allclose(found, wanted, atol=3e-4 * size, err_msg=name)
    return said["slopes"] is not None


def run(seed: int, count: int) -> int:
    rng = np.random.default_rng(seed)
    answered = 0
    for _ in range(count):
        call = random_call(rng)
        answered += check(call, good=True)
        answered += check(damaged(call, rng), good=False)
    return answered


def test_programs_are_answered_rightly_or_refused():
    count = 60
    answered = run(0, count)
    assert count <= answered < 2 * count, "all good ones, and not all damaged ones"


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 9))
def test_many_programs_are_answered_rightly_or_refused(seed):
    run(seed, 1000)


ONE_TABLE = [10, 0, 1, 0, 4, 0, 1, 4, 1, 1, 0]


def one_table(**changed):
    call = Call(
        tables=[np.ones((10, 4), np.float32)],
        code=ONE_TABLE,
        constants=[1.0],
        output_dim=4,
        combiner="sum",
        ids=np.array([[1, 2]], np.int32),
        weights=None,
        gradient=np.ones((1, 4), np.float32),
    )
    return Call(**{**call.__dict__, **changed})


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ([10, 0, 0, 1, 4, 1, 1, 0], "malformed"),
        ([10, 0, 2, 0, 4, 0, 0, 4, 0, 1, 4, 1, 1, 0], "no term has gather 1"),
        ([10, 0, 1, 0, 4, 3, 1, 4, 1, 1, 0], "slot that is not written"),
        ([10, 1, 1, 0, 0, 0, 1, 0, 4, 1, 1, 4, 1, 1, 0], "exact integers"),
        ([11, 0, 1, 0, 4, 0, 1, 4, 1, 1, 0], "more than 10 rows"),
        ([2**52, 0, 1, 0, 4, 0, 1, 4, 1, 1, 0], "malformed"),
        ([10, 0, 1, 0, 4, 0, 1, 8, 1, 1, 0], "neither as wide"),
        ([*ONE_TABLE, 0], "malformed"),
        ([], "malformed"),
    ],
)
def test_a_malformed_program_says_what_is_wrong(code, reason):
    call = one_table(code=code)
    with use("native"):
        ops = selection.library()
    handles = [tf.Variable(table).handle for table in call.tables]
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        ops.memcom_lookup(tables=handles, **batch(call), **attributes(call))


def test_a_broadcast_value_cannot_make_a_vector_as_wide_as_memory():
    call = one_table(
        tables=[np.ones((10, 1), np.float32)],
        code=[10, 0, 1, 0, 1, 0, 1, 2**30, 1, 1, 0],
        output_dim=2**30,
    )
    with use("native"):
        ops = selection.library()
    with pytest.raises(tf.errors.InvalidArgumentError, match="much wider than all"):
        ops.memcom_lookup(
            tables=[tf.Variable(call.tables[0]).handle], **batch(call), **attributes(call)
        )


def test_an_update_takes_different_variables_of_one_shape():
    call = one_table()
    with use("native"):
        ops = selection.library()
    table, other = tf.Variable(call.tables[0]), tf.Variable(np.zeros((10, 4), np.float32))

    def update(states, **changed):
        return ops.memcom_lookup_update(
            tables=[table.handle],
            gradient=tf.constant(call.gradient),
            states=[state.handle for state in states],
            hyper=tf.constant([[0.1, 0.9, 0.0]]),
            rule="momentum",
            **{**batch(call), **attributes(call), **changed},
        )

    with pytest.raises(tf.errors.InvalidArgumentError, match="must be different ones"):
        update([table])
    with pytest.raises(tf.errors.InvalidArgumentError, match="state must have 40 values"):
        update([tf.Variable(np.zeros((9, 4), np.float32))])
    with pytest.raises(tf.errors.InvalidArgumentError, match="1 states a table"):
        update([])
    np.testing.assert_array_equal(table, call.tables[0])
    update([other])
    assert (np.asarray(table) != call.tables[0]).any()


def test_single_values_are_not_updated_in_place():
    """A rule may have one state a row."""
    call = one_table(
        code=[10, 0, 1, 0, 1, 0, 1, 1, 1, 1, 0], output_dim=1, gradient=np.ones((1, 1), np.float32)
    )
    with use("native"):
        ops = selection.library()
    table, state = tf.Variable(call.tables[0]), tf.Variable(np.zeros(10, np.float32))
    arguments = {**batch(call), **attributes(call), "gradient": tf.constant(call.gradient)}
    with pytest.raises(tf.errors.InvalidArgumentError, match="single values are read"):
        ops.memcom_lookup_update(
            tables=[table.handle],
            states=[state.handle],
            hyper=tf.constant([[0.1, 0.0, 0.0]]),
            rule="rowwise_adagrad",
            **arguments,
        )
    found = ops.memcom_lookup_gradient(tables=[table.handle], **arguments)
    np.testing.assert_array_equal(found.indices[0], [0])
    np.testing.assert_array_equal(found.values[0], [[0, 1, 1, 0]])


@pytest.mark.parametrize("kind", ["a list", "zeros", "of others"])
def test_a_snapshot_must_be_that_of_the_lookup(kind):
    call = one_table()
    with use("native"):
        ops = selection.library()
    pair = [tf.Variable(call.tables[0]) for _ in range(2)]
    if kind != "a list":
        two = one_table(tables=call.tables * 2, code=[10, 0, 2, 0, 4, 0, 1, 4, 0, 1, 4, 1, 2, 0, 1])
        _, taken = ops.memcom_lookup_and_snapshot(
            tables=[table.handle for table in pair], codes=[], **batch(two), **attributes(two)
        )
        snapshot = tf.zeros_like(taken) if kind == "zeros" else taken
    else:
        snapshot = tf.raw_ops.TensorListReserve(
            element_shape=tf.zeros([0], tf.int32), num_elements=0, element_dtype=tf.float32
        )
    gradient = tf.constant(call.gradient)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`snapshot` must be"):
        ops.memcom_lookup_snapshot_gradient(
            snapshot=snapshot, N=1, gradient=gradient, **batch(call), **attributes(call)
        )


def test_a_gradient_of_weights_needs_weights():
    call = one_table()
    with use("native"):
        ops = selection.library()
    with pytest.raises(tf.errors.InvalidArgumentError, match="There must be weights"):
        ops.memcom_lookup_weights_gradient(
            tables=[tf.Variable(call.tables[0]).handle],
            gradient=tf.constant(call.gradient),
            **batch(call),
            **attributes(call),
        )


def test_ragged_ids_without_pooling_are_no_lookup():
    call = one_table(combiner="none")
    with use("native"):
        ops = selection.library()
    with pytest.raises(tf.errors.InvalidArgumentError, match="Ragged ids must be pooled"):
        ops.memcom_lookup(
            tables=[tf.Variable(call.tables[0]).handle],
            **batch(call),
            **attributes(call, ragged=True),
        )
