"""The folder of a data set: written beside where it shall be, gone on with, and put there whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from memcom_tf._version import __version__
from memcom_tf.cache import cache_root
from memcom_tf.data.engine import Report
from memcom_tf.data.inputs import LogFiles
from memcom_tf.data.manifest import FORMAT_VERSION, is_dataset
from memcom_tf.data.memory import free_memory
from memcom_tf.errors import argument, invalid, message
from memcom_tf.files import check_writable, write_atomically

_MOST_MEMORY = 3 * 2**30
_LEAST_MEMORY = 2**28
_KEY = "key.json"


@contextmanager
def writing(output: str | os.PathLike[str], overwrite: bool) -> Iterator[tuple[Path, Path]]:
    """Holds a data set while it is written.

    Args:
        output: The folder of the data set.
        overwrite: Whether one that is there is replaced.

    Yields:
        The folder of the data set, and one beside it to work in. What was done there is kept where
        the same run would go on, and removed after errors that it would end with, too.

    Raises:
        OSError: If `output` exists, or cannot be written.
        ValueError: If another process writes it.
    """
    target = Path(os.path.abspath(output))
    _check_output(target, overwrite)
    work = target.with_name(f".{target.name}.partial")
    try:
        with FileLock(_lock_of(target)).acquire(timeout=0):
            try:
                yield target, work
            except (ValueError, ImportError):
                shutil.rmtree(work, ignore_errors=True)
                raise
    except Timeout as error:
        raise invalid(
            "A data set must be written by one process.",
            "Wait for the other, or choose another output.",
            path=str(target),
        ) from error


def begin(
    files: LogFiles, target: Path, work: Path, settings: Mapping[str, Any], say: Report
) -> tuple[list[dict[str, Any]], Path]:
    """Hashes what is read, and opens the folder of work.

    Args:
        files: The files.
        target: The folder of the data set.
        work: What a stopped run has left is kept if it was of the same files and settings.
        settings: All that the data set follows from.
        say: Called with lines on what is done.

    Returns:
        Path, bytes and hash of each file, and the folder that is to be the data set.
    """
    say(f"{len(files.paths):,} files, {files.num_bytes / 1e6:,.1f} MB; hashing them")
    inputs = files.described()
    content = [FORMAT_VERSION, __version__, inputs, settings]
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    noted = work / _KEY
    if noted.is_file() and noted.read_text() == key:
        say(f"going on from {work}")
    else:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        write_atomically(noted, key.encode())
    check_writable(target, files.num_bytes)
    out = work / target.name
    out.mkdir(exist_ok=True)
    return inputs, out


def publish(out: Path, target: Path) -> None:
    """Puts the finished folder in its place; an earlier one is removed after that."""
    earlier = target.with_name(f".{target.name}.earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    if target.exists():
        os.replace(target, earlier)
    os.replace(out, target)
    shutil.rmtree(earlier, ignore_errors=True)
    shutil.rmtree(out.parent, ignore_errors=True)


def memory_limit(memory: int | None) -> int:
    """What an engine may take of memory: half of what is free, within limits, if none is said.

    Raises:
        ValueError: If it is too little.
    """
    if memory is None:
        free = free_memory()
        return _MOST_MEMORY if free is None else max(_LEAST_MEMORY, min(free // 2, _MOST_MEMORY))
    if memory < _LEAST_MEMORY:
        raise invalid(
            f"{argument('memory')} must be at least {_LEAST_MEMORY:,} bytes.", "", memory=memory
        )
    return memory


def num_threads() -> int:
    """How many threads an engine runs: one on each processor that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _lock_of(target: Path) -> Path:
    """A file in the cache that a process of this machine holds while it writes a data set."""
    folder = cache_root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(str(target).encode()).hexdigest()[:32]}.lock"


def _check_output(target: Path, overwrite: bool) -> None:
    if target.exists() and not is_dataset(target):
        raise FileExistsError(
            message(
                "The output must not exist, or be a prepared data set.",
                "Choose another.",
                path=str(target),
            )
        )
    if target.exists() and not overwrite:
        way = argument("overwrite", "True")
        raise FileExistsError(
            message(
                "The output must not exist.",
                "Replace it with --force." if way.startswith("`--") else f"Replace it with {way}.",
                path=str(target),
            )
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            message("The folder of the output must exist.", "", path=str(target.parent))
        )
