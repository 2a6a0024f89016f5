"""A vocabulary as bytes, laid out as converters/VOCABULARY_FORMAT.md specifies."""

from __future__ import annotations

import struct
from typing import get_args

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.vocabulary.items import Item
from memcom_tf.vocabulary.packed import number, pack, width_of
from memcom_tf.vocabulary.parts import Order, OutOfVocabulary
from memcom_tf.vocabulary.texts import encode_texts
from memcom_tf.vocabulary.vocabulary import Vocabulary

MAGIC = b"MVOC"
FORMAT_VERSION = 1

HEADER = struct.Struct("<4sI32sBBBxIIIII")
COLUMN = struct.Struct("<III")
# In the file stands the place in the tuple.
KINDS: tuple[type[Item], ...] = (str, int)
POLICIES: tuple[OutOfVocabulary, ...] = get_args(OutOfVocabulary)
ORDERS: tuple[Order, ...] = get_args(Order)

_LIMIT = 2**32


def encode_dictionary(vocabulary: Vocabulary) -> bytes:
    """Encodes a vocabulary, to be read by `Dictionary` here and by apps.

    Args:
        vocabulary: The vocabulary.

    Returns:
        The bytes; equal vocabularies give the same.

    Raises:
        ValueError: If a text is no Unicode text (a lone surrogate), or a number needs more than
            32 bits.

    Example:
        >>> data = encode_dictionary(Vocabulary(["tea", "milk"]))
        >>> data[:4], len(data)
        (b'MVOC', 88)
    """
    ids = np.arange(vocabulary.first_id, vocabulary.input_dim)
    items = vocabulary.items(ids).tolist()
    kind = int if isinstance(next(iter(vocabulary)), int) else str
    columns = [_Column("", [None if item is None else str(item) for item in items], free_ids=True)]
    for name in vocabulary.details:
        columns.append(_Column(name, vocabulary.detail(name, ids).tolist()))
    counts = vocabulary.counts
    encoded_counts = b"" if counts is None else b"".join(map(number, counts.tolist()))
    numbers = {
        "places": len(items),
        "num_buckets": vocabulary.num_buckets or 0,
        "num_dedicated": vocabulary.num_dedicated,
        "bytes_of_counts": len(encoded_counts),
        "columns": len(columns),
    }
    head = HEADER.pack(
        MAGIC,
        FORMAT_VERSION,
        bytes.fromhex(vocabulary.fingerprint),
        KINDS.index(kind),
        POLICIES.index(vocabulary.out_of_vocabulary),
        ORDERS.index(vocabulary.order),
        *_fitting(numbers),
    )
    parts = [head, *(column.record() for column in columns)]
    parts += [column.content() for column in columns]
    return b"".join([*parts, columns[0].places(), encoded_counts])


class _Column:
    """The texts of all places under one name; None for a place without."""

    def __init__(self, name: str, texts: list[str | None], free_ids: bool = False) -> None:
        encoded = [None if text is None else _utf8(text) for text in texts]
        distinct = sorted({text for text in encoded if text is not None})
        rank_of: dict[bytes | None, int] = {text: rank for rank, text in enumerate(distinct)}
        self.name = _utf8(name)
        self.size = len(distinct)
        self.starts, self.blocks = encode_texts(distinct)
        self.largest_rank = self.size if free_ids else self.size - 1
        # None is behind all others.
        self.ranks = [rank_of.get(text, self.size) for text in encoded]

    def record(self) -> bytes:
        sizes = {
            "bytes_of_name": len(self.name),
            "texts": self.size,
            "bytes_of_texts": len(self.blocks),
        }
        return COLUMN.pack(*_fitting(sizes))

    def content(self) -> bytes:
        ranks = pack(self.ranks, width_of(self.largest_rank))
        return b"".join([self.name, self.starts, self.blocks, ranks])

    def places(self) -> bytes:
        """Where each text stands, for the items, of which no two are the same."""
        places = np.argsort(self.ranks, kind="stable")[: self.size]
        return pack(places, width_of(len(self.ranks) - 1))


def _fitting(numbers: dict[str, int]) -> list[int]:
    for name, value in numbers.items():
        if value >= _LIMIT:
            raise invalid(f"`{name}` must be below 2**32 in a file.", **{name: value})
    return list(numbers.values())


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise invalid(
            "Items and details must be Unicode text.", "Remove lone surrogates.", text=text
        ) from error
