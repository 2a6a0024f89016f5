"""Rows whose queries lie at the edge of a step are held against both ways, and no others pass."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from memcom_tf.converters.proof.comparison import FloatOutput, IntegerOutput, Outputs
from memcom_tf.converters.proof.result import Verification

RNG = np.random.default_rng(0)
VALUES = {"f": RNG.normal(size=(20, 3)), "i": RNG.integers(0, 9, (20, 3))}
OTHER_WAY = {"f": 0.3, "i": 1}


def failed(kind, file):
    """The comparisons that fail of a file, where all rows may be as they are, or 0.3 larger."""
    values = {"y": VALUES[kind]}

    def at_edges(place):
        yield {"y": VALUES[kind] + OTHER_WAY[kind]}

    noise = {"y": np.zeros((20, 3))}
    outputs = Outputs("group", {"y": file}, values, values, [values], at_edges, noise)
    reference = SimpleNamespace(decisions={})
    output = (
        FloatOutput("y", True) if kind == "f" else IntegerOutput("y", True, [reference], reference)
    )
    output.add(outputs)
    verification = Verification()
    output.report(verification, "y")
    return [check for check in verification.checks if not check.passed]


@pytest.mark.parametrize("kind", VALUES)
def test_a_row_may_be_computed_either_way_as_a_whole(kind):
    file = VALUES[kind].copy()
    assert not failed(kind, file)
    file[7] += OTHER_WAY[kind]
    assert not failed(kind, file)


@pytest.mark.parametrize("kind", VALUES)
def test_a_row_that_is_neither_fails(kind):
    file = VALUES[kind].copy()
    file[7] += 2 * OTHER_WAY[kind]
    assert failed(kind, file)
    mixed = VALUES[kind].copy()
    mixed[7, 1] += OTHER_WAY[kind]
    assert failed(kind, mixed)


def spread_off(rows, by):
    """The comparisons that fail where some of twenty rows are off by so many spreads."""
    file = VALUES["f"].copy()
    file[rows] += by * VALUES["f"].std(axis=0)
    return failed("f", file)


def test_of_nearly_all_rows_one_may_have_taken_steps_of_its_own():
    assert not spread_off([7], 0.09)
    assert spread_off([7], 0.15)  # farther than several steps explain
    assert spread_off([7, 9], 0.09)  # two of twenty are more than one in fifty
    most = VALUES["f"] + 0.01 * VALUES["f"].std(axis=0)  # not the file's own values elsewhere
    most[7] += 0.06 * VALUES["f"].std(axis=0)
    assert failed("f", most)
