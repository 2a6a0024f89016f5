"""The ids of a log's items in a vocabulary, which may not know all of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.interactions import Interactions
from memcom_tf.datasets.labels import Labels
from memcom_tf.errors import argument, invalid
from memcom_tf.vocabulary import PADDING_ID, SHARED_ID, OutOfVocabulary, Vocabulary
from memcom_tf.vocabulary.items import IdArray, nearest
from memcom_tf.vocabulary.parts import one_of

_SHOWN = 3
_LONGEST = 2**16
# Looking for what is spelt alike takes seconds in larger vocabularies.
_SEARCHED = 100_000


class Known(NamedTuple):
    """Items of a log, as a vocabulary knows them.

    Attributes:
        ids: [n] ids; of a new item 0 where it is left out, or the shared id.
        items: [n] the items, of the kind of the vocabulary's.
        learned: [n] which of them may be looked up in the vocabulary later, in training.
        num_new_items: How many distinct items the vocabulary does not know.
        num_new_interactions: How many interactions are with them.
    """

    ids: IdArray
    items: Labels
    learned: npt.NDArray[np.bool_]
    num_new_items: int
    num_new_interactions: int


def ids_of(items: Labels, vocabulary: Vocabulary, new_items: OutOfVocabulary | None) -> Known:
    """Looks the items of a log up.

    An item is known by its text: the string "7" of one file is the integer 7 of another, but
    "007" is neither.

    Args:
        items: [n] the items.
        vocabulary: The vocabulary.
        new_items: What becomes of items that it does not know: "error", "drop" or "share"; None
            takes the vocabulary's policy.

    Returns:
        The ids, and what is new.

    Raises:
        ValueError: If there are new items under "error", if "share" has no shared id, or if no
            item is known.

    Example:
        >>> log = Labels.encode(["7", "8", "007", "8"], "item")
        >>> ids_of(log, Vocabulary([8, 7]), "drop").ids
        array([2, 1, 0, 1], dtype=int32)
    """
    policy = vocabulary.out_of_vocabulary if new_items is None else new_items
    one_of("new_items", policy, OutOfVocabulary)
    if policy == "share" and vocabulary.first_id <= SHARED_ID:
        raise invalid(
            "The vocabulary must have a shared id where new items are to share it.",
            f"Leave their interactions out with {argument('new_items', 'drop')}.",
            vocabulary=vocabulary,
        )
    kind = type(next(iter(vocabulary)))
    values = [of_kind(value, kind) for value in items.values.tolist()]
    known = np.array([value in vocabulary for value in values], np.bool_)
    counts = items.counts()
    new = ~known & (counts > 0)
    if new.any() and policy == "error":
        raise _new_items(items, counts, new, vocabulary)
    if not counts[known].any():
        raise invalid(
            "Some items must be in the vocabulary.",
            "Pass a log of the items that the model was trained with.",
            items=items.values[:_SHOWN].tolist(),
            vocabulary=list(vocabulary)[:_SHOWN],
        )
    found = vocabulary.ids(
        [value for value, is_known in zip(values, known, strict=True) if is_known]
    )
    ids: npt.NDArray[Any] = np.full(
        len(values), SHARED_ID if policy == "share" else PADDING_ID, found.dtype
    )
    ids[known] = found
    converted, fits = _converted(items, values, kind)
    learned = fits & (ids != PADDING_ID)
    return Known(
        ids[items.codes],
        converted,
        learned[items.codes],
        int(new.sum()),
        int(counts[new].sum()),
    )


def check_history_length(history_length: int) -> None:
    """Requires a length that histories may be padded to."""
    known = isinstance(history_length, int | np.integer) and not isinstance(history_length, bool)
    if not (known and 1 <= history_length <= _LONGEST):
        raise invalid(
            f"{argument('history_length')} must be an integer from 1 to {_LONGEST}.",
            "The default is 50.",
            history_length=history_length,
        )


def check_new_items(vocabulary: Vocabulary | None, new_items: OutOfVocabulary | None) -> None:
    """Requires that a policy for new items comes with the vocabulary that they are new to."""
    if vocabulary is None and new_items is not None:
        raise invalid(
            "`new_items` must come with a `vocabulary`.",
            "One that is built of the log knows all items.",
            new_items=new_items,
        )


def counted_vocabulary(
    log: Interactions, trains: npt.NDArray[np.bool_], policy: OutOfVocabulary = "error"
) -> Vocabulary:
    """The vocabulary of all items of a log, with their counts in training alone."""
    items = log.item_labels
    occurs = items.counts() > 0
    counts = items[trains].counts()[occurs].tolist()
    return Vocabulary.from_counts(
        dict(zip(items.values[occurs].tolist(), counts, strict=True)),
        out_of_vocabulary=policy,
        details=log.details,
    )


def of_kind(value: Any, kind: type) -> Any:
    """A value as the vocabulary's kind, or as it is where its text would change."""
    if isinstance(value, kind):
        return value
    if kind is str:
        return str(value)
    try:
        return int(value) if str(int(value)) == value else value
    except ValueError:
        return value


def _converted(
    items: Labels, values: list[Any], kind: type
) -> tuple[Labels, npt.NDArray[np.bool_]]:
    """The items as the vocabulary's kind, and which of the distinct ones have such a form."""
    fits = np.array([isinstance(value, kind) for value in values], np.bool_)
    if all(isinstance(value, kind) for value in items.values.tolist()):
        return items, fits
    labels = Labels.encode([value for value in values if isinstance(value, kind)], "item")
    place = np.zeros(len(values), labels.codes.dtype)
    place[fits] = labels.codes
    return Labels(labels.values, place[items.codes]), fits


def _new_items(
    items: Labels,
    counts: npt.NDArray[np.int64],
    new: npt.NDArray[np.bool_],
    vocabulary: Vocabulary,
) -> ValueError:
    unknown = items.values[new].tolist()
    hints = []
    for item in unknown[:_SHOWN] if len(vocabulary) <= _SEARCHED else ():
        if isinstance(item, str) and (close := nearest(item, map(str, vocabulary), _SHOWN)):
            hints.append(f"nearest to {item[:60]!r}: {', '.join(repr(x[:60]) for x in close)}")
    ways = f"leave their interactions out with {argument('new_items', 'drop')}"
    if vocabulary.first_id > SHARED_ID:
        ways += f", or give them the shared id with {argument('new_items', 'share')}"
    return invalid(
        "Every item must be in the vocabulary.",
        f"Correct them{f' ({chr(59).join(hints)})' if hints else ''}, or {ways}.",
        unknown=[item[:60] if isinstance(item, str) else item for item in unknown[:_SHOWN]],
        items=len(unknown),
        interactions=int(counts[new].sum()),
    )
