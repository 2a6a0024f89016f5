"""The lists of several rankers of the same items, held against those of one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.evaluation import Examples, agreement

from ..runtime import CompressedModelFile
from .list_behaviour import Behaviour, Users, behaviour_of, metrics_of
from .same_items import Ids, SameItems, item_counts, titles_of

_NUM_HISTORIES = 64
_NUM_SHOWN = 8
_LONGEST_SHOWN = 10


@dataclass(frozen=True)
class Agreement:
    """How far a ranker agrees with the reference.

    Attributes:
        num_histories: How many histories were ranked by both.
        k: How many of each list count.
        common_share: Mean share of the items of the reference's lists that the file's have, too.
        largest_score_difference: Of the items of both lists, scored by both, of up to 64 histories.
    """

    num_histories: int
    k: int
    common_share: float
    largest_score_difference: float


@dataclass(frozen=True)
class ShownUser:
    """A user whose lists are shown.

    Attributes:
        history: Ids of the last items, the most recent at the end.
        target: Ids that belong to it; empty of a history that was drawn.
    """

    history: Sequence[int]
    target: Sequence[int]


@dataclass(frozen=True)
class ComparedLists:
    """What the lists of rankers tell, by the places of their files.

    Attributes:
        agreements: How far each agrees with the reference.
        metrics: Of each, by the targets of the examples.
        behaviours: Of each, whose lists changed, and how.
        users: Users whose lists are shown.
        titles: What items are called, by their ids in the reference, as texts.
    """

    agreements: Mapping[int, Agreement] = field(default_factory=dict)
    metrics: Mapping[int, dict[str, float]] = field(default_factory=dict)
    behaviours: Mapping[int, Behaviour] = field(default_factory=dict)
    users: Sequence[ShownUser] = ()
    titles: Mapping[str, str] = field(default_factory=dict)


def compare_lists(
    rankers: Sequence[SameItems | str], at: int, examples: Examples | None
) -> ComparedLists:
    """Ranks for the same users by all files, and holds the lists against the reference's.

    Args:
        rankers: The files; of one that is not compared the reason.
        at: The place of the reference.
        examples: The users; None draws histories.

    Returns:
        What the lists tell; nothing where the reference is no ranker.
    """
    same = {place: one for place, one in enumerate(rankers) if isinstance(one, SameItems)}
    if at not in same:
        return ComparedLists()
    reference = same[at].file
    k = min(ranker.file.ranker.k for ranker in same.values())
    users = _users(reference, [ranker.file for ranker in same.values()], examples)
    lists = {place: ranker.best(users.histories, k) for place, ranker in same.items()}
    nobody = [np.zeros(0, np.int64)]
    first = {place: ranker.best(nobody, k)[0] for place, ranker in same.items()}
    behaviours = {
        place: behaviour_of(users, lists[place], lists[at], first[place], first[at])
        for place in same
    }
    shown = [_shown_user(users, row) for row in users.shown.tolist()]
    return ComparedLists(
        {
            place: _agreement(users, same[at], ranker, lists[at], lists[place])
            for place, ranker in same.items()
        },
        {place: metrics_of(users, lists[place], lists[at]) for place in same},
        behaviours,
        shown,
        titles_of(reference, _mentioned(behaviours.values(), shown)),
    )


def check_examples(
    examples: Examples,
    files: Sequence[CompressedModelFile],
    rankers: Sequence[SameItems | str],
    at: int,
) -> None:
    """Requires that there are examples, and that every file ranks their items."""
    if not len(examples):
        raise invalid("There must be examples.", "Pass at least one.", examples=0)
    for file, ranker in zip(files, rankers, strict=True):
        if isinstance(ranker, str):
            raise invalid(
                f"Examples must be of files that are rankers of the same items, but {ranker}.",
                "Compare files of one vocabulary, or leave the examples out.",
                path=str(file.path),
            )
    size = files[at].description.num_ids
    for name in ("history", "target"):
        values = getattr(examples, name)
        outside = values[(values < 0) | (values >= size)]
        if len(outside):
            raise invalid(
                f"Ids of the examples must be in [0, {size}).",
                "Take them from the vocabulary of the reference.",
                **{name: int(outside[0])},
            )


def _users(
    reference: CompressedModelFile,
    files: Sequence[CompressedModelFile],
    examples: Examples | None,
) -> Users:
    size = reference.description.num_ids
    items = np.arange(reference.ranker.reserved_ids, size)
    items = np.setdiff1d(items, reference.free_ids)
    counts = item_counts([reference, *files], size)
    if examples is not None:
        histories = [row[row > 0] for row in examples.history]
        target = examples.target.astype(np.int64)
    else:
        length = min(file.ranker.history_length for file in files)
        histories, target = _drawn(items, length), None
    shown = np.unique(np.linspace(0, len(histories) - 1, _NUM_SHOWN).astype(np.int64))
    return Users(histories, target, counts, len(items), shown)


def _drawn(items: Ids, length: int) -> list[Ids]:
    """Random histories. None is empty, of which a ranker may give all items one score."""
    rng = np.random.default_rng(1)
    return [
        rng.choice(items, min(known, len(items)), replace=False)
        for known in rng.integers(1, length + 1, _NUM_HISTORIES).tolist()
    ]


def _agreement(
    users: Users, reference: SameItems, ranker: SameItems, ours: Ids, theirs: Ids
) -> Agreement:
    differences = [0.0]
    for row in range(min(len(ours), _NUM_HISTORIES)):
        history = users.histories[row]
        both = np.setdiff1d(np.union1d(ours[row], theirs[row]), [0])
        if len(both):
            scores = [one.scores(history, both) for one in (reference, ranker)]
            differences.append(float(np.abs(scores[0] - scores[1]).max()))
    share = agreement(ours, theirs)
    return Agreement(len(ours), ours.shape[1], share, max(differences))


def _shown_user(users: Users, row: int) -> ShownUser:
    target = np.zeros(0, np.int64) if users.target is None else np.atleast_1d(users.target[row])
    return ShownUser(
        users.histories[row][-_LONGEST_SHOWN:].tolist(), [int(id_) for id_ in target if id_ > 0]
    )


def _mentioned(behaviours: Iterable[Behaviour], shown: Sequence[ShownUser]) -> Ids:
    """The ids of all items that are named somewhere."""
    found = [id_ for user in shown for id_ in (*user.history, *user.target)]
    for of in behaviours:
        found += [*of.first_list, *(id_ for row in of.lists for id_ in row)]
        found += [moved.item for moved in (*of.entered, *of.left)]
    return np.array(found, np.int64)
