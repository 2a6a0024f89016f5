"""What a Keras user relies on: signature, config, saving, gradients, initial values, sizes."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.layers import (
    METHODS,
    CompositionalEmbedding,
    CompressedEmbedding,
    DeepHashEmbedding,
    MGQEEmbedding,
    MixedDimensionEmbedding,
    PathBasedEmbedding,
    ROBEEmbedding,
)
from memcom_tf.layers.codebooks.trained_codes import TrainedCodesEmbedding
from memcom_tf.ops.numpy_ops import NumpyOps
from tests.contract.methods import INPUT_DIM, OUTPUT_DIM, Case, every_method, in_float64


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_leading_arguments_are_those_of_keras_embedding(method):
    theirs = list(inspect.signature(keras.layers.Embedding.__init__).parameters.values())[1:]
    ours = [
        parameter
        for parameter in inspect.signature(method).parameters.values()
        if parameter.kind == parameter.POSITIONAL_OR_KEYWORD
    ]
    defaults = {"weights": None, **{parameter.name: parameter.default for parameter in theirs}}
    assert {p.name: p.default for p in ours}.items() <= defaults.items()
    if is_keras_3:  # tf_keras has activity_regularizer in between, and `weights` by keyword
        assert [p.name for p in ours] == [p.name for p in theirs[: len(ours)]]


def test_a_method_of_ones_own_takes_its_arguments_by_keyword():
    with pytest.raises(TypeError, match=r"keyword-only.*arguments=\['size'\]"):

        class Positional(CompressedEmbedding):
            def __init__(self, input_dim: int, size: int = 3) -> None:
                super().__init__(input_dim, size)


@every_method
def test_config_holds_every_argument_and_documented_defaults(case: Case):
    layer = case.layer()
    config = layer.get_config()
    for parameter in inspect.signature(case.method).parameters.values():
        if parameter.kind == parameter.VAR_KEYWORD or parameter.name == "weights":
            continue  # initial weights are the weights, and not an argument that is kept
        assert parameter.name in config
        # Keras serializes initializers, and None stands for a value that depends on others.
        plain = isinstance(parameter.default, bool | int | float)
        if plain and parameter.name not in case.variant:
            assert config[parameter.name] == parameter.default
    assert case.method.from_config(config).get_config() == config


@every_method
def test_save_and_load(case: Case, tmp_path):
    inputs = keras.Input((4,), dtype="int32")
    model = keras.Model(inputs, case.layer(combiner="mean", mask_zero=True, name="item")(inputs))
    ids = np.arange(8).reshape(2, 4)
    path = str(tmp_path / "model.keras")
    model.save(path)
    np.testing.assert_array_equal(keras.models.load_model(path)(ids), model(ids))
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(ids), model(ids))


@pytest.mark.few(8)
@every_method
def test_saved_model_runs_without_this_package(case: Case, tmp_path):
    inputs = keras.Input((4,), dtype="int32")
    model = keras.Model(inputs, case.layer(combiner="sum")(inputs))
    model.export(str(tmp_path / "saved"))
    ids = tf.constant([[1, 2, 3, 4]])
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(loaded.serve(ids), model(ids), rtol=1e-5)


@every_method
@pytest.mark.parametrize("combiner", [None, "mean"])
def test_a_gradient_reaches_every_table(case: Case, combiner):
    """And it is the numerical one: central differences of the NumPy oracle."""
    layer = case.trained(combiner=combiner)
    ids = np.array([[1, 1, 229], [0, 100, 5]])
    rng = np.random.default_rng(3)
    target = rng.normal(size=layer(ids).shape).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(ids) * target)
    gradients = tape.gradient(loss, layer.trainable_variables)
    tables = in_float64(layer.table_values())
    trained = [tables[table.name] for table in layer.tables() if table.trainable]

    def oracle_loss():
        vectors = layer.lookup(NumpyOps(), ids, tables)
        return float(((vectors.mean(1) if combiner else vectors) * target).sum())

    for table, gradient in zip(trained, gradients, strict=True):
        gradient = np.asarray(tf.convert_to_tensor(gradient))
        assert np.abs(gradient).max() > 0
        if issubclass(case.method, TrainedCodesEmbedding):
            continue  # in training a choice passes gradients on that it does not have
        largest = np.unravel_index(np.abs(gradient).argmax(), table.shape)
        for position in (largest, (0, 0), tuple(size - 1 for size in table.shape)):
            kept = table[position]
            table[position] = kept + 1e-4
            upper = oracle_loss()
            table[position] = kept - 1e-4
            lower = oracle_loss()
            table[position] = kept
            assert gradient[position] == pytest.approx((upper - lower) / 2e-4, rel=1e-3, abs=1e-5)


@pytest.mark.few(4)
@every_method
def test_training_lowers_the_loss_and_is_reproducible(case: Case):
    def train():
        keras.utils.set_random_seed(5)
        inputs = keras.Input((3,), dtype="int32")
        pooled = case.layer(combiner="mean")(inputs)
        model = keras.Model(inputs, keras.layers.Dense(1)(pooled))
        model.compile(keras.optimizers.Adam(0.01), "mse")
        rng = np.random.default_rng(0)
        ids = rng.integers(0, INPUT_DIM, (256, 3))
        targets = (ids[:, :1] % 2).astype(np.float32)
        return model.fit(ids, targets, epochs=4, verbose=0, shuffle=False).history["loss"]

    first, second = train(), train()
    assert first == second
    assert first[-1] < first[0]


@pytest.mark.few(60)
@every_method
@pytest.mark.parametrize(
    "initializer",
    ["uniform", "glorot_uniform", "he_normal", "random_normal", "truncated_normal"],
)
def test_composed_vectors_have_the_variance_of_a_plain_embedding(case: Case, initializer):
    shape = (4000, 32)
    plain = np.asarray(keras.initializers.get(initializer)(shape))
    # Of three partitions at 2 two have so few rows that the sample decides.
    ratio = {CompositionalEmbedding: 50}.get(case.method, 2)
    ratio = 1 if case.method.size_argument is None else ratio
    layer = case.method.for_ratio(
        *shape, ratio=ratio, embeddings_initializer=initializer, **case.variant
    )
    vectors = np.asarray(layer(np.arange(shape[0])))
    # The nearest of four rows is a shorter one.
    tolerance = 0.25 if case.method is MGQEEmbedding else 0.12
    assert vectors.std() == pytest.approx(plain.std(), rel=tolerance)
    # A table of two rows has the sample mean of two rows; all-positive tables have 1 and more.
    assert abs(vectors.mean()) < 0.3 * plain.std()


@every_method
@pytest.mark.parametrize("value", [0.25, -0.25])
def test_a_constant_initializer_gives_constant_vectors(case: Case, value):
    """But where half of all is negative, and of negative ones a sign for each range."""
    if case.method in (DeepHashEmbedding, PathBasedEmbedding, ROBEEmbedding):
        pytest.skip("it has a relu, or signs")
    if case.method is MixedDimensionEmbedding and value < 0:
        pytest.skip("each of its ranges is a product, whose signs cancel")
    layer = case.layer(embeddings_initializer=keras.initializers.Constant(value))
    np.testing.assert_allclose(layer(np.arange(INPUT_DIM)), value, rtol=1e-4)


@every_method
@pytest.mark.parametrize("seed", [None, 3])
def test_two_tables_never_share_their_initial_values(case: Case, seed):
    initializer = keras.initializers.RandomUniform(-0.1, 0.1, seed=seed)
    layer = case.layer(embeddings_initializer=initializer)
    layer.build(None)
    drawn = [
        layer.table_values()[table.name].ravel() for table in layer.tables() if table.holds_vectors
    ]
    for index, one in enumerate(drawn):
        for other in drawn[:index]:
            shared = min(one.size, other.size)
            assert abs(np.corrcoef(one[:shared], other[:shared])[0, 1]) < 0.3


@every_method
def test_same_seed_same_values(case: Case):
    def draw(seed):
        layer = case.layer(embeddings_initializer=keras.initializers.RandomNormal(seed=seed))
        return np.asarray(layer(np.arange(INPUT_DIM)))

    np.testing.assert_array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))


@every_method
def test_regularizer_and_constraint_reach_the_tables_of_vectors_alone(case: Case):
    layer = case.trained(
        embeddings_regularizer=keras.regularizers.L2(0.5),
        embeddings_constraint=keras.constraints.MaxNorm(1.0, axis=1),
    )
    holders = [table for table in layer.tables() if table.holds_vectors]
    expected = sum(0.5 * (layer.table_values()[table.name] ** 2).sum() for table in holders)
    assert float(sum(layer.losses)) == pytest.approx(expected, rel=1e-4)
    constrained = [v for v in layer.trainable_variables if v.constraint is not None]
    assert len(constrained) == len(holders)


@every_method
def test_folded_tables_look_up_alike(case: Case):
    layer = case.trained()
    shipped = layer.ships_as()
    folded = layer.fold(NumpyOps(), layer.table_values())
    assert {table.name: (table.rows, table.width) for table in shipped.tables()} == {
        name: value.shape for name, value in folded.items()
    }
    ids = np.arange(INPUT_DIM)
    after = shipped.lookup(NumpyOps(), ids, folded)
    np.testing.assert_allclose(layer(ids), after, rtol=1e-4, atol=1e-5)


@every_method
def test_sizes_are_those_of_the_variables(case: Case):
    layer = case.layer()
    layer.build(None)
    assert layer.num_parameters == sum(int(np.prod(v.shape)) for v in layer.trainable_variables)

    def codes_of(layer):
        codes = {table.name: table for table in layer.tables() if not table.trainable}
        sizes = (t.rows * -(-t.width * t.storage.bits // 8) for t in codes.values())
        return codes, sum(sizes)

    assert layer.parameter_bytes == 4 * layer.num_parameters + codes_of(layer)[1]
    codes, code_bytes = codes_of(layer.ships_as())
    code_bytes -= sum(table.stored_bytes for table in codes.values() if not table.ships)
    folded = layer.fold(NumpyOps(), layer.table_values())
    floats = {t.name for t in layer.ships_as().tables() if t.ships} - set(codes)
    shipped = sum(4 * folded[name].size for name in floats)
    ratio = 4 * INPUT_DIM * OUTPUT_DIM / (shipped + code_bytes)
    assert layer.compression_ratio == pytest.approx(ratio)


@every_method
@pytest.mark.parametrize("ratio", [1.5, 2, 5, 10, 16])
def test_for_ratio_is_the_largest_that_is_small_enough(case: Case, ratio):
    shape = (20_000, 64)
    argument = case.method.size_argument
    if argument is None:
        with pytest.raises(ValueError, match=r"at most 1 for .*ratio="):
            case.method.for_ratio(*shape, ratio=ratio, **case.variant)
        return
    layer = case.method.for_ratio(*shape, ratio=ratio, **case.variant)
    assert layer.compression_ratio >= ratio
    sizes = case.method.size_range(*shape, **case.variant)
    size = layer.get_config()[argument]
    if size < sizes[-1]:
        larger = sizes[list(sizes).index(size) + 1]
        step = case.method(*shape, **{argument: larger}, **case.variant)
        assert step.compression_ratio < ratio
        if argument not in (
            "rank",
            "num_codebooks",
            "num_nonzero",
        ):  # whose steps are whole columns
            assert layer.compression_ratio == pytest.approx(ratio, rel=0.02)


@every_method
def test_an_impossible_ratio_names_the_largest(case: Case):
    with pytest.raises(ValueError, match=r"`ratio` must be at most [\d.]+ for .*Received: ratio="):
        case.method.for_ratio(INPUT_DIM, OUTPUT_DIM, ratio=1e6, **case.variant)
    with pytest.raises(ValueError, match="`ratio` must be 1 or more"):
        case.method.for_ratio(INPUT_DIM, OUTPUT_DIM, ratio=0.5, **case.variant)


@every_method
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"input_dim": 0}, "`input_dim` must be a positive integer"),
        ({"output_dim": 2.5}, "`output_dim` must be a positive integer"),
        ({"combiner": "max"}, "`combiner` must be None or one of"),
    ],
)
def test_wrong_arguments_are_named(case: Case, wrong, words):
    config = {**case.layer().get_config(), **wrong}
    with pytest.raises(ValueError, match=words):
        case.method(**config)


@every_method
def test_every_size_is_validated(case: Case):
    argument = case.method.size_argument
    if argument is None:
        return
    for wrong in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"`{argument}` must be a positive integer"):
            case.method(INPUT_DIM, OUTPUT_DIM, **{argument: wrong}, **case.variant)
