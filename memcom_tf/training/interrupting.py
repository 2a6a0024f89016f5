"""Ctrl-C where a worker waits for another, which TensorFlow does without looking at signals."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE = 2.0
"""Seconds in which Python has its turn by itself, as it has between steps."""


@contextmanager
def collectives_end_on_interrupt() -> Iterator[None]:
    """Has Ctrl-C end operations of several workers that are waited for meanwhile.

    Python raises KeyboardInterrupt once TensorFlow returns, which it does not do while it waits
    for another worker. A thread therefore hears of the signal, and has TensorFlow give up.

    Yields:
        None.

    Raises:
        KeyboardInterrupt: In place of the error that giving up makes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # which no signal comes to
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(reading, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        # Nothing of TensorFlow runs here any more: Python has raised what there was to raise.
        done.set()
        signal.set_wakeup_fd(before)
        os.close(writing)
        watcher.join()
        os.close(reading)


@contextmanager
def ends_on_interrupt() -> Iterator[None]:
    """Has Ctrl-C end the process at once meanwhile.

    TensorFlow lets no line of Python run while it waits for other workers to come.

    Yields:
        None.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _watch(reading: int, done: threading.Event) -> None:
    while True:
        select.select([reading], [], [])
        numbers = os.read(reading, 64)
        if not numbers:
            return
        if signal.SIGINT in numbers and not done.wait(_PATIENCE):
            _give_up()


def _give_up() -> None:
    import tensorflow as tf
    from tensorflow.python.eager import context

    context.context().abort_collective_ops(tf.errors.CANCELLED, "Ctrl-C was pressed.")
