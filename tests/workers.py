"""Several processes on the loopback that train as one, as `TF_CONFIG` says."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

LIMIT = 480.0
"""Seconds after which processes that hang are killed."""


def tf_configs(count: int = 2) -> list[str]:
    """A `TF_CONFIG` for each worker, at free ports."""
    return list(cluster_of(worker=count).values())


def cluster_of(**counts: int) -> dict[tuple[str, int], str]:
    """A `TF_CONFIG` for each process of a cluster, by job and index, at free ports."""
    tasks = [(job, index) for job, count in counts.items() for index in range(count)]
    sockets = [socket.socket() for _ in tasks]
    try:
        for found in sockets:
            found.bind(("127.0.0.1", 0))
        ports = iter([found.getsockname()[1] for found in sockets])
    finally:
        for found in sockets:
            found.close()
    jobs = {job: [f"127.0.0.1:{next(ports)}" for _ in range(n)] for job, n in counts.items()}
    return {
        (job, index): json.dumps({"cluster": jobs, "task": {"type": job, "index": index}})
        for job, index in tasks
    }


def begin(
    words: Sequence[str], config: str | None, folder: Path, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Starts Python with these words, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), *sys.path])),
        **(env or {}),
    }
    environment.pop("TF_CONFIG", None)
    if config is not None:
        environment["TF_CONFIG"] = config
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(processes: Sequence[subprocess.Popen[str]], limit: float = LIMIT) -> list[str]:
    """What they print until they end; they are killed after so many seconds."""
    until = time.monotonic() + limit
    try:
        return [process.communicate(timeout=until - time.monotonic())[0] for process in processes]
    finally:
        kill(processes)


def kill(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Ends all that are still there."""
    for process in processes:
        process.kill()
        process.wait()


def run(
    words: Sequence[str], folder: Path, env: dict[str, str] | None = None, count: int = 2
) -> list[str]:
    """Runs workers to their end, which must be a good one, and returns what each printed.

    Each runs in its folder `worker_0`, `worker_1` and so on.
    """
    processes: list[subprocess.Popen[str]] = []
    try:
        for index, config in enumerate(tf_configs(count)):
            processes.append(begin(words, config, folder / f"worker_{index}", env))
        printed = end(processes)
    finally:
        kill(processes)
    codes = [process.returncode for process in processes]
    assert codes == [0] * count, "\n".join(text[-3000:] for text in printed)
    return printed
