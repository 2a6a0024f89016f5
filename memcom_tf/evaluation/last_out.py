"""The protocol for sequences: the last interaction of each user is for test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.interactions import Interactions
from memcom_tf.errors import invalid
from memcom_tf.evaluation.examples import Examples, Split
from memcom_tf.vocabulary import OutOfVocabulary, Vocabulary
from memcom_tf.vocabulary.items import factorize, left_aligned

_MIN_INTERACTIONS = 3


def leave_last_out(
    interactions: Interactions,
    *,
    history_length: int = 50,
    out_of_vocabulary: OutOfVocabulary = "error",
    vocabulary: Vocabulary | None = None,
) -> Split:
    """Splits interactions by the protocol of this package for sequences.

    1. The interactions of each user are put in time order; where times are equal, and where
       there are none, the order of the rows decides.
    2. Of a user with at least 3 interactions the last is for test, the one before for
       validation, the rest for training. Users with fewer are for training only.
    3. The vocabulary has every item that occurs anywhere, but its counts, and so the order of
       its ids (falling count, ties by value), are those of the training interactions alone.
    4. Training examples: each training interaction of a user but the first is a target, those
       before it are its history. Validation: the history is the training interactions. Test:
       the history is the training interactions and the one for validation.
    5. A history has the most recent `history_length` items. Repeated items stay.
    6. Evaluation leaves out exactly the ids in `history`, here as on the phone: what the model
       sees is what it does not recommend again. A target in its own history could never be
       ranked, so such an example of validation or test is dropped, and counted in `dropped`.

    Interactions whose item a given `vocabulary` does not know are split like all others, then
    left out under "drop", or kept as the shared id in histories only under "share". Examples
    whose target they were are left out, and counted in `dropped` where for evaluation.

    Args:
        interactions: The interactions.
        history_length: L, the number of columns of the histories.
        out_of_vocabulary: The policy of the vocabulary that is built.
        vocabulary: A vocabulary to use as it is, with its own policy; None builds one.

    Returns:
        The vocabulary and the three parts, users in rising order; ids of its dtype.

    Raises:
        ValueError: If `history_length` is not positive, if the vocabulary's policy is "error"
            and it does not know an item, or if both a vocabulary and another policy are passed.

    Example:
        >>> log = Interactions(user=np.array([1, 1, 1, 1]), item=np.array(["a", "b", "c", "d"]))
        >>> split = leave_last_out(log, history_length=2)
        >>> split.vocabulary.items(split.test.history).tolist(), len(split.train)
        ([['b', 'c']], 1)
    """
    if history_length < 1:
        raise invalid(
            "`history_length` must be positive.",
            "The default is 50.",
            history_length=history_length,
        )
    if vocabulary is not None and out_of_vocabulary not in ("error", vocabulary.out_of_vocabulary):
        raise invalid(
            "`out_of_vocabulary` must be that of the `vocabulary` passed.",
            "Pass only one of the two.",
            out_of_vocabulary=out_of_vocabulary,
            vocabulary=vocabulary,
        )
    names, user = factorize(interactions.user.tolist())
    # Both sorts are stable: equal times stay in the order of the rows.
    keys = (user,) if interactions.time is None else (interactions.time, user)
    in_order = np.lexsort(keys)
    user = user[in_order]
    items = interactions.item[in_order]
    from_end = _places_from_end(user, len(names))
    trains = from_end >= 2
    if vocabulary is None:
        vocabulary = _count(items, trains, interactions.details, out_of_vocabulary)
    ids = vocabulary.ids(items)

    reserved = vocabulary.first_id
    dropped = {}
    known = ids != 0
    splits = np.concatenate([[0], np.cumsum(np.bincount(user[known], minlength=len(names)))])
    place = np.cumsum(known) - known  # where an interaction is once those without an id are gone
    kept = ids[known]
    people = np.array(names, interactions.user.dtype)

    def examples(chosen: npt.NDArray[np.bool_], evaluation: str | None) -> Examples:
        rows = np.flatnonzero(chosen)
        target, who = ids[rows], user[rows]
        history = left_aligned(kept, splits[who], place[rows], history_length)
        usable = target >= reserved
        if evaluation is None:
            usable &= place[rows] > splits[who]
        else:
            usable &= (history != target[:, None]).all(axis=1)
            dropped[evaluation] = int(len(rows) - usable.sum())
        if not usable.all():
            history, target, who = history[usable], target[usable], who[usable]
        return Examples(history, target, people[who], reserved, vocabulary.holes)

    return Split(
        vocabulary,
        examples(trains, None),
        Interactions(
            user=interactions.user[in_order][trains],
            item=items[trains],
            time=None if interactions.time is None else interactions.time[in_order][trains],
            details=interactions.details,
        ),
        examples(from_end == 1, "validation"),
        examples(from_end == 0, "test"),
        dropped,
    )


def _places_from_end(user: npt.NDArray[np.int64], users: int) -> npt.NDArray[np.int64]:
    """Returns 0 for the last interaction of a user, 1 for the one before, ...

    Those of users with too few interactions get 2, which is training.
    """
    number = np.bincount(user, minlength=users)
    from_end: npt.NDArray[np.int64] = np.cumsum(number)[user] - 1 - np.arange(len(user))
    from_end[number[user] < _MIN_INTERACTIONS] = _MIN_INTERACTIONS - 1
    return from_end


def _count(
    items: npt.NDArray[Any],
    trains: npt.NDArray[np.bool_],
    details: Mapping[str, Mapping[Any, str]],
    policy: OutOfVocabulary,
) -> Vocabulary:
    return Vocabulary.from_column(
        items[trains], catalogue=items[~trains], out_of_vocabulary=policy, details=details
    )
