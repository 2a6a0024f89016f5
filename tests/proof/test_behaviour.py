"""Whole models: a file of other answers never passes, and a model's own file does."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf import MEmComEmbedding
from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert, verify
from memcom_tf.converters.preparation import trained_model
from memcom_tf.converters.preparation.prepared import prepare
from memcom_tf.converters.proof.result import Verification
from memcom_tf.converters.proof.verification import _verify

layers = keras.layers
ITEMS = 900
WITH_PRICE = {
    "history": tf.TensorSpec([None, 4], tf.int32, name="history"),
    "price": tf.TensorSpec([None, 1], tf.float32, name="price"),
}


class Argmax(layers.Layer):
    def call(self, x):
        return tf.argmax(x, axis=-1, output_type=tf.int32)


class TopK(layers.Layer):
    def call(self, x):
        return tf.math.top_k(x, 5).indices


def pooled(width=32):
    history = keras.Input((8,), dtype="int32", name="history")
    table = layers.Embedding(ITEMS, width, embeddings_initializer="normal", name="items")
    return history, layers.GlobalAveragePooling1D()(table(history))


def two_heads():
    """A click of half a percent beside a revenue of thousands."""
    history, x = pooled()
    hidden = layers.Dense(40, activation="relu", name="hidden")(x)
    rare = keras.initializers.Constant(-5.0)
    click = layers.Dense(1, activation="sigmoid", bias_initializer=rare, name="click")(hidden)
    revenue = layers.Rescaling(1e4)(layers.Dense(1, name="revenue")(hidden))
    return keras.Model(history, {"click": click, "revenue": revenue})


def classes():
    history, x = pooled()
    return keras.Model(history, Argmax()(layers.Dense(40, name="scores")(x)))


def twins():
    """Ids of a top k in which every item has a twin of the same vector."""
    history, x = pooled()
    vectors = np.repeat(np.random.default_rng(0).normal(size=(30, 32)), 2, axis=0)
    scores = layers.Dense(60, use_bias=False, name="scores")
    model = keras.Model(history, TopK()(scores(x)))
    scores.set_weights([vectors.T])
    return model


MODELS = {
    "two heads": (two_heads, "click"),
    "classes": (classes, "scores"),
    "twins": (twins, "scores"),
}


def behaviour(model, path):
    """The proof without its comparison of the content: behaviour has to find it, too."""
    file = CompressedModelFile(path)
    found = Verification()
    prepared = prepare(
        model, weights="int8", profile="portable", inputs=None, k=10, described=file.description
    )
    _verify(found, prepared, file, None)
    return [check for check in found.checks if not check.passed and "tables" not in check.name]


@pytest.mark.few(2)
@pytest.mark.parametrize("name", MODELS)
def test_other_answers_are_found_in_every_output(name, tmp_path):
    make, layer = MODELS[name]
    keras.utils.set_random_seed(0)
    model = make()
    conversion = convert(model)
    assert conversion.verification.passed, conversion.verification
    conversion.save(tmp_path / "model.tflite")
    assert not behaviour(model, tmp_path / "model.tflite")
    weights = model.get_layer(layer).get_weights()
    other = [weights[0] * -1.0 if name != "two heads" else weights[0] * 0.0, *weights[1:]]
    model.get_layer(layer).set_weights(other)
    failed = behaviour(model, tmp_path / "model.tflite")
    assert failed
    if name == "two heads":
        assert all("click" in check.name for check in failed)


def price_beside_item(scale):
    item = keras.Input((), dtype="int32", name="item")
    price = keras.Input((1,), name="price")
    joined = layers.Concatenate()(
        [layers.Embedding(ITEMS, 31, "normal", name="items")(item), price]
    )
    hidden = layers.Dense(64, activation="relu", name="hidden")(joined)
    model = keras.Model([item, price], layers.Dense(1)(hidden))
    kernel, bias = model.get_layer("hidden").get_weights()
    kernel[31] *= scale
    model.get_layer("hidden").set_weights([kernel, bias])
    return model


def test_a_kernel_that_loses_the_items_beside_a_price_stays_floats(tmp_path):
    keras.utils.set_random_seed(0)
    model = price_beside_item(1e-4)
    conversion = convert(model)
    assert conversion.verification.passed
    (reason,) = conversion.report["left_as_floats"].values()
    assert reason.startswith("8-bit products lose")
    conversion.save(tmp_path / "model.tflite")
    ids, prices = np.arange(500, dtype=np.int32), np.full((500, 1), 19_999, np.float32)
    found = CompressedModelFile(tmp_path / "model.tflite").run(
        "serving_default", item=ids, price=prices
    )
    wanted = model.predict_on_batch([ids, prices])
    assert np.abs(found["output_0"] - wanted).max() < 0.1 * wanted.std()
    assert verify(model, tmp_path / "model.tflite").passed


@pytest.mark.few(1)
@pytest.mark.parametrize("last", [None, Argmax])
def test_what_little_losses_take_of_a_difference_is_judged_at_its_end(last):
    keras.utils.set_random_seed(0)
    history, x = pooled()
    first, second = (layers.Dense(40, name=name) for name in ("first", "second"))
    # Of one query both would round alike, and the difference would lose nothing.
    scores = layers.Subtract()([first(x), second(layers.Rescaling(1.0, offset=0.02)(x))])
    model = keras.Model(history, last()(scores) if last else scores)
    kernel, bias = first.get_weights()
    moved = kernel + 0.002 * np.random.default_rng(0).normal(size=kernel.shape)
    second.set_weights([moved, bias - 0.02 * moved.sum(axis=0)])
    conversion = convert(model)
    assert conversion.verification.passed
    reasons = conversion.report["multiplied_in_floats"].values()
    assert reasons
    of = "the scores behind output_0" if last else "output_0"
    assert all(f"of the spread of {of} (" in reason for reason in reasons)


def test_samples_say_that_the_price_is_small(tmp_path):
    """And a file is verified as it was decided, with samples or without."""
    keras.utils.set_random_seed(0)
    model = price_beside_item(1.0)
    rng = np.random.default_rng(0)
    samples = {
        "item": rng.integers(0, ITEMS, 100),
        "price": rng.uniform(0, 0.2, (100, 1)).astype(np.float32),
    }
    conversion = convert(model, samples=samples)
    assert conversion.verification.passed
    assert not conversion.report["multiplied_in_floats"]
    conversion.save(tmp_path / "model.tflite")
    assert verify(model, tmp_path / "model.tflite", samples=samples).passed


def test_a_table_that_is_looked_up_and_multiplied_is_multiplied_as_floats(tmp_path):
    """It ships once, in integers, where its products in 8 bits would lose the items."""

    class Tied(keras.Model):
        def __init__(self):
            super().__init__(name="tied")
            self.items = layers.Embedding(ITEMS, 16, "normal", name="items")

        def call(self, inputs):
            query = tf.reduce_mean(self.items(inputs["history"]), axis=1)
            query = tf.concat([query[:, :15], inputs["price"]], axis=1)
            return tf.matmul(query, tf.convert_to_tensor(self.items.embeddings), transpose_b=True)

    keras.utils.set_random_seed(0)
    model = Tied()
    model({name: tf.zeros([1, *spec.shape[1:]], spec.dtype) for name, spec in WITH_PRICE.items()})
    conversion = convert(model, inputs=WITH_PRICE)
    assert conversion.verification.passed, conversion.verification
    assert list(conversion.report["multiplied_in_floats"]) == [
        name for name in conversion.report["multiplied_in_floats"] if "items" in name
    ]
    assert conversion.report["multiplied_in_floats"]
    assert conversion.report["embeddings"][0]["tables"][0]["bits"] == 8
    conversion.save(tmp_path / "model.tflite")
    assert verify(model, tmp_path / "model.tflite", inputs=WITH_PRICE).passed


def test_scores_of_our_layers_are_multiplied_as_floats_where_8_bits_lose_the_query(tmp_path):
    """`score_all` beside a price: the query has one scale, that of its largest value."""

    class Scored(keras.Model):
        def __init__(self):
            super().__init__(name="scored")
            self.items = MEmComEmbedding(ITEMS, 16, num_buckets=90, name="items")

        def call(self, inputs):
            query = tf.reduce_mean(self.items(inputs["history"]), axis=1)
            price = inputs["price"] * tf.one_hot([15], 16)
            return self.items.score_all(query + price)

    keras.utils.set_random_seed(0)
    model = Scored()
    model({name: tf.zeros([1, *spec.shape[1:]], spec.dtype) for name, spec in WITH_PRICE.items()})
    conversion = convert(model, inputs=WITH_PRICE)
    assert conversion.verification.passed, conversion.verification
    assert list(conversion.report["multiplied_in_floats"]) == ["items/shared"]
    assert conversion.report["embeddings"][0]["tables"][0]["bits"] == 8
    conversion.save(tmp_path / "model.tflite")
    assert verify(model, tmp_path / "model.tflite", inputs=WITH_PRICE).passed


def test_an_output_that_does_not_vary_proves_nothing():
    history, x = pooled(8)
    model = keras.Model(history, layers.Dense(1, kernel_initializer="zeros")(x))
    failed = [c for c in convert(model).verification.checks if not c.passed]
    assert [check.name for check in failed] == [
        "output_0: does not vary over the inputs, which proves nothing"
    ]


def test_an_output_that_follows_from_no_input_may_be_constant():
    history, x = pooled(8)

    class Version(layers.Layer):
        def call(self, x):
            return tf.constant([3])

    outputs = {"score": layers.Dense(1)(x), "version": Version()(x)}
    assert convert(keras.Model(history, outputs)).verification.passed


@pytest.mark.few(2)
@pytest.mark.parametrize("activation", ["relu", "relu6", "tanh"])
@pytest.mark.parametrize(
    "weights", ["int8", "float16", "float32", {"hidden/*": "float32", "*": "int8"}]
)
def test_empty_histories_before_a_tower_are_no_difference(activation, weights):
    """The mean of what is masked throughout is no number; a ReLU makes 0 of it here and there."""
    user = keras.Input((), dtype="int32", name="user")
    history = keras.Input((6,), dtype="int32", name="history")
    items = layers.Embedding(ITEMS, 32, mask_zero=True, name="items")(history)
    vectors = [
        layers.Embedding(200, 32, name="users")(user),
        layers.GlobalAveragePooling1D()(items),
    ]
    hidden = layers.Dense(64, activation, name="hidden")(layers.Concatenate()(vectors))
    model = keras.Model([user, history], layers.Dense(1)(hidden))
    verification = convert(model, weights=weights).verification
    assert verification.passed, verification


@pytest.mark.parametrize(("scale", "is_float"), [(1e-4, True), (1.0, False)])
def test_a_file_is_verified_as_it_was_stored(tmp_path, monkeypatch, scale, is_float):
    """Kernels that stay floats, and those that stay integers, on other inputs than decided it."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    samples = {
        "item": rng.integers(0, ITEMS, 100),
        "price": rng.uniform(0, 0.2 / scale, (100, 1)).astype(np.float32),
    }
    model = price_beside_item(scale)
    with monkeypatch.context() as patched:
        patched.setattr(trained_model, "LARGEST_PRODUCT_LOSS", 1e-6)
        conversion = convert(model, samples=samples, verify=False)
    assert "hidden/kernel" in conversion.report["multiplied_in_floats"]
    assert ("hidden/kernel" in conversion.report["left_as_floats"]) == is_float
    conversion.save(tmp_path / "model.tflite")
    assert verify(model, tmp_path / "model.tflite", samples=samples).passed
