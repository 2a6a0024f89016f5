"""Bytes of files of lines: unpacked within bounds, and with a row added at the end."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from memcom_tf.errors import invalid

_UNPACKED_FREELY = 256 * 2**20
MOST_UNPACKED = 200
"""How many times its size a compressed file of more than 256 MiB may unpack to."""


@contextmanager
def opened(path: Any, codec: str | None) -> Iterator[Any]:
    """A file to read, unpacked where it has a codec: "gzip" or "zstd".

    Args:
        path: A `Path`, or a file of an object store that is opened as one is.
        codec: The codec; None of a file that is not compressed.
    """
    with path.open("rb") as file:
        if codec is None:
            yield file
        else:
            with pa.CompressedInputStream(pa.PythonFile(file, "r"), codec) as stream:
                yield _Bounded(stream, path)


class Ended:
    """A file with a last row added, and the number of its lines."""

    closed = False

    def __init__(self, file: Any, row: bytes) -> None:
        self._file = file
        self._row = row
        self._breaks = {b"\n": 0, b"\r": 0}
        self._last = b""

    def read(self, size: int = -1) -> bytes:
        """Bytes of the file, and at its end of the row."""
        data: bytes = self._file.read(size)
        if not data:
            data, self._row = (b"\n" + self._row + b"\n" if self._row else b""), b""
        else:
            for mark in self._breaks:
                self._breaks[mark] += data.count(mark)
            self._last = data[-1:]
        return data

    @property
    def lines(self) -> int:
        """The lines of the file, blank ones and the added one included."""
        return max(self._breaks.values()) + (self._last not in self._breaks) + 1

    def readable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Nothing is held: who opened the file closes it."""
        self.closed = True


class _Bounded:
    """What a compressed file unpacks to, as long as it is not absurdly much."""

    def __init__(self, stream: Any, path: Any) -> None:
        self._stream = stream
        self._path = path
        self._left = max(_UNPACKED_FREELY, MOST_UNPACKED * path.stat().st_size)

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise invalid(
                f"A compressed file must unpack to at most 256 MiB, or {MOST_UNPACKED} times its "
                "size.",
                "Unpack it first.",
                path=str(self._path),
            )
        return data


def readable(file: Any) -> Any:
    """A file that `opened` gave, as the standard library takes it."""
    return file if isinstance(file, io.IOBase) else io.BufferedReader(_Raw(file))


class _Raw(io.RawIOBase):
    """A stream of bytes as the standard library takes it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
