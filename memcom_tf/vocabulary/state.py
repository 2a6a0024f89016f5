"""The state of a vocabulary: items, their ids, and what else is known of them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.tables import RowSharing
from memcom_tf.vocabulary import parts
from memcom_tf.vocabulary.items import Item, as_column, kind_of
from memcom_tf.vocabulary.parts import Details, Order, OutOfVocabulary


class VocabularyState:
    """What `Vocabulary` holds; its arguments and errors are described there."""

    def __init__(
        self,
        items: Iterable[Item | None],
        *,
        counts: Iterable[int] | None = None,
        order: Order = "given",
        num_buckets: int | None = None,
        num_dedicated: int = 0,
        out_of_vocabulary: OutOfVocabulary = "error",
        details: Details | None = None,
    ) -> None:
        parts.one_of("order", order, Order)
        slots: Any = items
        if order == "similarity" and not isinstance(items, str):
            slots = list(items)
            values, _, kind = as_column([item for item in slots if item is not None], "items")
        else:
            values, _, kind = as_column(items, "items")
        if kind is None:
            raise invalid("`items` must not be empty.", "Pass at least one item.", items=values)
        if (order == "similarity") != (num_buckets is not None):
            raise invalid(
                '`num_buckets` must be given where `order` is "similarity", and only there.',
                "Use `Vocabulary.reordered`.",
                order=order,
                num_buckets=num_buckets,
            )
        self._sharing = None if num_buckets is None else RowSharing(num_buckets, num_dedicated)
        if num_dedicated and num_buckets is None:
            raise invalid(
                '`num_dedicated` must be 0 where `order` is not "similarity".',
                num_dedicated=num_dedicated,
                order=order,
            )
        parts.one_of("out_of_vocabulary", out_of_vocabulary, OutOfVocabulary)
        self._kind = kind
        self._slots: tuple[Any, ...] = tuple(values) if slots is items else _filled(slots, values)
        """The items in the order of their ids; None where an id is free."""
        self._items: tuple[Any, ...] = tuple(values)
        self._order = order
        self._policy = out_of_vocabulary
        self._index = {
            item: self.first_id + i for i, item in enumerate(self._slots) if item is not None
        }
        if len(self._index) < len(self._items):
            repeated = [item for item, count in Counter(self._items).items() if count > 1]
            raise invalid(
                "`items` must be distinct.", "Pass each item once.", repeated=repeated[:5]
            )
        size = len(self._slots)
        self._counts = None if counts is None else parts.checked_counts(counts, size, order)
        self._details = {
            str(name): parts.detail_column(name, texts, self._slots)
            for name, texts in (details or {}).items()
        }

    @property
    def kind(self) -> Any:
        """What the items are: `str` or `int`."""
        return self._kind

    @property
    def first_id(self) -> int:
        """The id of the first item: 2 if unknown items share id 1, else 1."""
        return 2 if self._policy == "share" else 1

    @property
    def input_dim(self) -> int:
        """The number of ids, the reserved ones included."""
        return self.first_id + len(self._slots)

    @cached_property
    def free_ids(self) -> npt.NDArray[np.int64]:
        """The ids that are kept free for later items, rising; see `appended`."""
        free = [self.first_id + place for place, item in enumerate(self._slots) if item is None]
        free_ids = np.array(free, np.int64)
        free_ids.flags.writeable = False
        return free_ids

    @property
    def holes(self) -> npt.NDArray[np.int64]:
        """The name that `free_ids` had."""
        return self.free_ids

    @property
    def order(self) -> Order:
        """The name of the rule by which ids were given."""
        return self._order

    @property
    def num_buckets(self) -> int | None:
        """For how many buckets items were ordered by similarity; None in another order."""
        return None if self._sharing is None else self._sharing.num_buckets

    @property
    def num_dedicated(self) -> int:
        """Ids below it are those of items that share no row, where the order is "similarity"."""
        return 0 if self._sharing is None else self._sharing.num_dedicated

    @property
    def sharing(self) -> RowSharing | None:
        """How ids of layers share rows that the items were ordered for; None in another order."""
        return self._sharing

    @property
    def out_of_vocabulary(self) -> OutOfVocabulary:
        """What `ids` does with an unknown item."""
        return self._policy

    @property
    def counts(self) -> npt.NDArray[np.int64] | None:
        """[len(self)] how often each item occurred, in the order of the ids; None if unknown."""
        if self._counts is None:
            return None
        pairs = zip(self._slots, self._counts, strict=True)
        return np.array([count for item, count in pairs if item is not None], np.int64)

    @property
    def details(self) -> tuple[str, ...]:
        """The names of the details."""
        return tuple(self._details)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that decides which id an item gets: items, order, policy."""
        sharing = self._sharing
        buckets = [] if sharing is None else [sharing.num_buckets]
        if sharing is not None and sharing.num_dedicated:
            buckets.append(sharing.num_dedicated)
        decisive = json.dumps([self._slots, self._order, self._policy, *buckets])
        return hashlib.sha256(decisive.encode("ascii")).hexdigest()

    @cached_property
    def _item_of_id(self) -> npt.NDArray[np.object_]:
        return parts.objects([*[None] * self.first_id, *self._slots])

    def _texts(self, name: str) -> tuple[str, ...]:
        if name not in self._details:
            raise invalid(
                "The detail must be one of the vocabulary's.",
                f"It has {list(self._details)}.",
                detail=name,
            )
        return self._details[name]

    def _content(self) -> dict[str, Any]:
        return {
            "items": self._slots,
            "counts": self._counts,
            "order": self._order,
            "num_buckets": self.num_buckets,
            **({parts.NUM_DEDICATED: self.num_dedicated} if self.num_dedicated else {}),
            "out_of_vocabulary": self._policy,
            "details": self._details,
        }

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __contains__(self, item: object) -> bool:
        # The kind is asked for since True == 1 and 1.0 == 1, to a dict too.
        return kind_of(type(item)) is self._kind and item in self._index

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VocabularyState):
            return NotImplemented
        return bool(self._content() == other._content())

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        free = len(self._slots) - len(self)
        return (
            f"<Vocabulary: {len(self)} items, {f'{free} free ids, ' if free else ''}"
            f"input_dim={self.input_dim}, order={self._order!r}, "
            f"out_of_vocabulary={self._policy!r}, details={list(self._details)}>"
        )


def _filled(slots: list[Any], values: list[Any]) -> tuple[Any, ...]:
    """The slots with the checked values in the place of the items."""
    checked = iter(values)
    return tuple(None if item is None else next(checked) for item in slots)
