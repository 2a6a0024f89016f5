"""Writing a file so that no reader ever sees half of it."""

from __future__ import annotations

import os
import platform
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memcom_tf.errors import message

_SECONDS_OF_OTHERS = 24 * 3600.0
"""After which what another machine left unfinished in a shared folder is taken for abandoned."""


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes `content` beside `path` and moves it there in one step.

    Args:
        path: Where the file shall be; its folder must exist. A device or a pipe is written to.
        content: The bytes of the file.

    Raises:
        OSError: If the folder cannot be written to, or is full; a file already at `path` is then
            untouched.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(pathlib.Path(folder) / "a.txt", b"text")
        ...     (pathlib.Path(folder) / "a.txt").read_bytes()
        b'text'
    """
    if _is_special(Path(path)):
        Path(path).write_bytes(content)
        return
    with replacing(path) as beside:
        beside.write_bytes(content)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a path beside a file, and moves what was written there to the file in one step.

    What processes that were killed left beside the file is removed.

    Args:
        path: Where the file shall be; its folder must exist. Of a symbolic link, what it names is
            replaced.

    Yields:
        A path in the same folder, with the same suffix.

    Raises:
        OSError: If the folder cannot be written to, or is full. Errors of writing name the file,
            and a file already at `path` is untouched.
    """
    target = Path(os.path.realpath(path))
    if _is_special(target):
        raise OSError(
            message("The output must be a file.", "Name one in a folder.", path=str(path))
        )
    _remove_abandoned(target)
    # Not `tempfile`: its files are readable by their owner only, and stay so after the move.
    name = f".{target.name}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.tmp{target.suffix}"
    beside = target.with_name(name)
    try:
        yield beside
        with open(beside, "rb+") as written:
            os.fsync(written.fileno())
        if target.exists():
            beside.chmod(target.stat().st_mode & 0o777)
        os.replace(beside, target)
    except OSError as error:
        if error.errno is None:
            raise
        raise _with_path(error, target) from error
    finally:
        beside.unlink(missing_ok=True)


def _is_special(path: Path) -> bool:
    """Whether there is a device or a pipe, which nothing may take the place of."""
    return path.exists() and not path.is_file() and not path.is_dir()


def check_writable(path: str | os.PathLike[str], size: int = 0) -> None:
    """Requires that a file can be written, before there is something to lose.

    Args:
        path: Where the file shall be.
        size: Bytes that it will take, about.

    Raises:
        OSError: If its folder cannot be written to, or has less room.
    """
    target = Path(os.path.realpath(path))
    probe = target.with_name(f".{target.name}.{_machine()}-{os.getpid()}-probe.tmp")
    try:
        probe.touch()
    except OSError as error:
        raise _with_path(error, target) from error
    finally:
        probe.unlink(missing_ok=True)
    disk = os.statvfs(target.parent)
    free = disk.f_bavail * disk.f_frsize
    if free < size:
        raise OSError(
            message(
                "There must be room for the file.",
                "Make room, or choose another place.",
                path=str(path),
                bytes_needed=size,
                bytes_free=free,
            )
        )


def _with_path(error: OSError, path: Path) -> OSError:
    """The error, which may come from the depth of a library, with the file that it is about."""
    return type(error)(error.errno, f"{error.strerror}: the file could not be written", str(path))


def _remove_abandoned(target: Path) -> None:
    pattern = rf"\.{re.escape(target.name)}\.(\w+)-(\d+)-\w+\.tmp(\.\w+)?"
    try:
        beside = [entry for entry in os.scandir(target.parent) if entry.name.startswith(".")]
    except OSError:
        return  # whoever writes there says so
    for entry in beside:
        if (found := re.fullmatch(pattern, entry.name)) is None:
            continue
        try:
            here = found[1] == _machine()
            age = time.time() - entry.stat(follow_symlinks=False).st_mtime
            if not _is_running(int(found[2])) if here else age > _SECONDS_OF_OTHERS:
                os.unlink(entry.path)
        except OSError:
            continue  # another run was faster, or it is not ours


def _machine() -> str:
    return re.sub(r"\W", "_", platform.node()) or "here"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
