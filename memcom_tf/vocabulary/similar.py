"""Ids under which similar items share a row, and free ids among them for items that come later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.tables import RowSharing, check_positive
from memcom_tf.vocabulary.items import as_column
from memcom_tf.vocabulary.parts import Details
from memcom_tf.vocabulary.state import VocabularyState

if TYPE_CHECKING:
    from typing_extensions import Self


class ItemOrder(Protocol):
    """An order of items: `memcom_tf.ordering.SimilarityOrder` is one."""

    @property
    def ids(self) -> npt.NDArray[Any]:
        """The id of each item."""

    @property
    def first_id(self) -> int:
        """The smallest id."""

    @property
    def input_dim(self) -> int:
        """The largest id + 1."""

    @property
    def sharing(self) -> RowSharing:
        """How ids share rows under it."""

    def place(self, vectors: npt.ArrayLike, free_ids: npt.ArrayLike) -> Any:
        """Free ids for later items."""


class SimilarItems(VocabularyState):
    """The part of `Vocabulary` that orders by similarity."""

    def reordered(self, order: ItemOrder) -> Self:
        """Returns the same items under the ids of a similarity order.

        Args:
            order: What `memcom_tf.ordering.similarity_order` returned for vectors of the items in
                the order of this vocabulary, and for its `first_id`.

        Returns:
            The vocabulary, which remembers for how many buckets it is ordered: a model of another
            `num_buckets` refuses it. The order's reserve are its `free_ids`.

        Raises:
            ValueError: If the order's ids are not those of this vocabulary.

        Example:
            >>> from memcom_tf import Vocabulary
            >>> from memcom_tf.ordering import similarity_order
            >>> vocabulary = Vocabulary(["tea", "nail", "milk", "hammer"])
            >>> vectors = [[1, 0], [0, 1], [1, 0.1], [0.1, 1]]
            >>> similar = vocabulary.reordered(similarity_order(vectors, num_buckets=2))
            >>> tea, milk, nail = similar.ids(["tea", "milk", "nail"]) % 2
            >>> tea == milk, tea == nail
            (np.True_, np.False_)
        """
        if len(order.ids) != len(self) or order.first_id != self.first_id:
            raise invalid(
                "The ids of `order` must be those of the vocabulary.",
                "Pass one vector for each item, and `first_id=vocabulary.first_id`.",
                items=len(order.ids),
                first_id=order.first_id,
                vocabulary=self,
            )
        slots: list[Any] = [None] * (order.input_dim - self.first_id)
        for item, id_ in zip(self._items, order.ids.tolist(), strict=True):
            slots[id_ - self.first_id] = item
        return self._with_slots(slots, order.sharing)

    def appended(
        self,
        items: Iterable[Any],
        order: ItemOrder,
        vectors: npt.ArrayLike,
        *,
        details: Details | None = None,
    ) -> Self:
        """Returns this vocabulary with later items in its free ids; all others keep their ids.

        The items, one after the other, get a free id in the bucket whose centre is nearest among
        those with free ids left. Their count is 0. `memcom_tf.models.extended_ranker` carries a
        trained model over.

        Args:
            items: The new items.
            order: The order that this vocabulary was `reordered` by; see `SimilarityOrder.load`.
            vectors: `[len(items), d]` vectors of the new items, of the kind that the order was
                made of.
            details: Detail name -> new item -> text.

        Returns:
            The vocabulary, of the same `input_dim`.

        Raises:
            ValueError: If an item is known or repeated, if they are more than the free ids, or if
                the order is another.

        Example:
            >>> from memcom_tf import Vocabulary
            >>> from memcom_tf.ordering import similarity_order
            >>> order = similarity_order([[1, 0], [0, 1]], num_buckets=2, reserve=1)
            >>> vocabulary = Vocabulary(["tea", "nail"]).reordered(order)
            >>> later = vocabulary.appended(["milk"], order, [[1, 0.1]])
            >>> tea, milk = later.ids(["tea", "milk"])
            >>> tea % 2 == milk % 2, later.free_ids.size
            (np.True_, 1)
        """
        new = as_column(items, "items").values
        if known := [item for item in new if item in self]:
            raise invalid("`items` must be new.", "Leave out what has an id.", known=known[:5])
        if (order.sharing, order.first_id) != (self._sharing, self.first_id):
            raise invalid(
                "`order` must be the one that the vocabulary was reordered by.",
                **order.sharing.arguments(),
                first_id=order.first_id,
                vocabulary=self,
            )
        ids = order.place(vectors, self.free_ids).ids
        if len(ids) != len(new):
            raise invalid(
                "`vectors` must have a row for each item.", vectors=len(ids), items=len(new)
            )
        slots = list(self._slots)
        for item, id_ in zip(new, ids.tolist(), strict=True):
            slots[id_ - self.first_id] = item
        return self._with_slots(slots, order.sharing, details)

    def with_reserve(self, reserve: int) -> Self:
        """Returns this vocabulary with more free ids in each bucket; all items keep their ids.

        Args:
            reserve: How many: `input_dim` rises by `reserve * num_buckets`.

        Returns:
            The vocabulary. `memcom_tf.models.extended_ranker` grows the tables of a model.

        Raises:
            ValueError: If `reserve` is not positive, or the order is not by similarity.

        Example:
            >>> from memcom_tf import Vocabulary
            >>> vocabulary = Vocabulary(["tea", "nail"], order="similarity", num_buckets=2)
            >>> vocabulary.with_reserve(2).free_ids.tolist()
            [3, 4, 5, 6]
        """
        check_positive(reserve=reserve)
        if self._sharing is None:
            raise invalid(
                "The vocabulary must be ordered by similarity.",
                "Use `reordered`.",
                order=self._order,
            )
        slots = [*self._slots, *[None] * (reserve * self._sharing.num_buckets)]
        return self._with_slots(slots, self._sharing)

    def _with_slots(
        self,
        slots: Sequence[Any],
        sharing: RowSharing,
        details: Details | None = None,
    ) -> Self:
        """The vocabulary of `slots` in an order by similarity, with all that is known of them."""
        counts = None
        if self._counts is not None:
            count_of = dict(zip(self._slots, self._counts, strict=True)) | {None: 0}
            counts = [count_of.get(item, 0) for item in slots]
        texts: dict[str, dict[Any, str]] = {
            name: dict(zip(self._slots, column, strict=True))
            for name, column in self._details.items()
        }
        added: Mapping[str, Mapping[Any, str]] = details or {}
        for name, of_items in added.items():
            texts.setdefault(name, {}).update(of_items)
        return type(self)(
            slots,
            counts=counts,
            order="similarity",
            **sharing.arguments(),
            out_of_vocabulary=self._policy,
            details=texts,
        )
