"""The protocol for sequences: the last interaction of each user is for test."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.interactions import Interactions
from memcom_tf.datasets.labels import CodeArray
from memcom_tf.errors import invalid
from memcom_tf.evaluation.examples import Examples, Split
from memcom_tf.evaluation.known import (
    check_history_length,
    check_new_items,
    counted_vocabulary,
    ids_of,
)
from memcom_tf.vocabulary import OutOfVocabulary, Vocabulary
from memcom_tf.vocabulary.items import left_aligned

_MIN_INTERACTIONS = 3


def leave_last_out(
    interactions: Interactions,
    *,
    history_length: int = 50,
    out_of_vocabulary: OutOfVocabulary = "error",
    vocabulary: Vocabulary | None = None,
    new_items: OutOfVocabulary | None = None,
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
        vocabulary: A vocabulary to use as it is; None builds one.
        new_items: What becomes of items that this vocabulary does not know: "error", "drop" or
            "share"; None takes its own policy.

    Returns:
        The vocabulary and the three parts, users in rising order; ids of its dtype.

    Raises:
        ValueError: If `history_length` is not positive, if the vocabulary does not know an item
            under "error", or none of them, if "share" has no shared id, or if both a vocabulary
            and another policy are passed.

    Example:
        >>> log = Interactions(user=np.array([1, 1, 1, 1]), item=np.array(["a", "b", "c", "d"]))
        >>> split = leave_last_out(log, history_length=2)
        >>> split.vocabulary.items(split.test.history).tolist(), len(split.train)
        ([['b', 'c']], 1)
    """
    check_history_length(history_length)
    if vocabulary is not None and out_of_vocabulary not in ("error", vocabulary.out_of_vocabulary):
        raise invalid(
            "`out_of_vocabulary` must be that of the `vocabulary` passed.",
            "Pass only one of the two.",
            out_of_vocabulary=out_of_vocabulary,
            vocabulary=vocabulary,
        )
    check_new_items(vocabulary, new_items)
    names, user = interactions.user_labels.values, interactions.user_labels.codes
    # Both sorts are stable: equal times stay in the order of the rows.
    keys = (user,) if interactions.time is None else (interactions.time, user)
    in_order = np.lexsort(keys)
    user = user[in_order]
    log = interactions[in_order]
    from_end = _places_from_end(user, len(names))
    trains = from_end >= 2
    if vocabulary is None:
        vocabulary = counted_vocabulary(log, trains, out_of_vocabulary)
    found = ids_of(log.item_labels, vocabulary, new_items)
    ids = found.ids

    reserved = vocabulary.first_id
    dropped = {}
    known = ids != 0
    splits = np.concatenate([[0], np.cumsum(np.bincount(user[known], minlength=len(names)))])
    place = np.cumsum(known) - known  # where an interaction is once those without an id are gone
    kept = ids[known]

    def examples(chosen: npt.NDArray[np.bool_], evaluation: str | None) -> Examples:
        wanted = int(chosen.sum())
        chosen = chosen & (ids >= reserved)
        if evaluation is None:
            chosen &= place > splits[user]
        rows = np.flatnonzero(chosen)
        target, who = ids[rows], user[rows]
        history = left_aligned(kept, splits[who], place[rows], history_length)
        if evaluation is not None:
            usable = (history != target[:, None]).all(axis=1)
            dropped[evaluation] = wanted - int(usable.sum())
            history, target, who = history[usable], target[usable], who[usable]
        return Examples(history, target, names[who], reserved, vocabulary.free_ids)

    return Split(
        vocabulary,
        examples(trains, None),
        Interactions(log.user_labels, found.items, log.time, log.details)[trains & found.learned],
        examples(from_end == 1, "validation"),
        examples(from_end == 0, "test"),
        dropped,
        num_new_items=found.num_new_items,
        num_new_interactions=found.num_new_interactions,
    )


def _places_from_end(user: CodeArray, users: int) -> npt.NDArray[np.int64]:
    """Returns 0 for the last interaction of a user, 1 for the one before, ...

    Those of users with too few interactions get 2, which is training.
    """
    number = np.bincount(user, minlength=users)
    from_end: npt.NDArray[np.int64] = np.cumsum(number)[user] - 1 - np.arange(len(user))
    from_end[number[user] < _MIN_INTERACTIONS] = _MIN_INTERACTIONS - 1
    return from_end
