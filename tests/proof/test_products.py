"""How queries are rounded before they are multiplied with int8, in the references of a proof."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.converters import rounding as of
from memcom_tf.converters.rounding import ROUNDINGS, Queries

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
    np.testing.assert_allclose(rounded(queries), of.rounded(VALUES, rounding), atol=1e-6)
    assert (rounded(queries) == VALUES).all() == (rounding == "none")


def test_those_of_other_matrices_are_not(queries):
    queries.set("asymmetric")
    np.testing.assert_array_equal(rounded(queries, "one that is no table"), VALUES)
    assert (rounded(queries, "table") != VALUES).any()


def test_values_change_in_their_last_bit_before_they_are_multiplied(queries):
    queries.set("none", in_last_bit=True)
    for name in ("kernel", "one that is no table"):
        changed = rounded(queries, name) != VALUES
        assert 0.2 < changed.mean() < 0.9
        np.testing.assert_allclose(rounded(queries, name), VALUES, rtol=2.0**-22)
    queries.set("none")
    np.testing.assert_array_equal(rounded(queries, "one that is no table"), VALUES)
