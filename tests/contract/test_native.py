"""The fused ops: every method computes, and learns, what the plain ops do."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.kernels import selection, use
from memcom_tf.kernels.program import program_of
from memcom_tf.layers import DeepHashEmbedding, PrunedEmbedding
from memcom_tf.ops.interface import UnsupportedOpError
from memcom_tf.ops.reference import ReferenceOps
from memcom_tf.optimizers import SGD, Adagrad, LazyAdam
from tests.contract.methods import (
    CASES,
    INPUT_DIM,
    OUTPUT_DIM,
    Case,
    every_method,
    fill,
    in_float64,
    name_of,
)
from tests.native import needs_native

pytestmark = needs_native

COMBINERS = [None, "sum", "mean", "sqrtn"]
ROUNDING = 2.0**-24


def variables_of(layer):
    return [v if isinstance(v, tf.Variable) else v.value for v in layer.trainable_variables]


def is_fusable(case: Case) -> bool:
    """Whether the fused ops have what its lookup does, and train what training computes."""
    if case.trains_apart:
        return False
    try:
        program_of(case.layer())
    except UnsupportedOpError:
        return False
    return True


FUSABLE = [case for case in CASES if is_fusable(case)]
every_fusable_method = pytest.mark.parametrize("case", FUSABLE, ids=name_of)


def run(mode, layer, ids, weights, upstream):
    """The vectors, and the gradients of `sum(vectors * upstream)` by tables and weights."""
    variables = variables_of(layer)
    with use(mode), tf.GradientTape() as tape:
        if weights is not None:
            tape.watch(weights)
        vectors = layer(ids) if weights is None else layer(ids, weights)
        total = tf.reduce_sum(vectors * upstream)
    wanted = variables if weights is None else [*variables, weights]
    gradients = tape.gradient(total, wanted)
    return vectors, gradients


def magnitudes(layer, ids, weights, upstream):
    """What all the summands of vectors and gradients add up to, without their signs."""
    floats = [v for v in layer.weights if v.dtype == "float32"]
    variables = [v if isinstance(v, tf.Variable) else v.value for v in floats]
    kept = [variable.numpy() for variable in variables]
    for variable in variables:
        variable.assign(tf.abs(variable))
    vectors, gradients = run("reference", layer, ids, weights, np.abs(upstream))
    for variable, value in zip(variables, kept, strict=True):
        variable.assign(value)
    return vectors, gradients


def dense(x):
    return np.asarray(tf.convert_to_tensor(x))


def assert_within_rounding(found, expected, magnitude, summands):
    """Either side is off by at most (summands + a few factors) roundings of the magnitude."""
    bound = 2 * (summands + 8) * ROUNDING * dense(magnitude)
    difference = np.abs(dense(found) - dense(expected))
    assert (difference <= bound + 1e-30).all(), (difference - bound).max()


def sized(case: Case, width: int, **kwargs):
    if case.variant.get("operation") == "concat" or case.variant.get("own_dim"):
        width = max(width, 2)
    sizes = case.method.size_range(INPUT_DIM, width, **case.variant)
    argument = case.method.size_argument
    size = {argument: sizes[len(sizes) // 5]} if argument else {}
    return fill(case.method(INPUT_DIM, width, **size, **case.variant, **kwargs))


@pytest.mark.few(28)
@every_method
@pytest.mark.parametrize("width", [1, 7, 8, 9, 63, 64, 65])
def test_vectors_and_gradients_are_those_of_the_plain_ops(case: Case, width):
    if case.method in (DeepHashEmbedding, PrunedEmbedding):
        pytest.skip("it has signs of its own, which `magnitudes` does not take away")
    rng = np.random.default_rng(width)
    length = {1: 1, 7: 0, 8: 65, 9: 64, 63: 63, 64: 130, 65: 3}[width]
    dtype = np.int32 if width % 2 else np.int64
    for combiner in COMBINERS:
        layer = sized(case, width, combiner=combiner, mask_zero=width in (8, 65))
        # A cube draws small ids often, so that rows repeat within and across bags.
        ids = (rng.random((5, length)) ** 3 * INPUT_DIM).astype(dtype)
        weights = None
        if combiner is not None and width > 8:
            weights = tf.constant(rng.uniform(0.1, 2, ids.shape), tf.float32)
        shape = tuple(layer(ids).shape)
        upstream = rng.normal(size=shape).astype(np.float32)
        expected, slopes = run("reference", layer, ids, weights, upstream)
        found, found_slopes = run("native", layer, ids, weights, upstream)
        assert found.shape == expected.shape and found.dtype == expected.dtype
        magnitude, slope_magnitudes = magnitudes(layer, ids, weights, upstream)
        inner = max(table.width for table in layer.tables())
        assert_within_rounding(found, expected, magnitude, length + inner)
        summands = ids.size + shape[-1] + inner
        for one, two, size in zip(found_slopes, slopes, slope_magnitudes, strict=True):
            if one is weights or tuple(one.shape) == tuple(ids.shape):
                # The derivative of a mean by a weight is a difference of two such sums.
                size = tf.fill(tf.shape(size), tf.reduce_sum(tf.abs(size)) + 1.0)
            assert_within_rounding(one, two, size, summands)


@pytest.mark.few(13)
@every_method
@pytest.mark.parametrize("combiner", COMBINERS)
def test_ragged_masked_and_weighted_bags(case: Case, combiner):
    layer = case.trained(combiner=combiner, mask_zero=True)
    ids = tf.ragged.constant([[3, 0, 5], [], [229] * 70 + [0], [0]], dtype=tf.int64)
    rng = np.random.default_rng(0)
    for weighted in (False, combiner is not None):
        weights = None
        if weighted:
            flat = rng.uniform(0.1, 2, ids.flat_values.shape).astype(np.float32)
            weights = ids.with_flat_values(tf.constant(flat))
        results = {}
        for mode in ("reference", "native"):
            with use(mode), tf.GradientTape() as tape:
                if weighted:
                    tape.watch(weights.flat_values)
                vectors = layer(ids, weights) if weighted else layer(ids)
                flat = vectors.flat_values if combiner is None else vectors
                total = tf.reduce_sum(flat * tf.cos(tf.range(OUTPUT_DIM, dtype=tf.float32)))
            wanted = variables_of(layer) + ([weights.flat_values] if weighted else [])
            results[mode] = [flat, *tape.gradient(total, wanted)]
            assert isinstance(vectors, tf.RaggedTensor) == (combiner is None)
        for one, two in zip(*results.values(), strict=True):
            size = np.abs(dense(two)).max() + 1e-6
            np.testing.assert_allclose(dense(one), dense(two), rtol=1e-4, atol=1e-5 * size)


@pytest.mark.few(13)
@every_method
@pytest.mark.parametrize("shape", [(), (5,), (0,), (0, 3), (2, 0), (2, 3, 4)])
def test_any_shape_of_ids(case: Case, shape):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, INPUT_DIM, shape)
    for combiner in (None, "mean") if shape else (None,):
        layer = case.trained(combiner=combiner)
        upstream = rng.normal(size=tuple(layer(ids).shape)).astype(np.float32)
        expected, slopes = run("reference", layer, ids, None, upstream)
        found, found_slopes = run("native", layer, ids, None, upstream)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        for one, two in zip(found_slopes, slopes, strict=True):
            np.testing.assert_allclose(dense(one), dense(two), rtol=1e-4, atol=1e-5)


@every_fusable_method
def test_gradients_are_unique_rows_and_repeat_exactly(case: Case):
    layer = case.trained(combiner="mean")
    ids = np.array([[1, 1, 229], [0, 100, 1]])
    upstream = np.ones((2, OUTPUT_DIM), np.float32)
    program = program_of(layer)
    first = run("native", layer, ids, None, upstream)[1]
    second = run("native", layer, ids, None, upstream)[1]
    expected = run("reference", layer, ids, None, upstream)[1]
    names = [table.name for table in layer.tables() if table.trainable]
    fused = dict(zip(names, zip(first, second, expected, strict=True), strict=True))
    for name in program.tables:
        one, two, plain = fused[name]
        assert isinstance(one, tf.IndexedSlices)
        rows = one.indices.numpy()
        assert len(set(rows)) == len(rows)
        assert set(rows) == set(plain.indices.numpy())
        np.testing.assert_array_equal(one.values, two.values)
        np.testing.assert_array_equal(rows, two.indices)


@every_fusable_method
def test_out_of_range_ids_are_named_forwards_and_backwards(case: Case):
    layer = case.trained(combiner="sum")
    for bad in (INPUT_DIM, -1):
        message = rf"\[0, {INPUT_DIM}\).*id={bad} at position 1"
        with use("native"):
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                layer(np.array([[1, bad]]), training=True)
            graph = tf.function(lambda ids, layer=layer: layer(ids, training=True))
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                graph(tf.constant([[1, bad]]))


def trained_tables(case: Case, mode, optimizer, epochs=2, **kwargs):
    """The tables after some steps of `fit`, and the losses."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((6,), dtype="int32")
    layer = case.layer(combiner="mean", **kwargs)
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    rng = np.random.default_rng(0)
    ids = (rng.random((128, 6)) ** 2 * INPUT_DIM).astype(np.int32)
    targets = (ids[:, :1] % 2).astype(np.float32)
    with use(mode):
        model.compile(optimizer(), "mse", run_eagerly=False)
        history = model.fit(ids, targets, batch_size=32, epochs=epochs, verbose=0, shuffle=False)
    return layer, model, history.history["loss"]


OPTIMIZERS = {
    "LazyAdam": lambda: LazyAdam(0.01),
    "weight_decay": lambda: LazyAdam(0.01, weight_decay=0.1),
    "clipped": lambda: LazyAdam(0.01, global_clipnorm=0.05),
    "Adagrad": lambda: Adagrad(0.05),
    "row_wise": lambda: Adagrad(0.05, row_wise=True),
    "SGD": lambda: SGD(0.1),
    "momentum": lambda: SGD(0.05, momentum=0.9),
    "nesterov": lambda: SGD(0.05, momentum=0.9, nesterov=True),
    "keras": lambda: keras.optimizers.SGD(0.1),
}


@pytest.mark.few(5)
@every_method
@pytest.mark.parametrize("optimizer", ["LazyAdam", "SGD"])
def test_fit_learns_the_same(case: Case, optimizer):
    native = trained_tables(case, "native", OPTIMIZERS[optimizer])
    plain = trained_tables(case, "reference", OPTIMIZERS[optimizer])
    np.testing.assert_allclose(native[2], plain[2], rtol=1e-4)
    for name, value in plain[0].table_values().items():
        np.testing.assert_allclose(native[0].table_values()[name], value, rtol=1e-3, atol=1e-5)


MEMCOM = next(case for case in CASES if case.method.__name__ == "MEmComEmbedding")
CODES = next(case for case in CASES if case.method.__name__ == "ResidualQuantizedEmbedding")
QR = next(case for case in CASES if case.variant.get("operation") == "mult")


@pytest.mark.few(2)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("case", [MEMCOM, QR, CODES], ids=name_of)
def test_every_optimizer_learns_the_same(case: Case, optimizer):
    """MEmCom is updated in the op that computes its gradients, the others by slices."""
    assert program_of(case.layer()).updates_in_place == (case is MEMCOM)
    native = trained_tables(case, "native", OPTIMIZERS[optimizer])
    plain = trained_tables(case, "reference", OPTIMIZERS[optimizer])
    np.testing.assert_allclose(native[2], plain[2], rtol=1e-4)
    for name, value in plain[0].table_values().items():
        np.testing.assert_allclose(native[0].table_values()[name], value, rtol=1e-3, atol=1e-5)
    slots = [model.optimizer.variables for _, model, _ in (native, plain)]
    if not callable(slots[0]):
        for one, two in zip(*slots, strict=True):
            np.testing.assert_allclose(dense(one), dense(two), rtol=1e-3, atol=1e-5)


@pytest.mark.few(1)
@every_method
def test_what_was_trained_natively_is_exported_without_custom_ops(case: Case, tmp_path):
    _, model, _ = trained_tables(case, "native", OPTIMIZERS["LazyAdam"], epochs=1)
    ids = np.arange(12, dtype=np.int32).reshape(2, 6)
    expected = model(ids)
    with use("native"):
        model.export(str(tmp_path / "exported"))
        tf.saved_model.save(model, str(tmp_path / "saved"))
        if not is_keras_3:
            model.save(str(tmp_path / "tf_keras"), save_format="tf")
    for folder in tmp_path.iterdir():
        content = (folder / "saved_model.pb").read_bytes()
        assert b"Memcom>" not in content
    loaded = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(loaded.serve(tf.constant(ids)), expected, rtol=1e-5)


PLAIN = [case for case in CASES if case not in FUSABLE and not case.trains_apart]


CODED = {
    "MultiGranularEmbedding": ("codes", "rare_codes"),
    "ProductQuantizedEmbedding": ("codes",),
    "ResidualQuantizedEmbedding": ("codes",),
    "SparseDictionaryEmbedding": ("codes",),
    **({"StaircaseEmbedding": ("rank",)} if is_keras_3 else {}),  # in its second variant
}
NOT_FUSED = {
    "ClusteredEmbedding": "it uses arange",  # its hash functions are numbers of a table
    "DeepHashEmbedding": "it indexes ids",
    "MixedDimensionEmbedding": "it compares ids",
    "PathBasedEmbedding": "it indexes vectors",
    "ROBEEmbedding": "it reads a table of kind constant",
    "TensorTrainEmbedding": "it uses unflatten",
}


def test_which_methods_read_codes_in_the_fused_ops():
    programs = {case.method.__name__: program_of(case.layer()) for case in FUSABLE}
    assert {name: found.codes for name, found in programs.items() if found.codes} == CODED


def test_which_methods_are_not_fused_and_why():
    assert {case.method.__name__ for case in PLAIN} == set(NOT_FUSED)
    for case in PLAIN:
        with pytest.raises(UnsupportedOpError, match=NOT_FUSED[case.method.__name__]):
            program_of(case.layer())


@pytest.mark.parametrize("case", PLAIN, ids=name_of)
def test_others_are_for_the_plain_ops_and_a_warning_says_so_once(case: Case, monkeypatch):
    layer = case.trained(combiner="mean")
    layer.is_adapted = True  # else there is a warning of that
    monkeypatch.setattr(selection, "_warned", set())
    ids = np.array([[1, 5, 229]])
    with use("native"):
        with pytest.warns(
            RuntimeWarning, match="trains with plain .* not one for the fused ops: it "
        ):
            first = layer(ids, training=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(layer(ids, training=True), first)


@pytest.mark.parametrize("case", [MEMCOM, CODES], ids=name_of)
def test_custom_ops_are_exported_where_that_is_asked_for(case: Case, tmp_path):
    layer = case.trained(combiner="mean")

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.int32)])
        def __call__(self, ids):
            return layer(ids)

    module = Module()
    module.layer = layer
    with use("native", in_inference=True):
        tf.saved_model.save(module, str(tmp_path))
    assert b"Memcom>Lookup" in (tmp_path / "saved_model.pb").read_bytes()
    ids = tf.constant([[1, 2, 3]])
    np.testing.assert_allclose(tf.saved_model.load(str(tmp_path))(ids), layer(ids), rtol=1e-5)


@every_fusable_method
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "mixed_float16"])
def test_half_precision(case: Case, dtype):
    """Sums are in float32, so that they are as near to float64 as the tables allow."""
    layer = case.layer(dtype=dtype, combiner="mean")
    ids = np.random.default_rng(1).integers(0, INPUT_DIM, (4, 30))
    with use("native"):
        vectors = layer(ids, training=True)
    tables = in_float64(layer.table_values())
    with layer.substituted(layer, ReferenceOps(), tables):
        exact = layer.lookup(ReferenceOps(), ids, tables).numpy().mean(1)
    assert vectors.dtype == layer.compute_dtype
    step = 2.0**-8 if dtype == "bfloat16" else 2.0**-10
    error = np.abs(np.asarray(tf.cast(vectors, tf.float64)) - exact)
    assert (error <= step * np.abs(exact) + 1e-6).all()


@pytest.mark.few(1)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "mixed_float16", "mixed_bfloat16"])
def test_half_precision_trains(dtype):
    native = trained_tables(MEMCOM, "native", OPTIMIZERS["LazyAdam"], dtype=dtype)
    plain = trained_tables(MEMCOM, "reference", OPTIMIZERS["LazyAdam"], dtype=dtype)
    np.testing.assert_allclose(native[2], plain[2], rtol=0.05)
    assert np.isfinite(native[2]).all()


def test_a_step_is_one_op():
    """MEmCom under LazyAdam: neither slices of the gradient, nor updates of single tables."""
    layer = MEMCOM.trained(combiner="mean")
    optimizer = LazyAdam(0.01)
    variables = layer.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(ids):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(ids, training=True))
        gradients = tape.gradient(loss, variables_of(layer))
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    with use("native"):
        graph = step.get_concrete_function(tf.TensorSpec([None, 3], tf.int32)).graph
    graphs = [graph, *(f.graph for f in graph._functions.values() if hasattr(f, "graph"))]
    ops = [op.type for g in graphs for op in g.get_operations() if op.type.startswith("Memcom>")]
    assert sorted(ops) == ["Memcom>LookupAndSnapshot", "Memcom>LookupSnapshotUpdate"]


def test_who_reads_a_table_before_an_update_keeps_what_he_read():
    layer = MEMCOM.trained(combiner="mean")
    optimizer = LazyAdam(0.5)
    optimizer.build(layer.trainable_variables)
    table = variables_of(layer)[0]
    before = table.read_value()
    kept = before.numpy().copy()
    with use("native"), tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(np.array([[1, 2, 3]]), training=True))
    with use("native"):
        gradients = tape.gradient(loss, variables_of(layer))
        optimizer.apply_gradients(zip(gradients, layer.trainable_variables, strict=True))
    np.testing.assert_array_equal(before, kept)
    assert (table.numpy()[1] != kept[1]).all()


def test_ids_beyond_int32():
    """A vocabulary of 2^40 ids in tables of a thousand rows."""
    from memcom_tf.layers import HashedEmbedding

    layer = fill(HashedEmbedding(2**40, 4, num_buckets=1009))
    ids = np.array([[2**40 - 1, 5, 2**33 + 7]])
    upstream = np.ones((1, 3, 4), np.float32)
    expected, slopes = run("reference", layer, ids, None, upstream)
    found, found_slopes = run("native", layer, ids, None, upstream)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(dense(found_slopes[0]), dense(slopes[0]))


def test_second_derivatives_are_refused():
    layer = MEMCOM.trained()
    (table, *_) = [
        variable if isinstance(variable, tf.Variable) else variable.value
        for variable in layer.trainable_variables
    ]
    with use("native"), tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = tf.reduce_sum(layer(np.array([1, 2]), training=True) ** 3)
        slope = tf.reduce_sum(inner.gradient(loss, table).values ** 2)
    with pytest.raises(NotImplementedError, match=r"use\('reference'\)"):
        outer.gradient(slope, table)


_WITH_THREADS = """
import sys
import numpy as np, tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))
from memcom_tf.layers import MEmComEmbedding, ResidualQuantizedEmbedding
from memcom_tf.kernels import use
from memcom_tf.optimizers import LazyAdam
layers = [
    MEmComEmbedding(1000, 24, num_buckets=70, combiner="mean"),
    ResidualQuantizedEmbedding(1000, 24, num_codebooks=3, num_codes=16, combiner="mean"),
]
import hashlib
digest = hashlib.sha256()
for layer in layers:
    layer.build(None)
    rng = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    ids = (rng.random((200, 50)) ** 2 * 1000).astype(np.int32)
    with use("native"), tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cos(layer(ids, training=True)))
    variables = [getattr(v, "value", v) if not isinstance(v, tf.Variable) else v
                 for v in layer.trainable_variables]
    gradients = tape.gradient(loss, variables)
    for gradient in gradients:
        for part in (gradient.values, gradient.indices):
            digest.update(np.asarray(part).tobytes())
    optimizer = LazyAdam(0.1)
    optimizer.build(layer.trainable_variables)
    @tf.function
    def step(ids):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.cos(layer(ids, training=True)))
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, layer.trainable_variables))
    with use("native"):
        step(ids)  # of enough ids that two threads share the update
    for variable in variables:
        digest.update(variable.numpy().tobytes())
print(digest.hexdigest())
"""


@pytest.mark.long
def test_gradients_and_updates_do_not_depend_on_the_number_of_threads():
    digests = [
        subprocess.run(
            [sys.executable, "-c", _WITH_THREADS, threads],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[-1]
        for threads in ("1", "2")
    ]
    assert digests[0] == digests[1]


def test_the_library_is_in_use():
    """Otherwise every test above would compare the plain ops with themselves."""
    with use("native"):
        assert selection.uses_native([], training=True)
        layer = MEMCOM.trained()
        graph = tf.function(lambda ids: layer(ids, training=True)).get_concrete_function(
            tf.TensorSpec([None], tf.int32)
        )
    assert "Memcom>LookupAndSnapshot" in {op.type for op in graph.graph.get_operations()}
