"""A bar for work of which nobody knows beforehand whether it takes seconds or minutes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SECONDS_WITHOUT = 2.0

Advance = Callable[[str, float], None]
"""Takes what was being done, and the part of the whole that is done with it."""


@contextmanager
def progress_bar(shown: bool | None) -> Iterator[Advance]:
    """Shows on stderr how far something is.

    Args:
        shown: True shows a bar, False none; None shows it where stderr is a terminal and the work
            takes more than two seconds.

    Yields:
        What is to be called before a part, with 0, or after each.
    """
    if shown is False or (shown is None and not sys.stderr.isatty()):
        yield lambda description, part: None
        return
    # Not above: models import this package without the extra that brings rich.
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
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    # What goes to stdout is a result, and none of the bar's business.
    bar = Progress(*columns, console=Console(stderr=True), redirect_stdout=False)
    task = bar.add_task("", total=1.0)

    def advance(description: str, part: float) -> None:
        bar.update(task, description=description, advance=part)

    # A part may take long itself: the bar must not wait for its end.
    timer = threading.Timer(_SECONDS_WITHOUT, bar.start)
    timer.daemon = True
    if shown or _SECONDS_WITHOUT <= 0:
        bar.start()
    else:
        timer.start()
    try:
        yield advance
    finally:
        timer.cancel()
        if timer.ident is not None:
            timer.join()
        bar.stop()
