"""A gradient of a fused lookup is that of the weights at the forward pass, whenever it is used."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.kernels import use
from memcom_tf.layers import MEmComEmbedding
from memcom_tf.optimizers import SGD, LazyAdam
from memcom_tf.optimizers.hooks import as_tf_variable
from tests.native import needs_native

pytestmark = needs_native

IDS = np.random.default_rng(0).integers(1, 50, (8, 5)).astype(np.int32)
RATE = 0.01


class Parts:
    """A layer, its variables, and what a program of training needs besides."""

    def __init__(self) -> None:
        keras.utils.set_random_seed(1)
        self.layer = MEmComEmbedding(50, 4, num_buckets=7, combiner="mean")
        self.layer.build(None)
        self.trained = self.layer.trainable_variables
        self.tables = [as_tf_variable(variable) for variable in self.trained]
        self.weights = tf.Variable(
            np.linspace(0.5, 2, IDS.size).reshape(IDS.shape), dtype="float32"
        )
        self.seen = tf.Variable(0.0)
        self.optimizers = [SGD(RATE), LazyAdam(RATE)]
        for optimizer in self.optimizers:
            optimizer.build(self.trained)

    def loss(self, factor=3.0, weights=None):
        arguments = () if weights is None else (weights,)
        vectors = self.layer(tf.constant(IDS), *arguments, training=True)
        return tf.reduce_sum(tf.sin(factor * vectors))

    def gradients(self, factor=3.0):
        with tf.GradientTape() as tape:
            loss = self.loss(factor)
        return tape.gradient(loss, self.tables)

    def apply(self, gradients, number=0):
        self.optimizers[number].apply_gradients(zip(gradients, self.trained, strict=True))


def weights_move_to_the_worst_and_back(p):
    there = [tf.convert_to_tensor(g) for g in p.gradients()]
    for table, by in zip(p.tables, there, strict=True):
        table.assign_add(by)
    gradients = p.gradients()
    for table, by in zip(p.tables, there, strict=True):
        table.assign_sub(by)
    p.apply(gradients)


def rows_change_before_the_step(p):
    gradients = p.gradients()
    for table in p.tables:
        width = table.shape[1]
        table.scatter_update(tf.IndexedSlices(tf.ones([2, width]), tf.constant([1, 3])))
        table.scatter_add(tf.IndexedSlices(tf.ones([1, width]), tf.constant([2])))
    p.apply(gradients)


def two_optimizers_of_two_losses(p):
    with tf.GradientTape() as one, tf.GradientTape() as two:
        first, second = p.loss(), p.loss(2.0)
    p.apply(one.gradient(first, p.tables))
    p.apply(two.gradient(second, p.tables), 1)


def two_optimizers_of_a_persistent_tape(p):
    with tf.GradientTape(persistent=True) as tape:
        first = p.loss()
        second = first * first
    one, two = tape.gradient(first, p.tables), tape.gradient(second, p.tables)
    p.apply(one)
    p.apply(two, 1)


def a_persistent_tape_is_asked_again_after_the_step(p):
    with tf.GradientTape(persistent=True) as tape:
        first = p.loss()
        second = first * first
    p.apply(tape.gradient(first, p.tables))
    p.apply(tape.gradient(second, p.tables), 1)


def each_optimizer_has_a_table(p):
    gradients = p.gradients()
    for number, pair in enumerate(zip(gradients, p.trained, strict=True)):
        p.optimizers[number].apply_gradients([pair])


def a_gradient_is_applied_twice(p):
    gradients = p.gradients()
    p.apply(gradients)
    p.apply(gradients, 1)


def a_gradient_is_read_after_the_step(p):
    gradients = p.gradients()
    p.apply(gradients)
    p.seen.assign_add(tf.linalg.global_norm([tf.convert_to_tensor(g) for g in gradients]))


def the_layer_is_looked_up_twice(p):
    with tf.GradientTape() as tape:
        loss = p.loss() + p.loss(2.0)
    p.apply(tape.gradient(loss, p.tables))


def gradients_add_up_over_two_batches(p):
    total = [tf.convert_to_tensor(g) for g in p.gradients()]
    total = [a + tf.convert_to_tensor(b) for a, b in zip(total, p.gradients(2.0), strict=True)]
    p.apply(total)


def the_weights_of_ids_are_trained_too(p):
    with tf.GradientTape() as tape:
        loss = p.loss(weights=tf.identity(p.weights))
    *gradients, by_weights = tape.gradient(loss, [*p.tables, p.weights])
    p.apply(gradients)
    p.weights.assign_sub(RATE * by_weights)


def the_step_is_taken_in_a_branch(p):
    gradients = p.gradients()

    def step():
        p.apply(gradients)
        return 0

    tf.cond(p.seen < 1.0, step, lambda: 0)


def the_lookup_is_in_a_branch(p):
    with tf.GradientTape() as tape:
        loss = tf.cond(p.seen < 1.0, p.loss, lambda: tf.constant(0.0))
    p.apply(tape.gradient(loss, p.tables))


def the_lookup_is_in_a_loop(p):
    with tf.GradientTape() as tape:
        _, loss = tf.while_loop(
            lambda i, _: i < 3, lambda i, total: (i + 1, total + p.loss()), [0, 0.0]
        )
    p.apply(tape.gradient(loss, p.tables))


def the_lookup_is_in_a_function_of_its_own(p):
    if not hasattr(p, "function"):
        p.function = tf.function(p.loss)
    with tf.GradientTape() as tape:
        loss = p.function()
    gradients = tape.gradient(loss, p.tables)
    for table in p.tables:
        table.assign(0.5 * table)
    p.apply(gradients)


PROGRAMS = [
    weights_move_to_the_worst_and_back,
    rows_change_before_the_step,
    two_optimizers_of_two_losses,
    two_optimizers_of_a_persistent_tape,
    a_persistent_tape_is_asked_again_after_the_step,
    each_optimizer_has_a_table,
    a_gradient_is_applied_twice,
    a_gradient_is_read_after_the_step,
    the_layer_is_looked_up_twice,
    gradients_add_up_over_two_batches,
    the_weights_of_ids_are_trained_too,
    the_step_is_taken_in_a_branch,
    the_lookup_is_in_a_branch,
    the_lookup_is_in_a_loop,
    the_lookup_is_in_a_function_of_its_own,
]


@pytest.mark.few(6)
@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_late_gradients_are_those_of_the_plain_ops(program, in_graph):
    found = {}
    for mode in ("reference", "native"):
        with use(mode):
            p = Parts()
            step = tf.function(lambda p=p: program(p)) if in_graph else lambda p=p: program(p)
            for _ in range(3):
                step()
        found[mode] = [np.asarray(v) for v in (*p.tables, p.weights, p.seen)]
    for ours, plain in zip(found["native"], found["reference"], strict=True):
        np.testing.assert_allclose(ours, plain, rtol=2e-4, atol=2e-5)
    assert np.abs(found["native"][0] - np.asarray(Parts().tables[0])).max() > 1e-4


def test_a_gradient_that_its_update_has_overwritten_is_refused():
    """It is read in another graph than it was applied in, where nobody can order the two."""
    p = Parts()

    @tf.function
    def step():
        gradients = p.gradients()

        def apply():
            p.apply(gradients)
            return 0

        with tf.control_dependencies([tf.cond(p.seen < 1.0, apply, lambda: 0)]):
            seen = tf.identity(p.seen)

        def read():
            return tf.reduce_sum(tf.convert_to_tensor(gradients[0]))

        return tf.cond(seen < 1.0, read, lambda: 0.0)

    with (
        use("native"),
        pytest.raises(tf.errors.FailedPreconditionError, match="must be read before it is applied"),
    ):
        step()


@pytest.mark.parametrize("optimizer", ["ours", "keras"])
def test_a_plain_step_copies_no_table(optimizer):
    """Its buffer stays where it is, whatever writes to it."""
    p = Parts()
    if optimizer == "keras":
        p.optimizers[0] = keras.optimizers.SGD(RATE)
        p.optimizers[0].build(p.trained)
    places = []
    with use("native"):
        step = tf.function(lambda: p.apply(p.gradients()))
        for _ in range(4):
            step()
            # After TensorFlow's sparse updates a reader would get a copy; a lookup ends that.
            p.loss()
            places.append([table.read_value()._numpy().ctypes.data for table in p.tables])
    assert places[1] == places[2] == places[3]


def test_a_step_of_fit_is_that_of_plain_ops_with_ragged_ids():
    ids = tf.ragged.constant([[1, 2, 2], [], [49]], dtype=tf.int32)
    results = []
    for mode in ("reference", "native"):
        keras.utils.set_random_seed(2)
        layer = MEmComEmbedding(50, 4, num_buckets=7, combiner="sum")
        layer.build(None)
        optimizer = SGD(0.1)
        optimizer.build(layer.trainable_variables)
        tables = [as_tf_variable(v) for v in layer.trainable_variables]

        @tf.function
        def step(layer=layer, tables=tables, optimizer=optimizer):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.sin(layer(ids, training=True)))
            gradients = tape.gradient(loss, tables)
            tables[1].assign(tf.zeros_like(tables[1]))
            optimizer.apply_gradients(zip(gradients, layer.trainable_variables, strict=True))

        with use(mode):
            step()
        results.append([np.asarray(table) for table in tables])
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-6)
