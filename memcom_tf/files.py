"""Writing a file so that no reader ever sees half of it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes `content` beside `path` and moves it there in one step.

    Args:
        path: Where the file shall be; its folder must exist.
        content: The bytes of the file.

    Raises:
        OSError: If the folder cannot be written to; a file already at `path` is then untouched.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(pathlib.Path(folder) / "a.txt", b"text")
        ...     (pathlib.Path(folder) / "a.txt").read_bytes()
        b'text'
    """
    target = Path(path)
    # Not `tempfile`: its files are readable by their owner only, and stay so after the move.
    beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        beside.write_bytes(content)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
