"""What a file carries beside the graph: a description and the vocabulary, as zip members.

A `.tflite` file may have bytes behind the flatbuffer; a zip archive is read from its end. So one
file is both: runtimes load the graph, and `unzip` or `zipfile` list the members, which are stored
uncompressed so that an app can map them. VOCABULARY_FORMAT.md specifies that of the vocabulary.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from memcom_tf.errors import invalid
from memcom_tf.vocabulary import (
    Dictionary,
    Vocabulary,
    encode_dictionaries,
    encode_dictionary,
    read_dictionaries,
)

from .description import FORMAT, FORMAT_VERSION, FileDescription, parse_description
from .members import foreign, read_members

DESCRIPTION = "memcom.json"
VOCABULARY = "vocabulary.bin"
FIELDS = "fields.bin"

_IDENTIFIER = b"TFL3"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a file's bytes depend on its content alone
_CHUNK = 2**20


@dataclass(frozen=True)
class Archive:
    """The members of a file.

    Attributes:
        description: What the converter wrote about the file.
        dictionary: The vocabulary in the memory-mapped file, or None where the model had none.
        field_dictionaries: The vocabularies of fields in the memory-mapped file, by table.
        graph_bytes: Size of the flatbuffer before the members.
    """

    description: FileDescription
    dictionary: Dictionary | None
    graph_bytes: int
    field_dictionaries: Mapping[str, Dictionary] = field(default_factory=dict)

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary, read at first use: that of a million items takes seconds.

        Raises:
            ValueError: If its bytes make no sense.
        """
        return None if self.dictionary is None else self.dictionary.vocabulary()


def append_members(
    graph: bytes,
    description: FileDescription,
    vocabulary: Vocabulary | None,
    of_fields: Mapping[str, Vocabulary] | None = None,
) -> bytes:
    """Appends the description, and the vocabularies where there are any, to a flatbuffer.

    The description gets the checksum of the flatbuffer: the members have theirs from the zip.

    Raises:
        ValueError: If the vocabulary has a text that is no Unicode text.
    """
    described = replace(description, graph_crc32=zlib.crc32(graph))
    members = {DESCRIPTION: json.dumps(described.to_json(), indent=1).encode()}
    if vocabulary is not None:
        members[VOCABULARY] = encode_dictionary(vocabulary)
    if of_fields:
        members[FIELDS] = encode_dictionaries([*of_fields.values()])
    buffer = io.BytesIO(graph)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return buffer.getvalue()


def read_archive(path: str | os.PathLike[str]) -> Archive:
    """Reads the members of a file that `memcom convert` wrote.

    Args:
        path: The `.tflite` file.

    Returns:
        Its description and vocabulary.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a TensorFlow Lite file, is cut off or damaged, is not from
            this converter, or is from a later version of it.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(8)
    if head[4:] != _IDENTIFIER:
        raise invalid("The file must be a TensorFlow Lite file.", path=str(path))
    members, start = read_members(path, (DESCRIPTION, VOCABULARY, FIELDS))
    if DESCRIPTION not in members:
        raise foreign(path)
    description = _description(bytes(members[DESCRIPTION]), path)
    dictionary = _dictionary(members[VOCABULARY], path) if VOCABULARY in members else None
    fingerprint = None if dictionary is None else dictionary.fingerprint
    for name, found in (
        ("graph_crc32", _crc32(path, start)),
        ("vocabulary_fingerprint", fingerprint),
    ):
        if getattr(description, name) != found:
            raise invalid(
                f"The file must be undamaged: its `{name}` differs.",
                "Convert the model again, or copy the file again.",
                path=str(path),
            )
    return Archive(description, dictionary, start, _of_fields(members, description, path))


def _of_fields(
    members: Mapping[str, memoryview], description: FileDescription, path: Path
) -> dict[str, Dictionary]:
    """The vocabularies of fields, in the order in which tables are first named."""
    of_tables = {
        of.table: (of.input_dim, of.vocabulary_fingerprint)
        for of in description.fields or ()
        if of.table is not None and of.has_vocabulary
    }
    found: list[Dictionary] = []
    if FIELDS in members:
        try:
            found = read_dictionaries(members[FIELDS])
        except ValueError as error:
            must = "The file must be undamaged, the vocabularies of its fields too."
            raise invalid(must, str(error), path=str(path)) from error
    if [(one.input_dim, one.fingerprint) for one in found] != [*of_tables.values()]:
        raise invalid(
            "The file must be undamaged: the vocabularies of its fields are not those described.",
            "Convert the model again, or copy the file again.",
            path=str(path),
        )
    return dict(zip(of_tables, found, strict=True))


def _dictionary(content: memoryview, path: Path) -> Dictionary:
    try:
        return Dictionary(content)
    except ValueError as error:
        must = "The file must be undamaged, its vocabulary too."
        raise invalid(must, str(error), path=str(path)) from error


def _crc32(path: Path, size: int) -> int:
    """The checksum of the first `size` bytes."""
    checksum = 0
    with path.open("rb") as file:
        while size > 0 and (chunk := file.read(min(size, _CHUNK))):
            checksum = zlib.crc32(chunk, checksum)
            size -= len(chunk)
    return checksum


def _description(text: bytes, path: Path) -> FileDescription:
    description = parse_description(text)
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise foreign(path)
    if description.get("format_version") != FORMAT_VERSION:
        raise invalid(
            f"The file must have format version {FORMAT_VERSION}.",
            "Update memcom_tf, or convert the model again.",
            format_version=description.get("format_version"),
        )
    return FileDescription.from_json(description, path)
