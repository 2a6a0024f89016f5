"""The vocabulary: what a user calls an item, and the id that the embedding tables use."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import in_python, invalid
from memcom_tf.files import write_atomically
from memcom_tf.vocabulary import parts
from memcom_tf.vocabulary.items import IdArray, as_column, as_items, left_aligned
from memcom_tf.vocabulary.parts import CountedOrder, Details, OutOfVocabulary
from memcom_tf.vocabulary.similar import SimilarItems

PADDING_ID = 0
SHARED_ID = 1


class Vocabulary(SimilarItems):
    """Items and their ids, immutable.

    Id 0 is padding. Under `out_of_vocabulary="share"` id 1 stands for every unknown item. The
    items follow: entry number i (from 0) of `items` has the id `first_id + i`, and
    `input_dim = first_id + len(items)` is what an embedding layer needs. In an order by
    similarity an entry may be None, a free id, which is kept for a later item (`appended`).

    Args:
        items: The items in the order of their ids: strings or integers, not both; with
            `order="similarity"` None for a free id.
        counts: How often each item occurred, aligned with `items`; 0 for a free id.
        order: The rule by which the ids were given: "frequency" (falling count), "similarity"
            (see `reordered`) or "given".
        num_buckets: For how many buckets the order is, where it is "similarity".
        num_dedicated: Ids below it are in no bucket, where the order is "similarity".
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

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[Any, int],
        *,
        order: CountedOrder = "frequency",
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
        chosen = parts.choose(counts, order, min_count, max_size)
        return cls(
            chosen.keys(),
            counts=chosen.values(),
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
        order: CountedOrder = "frequency",
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

    def ids(self, items: object) -> IdArray:
        """Returns the ids of items.

        Args:
            items: One item, a list, nested lists of equal length, an array or a Series.

        Returns:
            The ids, of the shape of `items`: int32 where `input_dim` fits, else int64. A scalar
            gives an array of shape ().

        Raises:
            ValueError: If a value is missing or of another kind than the vocabulary's items, or
                if an item is unknown and `out_of_vocabulary` is "error".

        Example:
            >>> Vocabulary([50, 7], out_of_vocabulary="share").ids([[7, 50], [1, 7]])
            array([[3, 2],
                   [1, 3]], dtype=int32)
        """
        values, shape, kind = as_items(items, "items")
        if kind not in (None, self._kind):
            raise invalid(
                f"`items` must be {self._kind.__name__}, as the items of this vocabulary.",
                in_python(f"Convert them with {self._kind.__name__}()."),
                first=values[0],
            )
        unknown = SHARED_ID if self._policy == "share" else PADDING_ID
        look_up = self._index.get
        found = np.fromiter((look_up(value, unknown) for value in values), np.int64, len(values))
        if self._policy == "error" and not found.all():
            raise parts.unknown_items([values[i] for i in np.flatnonzero(found == 0)], self._items)
        if self.input_dim - 1 <= np.iinfo(np.int32).max:
            return found.astype(np.int32).reshape(shape)
        return found.reshape(shape)

    def ids_in(self, other: Vocabulary) -> IdArray:
        """Returns what the ids of this vocabulary are in another one of the same items.

        Args:
            other: The other vocabulary, such as `reordered` returned.

        Returns:
            [input_dim] its ids; padding and the shared id are themselves, free ids give 0.

        Raises:
            ValueError: If `other` lacks an item and its policy is "error", or if only one of both
                has a shared id.

        Example:
            >>> Vocabulary(["tea", "milk"]).ids_in(Vocabulary(["milk", "tea"]))
            array([0, 2, 1], dtype=int32)
        """
        if self.first_id != other.first_id:
            raise invalid(
                "Both vocabularies must have a shared id, or none.",
                "Build them with the same `out_of_vocabulary`.",
                vocabulary=self,
                other=other,
            )
        items = list(self)
        found = other.ids(items)
        ids = np.zeros(self.input_dim, found.dtype)
        ids[: self.first_id] = np.arange(self.first_id)
        ids[self.ids(items)] = found
        return ids

    def items(self, ids: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Returns the items of ids, the inverse of `ids`.

        Args:
            ids: Integers in [0, input_dim), of any shape.

        Returns:
            The items, of the shape of `ids`; None for the padding and the shared id.

        Raises:
            ValueError: If `ids` are no integers or out of range.

        Example:
            >>> Vocabulary(["tea", "milk"]).items([[1, 2], [2, 0]]).tolist()
            [['tea', 'milk'], ['milk', None]]
        """
        return parts.take(self._item_of_id, ids)

    def detail(self, name: str, ids: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Returns one detail of ids, such as their titles.

        Args:
            name: One of `details`.
            ids: Integers in [0, input_dim), of any shape.

        Returns:
            The texts, of the shape of `ids`; "" where there is none.

        Raises:
            ValueError: If the vocabulary has no such detail, or as `items`.

        Example:
            >>> Vocabulary([50], details={"title": {50: "Star Wars"}}).detail("title", [1, 0])
            array(['Star Wars', ''], dtype=object)
        """
        return parts.take(parts.objects([*[""] * self.first_id, *self._texts(name)]), ids)

    def pad(self, histories: Sequence[Iterable[Any]], length: int) -> IdArray:
        """Returns the ids of histories of different lengths, in rows of one length.

        Args:
            histories: [n] histories, each with its items in time order.
            length: The number of columns.

        Returns:
            [n, length] ids: of each history the most recent `length` items in time order, then
            zeros. Under "drop" unknown items are left out before that.

        Raises:
            ValueError: If `length` is not positive, or as `ids`.

        Example:
            >>> Vocabulary(["a", "b", "c"]).pad([["a", "b", "c"], ["b"]], 2)
            array([[2, 3],
                   [2, 0]], dtype=int32)
        """
        if length < 1:
            raise invalid("`length` must be positive.", "Pass the history length.", length=length)
        text = next((row for row in histories if isinstance(row, str)), None)
        if text is not None:
            raise invalid("Each history must be a list.", "Pass one list a user.", history=text)
        rows = [list(row) for row in histories]
        ids = self.ids(list(chain.from_iterable(rows)))
        kept = np.concatenate([[0], np.cumsum(ids != PADDING_ID)])
        splits = kept[np.cumsum([0, *map(len, rows)])].astype(np.int64)
        return left_aligned(ids[ids != PADDING_ID], splits[:-1], splits[1:], length)

    def find(self, text: str, detail: str = "title", limit: int = 5) -> int:
        """Finds the one item that a text names, the case aside.

        Args:
            text: The whole detail, or a part of it that no other item has.
            detail: The detail to look in.
            limit: How many names an error lists at most.

        Returns:
            The id.

        Raises:
            ValueError: If the text names no item (lists the nearest) or several (lists them).

        Example:
            >>> titles = {50: "Star Wars (1977)", 7: "Twelve Monkeys (1995)"}
            >>> Vocabulary([50, 7], details={"title": titles}).find("monkeys")
            2
        """
        return self.first_id + parts.find(text, detail, self._texts(detail), self._slots, limit)

    def to_json(self) -> str:
        """Returns the vocabulary as JSON, in ASCII.

        Example:
            >>> vocabulary = Vocabulary(["tea"])
            >>> Vocabulary.from_json(vocabulary.to_json()) == vocabulary
            True
        """
        head = {"format": parts.FORMAT, "format_version": parts.FORMAT_VERSION}
        return json.dumps({**head, "fingerprint": self.fingerprint, **self._content()})

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """Reads what `to_json` returned.

        Args:
            text: The JSON.

        Returns:
            The vocabulary, equal to the one saved.

        Raises:
            ValueError: If the text is no vocabulary, is damaged, or was written by a later
                version of this package.

        Example:
            >>> list(Vocabulary.from_json(Vocabulary(["tea", "milk"]).to_json()))
            ['tea', 'milk']
        """
        content = parts.parse(text)
        fingerprint = content.pop("fingerprint")
        items, details = content["items"], content["details"]
        try:
            content["details"] = {
                name: dict(zip(items, column, strict=True)) for name, column in details.items()
            }
            vocabulary = cls(**content)
        except (ValueError, TypeError, AttributeError) as error:
            raise parts.damaged(str(error)) from error
        if vocabulary.fingerprint != fingerprint:
            raise parts.damaged("the fingerprint does not fit the items")
        return vocabulary

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `to_json()` to a file, in one step: a reader sees the old file or the new.

        Args:
            path: The file; its folder must exist.

        Raises:
            OSError: If it cannot be written.

        Example:
            >>> import pathlib, tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     Vocabulary(["tea"]).save(pathlib.Path(folder) / "vocabulary.json")
            ...     list(Vocabulary.load(pathlib.Path(folder) / "vocabulary.json"))
            ['tea']
        """
        write_atomically(path, self.to_json().encode("ascii"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Reads a file that `save` wrote.

        Args:
            path: The file.

        Returns:
            The vocabulary, equal to the one saved.

        Raises:
            OSError: If the file cannot be read.
            ValueError: As `from_json`; names the file.
        """
        try:
            return cls.from_json(Path(path).read_bytes().decode("utf-8"))
        except ValueError as error:
            raise invalid(
                "The file must hold a vocabulary saved by memcom_tf.", str(error), path=str(path)
            ) from error
