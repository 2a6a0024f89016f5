"""What models are trained and judged by: histories and the items that belong to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.interactions import Interactions
from memcom_tf.errors import invalid
from memcom_tf.vocabulary import Vocabulary
from memcom_tf.vocabulary.items import IdArray


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples: a history, and the item or items that belong to it.

    Attributes:
        history: [n, L] ids in time order, the most recent at the end, then zeros.
        target: [n] ids, or [n, P] padded with zeros.
        user: [n] users as in the interactions.
        reserved: The number of ids that are no items: 0..reserved-1.
        free_ids: Further ids that are no items, of a vocabulary that keeps room for later ones.
        seen: [n, S] ids that are left out of the ranking, padded with zeros; None leaves out
            those in `history`.
        context: Further inputs of a query by name, each [n, ...].

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> len(Examples(np.array([[4, 2, 0]]), np.array([3]), np.array(["ann"])))
        1
    """

    history: IdArray
    target: IdArray
    user: npt.NDArray[Any]
    reserved: int = 1
    free_ids: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    seen: IdArray | None = None
    context: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.target)
        seen = self.left_out
        if not (
            self.history.ndim == seen.ndim == 2
            and self.target.ndim in (1, 2)
            and len(self.history) == len(seen) == n
            and self.user.shape == (n,)
        ):
            raise invalid(
                "`history` and `seen` must be [n, L] and [n, S], `target` [n] or [n, P], and "
                "`user` [n].",
                "Pass one row for each example.",
                history=self.history.shape,
                seen=seen.shape,
                target=self.target.shape,
                user=self.user.shape,
            )
        for name, values in self.context.items():
            if len(values) != n:
                raise invalid(
                    "Each input of `context` must have one row for each example.",
                    context=name,
                    rows=len(values),
                    examples=n,
                )

    @property
    def inputs(self) -> Any:
        """What a ranker is called with: histories, and beside `context` a dict of all by name.

        A history of no columns is no input.
        """
        if not self.context:
            return self.history
        of_history = {"history": self.history} if self.history.shape[1] else {}
        return {**of_history, **self.context}

    @property
    def left_out(self) -> IdArray:
        """The ids that are left out of the ranking: `seen`, or those in `history`."""
        return self.history if self.seen is None else self.seen

    def __getitem__(self, rows: Any) -> Examples:
        """The examples of some rows: a slice, numbers or a mask."""
        seen = None if self.seen is None else self.seen[rows]
        return replace(
            self,
            history=self.history[rows],
            target=self.target[rows],
            user=self.user[rows],
            seen=seen,
            context={name: values[rows] for name, values in self.context.items()},
        )

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True, eq=False)
class Split:
    """Interactions split by `leave_last_out` or by `hold_out`.

    Attributes:
        vocabulary: The items and their ids.
        train: The examples to train with.
        train_interactions: The interactions for training, from which an order of the vocabulary
            may be learned; by user, in time order.
        validation: One example for each user, to choose by.
        test: One example for each user, for the final numbers.
        dropped: How many examples of "validation" and "test" were left out since their target
            cannot be ranked: it is in the history, or has no id of its own.
        ordered: Whether a history tells what came before what.
        num_new_items: How many items of the log the vocabulary passed does not know.
        num_new_interactions: How many interactions are with them: they are left out, or are the
            shared id in histories.
    """

    vocabulary: Vocabulary
    train: Examples
    train_interactions: Interactions
    validation: Examples
    test: Examples
    dropped: Mapping[str, int]
    ordered: bool = True
    num_new_items: int = 0
    num_new_interactions: int = 0

    @property
    def history_length(self) -> int:
        """L, the number of columns of the histories."""
        return int(self.train.history.shape[1])

    def renumbered(self, vocabulary: Vocabulary) -> Split:
        """The same split under the ids of another vocabulary of the same items.

        Args:
            vocabulary: What `Vocabulary.reordered` returned, say.

        Returns:
            The split with other ids, and the same order of users.

        Raises:
            ValueError: If an item is missing, or the vocabularies reserve other ids.
        """
        ids = self.vocabulary.ids_in(vocabulary)

        def examples(part: Examples) -> Examples:
            return replace(
                part,
                history=ids[part.history],
                target=ids[part.target],
                seen=None if part.seen is None else ids[part.seen],
                free_ids=vocabulary.free_ids,
            )

        return replace(
            self,
            vocabulary=vocabulary,
            train=examples(self.train),
            validation=examples(self.validation),
            test=examples(self.test),
        )
