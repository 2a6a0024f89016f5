"""How long a compression may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from memcom_tf.errors import invalid

Item = TypeVar("Item")

ENDED_EARLY = "Candidates were left out: there was no time for them within the minutes asked for."

SEARCHING = 0.4
"""Share of the time for candidates in closed form; the rest is for training them."""


class TimeBudget:
    """Minutes that a compression may take: nothing is begun that is not expected to end in time.

    What takes how long is expected from what was done before, so that the first of everything is
    done in any case. With a limit, what is found depends on the speed of the machine.

    Args:
        max_minutes: The limit; None is none.
        clock: Seconds that rise.

    Attributes:
        ended_early: Whether something was left out.

    Raises:
        ValueError: If the limit is not above 0.

    Example:
        >>> seconds = iter([0, 0, 20])
        >>> budget = TimeBudget(1, clock=lambda: next(seconds))
        >>> list(budget.searched(["a", "b", "c"]))  # 24 seconds, of 60, are for that
        ['a']
    """

    def __init__(
        self, max_minutes: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if max_minutes is not None and not max_minutes > 0:
            raise invalid("`max_minutes` must be above 0.", max_minutes=max_minutes)
        self._clock = clock
        self._start = clock()
        self._seconds = None if max_minutes is None else 60.0 * max_minutes
        self.ended_early = False

    def searched(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, as far as the time for searching allows."""
        return self._within(items, SEARCHING)

    def trained(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, as far as the time allows."""
        return self._within(items, 1.0)

    def _within(self, items: Iterable[Item], share: float) -> Iterator[Item]:
        longest = 0.0
        begun = self._clock()
        for place, item in enumerate(items):
            # What it took to find the item counts as well.
            if place and self._seconds is not None:
                ends = begun - self._start + longest
                if ends > share * self._seconds:
                    self.ended_early = True
                    return
            yield item
            now = self._clock()
            longest, begun = max(longest, now - begun), now
