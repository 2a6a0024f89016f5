"""What Keras' arguments of optimizers mean, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.optimizers import SGD, LazyAdam
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
    embedding_model,
    every_case,
    exact,
    examples,
    fit,
    sparse,
    stock_embedding,
    table,
    values_of,
)


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


@pytest.mark.few(1)
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


@pytest.mark.few(1)
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


@pytest.mark.long
def test_it_compiles_with_xla():
    results = []
    for jit_compile in (False, True):
        model = embedding_model(LazyAdam(RATE, clipnorm=0.5), jit_compile=jit_compile)
        fit(model)
        results.append(values_of(model.trainable_variables))
    for found, expected in zip(*results, strict=True):
        assert_close(found, expected, 1e-5)


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
