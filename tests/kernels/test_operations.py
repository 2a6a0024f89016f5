"""Every operation of `Ops` in every version, on random shapes: held against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from memcom_tf.converters.quantization.bounds import BallOps
from memcom_tf.converters.quantization.quantize import quantize_table
from memcom_tf.converters.tracing.graph_ops import QuantizedOps, unknown_zero
from memcom_tf.converters.tracing.signatures import MarkingOps
from memcom_tf.kernels.program import ProgramTracer
from memcom_tf.ops.balls import Ball
from memcom_tf.ops.interface import Ops, UnsupportedOpError
from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.ops.operations import OPERATIONS, Version, names_of_operations
from memcom_tf.ops.quantization_aware import QuantizationAwareOps, RoundedTable
from memcom_tf.ops.reference import ReferenceOps
from memcom_tf.tables import Table

VERSIONS = [NumpyOps, ReferenceOps, QuantizationAwareOps, MarkingOps, BallOps, ProgramTracer]
NUMPY, BALLS = NumpyOps(), BallOps()
SEEDS = range(3)


def floats(rng, *shape):
    return rng.normal(0, 2, shape).astype(np.float32)


def sizes(rng, count):
    return rng.integers(2, 6, count).tolist()


def samples(name, rng):
    """Arguments of an operation: what are arrays is computed with, the rest is constant."""
    b, n, k, d = sizes(rng, 4)
    x, same = floats(rng, b, n, d), floats(rng, b, n, d)
    return {
        "sum": lambda: (x,),
        "concat": lambda: ([x, floats(rng, b, n, k)],),
        "reshape": lambda: (x, (-1, d)),
        "unflatten": lambda: (floats(rng, b, n * d), (n, d)),
        "tile": lambda: (x[0], 3),
        "gather_columns": lambda: (x[0], rng.integers(0, d, 7).astype(np.int32)),
        "batch_matmul": lambda: (x, floats(rng, b, d, k)),
        "minimum": lambda: (rng.integers(0, 9, (b, n)).astype(np.int32), 4),
        "maximum": lambda: (x, same),
        "where": lambda: (x > 0, x, same if rng.random() < 0.5 else 0.25),
        "arange": lambda: (n * d,),
        "top_k": lambda: (rng.permutation(20).astype(np.float32), k),
        "argmin": lambda: (x,),
        "to_int32": lambda: (rng.integers(-9, 2**20, (b, n)).astype(np.int64),),
        "to_float": lambda: (rng.integers(-9, 2**20, (b, n)).astype(np.int32),),
        "stop_gradient": lambda: (x,),
        "relu": lambda: (x,),
        "sigmoid": lambda: (4 * x,),
        "softplus": lambda: (4 * x,),
        "tanh": lambda: (x,),
    }[name]()


def computed(ops, name, arguments):
    return np.asarray(getattr(ops, name)(*arguments))


def arrays_of(arguments):
    """The arguments that are arrays, and how they are put back among the others."""
    flat = [x for value in arguments for x in (value if isinstance(value, list) else [value])]
    arrays = [x for x in flat if isinstance(x, np.ndarray)]

    def put(given):
        waiting = iter(given)

        def one(x):
            return next(waiting) if isinstance(x, np.ndarray) else x

        return [[one(x) for x in v] if isinstance(v, list) else one(v) for v in arguments]

    return arrays, put


every_operation = pytest.mark.parametrize("name", OPERATIONS)
every_seed = pytest.mark.parametrize("seed", SEEDS)


@pytest.mark.parametrize("version", [*VERSIONS, QuantizedOps], ids=lambda v: v.__name__)
def test_a_version_has_every_operation_or_says_which_it_lacks(version):
    assert set(OPERATIONS) < set(names_of_operations())
    for name in names_of_operations():
        assert getattr(version, name) is not getattr(Ops, name)
        if name in version.lacking:
            with pytest.raises(UnsupportedOpError, match=version.lacking[name]):
                getattr(version, name)()


def test_a_version_that_forgets_an_operation_cannot_be_made():
    with pytest.raises(TypeError, match=r"Forgetful must have, or lack.*gather.*extremes"):

        class Forgetful(Version, arrays="numpy"):
            pass


@every_operation
@every_seed
def test_tensorflow(name, seed):
    arguments = samples(name, np.random.default_rng(seed))
    wanted = computed(NUMPY, name, arguments)
    found = computed(ReferenceOps(), name, arguments)
    assert found.shape == wanted.shape and found.dtype.kind == wanted.dtype.kind
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@every_operation
@every_seed
def test_files(name, seed):
    """Of unknown batch, on the runtime."""
    arguments = samples(name, np.random.default_rng(seed))
    arrays, put = arrays_of(arguments)
    given = arrays or [np.zeros(1, np.int32)]
    specs = [
        tf.TensorSpec([None, *x.shape[1:]] if x.ndim > 1 else x.shape, x.dtype, name=f"x{i}")
        for i, x in enumerate(given)
    ]

    @tf.function(input_signature=specs, autograph=False)
    def run(*inputs):
        ops = QuantizedOps(unknown_zero(inputs[0]))
        return {"found": getattr(ops, name)(*put(inputs if arrays else []))}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([run.get_concrete_function()])
    interpreter = Interpreter(model_content=converter.convert())
    places = {x["name"].partition(":")[0][-2:]: x["index"] for x in interpreter.get_input_details()}
    for number, x in enumerate(given):
        interpreter.resize_tensor_input(places[f"x{number}"], x.shape)
    interpreter.allocate_tensors()
    for number, x in enumerate(given):
        interpreter.set_tensor(places[f"x{number}"], x)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    wanted = computed(NUMPY, name, arguments)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def balls_around(rng, x):
    """A ball, and float32 numbers in it, at its edge as often as within."""
    radius = np.abs(rng.normal(0, 0.1, x.shape))
    within = np.clip(rng.uniform(-2, 2, (50, *x.shape)), -1, 1)
    numbers = (x + radius * within).astype(np.float32)
    # float32 rounds the numbers themselves.
    return Ball(x.astype(np.float64), radius + 2.0**-23 * (np.abs(x) + radius)), numbers


def assert_within(ball, numbers):
    gaps = np.abs(numbers - ball.middle)
    assert (gaps <= ball.radii).all(), (gaps / np.maximum(ball.radii, 1e-30)).max()
    # A ball that is much too large says nothing.
    assert (gaps / np.maximum(ball.radii, 1e-30)).max() > 0.05


@every_operation
@every_seed
def test_balls_hold_what_is_computed_of_any_numbers_in_them(name, seed):
    rng = np.random.default_rng(seed)
    arrays, put = arrays_of(samples(name, rng))
    if name in BallOps.lacking:
        with pytest.raises(UnsupportedOpError):
            getattr(BALLS, name)(*put(arrays))
        return
    drawn = [balls_around(rng, x) if x.dtype == np.float32 else (x, [x] * 50) for x in arrays]
    ball = getattr(BALLS, name)(*put([one for one, _ in drawn]))
    found = [computed(NUMPY, name, put(x)) for x in zip(*[y for _, y in drawn], strict=True)]
    if isinstance(ball, Ball):
        assert_within(ball, np.array(found))
    else:  # nothing was inexact
        np.testing.assert_array_equal(ball, computed(NUMPY, name, put(arrays)))


ARITHMETIC = {
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "x * y": lambda x, y: x * y,
    "2 - x": lambda x, y: 2.0 - x,
    "x - 2": lambda x, y: x - 2.0,
    "-x": lambda x, y: -x,
    "array * x": lambda x, y: np.array([0.5, -1.5], np.float32)[:, None, None] * x[None],
    "x[..., 0]": lambda x, y: x[..., 0],
    "a product of differences": lambda x, y: (x - y) * (x + y) - x * x,
}


@pytest.mark.parametrize("compute", ARITHMETIC.values(), ids=ARITHMETIC)
@every_seed
def test_arithmetic_of_balls(compute, seed):
    rng = np.random.default_rng(seed)
    (x, in_x), (y, in_y) = (balls_around(rng, floats(rng, 3, 4)) for _ in range(2))
    numbers = np.array([compute(a, b) for a, b in zip(in_x, in_y, strict=True)])
    assert_within(compute(x, y), numbers)


@pytest.mark.parametrize(
    "compute", [lambda x: x / 2, lambda x: 1 / x, lambda x: x > 0, lambda x: x // 2, abs]
)
def test_what_balls_do_not_know_is_said(compute):
    with pytest.raises(UnsupportedOpError, match="known up to an error"):
        compute(Ball(np.ones(3), np.ones(3)))


READS = {
    "gather": lambda xp, t, x: xp.gather(t, np.array([[3, 0], [6, 6]])),
    "values": lambda xp, t, x: xp.values(t),
    "matmul": lambda xp, t, x: xp.matmul(x, t),
    "scores": lambda xp, t, x: xp.scores(xp.matmul(x, t), t),
}
STORAGES = ["int8_per_row", "int8_per_table", "int4_per_row", "int2_midtread_per_row", "float16"]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("storage", STORAGES)
def test_reads_of_tables(read, storage):
    rng = np.random.default_rng(0)
    declared = Table("t", 7, 6, storage=storage)
    trained, x = floats(rng, 7, 6), floats(rng, 2, 7)
    stored = quantize_table(declared, trained)
    wanted = READS[read](NUMPY, stored.dequantized(), x)
    np.testing.assert_allclose(READS[read](ReferenceOps(), stored.dequantized(), x), wanted, 1e-5)
    ball = READS[read](BALLS, stored, x.astype(np.float64))
    assert (np.abs(READS[read](NUMPY, trained, x) - ball.middle) <= ball.radii).all()
    np.testing.assert_allclose(ball.middle, wanted, rtol=1e-4, atol=1e-5)

    @tf.function(autograph=False)
    def quantized():
        return READS[read](QuantizedOps(tf.constant(0)), stored, tf.constant(x))

    found = quantized()
    if (storage, read) == ("int8_per_table", "scores"):  # the scale is the tensor's in the file
        found = found * stored.scale[0, 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    if storage != "float16" and "midtread" not in storage and str(stored.storage) == storage:
        rounded = RoundedTable(tf.constant(trained), declared)
        found = READS[read](QuantizationAwareOps(), rounded, tf.constant(x))
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_columns_of_codes():
    declared = Table.of_codes("c", 9, 3, num_codes=11, initializer="zeros")
    codes = np.random.default_rng(0).integers(0, 11, (9, 3))
    stored = quantize_table(declared, codes)
    for index in range(3):
        for ops, table in [(NUMPY, codes), (BALLS, stored), (QuantizedOps(tf.constant(0)), stored)]:
            np.testing.assert_array_equal(ops.column(table, index), codes[:, index])
