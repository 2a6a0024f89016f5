"""A line every so often while something takes long, also where there is no terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

SECONDS = 10.0


class Heartbeat:
    """Says every few seconds that something is still being done.

    Args:
        report: Called with the lines, from another thread.
        what: What is done: "counting items".
        seconds: Between two lines.

    Example:
        >>> with Heartbeat(print, "waiting", seconds=60):
        ...     pass
    """

    def __init__(
        self, report: Callable[[str], object], what: str, *, seconds: float = SECONDS
    ) -> None:
        self._report, self._what, self._seconds = report, what, seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def stop(self) -> None:
        """Says nothing more."""
        self._done.set()

    def _beat(self) -> None:
        start = time.monotonic()
        while not self._done.wait(self._seconds):
            self._report(f"{self._what}, {time.monotonic() - start:.0f} s so far")

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._thread.join()
