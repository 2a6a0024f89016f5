"""Rankers of the same items, whatever ids these have in each file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from memcom_tf.text import printable

from ..runtime import CompressedModelFile

Ids = npt.NDArray[np.int64]

LONGEST_TITLE = 120


class SameItems:
    """A ranker that is asked in the ids of another one, the reference.

    Args:
        file: The ranker.
        ids: `[n]` its ids of the items, by the ids of the reference.
    """

    def __init__(self, file: CompressedModelFile, ids: Ids) -> None:
        self.file, self._ids = file, ids
        self._back = np.zeros(int(ids.max()) + 1, np.int64)
        self._back[ids] = np.arange(len(ids))

    def best(self, histories: Sequence[Ids], k: int) -> Ids:
        """The best items of each history `[n, k]`, padded with 0 where there are fewer."""
        lists = np.zeros((len(histories), k), np.int64)
        for row, history in enumerate(histories):
            found = self._back[self.file.rank(self._ids[history])[0][:k]]
            lists[row, : len(found)] = found
        return lists

    def scores(self, history: Ids, candidates: Ids) -> npt.NDArray[np.float32]:
        """The scores of some items after a history."""
        query = self.file.query_inputs(self._ids[history])
        wanted = self._ids[candidates].astype(np.int32)
        return np.asarray(self.file.run("score", **query, candidates=wanted)["scores"])


def same_items(reference: CompressedModelFile, file: CompressedModelFile) -> SameItems | str:
    """Asks a file in the ids of the reference, or says why it cannot be.

    Args:
        reference: A file.
        file: The same or another one.

    Returns:
        The ranker; or a reason, the end of a sentence "Its lists were not compared: ...".
    """
    for one, called in ((reference, "the reference"), (file, "the file")):
        if (reason := _why_no_lists(one)) is not None:
            return f"{called} {reason}"
    ours, theirs = reference.archive.vocabulary, file.archive.vocabulary
    if ours is None or theirs is None:
        sizes = {one.description.num_ids for one in (reference, file)}
        if (ours is None) != (theirs is None):
            return "one of the two has a vocabulary, the other has none"
        if len(sizes) > 1:
            return "neither has a vocabulary, and the numbers of ids differ"
        return SameItems(file, np.arange(sizes.pop()))
    others = len(set(ours) ^ set(theirs))
    if others:
        return f"{others:,} items are in one of the two only"
    if ours.first_id != theirs.first_id:
        return "only one of the two has an id for unknown items"
    return SameItems(file, np.asarray(ours.ids_in(theirs), np.int64))


def _why_no_lists(file: CompressedModelFile) -> str | None:
    """Why a file does not rank a history; None where it does."""
    if file.description.ranker is None:
        return "is no ranker"
    inputs = set(file.signatures["rank"]["inputs"])
    if "history" not in inputs:
        return "takes no history"
    known = {"history"} | ({"ids", "numbers"} if file.description.fields else set())
    return "takes more than a history" if inputs - known else None


def item_counts(files: Sequence[CompressedModelFile], size: int) -> npt.NDArray[np.float64] | None:
    """How often each item occurred, by the ids of the reference, which is the first file.

    Args:
        files: The reference, and files of the same items.
        size: Ids of the reference.

    Returns:
        `[size]`, 0 for what is no item; None where no file tells.
    """
    reference = files[0].archive.vocabulary
    for file in files:
        vocabulary = file.archive.vocabulary
        if reference is None or vocabulary is None or vocabulary.counts is None:
            continue
        if vocabulary.counts.any():
            found = np.zeros(size)
            found[reference.ids(list(vocabulary))] = vocabulary.counts
            return found
    return None


def titles_of(file: CompressedModelFile, ids: Ids) -> dict[str, str]:
    """What items are called, by their ids as texts, as JSON has them.

    Args:
        file: The reference.
        ids: Some of its ids.

    Returns:
        Titles; items where there are none, and ids where there is no vocabulary. All are printable.
    """
    dictionary = file.archive.dictionary
    found = {}
    for id_ in np.unique(ids[ids > 0]).tolist():
        name = str(id_)
        if dictionary is not None:
            title = dictionary.detail("title", id_) if "title" in dictionary.details else ""
            item = dictionary.item(id_)
            # An id below that of the first item is one that unknown items share.
            name = title or ("an unknown item" if item is None else str(item))
        found[str(id_)] = printable(name, LONGEST_TITLE)
    return found
