"""Models of other layers than ours: their tables and kernels are found in the graph."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from packaging.version import Version

from memcom_tf import MEmComEmbedding
from memcom_tf._keras import is_keras_3, keras
from memcom_tf.converters import CompressedModelFile, convert, verify
from memcom_tf.converters.preparation.spread import errors, spread_of
from tests import random_models

USERS, ITEMS = 300, 700


def functional():
    """Several inputs of different shapes, two tables, a masked history, Dense layers."""
    user = keras.Input((), dtype="int32", name="user")
    history = keras.Input((10,), dtype="int64", name="history")
    context = keras.Input((3,), name="context")
    users = keras.layers.Embedding(USERS, 16, name="users")
    items = keras.layers.Embedding(ITEMS, 16, mask_zero=True, name="items")
    pooled = keras.layers.GlobalAveragePooling1D()(items(history))
    joined = keras.layers.Concatenate()([users(user), pooled, context])
    hidden = keras.layers.Dense(64, activation="relu", name="hidden")(joined)
    click = keras.layers.Dense(1, name="click")(hidden)
    return keras.Model([user, history, context], click, name="context")


def shared():
    """One table for two inputs, given as a dict."""
    table = keras.layers.Embedding(ITEMS, 8, name="items")
    inputs = {name: keras.Input((2,), dtype="int32", name=name) for name in ("seen", "candidate")}
    seen, candidate = (keras.layers.Flatten()(table(x)) for x in inputs.values())
    return keras.Model(inputs, {"score": keras.layers.Dot(1)([seen, candidate])})


class Tied(keras.Model):
    """Scores of all items by the table of the history: a lookup and a product."""

    def __init__(self):
        super().__init__(name="tied")
        self.items = keras.layers.Embedding(ITEMS, 16, name="items")

    def call(self, history):
        query = tf.reduce_mean(self.items(history), axis=1)
        return tf.matmul(query, tf.convert_to_tensor(self.items.embeddings), transpose_b=True)


def tied():
    model = Tied()
    model(np.zeros((1, 4), np.int32))
    return model


def with_ours():
    """A plain table beside one of ours."""
    user = keras.Input((), dtype="int32", name="user")
    item = keras.Input((), dtype="int32", name="item")
    users = keras.layers.Embedding(USERS, 16, name="users")(user)
    items = MEmComEmbedding(ITEMS, 16, num_buckets=70, name="items")(item)
    return keras.Model([user, item], keras.layers.Dot(1)([users, items]))


def sequential():
    layers = [keras.layers.Embedding(ITEMS, 16, name="items"), keras.layers.Flatten()]
    return keras.Sequential([keras.Input((5,), dtype="int32"), *layers, keras.layers.Dense(30)])


def trained(model):
    """Every weight a number of its own, and rows of different lengths."""
    rng = np.random.default_rng(5)
    for variable in model.trainable_variables:
        values = rng.normal(0.1, 0.3, variable.shape)
        if values.ndim == 2:
            values *= rng.lognormal(0, 1, (len(values), 1))
        variable.assign(values)
    return model


# Floats that are drawn would be too large beside vectors for products in 8 bits.
RNG = np.random.default_rng(0)
SAMPLES = {
    "context": {
        "user": RNG.integers(0, USERS, 64),
        "history": RNG.integers(1, ITEMS, (64, 10)),
        "context": RNG.normal(size=(64, 3)),
    }
}

MODELS = {
    "functional": (functional, None, {"users", "items", "hidden"}),
    "shared": (shared, None, {"items"}),
    "tied": (tied, tf.TensorSpec([None, 4], tf.int32, name="history"), {"items"}),
    "with_ours": (with_ours, None, {"users", "items"}),
    "sequential": (sequential, None, {"items", "dense"}),
}


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    make, inputs, names = MODELS[request.param]
    return trained(make()), inputs, names


def floats_of(content):
    """Shapes of the larger float constants of a file."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    return [
        tuple(tensor.shape)
        for graph in model.subgraphs
        for tensor in graph.tensors
        if tensor.type == schema.TensorType.FLOAT32
        and model.buffers[tensor.buffer].data is not None
        and np.prod(tensor.shape) >= 1024
    ]


@pytest.mark.few(2)
def test_tables_and_kernels_are_integers_and_the_file_is_the_model(case, tmp_path):
    model, inputs, names = case
    conversion = convert(model, inputs=inputs, samples=SAMPLES.get(model.name))
    assert conversion.verification.passed, conversion.verification
    found = {described["name"].split("_")[0] for described in conversion.report["embeddings"]}
    assert found == {name.split("_")[0] for name in names} or keras.__version__ < "3"
    assert not floats_of(conversion.content)
    assert not conversion.report["left_as_floats"]
    assert Version(conversion.report["min_runtime_version"]) <= Version("2.8")
    conversion.save(tmp_path / "model.tflite")
    assert verify(model, tmp_path / "model.tflite", inputs=inputs).passed


@pytest.mark.few(3)
@pytest.mark.parametrize("kind", ["int4", "int2", "float16", "float32"])
def test_kinds(case, kind, tmp_path):
    model, inputs, _ = case
    conversion = convert(model, inputs=inputs, weights=kind)
    assert conversion.verification.passed, conversion.verification
    # Beside hundreds of rows the graph that unpacks them counts: tables are compared.
    sizes = [
        sum(table["bytes"] for table in made.report["embeddings"])
        for made in (conversion, convert(model, inputs=inputs, verify=False))
    ]
    if kind in ("int4", "int2"):
        assert sizes[0] < sizes[1]
    if kind == "float16":
        assert not floats_of(conversion.content)
    conversion.save(tmp_path / "model.tflite")
    assert verify(model, tmp_path / "model.tflite", inputs=inputs).passed


def test_the_numbers_are_those_of_the_rounded_tables(tmp_path):
    model = trained(shared())
    convert(model).save(tmp_path / "model.tflite")
    file = CompressedModelFile(tmp_path / "model.tflite")
    table = np.array(model.get_layer("items").get_weights()[0])
    scales = np.abs(table).max(axis=1, keepdims=True) / 127
    rounded = np.round(table / scales) * scales
    seen, candidate = np.array([[0, ITEMS - 1]]), np.array([[ITEMS - 1, 3]])
    found = file.run(
        "serving_default", seen=seen.astype(np.int32), candidate=candidate.astype(np.int32)
    )["score"]
    wanted = (rounded[seen[0]] * rounded[candidate[0]]).sum()
    np.testing.assert_allclose(found.item(), wanted, rtol=1e-5)


def test_a_changed_model_fails_the_verification(tmp_path):
    model = trained(shared())
    convert(model).save(tmp_path / "model.tflite")
    layer = model.get_layer("items")
    layer.set_weights([layer.get_weights()[0] * 1.01])
    assert not verify(model, tmp_path / "model.tflite").passed


def test_a_saved_model(tmp_path):
    model = trained(functional())
    if hasattr(model, "export"):
        model.export(tmp_path / "saved")
    else:
        model.save(tmp_path / "saved")
    of_folder, of_model = convert(tmp_path / "saved"), convert(model)
    assert of_folder.verification.passed
    assert of_folder.report["signatures"] == ["serving_default"]
    sizes = [conversion.report["graph_bytes"] for conversion in (of_folder, of_model)]
    assert abs(sizes[0] - sizes[1]) < 0.02 * sizes[1]
    of_folder.save(tmp_path / "model.tflite")
    assert verify(tmp_path / "saved", tmp_path / "model.tflite").passed


def test_patterns_choose_kinds_by_name():
    model = trained(functional())
    weights = {"users/*": "int2", "hidden/*": "float32", "*": "int4"}
    conversion = convert(model, weights=weights)
    assert conversion.verification.passed
    stored = {e["name"]: e["tables"][0]["storage"] for e in conversion.report["embeddings"]}
    assert {name: storage[:4] for name, storage in stored.items()} == {
        "users": "int2",
        "items": "int4",
        "hidden": "floa",
    }
    assert conversion.report["weights"] == weights


def test_one_scale_for_the_table_saves_the_scales(tmp_path):
    model = trained(functional())
    conversions = [convert(model, weights=kind) for kind in ("int8", "int8_per_table")]
    assert all(conversion.verification.passed for conversion in conversions)
    for by_row, by_table in zip(*(c.report["embeddings"] for c in conversions), strict=True):
        saved = 4 * by_row["input_dim"] if "lookup" in by_row["method"] else 0
        assert by_row["bytes"] - by_table["bytes"] == saved
    conversions[1].save(tmp_path / "model.tflite")
    assert verify(model, tmp_path / "model.tflite").passed


def test_a_table_that_is_computed_with_is_stored_once():
    class Scaled(keras.Model):
        def __init__(self):
            super().__init__(name="scaled")
            self.items = keras.layers.Embedding(ITEMS, 16, name="items")

        def call(self, history):
            vectors = self.items(history)
            return vectors + tf.gather(tf.convert_to_tensor(self.items.embeddings) * 2.0, history)

    model = Scaled()
    model(np.zeros((1, 4), np.int32))
    conversion = convert(trained(model), inputs=tf.TensorSpec([None, 4], tf.int32))
    assert conversion.verification.passed
    # It is in the file once, in integers, and is multiplied as floats when the file runs.
    assert not conversion.report["left_as_floats"]
    assert not floats_of(conversion.content)


def test_strings_are_refused_by_name():
    title = keras.Input((), dtype="string", name="title")
    lookup = keras.layers.StringLookup(vocabulary=["a", "b"])
    strings = keras.Model(title, keras.layers.Embedding(ITEMS, 16)(lookup(title)))
    message = "dense tensor of numbers. Received: name='title', dtype='string'"
    with pytest.raises(ValueError, match=message):
        convert(strings)


def test_a_table_that_is_not_finite_is_named():
    model = trained(functional())
    layer = model.get_layer("users")
    layer.set_weights([np.full((USERS, 16), np.nan)])
    with pytest.raises(ValueError, match=r"must be finite. Received: table='users.*', row=0"):
        convert(model)


@pytest.mark.parametrize("activation", ["softplus", "log_sigmoid"])
def test_large_values_of_a_softplus(activation):
    """TensorFlow's converter alone would end them at 88."""
    ids = keras.Input((2,), dtype="int32", name="ids")
    steep = keras.layers.Embedding(ITEMS, 16, name="items")(ids) * 200.0
    model = trained(keras.Model(ids, keras.layers.Activation(getattr(tf.math, activation))(steep)))
    assert np.abs(model(np.arange(2 * 50).reshape(50, 2))).max() > 200
    assert convert(model).verification.passed


MEMORY = """
import sys
import subprocess
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def anonymous_megabytes():
    with open("/proc/self/status") as status:
        lines = [line for line in status if line.startswith("RssAnon")]
    return int(lines[0].split()[1]) / 1024


before = anonymous_megabytes()
runner = Interpreter(model_path=sys.argv[1], num_threads=1).get_signature_runner()
runner(ids=np.array([[0, 1, 99_999]], np.int32))
print(anonymous_megabytes() - before)
"""


@pytest.mark.parametrize("units", [None, 80])
def test_what_is_no_number_in_the_model_is_not_compared(units):
    """The mean of a history that is masked throughout is 0 / 0; its share is told."""
    ids = keras.Input((1,), dtype="int32", name="ids")
    table = keras.layers.Embedding(ITEMS, 16, mask_zero=True, name="items")
    outputs = keras.layers.GlobalAveragePooling1D()(table(ids))
    if units is not None:
        outputs = keras.layers.Dense(units)(outputs)
    found = convert(trained(keras.Model(ids, outputs))).verification
    assert found.passed
    (name,) = (check.name for check in found.checks if "without" in check.name)
    assert 0 < found.value(name) < 1


@pytest.mark.parametrize("value", [np.nan, 3.0])
def test_what_the_model_has_the_file_must_have(value):
    output, wanted = np.array([1.0, value, 5.0]), np.array([1.0, 2.0, np.nan])
    assert not errors(output, wanted, spread_of(wanted, 0.1)).max() <= 0.1


def test_an_output_without_any_number_proves_nothing():
    ids = keras.Input((1,), dtype="int32", name="ids")
    vectors = keras.layers.Embedding(ITEMS, 16, name="items")(ids)
    nothing = keras.layers.Lambda(lambda x: x * np.nan)(vectors)
    assert not convert(trained(keras.Model(ids, nothing))).verification.passed


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_a_loaded_table_takes_no_memory_of_its_own(kind, tmp_path):
    """Only pages of the mapped file: neither the integers nor floats are copied."""
    ids = keras.Input((3,), dtype="int32", name="ids")
    model = keras.Model(ids, keras.layers.Embedding(100_000, 64, name="items")(ids))
    convert(trained(model), weights=kind, verify=False).save(tmp_path / "model.tflite")
    assert (tmp_path / "model.tflite").stat().st_size > 3e6
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path / "model.tflite"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 2.5  # MB; the floats would be 25.6


def test_an_input_may_be_multiplied_and_returned_as_it_is():
    clicked = keras.Input((300,), name="clicked")
    scores = keras.layers.Dense(300, use_bias=False)(clicked)
    model = keras.Model(clicked, {"given": clicked, "scores": scores})
    assert convert(model).verification.passed
    assert convert(keras.Model(clicked, scores)).verification.passed


@pytest.mark.parametrize("function", ["tanh_shrink", "logistic"])
def test_what_is_left_of_a_function_may_be_as_inexact_as_the_function(function):
    left = {
        "tanh_shrink": keras.layers.Lambda(lambda x: x - tf.tanh(x)),
        "logistic": keras.layers.Lambda(lambda x: 2.0 * tf.sigmoid(x) - 1.0 - 0.5 * x),
    }[function]
    item = keras.Input((), dtype="int32", name="item")
    small = keras.initializers.RandomUniform(-0.03, 0.03)
    table = keras.layers.Embedding(ITEMS, 8, embeddings_initializer=small)
    assert convert(keras.Model(item, left(table(item)))).verification.passed


def test_tables_of_float64_are_refused_as_such():
    item = keras.Input((), dtype="int32", name="item")
    table = keras.layers.Embedding(ITEMS, 8, dtype="float64", name="items")
    with pytest.raises(ValueError, match=r"must be float32.*items/embeddings', dtype='float64'"):
        convert(keras.Model(item, table(item)))


class Noise(keras.layers.Layer):
    def call(self, x):
        return x + tf.random.normal(tf.shape(x))


def test_outputs_of_random_numbers_are_refused():
    item = keras.Input((), dtype="int32", name="item")
    noisy = Noise()(keras.layers.Embedding(ITEMS, 8)(item))
    with pytest.raises(ValueError, match=r"not from random.*RandomStandardNormal"):
        convert(keras.Model(item, noisy))


# Beside the first, products in 8 bits that lose little each and much together (59), or that were
# held against another rounding (14, 79); ids and truths that follow from what is no number (64,
# 477); outputs of which no component varies, and some are nearly 0 (43); large numbers that cancel
# out (370, 843, 1085); an output that only samples make vary (532); queries of 4 bits that lie
# halfway between two steps of 8 (183, 244, 379, 403), and single ones that do (974, 979, 1049).
OF_ANY_KIND = [0, 1, 2, 14, 43, 59, 64, 79, 183, 244, 370, 379, 403, 477, 532, 843, 974, 979, 1049]


# Of those of the trade, empty histories before a tower of floats (10002), and a row with several
# values halfway (10218).
@pytest.mark.few(2)
@pytest.mark.parametrize("seed", [*OF_ANY_KIND, 1085, *range(10_000, 10_010), 10_218])
def test_a_random_model_converts_or_is_refused_by_name(seed):
    """`python -m tests.random_models` tries as many as it is told."""
    outcome = random_models.outcome(seed)
    assert outcome == "equal" or outcome.startswith("refused: ")


@pytest.mark.skipif(not is_keras_3, reason="tf_keras leaves such a mask alone")
def test_what_a_model_itself_refuses_is_said_in_one_sentence():
    ids = keras.Input((6,), dtype="int32", name="ids")
    vectors = keras.layers.Embedding(700, 8, mask_zero=True)(ids)
    scores = keras.layers.Dense(1)(vectors)  # of another shape than the mask that it passes on
    model = keras.Model(ids, keras.layers.Softmax(axis=1)(scores))
    with pytest.raises(ValueError, match=r"its `call` raises .*Received: model=") as caught:
        convert(model)
    assert "in user code" not in str(caught.value)
