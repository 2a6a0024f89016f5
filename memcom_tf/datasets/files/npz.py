"""Arrays from .npz files of unknown origin: every claim of the file is checked before memory is."""

from __future__ import annotations

import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.files.columns import Column, Kind, require_pyarrow
from memcom_tf.datasets.files.values import check_texts, missing_value, unfit
from memcom_tf.datasets.labels import Labels
from memcom_tf.errors import invalid

_END = ".npy"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Ten times what numpy writes for an array of one dimension; the header is parsed as Python.
_MOST_HEADER_BYTES = 2000
_LAST_CHARACTER = 0x10FFFF
_UNPACKED_FREELY = 64 * 2**20
MOST_UNPACKED = 200
"""How many times its size in the file an array of more than 64 MiB may take."""

# What zipfile, its decompressors and numpy's parser of headers raise for damaged files.
_DAMAGE = (
    ValueError,
    TypeError,
    EOFError,
    OverflowError,
    MemoryError,
    RecursionError,
    SyntaxError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    OSError,
    AttributeError,
    SystemError,
    tokenize.TokenError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class ArrayFile:
    """A `ColumnFile` of an .npz file: arrays of numbers, strings or times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = array_names(path)

    def read(self, kinds: Mapping[str, Kind]) -> dict[str, Column]:
        """As `ColumnFile.read`."""
        arrays = read_arrays(self.path, kinds)
        return {name: self._typed(arrays[name], name, kind) for name, kind in kinds.items()}

    def _typed(self, array: npt.NDArray[Any], name: str, kind: Kind) -> Column:
        where = {"column": name, "path": str(self.path)}
        if array.ndim != 1:
            raise invalid(
                "Every column must have one dimension.",
                "Save one value for each interaction.",
                shape=array.shape,
                **where,
            )
        if kind in ("category", "number", "text"):
            require_pyarrow("fields in .npz")
            import pyarrow as pa

            from memcom_tf.datasets.files.typed_columns import typed

            values = array.tolist() if array.dtype.kind == "U" else array
            return typed(pa.chunked_array([values]), kind, _row, where)
        if kind == "flag":
            if not np.isin(array, (0, 1)).all():
                raise unfit("flag", where, dtype=str(array.dtype))
            return array.astype(bool)
        if kind == "time":
            if array.dtype.kind == "U":
                require_pyarrow("times written as text in .npz")
                import pyarrow as pa

                from memcom_tf.datasets.files.times import times_of

                return times_of(pa.chunked_array([array.tolist()]), _row, where)
            if array.dtype.kind not in "iufM":
                raise unfit("time", where, dtype=str(array.dtype))
            absent = np.flatnonzero(_absent(array))
            if len(absent):
                raise missing_value(where, len(absent), row=int(absent[0]) + 1)
            return array
        if array.dtype.kind not in "iuU":
            raise unfit("label", where, dtype=str(array.dtype))
        if array.dtype.kind == "U":
            labels = Labels.encode(array, name)
            check_texts(labels, _row, where)
            return labels
        # As in other files, where integers beyond int64 are text.
        beyond = len(array) and int(array.max()) >= 2**63
        return Labels.encode(array.astype(str) if beyond else array, name)


def _row(row: int) -> dict[str, int]:
    return {"row": row + 1}


def _absent(times: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if times.dtype.kind == "f":
        return ~np.isfinite(times)
    if times.dtype.kind == "M":
        return np.isnat(times)
    return np.zeros(len(times), np.bool_)


def array_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of the arrays of an .npz file.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no zip archive.
    """
    source = Path(path)
    with source.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
        except _DAMAGE as error:
            raise _damaged(source, str(error)) from error
    return tuple(name.removesuffix(_END) for name in names)


def read_arrays(path: str | os.PathLike[str], names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """Reads arrays of an .npz file that need not be trusted.

    Objects (pickles), structured and complex numbers are refused. An array must be as long as
    the archive says, and an array of more than 64 MiB must not be packed more than 200-fold.

    Args:
        path: The file.
        names: The arrays wanted.

    Returns:
        Name -> array of booleans, integers, floats, strings or datetime64.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If it is damaged, lacks an array, or holds what is refused.
    """
    source = Path(path)
    found = {}
    with source.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = [info.filename.removesuffix(_END) for info in archive.infolist()]
                for name in dict.fromkeys(names):
                    if members.count(name) != 1:
                        raise ValueError(f"it must hold {name!r} once, and has {members[:20]}")
                    info = archive.infolist()[members.index(name)]
                    with archive.open(info) as member:
                        found[name] = _array(member, info)
        except _DAMAGE as error:
            reason = str(error) or type(error).__name__
            raise _damaged(source, reason.partition("\n")[0][:200]) from error
    return found


def _array(member: IO[bytes], info: zipfile.ZipInfo) -> npt.NDArray[Any]:
    version = np.lib.format.read_magic(member)
    if version not in _HEADERS:
        raise ValueError(f"{info.filename}: version {version} of the format is not read")
    shape, fortran_order, dtype = _HEADERS[version](member, max_header_size=_MOST_HEADER_BYTES)
    if dtype.kind not in "biufUM" or not dtype.itemsize:
        raise ValueError(f"{info.filename}: values of type {str(dtype)[:40]} are not read")
    size = prod(shape) * dtype.itemsize
    if any(extent < 0 for extent in shape) or size != info.file_size - member.tell():
        raise ValueError(f"{info.filename}: its shape does not fit its bytes")
    if size > max(_UNPACKED_FREELY, MOST_UNPACKED * info.compress_size):
        raise ValueError(
            f"{info.filename}: an array of more than 64 MiB must not be packed more than "
            f"{MOST_UNPACKED}-fold; save such an array with numpy.savez, which does not pack"
        )
    data = np.empty(size, np.uint8)
    rest = data.data
    while len(rest):
        got = member.readinto(rest)  # type: ignore[attr-defined]
        if not got:
            raise EOFError(f"{info.filename}: it ends too early")
        rest = rest[got:]
    member.read(1)  # at the end the checksum is compared
    array = data.view(dtype)
    if dtype.kind == "U":
        array = array.astype(dtype.newbyteorder("="))
        if array.view(np.uint32).max(initial=0) > _LAST_CHARACTER:
            raise ValueError(f"{info.filename}: it holds numbers that are no characters")
    return array.reshape(shape[::-1]).T if fortran_order else array.reshape(shape)


def _damaged(source: Path, reason: str) -> ValueError:
    return invalid(
        "The .npz file must hold arrays of numbers or of fixed-width strings.",
        f"Save it anew with numpy.savez ({reason}).",
        path=str(source),
    )
