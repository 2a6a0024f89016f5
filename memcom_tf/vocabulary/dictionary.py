"""A vocabulary in the bytes of a file, which are looked up and not read as a whole."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.vocabulary.encoding import (
    COLUMN,
    FORMAT_VERSION,
    HEADER,
    KINDS,
    MAGIC,
    ORDERS,
    POLICIES,
)
from memcom_tf.vocabulary.items import Item, kind_of
from memcom_tf.vocabulary.packed import PackedInts, broken, bytes_of, read_number, width_of
from memcom_tf.vocabulary.texts import SortedTexts, bytes_of_starts
from memcom_tf.vocabulary.vocabulary import Vocabulary

_INTEGER = re.compile("0|-?[1-9][0-9]*")


class Dictionary:
    """A vocabulary in the bytes of a file, such as a memory-mapped one.

    A lookup reads, and checks, only what it needs; `vocabulary()` reads and checks everything.

    Args:
        data: What `encode_dictionary` returned.

    Raises:
        ValueError: If the head makes no sense or promises another number of bytes, or if a later
            version of this package wrote it. Methods: if what they read makes no sense.

    Example:
        >>> from memcom_tf.vocabulary import Vocabulary, encode_dictionary
        >>> vocabulary = Vocabulary([50, 7], details={"title": {50: "Star Wars"}})
        >>> dictionary = Dictionary(encode_dictionary(vocabulary))
        >>> dictionary.id(7), dictionary.id(8), dictionary.item(1)
        (2, None, 50)
        >>> dictionary.detail("title", 1), dictionary.vocabulary() == vocabulary
        ('Star Wars', True)
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        parts = _Parts(self._data)
        magic, version, fingerprint, *fields = HEADER.unpack(parts.take(HEADER.size))
        if magic != MAGIC:
            raise broken(f"it does not start with {MAGIC!r}")
        if version != FORMAT_VERSION:
            raise invalid(
                f"The dictionary must have format version {FORMAT_VERSION}.",
                "Update memcom_tf.",
                format_version=version,
            )
        kind, policy, order, places, num_buckets, num_dedicated, bytes_of_counts, columns = fields
        if kind >= len(KINDS) or policy >= len(POLICIES) or order >= len(ORDERS):
            raise broken(f"kind {kind}, policy {policy}, order {order}")
        if not columns:
            raise broken("it has no items")
        self.fingerprint: str = fingerprint.hex()
        self._kind = KINDS[kind]
        self._places: int = places
        self._settings: dict[str, Any] = {
            "order": ORDERS[order],
            "num_buckets": num_buckets or None,
            "num_dedicated": num_dedicated,
            "out_of_vocabulary": POLICIES[policy],
        }
        records = COLUMN.iter_unpack(parts.take(columns * COLUMN.size))
        self._items, *details = [
            _Column.read(parts, places, number == 0, *record)
            for number, record in enumerate(records)
        ]
        self._details = {column.name: column for column in details}
        if self._items.name or len(self._details) < len(details):
            raise broken(f"columns named {[self._items.name, *(c.name for c in details)]}")
        self._place_of = parts.integers(len(self), places)
        self._counts = parts.take(bytes_of_counts)
        parts.finish()

    def __len__(self) -> int:
        return len(self._items.texts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dictionary):
            return NotImplemented
        return self._data == other._data

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def kind(self) -> type[Item]:
        """What the items are: str or int."""
        return self._kind

    @property
    def first_id(self) -> int:
        """The id of the first item: 2 if unknown items share id 1, else 1."""
        return 2 if self._settings["out_of_vocabulary"] == "share" else 1

    @property
    def input_dim(self) -> int:
        """The number of ids, the reserved ones included."""
        return self.first_id + self._places

    @property
    def details(self) -> tuple[str, ...]:
        """The names of the details."""
        return tuple(self._details)

    @cached_property
    def free_ids(self) -> npt.NDArray[np.int64]:
        """The ids that no item has, rising."""
        free_ids = self.first_id + np.flatnonzero(self._items.ranks.array() == len(self))
        free_ids.flags.writeable = False
        return free_ids

    def id(self, item: Item) -> int | None:
        """Returns the id of an item, or None where there is no such item.

        Example:
            >>> from memcom_tf.vocabulary import Vocabulary, encode_dictionary
            >>> Dictionary(encode_dictionary(Vocabulary(["tea", "milk"]))).id("milk")
            2
        """
        if kind_of(type(item)) is not self._kind:
            return None
        try:
            rank = self._items.texts.find(str(item).encode())
        except UnicodeEncodeError:  # no file holds a lone surrogate
            return None
        return None if rank is None else self.first_id + self._place_of[rank]

    def item(self, id_: int) -> Item | None:
        """Returns the item of an id in [0, input_dim); None for a reserved or free id."""
        text = self._text(self._items, id_)
        return None if text is None else self._as_item(text)

    def detail(self, name: str, id_: int) -> str:
        """Returns one detail, such as "title", of an id in [0, input_dim); "" where none is."""
        if name not in self._details:
            raise invalid(
                "The detail must be one of the vocabulary's.",
                f"It has {list(self._details)}.",
                detail=name,
            )
        return self._text(self._details[name], id_) or ""

    def vocabulary(self) -> Vocabulary:
        """Returns the whole vocabulary, equal to the one that was encoded.

        Raises:
            ValueError: If any byte makes no sense, or the fingerprint is not that of the items.
        """
        texts = self._items.all()
        items = [None if text is None else self._as_item(text) for text in texts]
        ranks = self._items.ranks.array()
        if not np.array_equal(ranks[self._place_of.array()], np.arange(len(self))):
            raise broken("items and their places do not agree")
        details: dict[str, dict[Any, Any]] = {
            name: dict(zip(items, column.all(), strict=True))
            for name, column in self._details.items()
        }
        try:
            vocabulary = Vocabulary(
                items, counts=self._all_counts(items), details=details, **self._settings
            )
        except ValueError as error:
            raise broken(str(error)) from error
        if vocabulary.fingerprint != self.fingerprint:
            raise broken("the fingerprint is not that of the items")
        return vocabulary

    def _text(self, column: _Column, id_: int) -> str | None:
        if not 0 <= id_ < self.input_dim:
            raise invalid(f"`id` must be in [0, input_dim) = [0, {self.input_dim}).", id=id_)
        return None if id_ < self.first_id else column.text(id_ - self.first_id)

    def _as_item(self, text: str) -> Item:
        if self._kind is str:
            return text
        if not _INTEGER.fullmatch(text):
            raise broken(f"{text!r} is no integer")
        try:
            return int(text)
        except ValueError as error:  # too many digits for Python
            raise broken(str(error)) from error

    def _all_counts(self, items: list[Item | None]) -> list[int] | None:
        """A count for each place, 0 for a free id; None if the vocabulary has none."""
        if not len(self._counts):
            return None
        counts = []
        position = 0
        for item in items:
            count = 0
            if item is not None:
                count, position = read_number(self._counts, position, len(self._counts))
            counts.append(count)
        if position != len(self._counts):
            raise broken("bytes are left over behind the counts")
        return counts


class _Column(NamedTuple):
    """Texts by place: `ranks` says which of `texts`; their number stands for none."""

    name: str
    texts: SortedTexts
    ranks: PackedInts

    @classmethod
    def read(cls, parts: _Parts, places: int, free_ids: bool, *record: int) -> _Column:
        bytes_of_name, texts, bytes_of_texts = record
        if not 1 <= texts <= places:
            raise broken(f"{texts} texts for {places} places")
        name = _decoded(bytes(parts.take(bytes_of_name)))
        starts = parts.take(bytes_of_starts(texts, bytes_of_texts))
        sorted_texts = SortedTexts(texts, starts, parts.take(bytes_of_texts))
        # An item may be missing, a detail not: "" is a text.
        return cls(name, sorted_texts, parts.integers(places, texts + free_ids))

    def text(self, place: int) -> str | None:
        rank = self.ranks[place]
        return None if rank == len(self.texts) else _decoded(self.texts[rank])

    def all(self) -> list[str | None]:
        texts: list[str | None] = [*map(_decoded, self.texts.all()), None]
        return [texts[rank] for rank in self.ranks.array().tolist()]


class _Parts:
    """Hands out one part of the bytes after the other."""

    def __init__(self, data: memoryview) -> None:
        self._rest = data

    def take(self, size: int) -> memoryview:
        part, self._rest = self._rest[:size], self._rest[size:]
        if len(part) < size:
            raise broken(f"{size - len(part)} bytes are missing")
        return part

    def integers(self, size: int, limit: int) -> PackedInts:
        """The next `size` integers, which must be below `limit`."""
        width = width_of(limit - 1)
        return PackedInts(self.take(bytes_of(size, width)), size, width, limit)

    def finish(self) -> None:
        if len(self._rest):
            raise broken(f"{len(self._rest)} bytes are left over")


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise broken("a text is no UTF-8") from error
