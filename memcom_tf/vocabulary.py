"""The vocabulary: what a user calls an item, and the id that the embedding tables use."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, compress
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from memcom_tf._files import write_atomically
from memcom_tf._items import IdArray, Item, as_column, as_items, kind_of, left_aligned, nearest
from memcom_tf.errors import invalid

PADDING_ID = 0
SHARED_ID = 1
OutOfVocabulary: TypeAlias = Literal["error", "drop", "share"]
Order: TypeAlias = Literal["given", "frequency"]
Details: TypeAlias = Mapping[str, Mapping[Any, str]]
"""Detail name -> item -> text, e.g. `{"title": {50: "Star Wars (1977)"}}`."""

_FORMAT = "memcom_tf.vocabulary"
_FORMAT_VERSION = 1


class Vocabulary:
    """Items and their ids, immutable.

    Id 0 is padding. Under `out_of_vocabulary="share"` id 1 stands for every unknown item. The
    items follow without a gap: item number i (from 0) has the id `first_id + i`, and
    `input_dim = first_id + len(vocabulary)` is what an embedding layer needs.

    Args:
        items: The items in the order of their ids: strings or integers, not both.
        counts: How often each item occurred, aligned with `items`.
        order: The rule by which the ids were given: "frequency" (falling count) or "given".
        out_of_vocabulary: What `ids` does with an unknown item: "error" raises, "drop" gives
            padding, "share" gives id 1.
        details: Detail name -> item -> text. Entries of other items are left out; an item
            without an entry has the text "".

    Raises:
        ValueError: If there is no item, if items are repeated, missing or neither strings nor
            integers, if counts do not fit, or if a name is unknown.

    Example:
        >>> vocabulary = Vocabulary(["tea", "milk"], details={"title": {"tea": "Green tea"}})
        >>> vocabulary.ids(["milk", "tea"])
        array([2, 1], dtype=int32)
        >>> vocabulary.items([1, 0]).tolist()
        ['tea', None]
        >>> vocabulary.input_dim, vocabulary.detail("title", 1).item()
        (3, 'Green tea')
    """

    def __init__(
        self,
        items: Iterable[Item],
        *,
        counts: Iterable[int] | None = None,
        order: Order = "given",
        out_of_vocabulary: OutOfVocabulary = "error",
        details: Details | None = None,
    ) -> None:
        values, _, kind = as_column(items, "items")
        if kind is None:
            raise invalid("`items` must not be empty.", "Pass at least one item.", items=values)
        _one_of("order", order, Order)
        _one_of("out_of_vocabulary", out_of_vocabulary, OutOfVocabulary)
        self._kind = kind
        self._items: tuple[Any, ...] = tuple(values)
        self._order = order
        self._policy = out_of_vocabulary
        self._index = {item: self.first_id + i for i, item in enumerate(self._items)}
        if len(self._index) < len(self._items):
            repeated = [item for item, count in Counter(self._items).items() if count > 1]
            raise invalid(
                "`items` must be distinct.", "Pass each item once.", repeated=repeated[:5]
            )
        self._counts = None if counts is None else _checked_counts(counts, len(values), order)
        self._details = {
            str(name): _column(name, texts, self._items) for name, texts in (details or {}).items()
        }

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[Any, int],
        *,
        order: Order = "frequency",
        min_count: int = 0,
        max_size: int | None = None,
        out_of_vocabulary: OutOfVocabulary = "error",
        details: Details | None = None,
    ) -> Vocabulary:
        """Builds the vocabulary of counted items.

        Args:
            counts: Item -> how often it occurred.
            order: "frequency": ids by falling count, ties by the item's value; "given": ids in
                the order of `counts`.
            min_count: Items that occurred less often are left out.
            max_size: How many items to keep at most, the most frequent; None keeps all.
            out_of_vocabulary: As in the constructor.
            details: As in the constructor.

        Returns:
            The vocabulary, with its counts.

        Raises:
            ValueError: As the constructor, and if `min_count` or `max_size` leave no item.

        Example:
            >>> list(Vocabulary.from_counts({"b": 1, "a": 1, "c": 7}))
            ['c', 'a', 'b']
        """
        if max_size is not None and max_size < 1:
            raise invalid("`max_size` must be positive.", "Pass None for all.", max_size=max_size)
        items = as_column(counts.keys(), "counts").values
        number = dict(zip(items, _checked_counts(counts.values(), len(items), "given"), strict=True))
        kept = [item for item in items if number[item] >= min_count]
        if items and not kept:
            most = max(number.values())
            raise invalid(
                "`min_count` must leave at least one item.",
                f"The most frequent item occurred {most} times: pass at most that.",
                min_count=min_count,
            )
        ranked = sorted(kept, key=lambda item: (-number[item], item))[:max_size]
        if order == "given":
            chosen = set(ranked)
            ranked = [item for item in kept if item in chosen]
        return cls(
            ranked,
            counts=[number[item] for item in ranked],
            order=order,
            out_of_vocabulary=out_of_vocabulary,
            details=details,
        )

    @classmethod
    def from_column(
        cls,
        values: Iterable[Any],
        *,
        catalogue: Iterable[Any] | None = None,
        order: Order = "frequency",
        min_count: int = 0,
        max_size: int | None = None,
        out_of_vocabulary: OutOfVocabulary = "error",
        details: Details | None = None,
    ) -> Vocabulary:
        """Builds the vocabulary of a column of interactions, one item for each interaction.

        Args:
            values: [n] items, repeated as they occurred: an iterable, an array or a Series.
            catalogue: Further items that are known although they may not occur (count 0).
            order: As in `from_counts`; "given" is the order of first occurrence.
            min_count: As in `from_counts`.
            max_size: As in `from_counts`.
            out_of_vocabulary: As in the constructor.
            details: As in the constructor.

        Returns:
            The vocabulary, with its counts.

        Raises:
            ValueError: As `from_counts`, and if a value is missing (with its position).

        Example:
            >>> Vocabulary.from_column([7, 9, 9], catalogue=[8]).counts.tolist()
            [2, 1, 0]
        """
        counts = Counter(as_column(values, "values").values)
        for item in [] if catalogue is None else as_column(catalogue, "catalogue").values:
            counts.setdefault(item, 0)
        return cls.from_counts(
            counts,
            order=order,
            min_count=min_count,
            max_size=max_size,
            out_of_vocabulary=out_of_vocabulary,
            details=details,
        )

    @property
    def first_id(self) -> int:
        """The id of the first item: 2 if unknown items share id 1, else 1."""
        return 2 if self._policy == "share" else 1

    @property
    def input_dim(self) -> int:
        """The number of ids, the reserved ones included."""
        return self.first_id + len(self._items)

    @property
    def order(self) -> Order:
        """The name of the rule by which ids were given."""
        return self._order

    @property
    def out_of_vocabulary(self) -> OutOfVocabulary:
        """What `ids` does with an unknown item."""
        return self._policy

    @property
    def counts(self) -> npt.NDArray[np.int64] | None:
        """[len(self)] how often each item occurred, in the order of the ids; None if unknown."""
        return None if self._counts is None else np.array(self._counts, np.int64)

    @property
    def details(self) -> tuple[str, ...]:
        """The names of the details."""
        return tuple(self._details)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that decides which id an item gets: items, order, policy."""
        decisive = json.dumps([self._items, self._order, self._policy])
        return hashlib.sha256(decisive.encode("ascii")).hexdigest()

    @cached_property
    def _item_of_id(self) -> npt.NDArray[np.object_]:
        return _objects([*[None] * self.first_id, *self._items])

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __contains__(self, item: object) -> bool:
        # The kind is asked for since True == 1 and 1.0 == 1, to a dict too.
        return kind_of(type(item)) is self._kind and item in self._index

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return (
            f"<Vocabulary: {len(self)} items, input_dim={self.input_dim}, order={self._order!r}, "
            f"out_of_vocabulary={self._policy!r}, details={list(self._details)}>"
        )
