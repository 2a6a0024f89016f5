"""What libraries say on their own: nothing of it is shown unless `-v` asks for it."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("tensorflow", "absl", "jax", "h5py")
_STANDARD_ERROR = 2
# Lines of TensorFlow's and LiteRT's C++ parts: information, warnings and what they call errors
# of devices that a machine has not.
_NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|[IWE]\d{4} "
    rb"|[IWE]\d{4} \d\d:"
    rb"|\d{4}-\d\d-\d\d [\d:.]+: [IWE] "
    rb"|INFO: |VERBOSE: "
    rb"|To enable the following instructions:"
    rb"|\s*$"
)


@contextmanager
def libraries(verbose: bool) -> Iterator[None]:
    """Keeps the logs of TensorFlow and its kin from the terminal, unless `verbose`.

    What they write themselves is filtered line by line: lines that are no such logs are shown.
    """
    if verbose:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("AUTOGRAPH_VERBOSITY", "0")
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with _filtered():
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _filtered() -> Iterator[None]:
    """Has what is written to the file of stderr go through a filter; `sys.stderr` goes past it."""
    try:
        ours = sys.stderr.fileno() == _STANDARD_ERROR
    except (AttributeError, OSError, ValueError):  # closed, or no file at all
        ours = False
    if not ours:
        yield
        return
    shown = os.dup(_STANDARD_ERROR)
    reading, writing = os.pipe()
    os.dup2(writing, _STANDARD_ERROR)
    os.close(writing)
    thread = threading.Thread(target=_copy, args=(reading, shown), daemon=True)
    thread.start()
    before = sys.stderr
    sys.stderr = io.TextIOWrapper(
        os.fdopen(shown, "wb", 0, closefd=False),
        encoding=before.encoding,
        errors="backslashreplace",
        line_buffering=True,
        write_through=True,
    )
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = before
        os.dup2(shown, _STANDARD_ERROR)
        # A process of ours that is still there holds the pipe open: nothing waits for it.
        thread.join(1.0)


def _copy(reading: int, shown: int) -> None:
    with os.fdopen(reading, "rb") as lines:
        for line in lines:
            if not _NOISE.match(line):
                os.write(shown, line)
