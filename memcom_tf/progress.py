"""How far a work is of which nobody knows beforehand whether it takes seconds or hours."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")
Advance = Callable[[str, float], None]
"""Takes what was being done, and the part of the whole that is done with it."""
Show = Callable[[str, float], None]
"""Takes what is being done, and the part of the whole that is done."""

_SECONDS_WITHOUT = 2.0
"""Before a bar appears."""
_FIRST_SECONDS = 10.0
_SECONDS = 30.0
"""Between two lines, where there is no bar."""
_LEAST_TO_FORECAST = 0.02
_BAR_WIDTH = 20  # which leaves room for words on 80 columns


class Progress:
    """Where a work is: parts within parts, what is done in the last of them, and how much of all.

    Args:
        report: Called with a line every half minute; None says nothing.
        show: Called with every change.
        first: Seconds before the first line.
        clock: Seconds that rise.

    Example:
        >>> progress = Progress(print)
        >>> progress.at("step 5 of 10", 0.5, "40 s left")
        step 5 of 10, 40 s left
    """

    def __init__(
        self,
        report: Callable[[str], object] | None,
        show: Show | None = None,
        *,
        first: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report, self._show, self._clock = report, show, clock
        self._parts: list[tuple[str, float, float]] = []
        self._name = self._left = ""
        self.done = 0.0
        self._begin = clock()
        self._next = self._begin + first
        self._lock = threading.Lock()

    @property
    def within(self) -> str:
        """The parts that the work is in, to be put before what is said of them."""
        return "".join(f"{name}: " for name, _, _ in self._parts)

    @contextmanager
    def part(self, name: str, begin: float, end: float) -> Iterator[None]:
        """Counts what is done here as a part.

        Args:
            name: What it is called, such as "candidate 3 of 11".
            begin: Where it begins, as a share of the part that it is in.
            end: Where it ends.
        """
        depth = len(self._parts)
        self._parts.append((name, self._whole(begin), self._whole(end)))
        self.at("", 0.0)
        try:
            yield
        finally:
            # Whatever was begun within it is done, too.
            ended = self._parts[depth:][:1]
            del self._parts[depth:]
            for _, _, whole in ended:
                self.done = max(self.done, whole)
            self._name = self._left = ""

    def at(self, name: str, done: float | None = None, left: str = "") -> None:
        """Says what is being done.

        Args:
            name: What is done, such as "step 5 of 10".
            done: The share of the part that is done; None leaves it.
            left: What is left of it, where that is known better than from the time so far.
        """
        self._name, self._left = name, left
        if done is not None:
            self.done = max(self.done, self._whole(done))
        if self._show is not None:
            self._show(self._place(), self.done)
        self.say_if_time()

    def say_if_time(self) -> None:
        """Reports a line, if the last one was long ago."""
        now = self._clock()
        with self._lock:
            if self._report is None or now < self._next:
                return
            self._next = now + _SECONDS
        place = self._place() or "working"
        self._report(f"{place}, {self._left or self._forecast(now - self._begin)}")

    def _whole(self, share: float) -> float:
        """A share of the part as a share of all."""
        _, begin, end = self._parts[-1] if self._parts else ("", 0.0, 1.0)
        return begin + share * (end - begin)

    def _place(self) -> str:
        return (self.within + self._name).removesuffix(": ")

    def _forecast(self, seconds: float) -> str:
        if self.done < _LEAST_TO_FORECAST:
            return f"{duration(seconds)} so far"
        return f"about {duration(seconds * (1 - self.done) / self.done)} left"


_CURRENT: ContextVar[Progress | None] = ContextVar("memcom_tf_progress", default=None)


def current() -> Progress | None:
    """The progress of the work that this is a part of; None where nobody shows it."""
    return _CURRENT.get()


@contextmanager
def doing(name: str) -> Iterator[None]:
    """Says what is being done, which counts as no share of the work, where somebody shows it."""
    progress = current()
    with nullcontext() if progress is None else progress.part(name, 0.0, 0.0):
        yield


def counted(
    items: Sequence[Item], what: str, begin: float = 0.0, end: float = 1.0
) -> Iterator[Item]:
    """The items, each of which is a part of the work until the next one is asked for.

    Args:
        items: The items.
        what: What one of them is called.
        begin: Where the first begins, as a share of the work.
        end: Where the last ends.

    Example:
        >>> with reporting(None):
        ...     for _ in counted("ab", "candidate"):
        ...         print(current().within.strip())
        candidate 1 of 2:
        candidate 2 of 2:
    """
    progress, count = current(), len(items)
    size = (end - begin) / max(count, 1)
    for number, item in enumerate(items):
        if progress is None:
            yield item
            continue
        name, first = f"{what} {number + 1} of {count}", begin + number * size
        with progress.part(name, first, first + size):
            yield item


@contextmanager
def reporting(report: Callable[[str], object] | None) -> Iterator[None]:
    """Shows on a terminal how far a work is, and reports it every half minute elsewhere.

    Within a work that is shown already it is a part of that one.

    Args:
        report: Called with the lines, also from another thread; None is for a terminal alone.
    """
    if current() is not None:
        yield
        return
    if sys.stderr.isatty():
        with _bar() as show, _as_current(Progress(None, show)):
            yield
        return
    progress = Progress(report, first=_FIRST_SECONDS)
    ended = threading.Event()

    def beat() -> None:
        # A part may take long itself.
        while not ended.wait(1.0):
            progress.say_if_time()

    thread = threading.Thread(target=beat, daemon=True)
    if report is not None:
        thread.start()
    try:
        with _as_current(progress):
            yield
    finally:
        ended.set()
        if thread.ident is not None:
            thread.join()


@contextmanager
def _as_current(progress: Progress) -> Iterator[None]:
    token = _CURRENT.set(progress)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def progress_bar(shown: bool | None) -> Iterator[Advance]:
    """Shows on stderr how far something is.

    Args:
        shown: True shows a bar, False none; None shows it where stderr is a terminal and the work
            takes more than two seconds. Of a work that is shown already it is no bar of its own.

    Yields:
        What is to be called before a part, with 0, or after each.
    """
    done, progress = 0.0, current()
    if progress is None:
        hidden = shown is False or (shown is None and not sys.stderr.isatty())
    else:
        hidden = bool(progress.within)
    if hidden:
        yield lambda description, part: None
        return

    def advance(description: str, part: float) -> None:
        nonlocal done
        done += part
        show(description, done)

    if progress is not None:
        show: Show = progress.at
        yield advance
        return
    with _bar(at_once=bool(shown)) as show:
        yield advance


@contextmanager
def _bar(at_once: bool = False) -> Iterator[Show]:
    """A bar on stderr, at once or where the work takes more than two seconds."""
    # Not above: models import this module without the extra that brings rich.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(_BAR_WIDTH),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    # What goes to stdout is a result, and none of the bar's business.
    bar = Progress(*columns, console=Console(stderr=True), redirect_stdout=False)
    task = bar.add_task("", total=1.0)

    def show(description: str, done: float) -> None:
        bar.update(task, description=description, completed=done)

    # A part may take long itself: the bar must not wait for its end.
    timer = threading.Timer(_SECONDS_WITHOUT, bar.start)
    timer.daemon = True
    if at_once or _SECONDS_WITHOUT <= 0:
        bar.start()
    else:
        timer.start()
    try:
        yield show
    finally:
        timer.cancel()
        if timer.ident is not None:
            timer.join()
        bar.stop()


def duration(seconds: float) -> str:
    """Seconds as a reader says them: "40 s", "12 min", "3.5 h".

    Example:
        >>> duration(40), duration(720), duration(12600)
        ('40 s', '12 min', '3.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{math.ceil(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
