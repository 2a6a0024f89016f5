"""Minutes that a compression may take."""

from __future__ import annotations

import pytest

from memcom_tf.compression.time_budget import TimeBudget


class Clock:
    """Seconds that pass where one says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def items(self, *seconds):
        """Items that take so many seconds to be found."""
        for passed in seconds:
            self.now += passed
            yield passed


def test_without_a_limit_all_is_done():
    clock = Clock()
    budget = TimeBudget(None, clock)
    assert list(budget.trained(clock.items(1000, 1000))) == [1000, 1000]
    assert not budget.ended_early


def test_nothing_is_begun_that_would_end_later_by_what_was_before():
    clock = Clock()
    budget = TimeBudget(1, clock)
    done = []
    for seconds in budget.trained([10, 20, 15, 5]):
        clock.now += seconds
        done.append(seconds)
    assert done == [10, 20, 15] and budget.ended_early  # 45 passed, and 20 would be too many


def test_the_first_of_everything_is_done():
    clock = Clock()
    budget = TimeBudget(1, clock)
    clock.now += 1000
    assert list(budget.searched("ab")) == ["a"]
    assert list(budget.trained("cd")) == ["c"]


def test_a_search_leaves_time_to_train():
    clock = Clock()
    budget = TimeBudget(1, clock)
    done = []
    for seconds in budget.searched([10, 10, 10]):
        clock.now += seconds
        done.append(seconds)
    assert done == [10, 10]  # the third would end behind 24 seconds


@pytest.mark.parametrize("minutes", [0, -1.0, float("nan")])
def test_minutes_that_are_none_are_named(minutes):
    with pytest.raises(ValueError, match="`max_minutes` must be above 0"):
        TimeBudget(minutes)
