"""Layers that approximate a trained table without training."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf.layers import METHODS
from memcom_tf.layers.codebooks.trained_codes import TrainedCodesEmbedding
from memcom_tf.ops.numpy_ops import NumpyOps
from tests.contract.methods import CASES, INPUT_DIM, OUTPUT_DIM, Case, name_of

IDS = np.arange(INPUT_DIM)
RNG = np.random.default_rng(11)
TABLE = RNG.normal(0.2, 1.0, (INPUT_DIM, OUTPUT_DIM)).astype(np.float32)
FREQUENCIES = np.floor(1000 / (1 + IDS) ** 0.8)
FREQUENCIES[[0, 7, INPUT_DIM - 1]] = 0

WITH_CLOSED_FORM = [
    case for case in CASES if case.layer().approximate(TABLE, np.ones(INPUT_DIM, np.float32))
]
every_closed_form = pytest.mark.parametrize("case", WITH_CLOSED_FORM, ids=name_of)


def size_of(case: Case) -> dict[str, int]:
    name = case.method.size_argument
    return {} if name is None else {name: getattr(case.layer(), name)}


def vectors_of(layer, tables):
    return layer.lookup(NumpyOps(), IDS, tables)


def test_most_methods_have_one():
    names = {case.method.__name__ for case in WITH_CLOSED_FORM}
    assert {"MEmComEmbedding", "LowRankEmbedding", "QuotientRemainderEmbedding"} <= names


@every_closed_form
def test_what_the_method_can_hold_it_gets_exactly(case: Case):
    if case.variant.get("bias"):
        pytest.skip("the closed form leaves biases at zero")
    if any(table.holds_integers for table in case.layer().ships_as().tables()):
        pytest.skip("codes are found by a search: tests/compression/test_codebooks.py")
    table = np.asarray(case.trained()(IDS))
    again = case.method.from_table(table, **size_of(case), **case.variant)
    np.testing.assert_allclose(again(IDS), table, rtol=1e-3, atol=1e-3)


@every_closed_form
def test_no_tables_nearby_are_better(case: Case):
    if issubclass(case.method, TrainedCodesEmbedding):
        pytest.skip("other rows have other codes")
    layer = case.method.from_table(TABLE, frequencies=FREQUENCIES, **size_of(case), **case.variant)
    tables = layer.table_values()

    def error(tables):
        distances = ((vectors_of(layer, tables) - TABLE) ** 2).sum(axis=1)
        return float((FREQUENCIES * distances).sum())

    found = error(tables)
    # Directions and what is shared are found one after the other.
    slack = 1e-4 if case.variant.get("projection") else 1e-6
    assert found < float((FREQUENCIES * (TABLE**2).sum(axis=1)).sum())
    rng = np.random.default_rng(5)
    for table in layer.tables():
        name = table.name
        if name == "bias" or not table.trainable:
            continue
        for size in (1e-3, 1e-2):
            noise = rng.normal(size=tables[name].shape) * size * np.abs(tables[name]).mean()
            for sign in (1, -1):
                assert error({**tables, name: tables[name] + sign * noise}) >= found * (1 - slack)


@every_closed_form
def test_frequencies_decide_whose_error_counts(case: Case):
    if case.method.size_argument is None:
        pytest.skip("it is exact")
    chosen = np.zeros(INPUT_DIM)
    chosen[::20] = 1
    layers = [
        case.method.from_table(TABLE, frequencies=f, **size_of(case), **case.variant)
        for f in (chosen, None)
    ]
    errors = [((np.asarray(layer(IDS)) - TABLE) ** 2).sum(axis=1) for layer in layers]
    assert (chosen * errors[0]).sum() < (chosen * errors[1]).sum()
    assert errors[1].sum() < errors[0].sum()


@pytest.mark.parametrize("name", METHODS)
def test_methods_without_one_say_so(name):
    method = METHODS[name]
    if any(case.method is method for case in WITH_CLOSED_FORM):
        return
    with pytest.raises(NotImplementedError, match=f"{name} must be trained"):
        method.from_table(TABLE, ratio=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"table": TABLE[0]}, r"`table` must be.*shape=\(16,\)"),
        ({"table": TABLE * np.inf}, "finite=False"),
        ({"frequencies": [1, 2]}, "one finite number of 0 or more for each row"),
        ({"frequencies": FREQUENCIES * np.inf}, "one finite number of 0 or more for each row"),
        ({"frequencies": np.full(INPUT_DIM, np.inf)}, "one finite number of 0 or more"),
        ({"frequencies": -FREQUENCIES}, "one finite number of 0 or more for each row"),
        ({"ratio": 0.5}, "`ratio` must be 1 or more"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        METHODS["MEmComEmbedding"].from_table(**{"table": TABLE, "ratio": 3, **arguments})


def test_the_ratio_is_that_of_for_ratio():
    layer = METHODS["MEmComEmbedding"].from_table(TABLE, ratio=4, combiner="mean")
    assert (
        layer.num_buckets
        == METHODS["MEmComEmbedding"].for_ratio(INPUT_DIM, OUTPUT_DIM, 4).num_buckets
    )
    assert layer(IDS[None, :5]).shape == (1, OUTPUT_DIM)


def test_the_multipliers_learning_rate_does_not_change_the_vectors():
    method = METHODS["MEmComEmbedding"]
    plain, scaled = (
        method.from_table(TABLE, num_buckets=50, multiplier_learning_rate=rate)(IDS)
        for rate in (1.0, 10.0)
    )
    np.testing.assert_allclose(plain, scaled, rtol=1e-5, atol=1e-6)
