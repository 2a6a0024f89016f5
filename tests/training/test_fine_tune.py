"""Training of any compressed model after the original."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf import compress, fine_tune
from memcom_tf._keras import keras

ITEMS, WIDTH, LENGTH = 400, 8, 5


def model_of(outputs=1):
    ids = keras.Input((LENGTH,), dtype="int32")
    start = keras.initializers.RandomNormal(stddev=1.0, seed=0)
    table = keras.layers.Embedding(ITEMS, WIDTH, start, name="items")
    pooled = keras.layers.GlobalAveragePooling1D()(table(ids))
    heads = [keras.layers.Dense(1, name=f"head_{place}")(pooled) for place in range(outputs)]
    return keras.Model(ids, heads[0] if outputs == 1 else heads)


def histories(count=1500):
    return np.random.default_rng(0).integers(0, ITEMS, (count, LENGTH))


def compressed(model):
    """At half the scale of what is best, so that there is something to learn."""
    small = compress(model, ratio=5, method="HashedEmbedding").model
    for weight in small.get_layer("items").weights:
        weight.assign(weight * 0.5)
    return small


def distance(model, other, x):
    return float(np.mean((np.asarray(model(x)) - np.asarray(other(x))) ** 2))


def test_inputs_alone_bring_it_nearer_to_the_original():
    keras.utils.set_random_seed(0)
    model, x = model_of(), histories()
    small = compressed(model)
    before, weights = distance(small, model, x), model.get_weights()
    found = fine_tune(small, x, original=model, epochs=6, learning_rate=1e-2)
    assert found["epoch"] > 0 and set(found["loss"]) == set(range(7))
    assert distance(small, model, x) < 0.9 * before
    for now, then in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


def test_training_that_makes_it_worse_is_undone():
    keras.utils.set_random_seed(0)
    model, x = model_of(), histories()
    small = compressed(model)
    weights = small.get_weights()
    found = fine_tune(small, x, original=model, epochs=2, learning_rate=30.0)
    assert found["epoch"] == 0
    for now, then in zip(small.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.few(2)
@pytest.mark.parametrize("distillation", [0.0, 0.5, 1.0])
def test_the_share_of_the_original_is_as_asked(distillation):
    keras.utils.set_random_seed(0)
    model, x = model_of(), histories(40)
    small, y = compressed(model), np.ones((40, 1), np.float32)
    held_out = (x, y)
    found = fine_tune(
        small,
        x,
        y,
        original=model,
        loss="mse",
        distillation=distillation,
        validation_data=held_out,
        epochs=1,
        learning_rate=1e-12,
    )
    wanted, output = np.asarray(model(x)), np.asarray(small(x))
    of_targets = np.mean((y - output) ** 2)
    of_original = np.mean((wanted - output) ** 2) / np.var(wanted)
    expected = (1 - distillation) * of_targets + distillation * of_original
    assert found["loss"][0] == pytest.approx(expected, rel=1e-4)


def test_data_sets_and_several_outputs():
    keras.utils.set_random_seed(0)
    model, x = model_of(outputs=2), histories(600)
    small = compressed(model)
    data = tf.data.Dataset.from_tensor_slices((x[:500],)).batch(100)
    held_out = tf.data.Dataset.from_tensor_slices((x[500:],)).batch(100)
    found = fine_tune(
        small, data, original=model, validation_data=held_out, epochs=3, learning_rate=5e-3
    )
    assert found["loss"][found["epoch"]] < found["loss"][0]


def test_targets_alone():
    keras.utils.set_random_seed(0)
    model, x = model_of(), histories(500)
    y = (x[:, :1] < ITEMS // 2).astype(np.float32)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    small = compressed(model)
    found = fine_tune(small, x, y, loss=loss, epochs=4, learning_rate=1e-2)
    assert found["loss"][found["epoch"]] < found["loss"][0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "something to learn from"),
        ({"loss": "mse"}, "needs targets"),
        ({"original": True, "distillation": 2}, "distillation"),
        ({"original": True, "validation_split": 0.0}, "others to validate on"),
        ({"original": True, "epochs": 0}, "epochs"),
    ],
)
def test_what_cannot_be_learned_is_refused(arguments, words):
    model = model_of()
    if arguments.pop("original", False):
        arguments["original"] = model
    with pytest.raises(ValueError, match=words):
        fine_tune(compressed(model), histories(64), **arguments)


def test_targets_without_a_last_axis_are_those_of_their_examples():
    keras.utils.set_random_seed(0)
    x = histories(64)
    y = (x[:, 0] % 7).astype(np.float32)
    small = compressed(model_of())
    weights, losses = small.get_weights(), []
    for targets in (y, y[:, None]):
        small.set_weights(weights)
        found = fine_tune(small, x, targets, loss="mse", validation_data=(x, targets), epochs=1)
        losses.append(found["loss"][0])
    assert losses[0] == pytest.approx(losses[1])


def test_an_original_of_other_outputs_is_refused():
    with pytest.raises(ValueError, match="must have the outputs of the model"):
        fine_tune(compressed(model_of()), histories(64), original=model_of(outputs=2))


def test_a_data_set_needs_validation():
    model = model_of()
    data = tf.data.Dataset.from_tensor_slices((histories(64),)).batch(8)
    with pytest.raises(ValueError, match="validation_data"):
        fine_tune(compressed(model), data, original=model)
