"""The protocol for sets: what is for test is given, and the order of a history says nothing."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.interactions import Interactions
from memcom_tf.errors import invalid
from memcom_tf.evaluation.examples import Examples, Split
from memcom_tf.evaluation.known import (
    check_history_length,
    check_new_items,
    counted_vocabulary,
    ids_of,
)
from memcom_tf.vocabulary import PADDING_ID, OutOfVocabulary, Vocabulary
from memcom_tf.vocabulary.items import left_aligned
from memcom_tf.vocabulary.parts import one_of

_OF_TRAINING = 0.1
"""Share of the training interactions that are for validation, where these are taken from them."""


def hold_out(
    interactions: Interactions,
    is_test: npt.ArrayLike,
    *,
    history_length: int = 50,
    seed: int = 0,
    validation: Literal["held_out", "training"] = "held_out",
    vocabulary: Vocabulary | None = None,
    new_items: OutOfVocabulary | None = None,
) -> Split:
    """Splits interactions whose part for test is given, as public data sets have it.

    1. A coin with a seed decides for each held-out interaction whether it is for validation or
       for test. The others are for training. With `validation="training"` all that is held out
       is for test, as papers have it, and one in ten of the other interactions for validation.
    2. The vocabulary has every item that occurs anywhere, but its counts, and so the order of
       its ids, are those of the training interactions alone.
    3. An example of validation or test is a user with training interactions. Its history is the
       last `history_length` of them, its targets are the user's items of that part, each once,
       and all of the training interactions are left out of the ranking. Targets among them, and
       those of users without any, are dropped. For test, what is for validation counts among
       them where it was taken from them.
    4. A training example is a user with at least two items: a fifth of them, the last, are
       targets, and those before are the history. To train on other cuts in every epoch is
       better; `memcom_tf.training` does.

    Args:
        interactions: The interactions.
        is_test: [n] which of them are held out, booleans or 0 and 1.
        history_length: L, the number of columns of the histories.
        seed: Seed of the coin.
        validation: Where the interactions for validation are taken from.
        vocabulary: A vocabulary to use as it is; None builds one.
        new_items: As in `leave_last_out`. Under "drop" interactions with items that the
            vocabulary does not know are left out; under "share" they are in histories alone.

    Returns:
        The vocabulary and the three parts, users in rising order, with `ordered=False`.

    Raises:
        ValueError: If `history_length` is not positive, `is_test` does not fit, or no
            interaction is left for training.

    Example:
        >>> log = Interactions(user=[1, 1, 1, 2, 2], item=["a", "b", "c", "a", "c"])
        >>> split = hold_out(log, [0, 0, 1, 0, 1], history_length=2)
        >>> len(split.validation) + len(split.test), len(split.train_interactions)
        (2, 3)
    """
    check_history_length(history_length)
    held_out = np.asarray(is_test)
    if held_out.shape != (len(interactions),) or not np.isin(held_out, (0, 1)).all():
        raise invalid(
            "`is_test` must hold 0 or 1 for each interaction.",
            "Pass one flag for each.",
            is_test=held_out.shape,
            interactions=len(interactions),
        )
    held_out = held_out.astype(bool)
    if held_out.all():
        raise invalid("Some interactions must be for training.", "", held_out=int(held_out.sum()))
    one_of("validation", validation, Literal["held_out", "training"])
    coin = np.random.default_rng(seed).random(len(held_out))
    if validation == "training":
        chosen_by, test = ~held_out & (coin < _OF_TRAINING), held_out
        train, known_at_test = ~held_out & ~chosen_by, ~held_out
    else:
        chosen_by, test = held_out & (coin < 0.5), held_out & (coin >= 0.5)
        train = known_at_test = ~held_out
    check_new_items(vocabulary, new_items)
    if vocabulary is None:
        vocabulary = counted_vocabulary(interactions, train)
    found = ids_of(interactions.item_labels, vocabulary, new_items)
    ids = found.ids
    names = interactions.user_labels.values
    user = interactions.user_labels.codes.astype(np.int64)

    def by_user(chosen: npt.NDArray[np.bool_]) -> _Rows:
        return _Rows(ids, user, np.flatnonzero(chosen & (ids != PADDING_ID)), len(names))

    rows_by_user = by_user(train)
    dropped = {}
    pair = user * vocabulary.input_dim + ids

    def evaluation(
        chosen: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_], name: str
    ) -> Examples:
        rows_by_user = by_user(known)
        new = ~np.isin(pair, pair[known]) & (rows_by_user.size > 0)[user]
        usable = np.flatnonzero(chosen & new & (ids >= vocabulary.first_id))
        usable = usable[np.unique(pair[usable], return_index=True)[1]]
        wanted = _Rows(ids, user, usable, len(names))
        dropped[name] = int(chosen.sum()) - len(wanted.rows)
        who = np.flatnonzero(wanted.size)
        return Examples(
            rows_by_user.last(who, history_length),
            wanted.last(who),
            names[who],
            vocabulary.first_id,
            vocabulary.free_ids,
            rows_by_user.last(who),
        )

    learned = np.flatnonzero(rows_by_user.size > 1)
    num_targets = np.maximum(rows_by_user.size[learned] // 5, 1)
    return Split(
        vocabulary,
        Examples(
            rows_by_user.last(learned, history_length, before_end=num_targets),
            rows_by_user.last(learned, int(num_targets.max(initial=1)), at_most=num_targets),
            names[learned],
            vocabulary.first_id,
            vocabulary.free_ids,
        ),
        Interactions(interactions.user_labels, found.items, details=interactions.details)[
            rows_by_user.rows[found.learned[rows_by_user.rows]]
        ],
        evaluation(chosen_by, train, "validation"),
        evaluation(test, known_at_test, "test"),
        dropped,
        ordered=False,
        num_new_items=found.num_new_items,
        num_new_interactions=found.num_new_interactions,
    )


class _Rows:
    """The ids of each user among some interactions."""

    def __init__(
        self,
        ids: npt.NDArray[Any],
        user: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        users: int,
    ) -> None:
        self.rows = rows[np.argsort(user[rows], kind="stable")]
        self.ids = ids[self.rows]
        self.size = np.bincount(user[rows], minlength=users)
        self.end = np.cumsum(self.size)

    def last(
        self,
        who: npt.NDArray[np.int64],
        length: int | None = None,
        *,
        before_end: npt.NDArray[np.int64] | int = 0,
        at_most: npt.NDArray[np.int64] | None = None,
    ) -> npt.NDArray[Any]:
        """The last ids of users `[n, length]`, padded with zeros."""
        size = self.size[who] if at_most is None else at_most
        if length is None:
            length = int(size.max(initial=1))
        end = self.end[who]
        return left_aligned(self.ids, end - size, end - before_end, length)
