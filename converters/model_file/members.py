"""The members of the zip behind a graph, of a file that anyone may have written."""

from __future__ import annotations

import mmap
import struct
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

from memcom_tf.errors import invalid

_MOST_MEMBERS = 16
_LOCAL_HEADER = 30
_NAME_AND_EXTRA = struct.Struct("<26xHH")  # lengths at the end of a local header
_CHUNK = 2**20
_ENCRYPTED = 1
# What zipfile raises on damaged archives, beside its own error.
_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    OverflowError,
    ValueError,
)


def read_members(path: Path, names: Collection[str]) -> tuple[dict[str, memoryview], int]:
    """Maps members of the archive behind a flatbuffer; nothing is ever extracted to disk.

    Args:
        path: The file.
        names: The members that are read where they are there.

    Returns:
        Their bytes by name where they are in the mapped file, and where the archive starts.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If there is no archive, or it is damaged: members with one name, with names
            that lead out of a folder, compressed, encrypted, larger than the file or lying over
            each other, or with another checksum.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            _check(infos, path.stat().st_size)
            start = min(info.header_offset for info in infos)
            return {
                info.filename: _mapped(archive, info, path)
                for info in infos
                if info.filename in names
            }, start
    except _ERRORS as error:
        raise foreign(path) from error


def _mapped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> memoryview:
    """The bytes of a member where they are in the file, their checksum checked."""
    with archive.open(info) as member:
        while member.read(_CHUNK):  # at the end it compares the checksum
            pass
    with path.open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    start = info.header_offset + _NAME_AND_EXTRA.size
    start += sum(_NAME_AND_EXTRA.unpack_from(content, info.header_offset))
    if start + info.file_size > len(content):
        raise zipfile.BadZipFile(f"{info.filename} is larger than the file")
    return content[start : start + info.file_size]


def foreign(path: Path) -> ValueError:
    """The error for a file whose description cannot be read."""
    return invalid(
        "The file must be whole and written by `memcom convert`: its description is missing.",
        "Convert the model again, or copy the file again.",
        path=str(path),
    )


def _check(infos: list[zipfile.ZipInfo], size: int) -> None:
    if not 1 <= len(infos) <= _MOST_MEMBERS:
        raise zipfile.BadZipFile(f"{len(infos)} members")
    if len({info.filename for info in infos}) < len(infos):
        raise zipfile.BadZipFile("two members have one name")
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        name = info.filename
        if not name.isprintable() or name in ("", ".", "..") or set(name) & set('/\\:"'):
            raise zipfile.BadZipFile(f"a member has the name {name!r}")
        stored = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & _ENCRYPTED
        if not stored or info.file_size != info.compress_size:
            raise zipfile.BadZipFile(f"{name} is not stored")
        if info.header_offset < max(end, 1):
            raise zipfile.BadZipFile(f"{name} lies over what is before it")
        end = info.header_offset + _LOCAL_HEADER + info.file_size
        if end > size:
            raise zipfile.BadZipFile(f"{name} is larger than the file")
