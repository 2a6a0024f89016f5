"""Where a model has a number, its file has that number: at 0, tiny, huge and masked inputs.

Held against Keras on XNNPACK, which phones run, and on the runtime's plain kernels, which have no
infinity, and keep what underflows: such inputs are compared on XNNPACK alone.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.tflite.stable import floor_div, with_stable_numbers
from memcom_tf.converters.tracing.frozen import FrozenFunction

layers, activations = keras.layers, keras.activations
WIDTH = 8
KERNELS = {
    "XNNPACK": OpResolverType.AUTO,
    "plain": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}
ACTIVATIONS = (
    "elu selu softplus softsign silu swish gelu relu relu6 leaky_relu tanh sigmoid exponential "
    "hard_sigmoid hard_silu mish log_sigmoid log_softmax softmax celu glu hard_shrink hard_tanh "
    "soft_shrink sparse_plus sparse_sigmoid squareplus tanh_shrink"
)
NORMALIZATIONS = (
    "UnitNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "BatchNormalization",
)
OVERFLOWS, UNDERFLOWS = 1e18, 1e-18
"""Squares of what is larger are not finite; of what is smaller they are 0 to TensorFlow."""


def rows():
    rng = np.random.default_rng(0)
    sizes = [0, 1e-20, 2e-38, 3e-30, 1e4, 1e20, 3e38, -1e-20, -1e4, -3e38]
    edges = [
        [0, 1e-20, 2e-38, 1e-30, 1, -1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 1],
        [-1, -2, -3, -4, -5, -6, -7, -8],
        [88, 89, 100, -88, -104, -150, 5, 0],
        [0.5, -0.5, 1.5, 2.5, -1.5, -2.5, 100, -100],
    ]
    drawn = [scale * rng.normal(size=(3, WIDTH)) for scale in (1, 1e-3, 30)]
    return np.concatenate([[[size] * WIDTH for size in sizes], edges, *drawn]).astype(np.float32)


def mirrored(x):
    return x[..., ::-1]


def sequence(x):
    return tf.reshape(x, [-1, WIDTH // 2, 2])


def known(x):
    return sequence(x)[..., 0] > 0


@cache
def made(name, *arguments):
    """A layer, whose variables are made once."""
    return getattr(layers, name)(*arguments)


def functions():
    found = {name: getattr(activations, name, None) for name in ACTIVATIONS.split()}
    found |= {
        f"tf.{f.__name__}": f
        for f in (tf.exp, tf.sqrt, tf.square, tf.abs, tf.sign, tf.floor, tf.math.log, tf.math.rsqrt)
    }
    found |= {f"tf.{f.__name__}": f for f in (tf.math.log1p, tf.math.expm1, tf.math.softplus)}
    found |= {
        f"tf.{f.__name__}": lambda x, f=f: f(x, axis=-1)
        for f in (tf.reduce_logsumexp, tf.math.reduce_std, tf.math.reduce_variance, tf.norm)
    }
    found |= {
        f"tf.{f.__name__}": lambda x, f=f: f(x, mirrored(x))
        for f in (tf.math.divide_no_nan, tf.math.multiply_no_nan, tf.math.divide, tf.math.xlogy)
    }
    found |= {
        "floor division": lambda x: tf.math.floordiv(x, mirrored(x)),
        "remainder": lambda x: tf.math.floormod(x, 3.0),
        "l2_normalize": lambda x: tf.math.l2_normalize(x, -1),
        "cosine": lambda x: tf.reduce_sum(
            tf.math.l2_normalize(x, -1) * tf.math.l2_normalize(mirrored(x), -1), -1
        ),
        "power of 0.5": lambda x: tf.abs(x) ** 0.5,
        "power of -0.5": lambda x: tf.minimum(tf.abs(x) ** -0.5, 1e12),
        "inverse norm, bounded": lambda x: (
            x * tf.minimum(1.0 / tf.norm(x, axis=-1, keepdims=True), 1e6)
        ),
        "norm, bounded": lambda x: x / tf.maximum(tf.norm(x, axis=-1, keepdims=True), 1e-6),
        "norm, shifted": lambda x: x / (tf.norm(x, axis=-1, keepdims=True) + 1e-6),
        "norm or 0": lambda x: tf.math.divide_no_nan(x, tf.norm(x, axis=-1, keepdims=True)),
        "masked softmax": lambda x: layers.Softmax()(x, mask=x > 0),
        "mean of pairs": lambda x: layers.AveragePooling1D(2)(sequence(x)),
        "mean of a sequence": lambda x: layers.GlobalAveragePooling1D()(sequence(x)),
        "mean of the known": lambda x: layers.GlobalAveragePooling1D()(sequence(x), mask=known(x)),
        "largest of a sequence": lambda x: layers.GlobalMaxPooling1D()(sequence(x)),
        "attention": lambda x: layers.Attention()([sequence(x)] * 2),
        "masked attention": lambda x: layers.Attention()([sequence(x)] * 2, mask=[known(x)] * 2),
        "additive attention": lambda x: made("AdditiveAttention")([sequence(x)] * 2),
        "cosine loss": lambda x: keras.losses.cosine_similarity(x, mirrored(x)),
        "Dot": lambda x: layers.Dot(-1, normalize=True)([x, mirrored(x)]),
        "GroupNormalization": lambda x: made("GroupNormalization", 2)(x),
    }
    found |= {
        name: lambda x, name=name: made(name)(x)
        for name in (*NORMALIZATIONS, "PReLU", "ReLU", "LeakyReLU", "ELU")
        if hasattr(layers, name)
    }
    found |= {
        name: lambda x, name=name: made(name)([x, mirrored(x)])
        for name in ("Average", "Maximum", "Minimum", "Multiply", "Subtract", "Add", "Concatenate")
    }
    if is_keras_3:
        ops = keras.ops
        found |= {
            "ops.normalize": lambda x: ops.normalize(x, axis=-1),
            "ops.norm": lambda x: ops.norm(x, axis=-1),
            "ops.logaddexp": lambda x: ops.logaddexp(x, mirrored(x)),
            "ops.rsqrt": ops.rsqrt,
            "ops.mod": lambda x: ops.mod(x, 3.0),
        }
    return {name: f for name, f in found.items() if f is not None}


FUNCTIONS = functions()


def converted(compute):
    """Outputs of a function in Keras, and of what the converter writes of it, on each kernel."""
    inputs = rows()
    signature = [tf.TensorSpec([None, WIDTH], tf.float32, name="x")]
    # At first eagerly, which makes the variables of layers.
    wanted = {name: np.array(values) for name, values in compute(tf.constant(inputs)).items()}
    function = tf.function(compute, input_signature=signature, autograph=False)
    frozen = FrozenFunction(function.get_concrete_function(), {})
    module = tf.Module()
    module.function = with_stable_numbers(frozen.original().get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.function], module)
    content = converter.convert()
    found = {}
    for kernels, resolver in KERNELS.items():
        interpreter = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
        found[kernels] = interpreter.get_signature_runner()(x=inputs)
    return wanted, found


def check(wanted, found, name, kernels):
    inputs = rows()
    compared = np.isfinite(wanted)
    if kernels == "plain":
        sizes = np.where(inputs == 0, 1, np.abs(inputs))
        usual = (sizes.max(axis=1) < OVERFLOWS) & (sizes.min(axis=1) > UNDERFLOWS)
        compared &= usual.repeat(len(wanted) // len(usual)).reshape(-1, *[1] * (wanted.ndim - 1))
    # A difference of large numbers is as exact as they are.
    largest = np.abs(inputs).max(axis=1).repeat(len(wanted) // len(inputs))
    largest = np.minimum(largest, 1e4).reshape(-1, *[1] * (wanted.ndim - 1))
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(found - wanted) <= 1e-5 * np.abs(wanted) + 1e-6 * np.maximum(1, largest)
    wrong = compared & ~near
    assert not wrong.any(), f"{name} on {kernels}: {found[wrong][:5]}, not {wanted[wrong][:5]}"


def test_all_in_one_graph():
    names = {f"o{place:03}": name for place, name in enumerate(FUNCTIONS)}
    wanted, found = converted(lambda x: {key: FUNCTIONS[name](x) for key, name in names.items()})
    for kernels, outputs in found.items():
        for key, name in names.items():
            check(wanted[key], outputs[key], name, kernels)


@pytest.mark.long
@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_alone(name):
    wanted, found = converted(lambda x: {"y": FUNCTIONS[name](x)})
    for kernels, outputs in found.items():
        check(wanted["y"], outputs["y"], name, kernels)


def test_an_empty_history_of_a_two_tower_model(tmp_path):
    """The unit vector of zeros is zeros, and its cosine 0."""
    history = keras.Input((5,), dtype="int32", name="history")
    item = keras.Input((), dtype="int32", name="item")
    known_ids = layers.Lambda(lambda x: tf.cast(x > 0, tf.float32)[..., None])(history)
    pooled = layers.Lambda(lambda x: tf.reduce_sum(x[0] * x[1], 1))(
        [layers.Embedding(300, 16)(history), known_ids]
    )
    unit = layers.UnitNormalization()(pooled)
    cosine = layers.Dot(1, normalize=True)([pooled, layers.Embedding(300, 16)(item)])
    model = keras.Model([history, item], {"unit": unit, "cosine": cosine})
    convert(model, verify=False).save(tmp_path / "model.tflite")
    file = CompressedModelFile(tmp_path / "model.tflite")
    empty = {"history": np.zeros((1, 5), np.int32), "item": np.array([7], np.int32)}
    found = file.run("serving_default", **empty)
    assert not found["unit"].any()
    assert not found["cosine"].any()


@pytest.mark.parametrize("kernels", KERNELS)
def test_division_of_int64_is_exact(kernels):
    rng = np.random.default_rng(0)
    divisors = np.concatenate(
        [rng.integers(1, 2**bits, 2000) for bits in (2, 7, 31, 62)]
        + [-rng.integers(1, 2**33, 2000)]
    )
    rng.shuffle(divisors)
    numbers = [rng.integers(-(2**bits), 2**bits, len(divisors)) for bits in (7, 31, 40, 62)]
    multiples = [divisors * 3 + offset for offset in (-1, 0, 1)]
    x, y = np.concatenate([*numbers, *multiples]), np.tile(divisors, 7)
    x, y = x[np.abs(x) < 2**62], y[np.abs(x) < 2**62]
    specs = [tf.TensorSpec([None], tf.int64, name=name) for name in "xy"]
    module = tf.Module()
    module.function = tf.function(floor_div, input_signature=specs).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.function], module)
    interpreter = Interpreter(
        model_content=converter.convert(), experimental_op_resolver_type=KERNELS[kernels]
    )
    (found,) = interpreter.get_signature_runner()(x=x, y=y).values()
    np.testing.assert_array_equal(found, x // y)


@pytest.mark.parametrize("from_folder", [False, True])
def test_arithmetic_of_int64_ids_of_a_model(from_folder, tmp_path):
    """Quotient and remainder tables, as models have them of their own; 2^32 + 5 is not 5."""

    @keras.saving.register_keras_serializable("tests")
    class Parts(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.high = layers.Embedding(40, 32, name="high")
            self.low = layers.Embedding(50, 32, name="low")

        def build(self, shape):
            self.high.build(shape)
            self.low.build(shape)
            super().build(shape)

        def call(self, ids):
            return self.high(ids // 50) + self.low(ids % 50)

    ids = keras.Input((3,), dtype="int64", name="ids")
    model = keras.Model(ids, Parts()(ids))
    if from_folder and is_keras_3:
        model.export(tmp_path / "saved", verbose=False)
    elif from_folder:
        model.save(tmp_path / "saved")
    source = tmp_path / "saved" if from_folder else model
    convert(source, weights="float32", verify=False).save(tmp_path / "model.tflite")
    file = CompressedModelFile(tmp_path / "model.tflite")
    given = np.arange(1998).reshape(-1, 3)
    (found,) = file.run("serving_default", ids=given).values()
    np.testing.assert_allclose(found, np.array(model(given)), atol=1e-6)
    for outside in (2000, 2**32 + 5, 2**40):
        with pytest.raises(ValueError, match="The runtime must accept the input"):
            file.run("serving_default", ids=np.array([[1, 2, outside]]))
