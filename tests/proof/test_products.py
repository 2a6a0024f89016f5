"""How queries are rounded before they are multiplied with int8, in the references of a proof."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.converters.preparation.references import Reference
from memcom_tf.converters.tracing import rounding as of
from memcom_tf.converters.tracing.rounding import ROUNDINGS, Queries

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


@pytest.mark.parametrize("rounding", ROUNDINGS[1:])
def test_values_nearly_halfway_between_two_steps_take_the_other(queries, rounding):
    queries.set(rounding)
    wanted = rounded(queries)
    queries.set(rounding, edges={"kernel": 0.01})
    steps = (VALUES.max(axis=1, keepdims=True) - VALUES.min(axis=1, keepdims=True)) / 255
    if rounding == "symmetric":
        steps = np.abs(VALUES).max(axis=1, keepdims=True) / 127
    moved = np.abs(rounded(queries) - wanted) / steps
    # 2 % of all, by one step, and no others: these were half a step away from either.
    is_other = moved > 0.5
    assert 0.01 < is_other.mean() < 0.03
    np.testing.assert_allclose(moved[is_other], 1.0, atol=1e-3)
    np.testing.assert_allclose((np.abs(VALUES - wanted) / steps)[is_other], 0.5, atol=0.0101)
    np.testing.assert_allclose(rounded(queries, "table"), of.rounded(VALUES, rounding), atol=1e-6)


def test_a_reference_tries_all_ways_of_a_few_tables_and_some_of_many():
    def tried(names, rounding="symmetric"):
        reference = Reference(None, None, Queries(names), rounding)
        return [frozenset(each.edges) for each in reference.at_edges()]

    assert len({*tried("abc")}) == 7 and len(tried("abc")) == 3 * 7
    assert {*tried("abcde")} == {frozenset("abcde"), *map(frozenset, "abcde")}
    assert tried("abc", "none") == tried("") == []


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
