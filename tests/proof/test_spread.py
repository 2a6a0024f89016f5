"""Errors count relative to how much an output varies."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf.converters.preparation.spread import errors, spread_of, spreads_of

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_the_size_of_an_output_does_not_matter(scale, offset):
    wanted = (RNG.normal(size=(200, 1)) + offset) * scale
    spread = spread_of(wanted, 1e-3)
    assert spread.varies
    found = errors(wanted + 0.1 * scale, wanted, spread)
    np.testing.assert_allclose(found, 0.1, rtol=0.2)


def test_components_count_by_themselves():
    wanted = RNG.normal(size=(200, 2)) * [1e4, 100.0]
    spread = spread_of(wanted, 1e-3)
    off = errors(wanted + np.array([0.0, 100.0]), wanted, spread)
    assert off[:, 0].max() == 0
    assert off[:, 1].min() > 0.15  # a component counts with at least 5 % of the typical spread


def test_a_constant_varies_no_more_than_rounding():
    wanted = 7.0 + RNG.normal(size=(50, 3)) * 1e-7
    assert not spread_of(wanted, 1e-3).varies
    assert spread_of(7.0 + RNG.normal(size=(50, 3)) * 1e-3, 1e-3).varies


def test_one_answer_for_all_is_an_error_of_the_whole_spread():
    wanted = 0.01 + 0.002 * RNG.normal(size=(500, 1))
    found = np.full_like(wanted, wanted.mean())
    assert errors(found, wanted, spread_of(wanted, 1e-3)).max() > 2


def test_a_group_over_which_an_output_hardly_varies_counts_with_what_is_typical():
    groups = [RNG.normal(size=(100, 2)) * scale for scale in (1.0, 1.2, 1e-3, 0.0)]
    units = [spread.unit for spread in spreads_of(groups, 1e-3)]
    np.testing.assert_allclose(units[0], groups[0].std(axis=0), rtol=0.01)
    assert (units[2] > 0.1).all()
    assert (units[3] > 0.1).all()
    assert [spread.varies for spread in spreads_of(groups, 1e-3)] == [True, True, True, False]


def test_no_number_where_the_model_has_one():
    wanted = np.array([[1.0], [2.0], [np.nan], [np.inf]])
    spread = spread_of(wanted, 1e-3)
    assert np.isinf(errors(np.array([[np.nan], [2.0], [3.0], [np.inf]]), wanted, spread)[0])
    assert errors(np.array([[1.0], [2.0], [3.0], [np.inf]]), wanted, spread).max() == 0


def test_noise_of_the_inputs_excuses_as_much():
    wanted = RNG.normal(size=(100, 2))
    noisy = spread_of(wanted, 1e-3).beside(np.array([[0.5, 0.0]]), 1e-3)
    off = errors(wanted + 0.4, wanted, noisy)
    assert off[:, 0].max() < 1e-3
    assert off[:, 1].min() > 0.1


def test_largest_floats_have_a_spread():
    wanted = np.array([[1e38], [-3e38], [2e38]], np.float32)
    assert np.isfinite(spread_of(wanted, 1e-3).unit).all()
