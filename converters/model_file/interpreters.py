"""The LiteRT runtime, in this process or in one of its own that may end without harm.

A graph of operators that `operators` checks to the last number runs here. Others may make a kernel
crash: they run in a child, whose end becomes an error message.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from memcom_tf.errors import invalid, message
from memcom_tf.text import LONGEST_MESSAGE, printable

from .pipe_messages import read, write

SAFE_PATH = "-P" if sys.version_info >= (3, 11) else "-I"
"""Has a child process import nothing from the current folder, nor from that of its script."""
_WORKER = Path(__file__).with_name("interpreter_worker.py")


class GraphEndedError(ValueError):
    """A graph that ended the process in which it ran."""


class Interpreter(Protocol):
    """A loaded graph."""

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature; raises `RuntimeError`, `ValueError` or `MemoryError`."""


class InProcess:
    """The runtime in this process.

    Args:
        path: The `.tflite` file.
        num_threads: Threads of the runtime.
    """

    def __init__(self, path: Path, num_threads: int) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ModuleNotFoundError as error:
            raise ImportError(
                'Running a file needs LiteRT. Install it with: pip install "memcom_tf[rank]"'
            ) from error
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=num_threads)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise unreadable(path, error) from error
        self._runners: dict[str, Any] = {}

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature."""
        if signature not in self._runners:
            self._runners[signature] = self._interpreter.get_signature_runner(signature)
        found: dict[str, np.ndarray] = self._runners[signature](**inputs)
        return found


class InChild:
    """The runtime in a process of its own, which the next call starts again if it has ended.

    Args:
        path: The `.tflite` file.
        num_threads: Threads of the runtime.
    """

    def __init__(self, path: Path, num_threads: int) -> None:
        self._path, self._num_threads = path, num_threads
        self._lock = threading.Lock()
        self._child = _Child(path, num_threads)

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature."""
        with self._lock:
            if not self._child.is_mine():
                self._child = _Child(self._path, self._num_threads)
            return self._child.run(signature, inputs)


class _Child:
    def __init__(self, path: Path, num_threads: int) -> None:
        self._path, self._pid = path, os.getpid()
        self._process = subprocess.Popen(
            # -P: the folder of the worker's file is none to import from.
            [sys.executable, SAFE_PATH, str(_WORKER), os.path.abspath(path), str(num_threads)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to: BinaryIO = self._process.stdin  # type: ignore[assignment]
        self._from: BinaryIO = self._process.stdout  # type: ignore[assignment]
        weakref.finalize(self, _stop, self._process, self._pid)
        header, _ = self._answer()
        if "missing" in header:
            raise ImportError(
                'Running a file needs LiteRT. Install it with: pip install "memcom_tf[rank]"'
            )
        if "error" in header:
            raise unreadable(path, RuntimeError(str(header["error"])))

    def is_mine(self) -> bool:
        """Whether it runs, and was started by this process and not by the one it is forked of."""
        return self._process.poll() is None and self._pid == os.getpid()

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            write(self._to, {"signature": signature}, inputs)
        except (BrokenPipeError, ValueError) as error:
            raise self._ended() from error
        header, arrays = self._answer()
        if "error" in header:
            raise RuntimeError(str(header["error"]))
        return arrays

    def _answer(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        try:
            return read(self._from)
        except (EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._ended() from error

    def _ended(self) -> GraphEndedError:
        self._process.kill()
        code = self._process.wait()
        how = f"exit status {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-code).name
        return GraphEndedError(
            message(
                "The graph of the file must run, but a kernel ended the process that ran it "
                f"({how}).",
                "Convert the model again, or copy the file again.",
                path=str(self._path),
            )
        )


def _stop(process: subprocess.Popen[bytes], pid: int) -> None:
    if pid == os.getpid():
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def unreadable(path: Path, error: Exception) -> ValueError:
    """The error for a file that the runtime cannot read."""
    said = printable(" ".join(str(error).split()) or "no memory", LONGEST_MESSAGE).rstrip(".")
    return invalid(
        f"The file must be readable by the LiteRT runtime, which says: {said}.",
        "Convert the model again, or copy the file again.",
        path=str(path),
    )
