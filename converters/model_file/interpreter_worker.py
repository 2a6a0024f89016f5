"""The program of `interpreters.InChild`: runs a graph that may end it. Arguments: path, threads.

It loads NumPy and LiteRT alone, and has bounds on memory and on the time of a call.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path
from typing import Any

_MEMORY = 8 * 2**30
_SECONDS = 120
"""Of a call: a loop without an end ends with the process."""


def main(path: str, num_threads: int) -> None:
    """Answers calls until there are no more."""
    # Read by its path: importing the package would cost more time than the graph does.
    beside = Path(__file__).with_name("pipe_messages.py")
    spec = importlib.util.spec_from_file_location("pipe_messages", beside)
    assert spec is not None and spec.loader is not None
    messages: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(messages)
    # Kernels may print; nobody but this program writes to the pipe.
    calls, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    _limit(2 * os.path.getsize(path))
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        messages.write(answers, {"missing": True}, {})
        return
    try:
        _set_clock(_SECONDS)
        interpreter = Interpreter(model_path=path, num_threads=num_threads)
    except (RuntimeError, ValueError, MemoryError) as error:
        messages.write(answers, {"error": str(error) or "no memory"}, {})
        return
    messages.write(answers, {}, {})
    runners: dict[str, Any] = {}
    while True:
        _set_clock(0)
        try:
            header, inputs = messages.read(calls)
        except EOFError:
            return
        _set_clock(_SECONDS)
        try:
            name = header["signature"]
            if name not in runners:
                runners[name] = interpreter.get_signature_runner(name)
            messages.write(answers, {}, runners[name](**inputs))
        except (RuntimeError, ValueError, MemoryError) as error:
            messages.write(answers, {"error": str(error) or "no memory"}, {})


def _limit(extra: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = _MEMORY + extra
    known = [limit for limit in (soft, hard, wanted) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(known), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _set_clock(seconds: int) -> None:
    """The process ends when so many seconds have gone by; never with 0."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
