"""Several vocabularies as bytes, as converters/VOCABULARY_FORMAT.md specifies."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from memcom_tf.errors import invalid
from memcom_tf.vocabulary.dictionary import Dictionary
from memcom_tf.vocabulary.encoding import encode_dictionary
from memcom_tf.vocabulary.packed import broken
from memcom_tf.vocabulary.vocabulary import Vocabulary

MAGIC = b"MFLD"
FORMAT_VERSION = 1

_HEAD = struct.Struct("<4sII")
_LENGTH = struct.Struct("<I")


def encode_dictionaries(vocabularies: Sequence[Vocabulary]) -> bytes:
    """Encodes vocabularies, those of fields, to be read by `read_dictionaries` and by apps.

    Raises:
        ValueError: As `encode_dictionary`.

    Example:
        >>> data = encode_dictionaries([Vocabulary(["tea"]), Vocabulary(["cup", "mug"])])
        >>> [list(one.vocabulary()) for one in read_dictionaries(data)]
        [['tea'], ['cup', 'mug']]
    """
    encoded = [encode_dictionary(vocabulary) for vocabulary in vocabularies]
    head = _HEAD.pack(MAGIC, FORMAT_VERSION, len(encoded))
    return b"".join([head, *(_LENGTH.pack(len(one)) for one in encoded), *encoded])


def read_dictionaries(data: bytes | memoryview) -> list[Dictionary]:
    """Reads what `encode_dictionaries` returned, from bytes that anyone may have written.

    Raises:
        ValueError: If the bytes make no sense, or a later version of this package wrote them.
    """
    view = memoryview(data)
    if len(view) < _HEAD.size:
        raise broken(f"{_HEAD.size - len(view)} bytes are missing")
    magic, version, count = _HEAD.unpack_from(view)
    if magic != MAGIC:
        raise broken(f"it does not start with {MAGIC!r}")
    if version != FORMAT_VERSION:
        raise invalid(
            f"The vocabularies must have format version {FORMAT_VERSION}.",
            "Update memcom_tf.",
            format_version=version,
        )
    start = _HEAD.size + count * _LENGTH.size
    if len(view) < start:
        raise broken(f"{start - len(view)} bytes are missing")
    lengths = [length for (length,) in _LENGTH.iter_unpack(view[_HEAD.size : start])]
    if start + sum(lengths) != len(view):
        raise broken(f"{start + sum(lengths)} bytes are promised, and {len(view)} there")
    found = []
    for length in lengths:
        found.append(Dictionary(view[start : start + length]))
        start += length
    return found
