"""How queries are rounded before they are multiplied with int8, in the references of a proof."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.converters.rounding import ROUNDED, ROUNDINGS, Queries

VALUES = np.random.default_rng(0).normal(size=(50, 24)).astype(np.float32)


@pytest.fixture
def queries():
    return Queries(["kernel", "table"])


def rounded(queries, name="kernel"):
    return np.asarray(tf.function(queries.rounded)(name, tf.constant(VALUES)))


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_queries_are_rounded_as_it_was_said_last(queries, rounding):
    queries.set("symmetric")
    queries.set(rounding)
    np.testing.assert_allclose(rounded(queries), ROUNDED[rounding](VALUES), atol=1e-6)
    assert (rounded(queries) == VALUES).all() == (rounding == "none")


def test_those_of_tables_that_are_multiplied_as_floats_are_not(queries):
    queries.set("asymmetric", ["table"])
    np.testing.assert_array_equal(rounded(queries, "table"), VALUES)
    assert (rounded(queries) != VALUES).any()


@pytest.mark.parametrize("rounding", ROUNDINGS[1:])
def test_a_nudge_moves_a_few_by_one_step(queries, rounding):
    queries.set(rounding)
    wanted = rounded(queries)
    queries.set(rounding, nudged=True)
    steps = (VALUES.max(axis=1, keepdims=True) - VALUES.min(axis=1, keepdims=True)) / 255
    if rounding == "symmetric":
        steps = np.abs(VALUES).max(axis=1, keepdims=True) / 127
    moved = np.abs(rounded(queries) - wanted) / steps
    assert 0.001 < np.mean(moved > 0.5) < 0.05
    assert moved.max() < 1.1
