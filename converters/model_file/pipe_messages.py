"""Arrays through a pipe, from a process that is not trusted. Imports NumPy alone."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

import numpy as np

_LENGTH = struct.Struct("<Q")
_LONGEST_HEADER = 2**24
_LARGEST_ARRAY = 2**32


def write(stream: BinaryIO, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Writes a message: its length, JSON with what the arrays are, and their bytes."""
    described = [[name, a.dtype.str, list(a.shape)] for name, a in arrays.items()]
    text = json.dumps({**header, "arrays": described}).encode()
    stream.write(_LENGTH.pack(len(text)) + text)
    for array in arrays.values():
        stream.write(np.ascontiguousarray(array).tobytes())
    stream.flush()


def read(stream: BinaryIO) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Reads what `write` wrote; of a hostile writer it takes nothing but numbers.

    Raises:
        EOFError: If the stream ends before.
        ValueError: If it is no message; also KeyError, TypeError and AttributeError.
    """
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    if length > _LONGEST_HEADER:
        raise ValueError("no message")
    header = json.loads(_exactly(stream, length))
    arrays = {}
    for name, code, shape in header.pop("arrays"):
        dtype = np.dtype(str(code))
        count = int(np.prod(shape, dtype=object)) if shape else 1
        if dtype.kind not in "biuf" or not 0 <= count * dtype.itemsize <= _LARGEST_ARRAY:
            raise ValueError("no message")
        content = _exactly(stream, count * dtype.itemsize)
        arrays[str(name)] = np.frombuffer(bytearray(content), dtype).reshape(shape)
    return header, arrays


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content
