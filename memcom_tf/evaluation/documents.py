"""Documents split into training, validation and test, and how well they are classified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.documents import Documents
from memcom_tf.errors import invalid
from memcom_tf.tasks import UNKNOWN_CLASS, Classes

_LEAST = 10
_DOCUMENTS_A_CLASS = 2


@dataclass(frozen=True)
class DocumentSplit:
    """Documents for three purposes.

    Attributes:
        train: To learn from.
        validation: By which is chosen.
        test: Looked at once, at the end.
        by_time: Whether the later documents are held out, and not some at random.
    """

    train: Documents
    validation: Documents
    test: Documents
    by_time: bool

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes of the documents for training, in rising order."""
        labels = self.train.labels
        return tuple(map(str, labels.values[np.unique(labels.codes)]))


def split_documents(
    documents: Documents, *, validation: float = 0.1, test: float = 0.1, seed: int = 0
) -> DocumentSplit:
    """Splits labelled documents.

    Where the documents say what is held out, that is for test. Else the latest are, where there
    are times, and where there are none some of each class at random. Validation is the latest of
    the rest, or some of each class at random, in the same way.

    Args:
        documents: The documents, with labels.
        validation: Share of the documents that are not for test.
        test: Share of all documents, where these do not say.
        seed: Seed of what is at random.

    Returns:
        The split.

    Raises:
        ValueError: If there are no labels, nearly as many classes as documents, a share is not in
            (0, 1), or a part is left with too few documents or with one class to learn.

    Example:
        >>> documents = Documents.of(["green tea", "cold milk"] * 60, label=["tea", "milk"] * 60)
        >>> split = split_documents(documents)
        >>> len(split.train), len(split.validation), len(split.test), split.classes
        (97, 11, 12, ('milk', 'tea'))
    """
    for name, share in (("validation", validation), ("test", test)):
        if not 0 < share < 1:
            raise invalid(f"`{name}` must be in (0, 1).", "", **{name: share})
    _check_classes(documents)
    everything = np.arange(len(documents))
    by_time = documents.time is not None
    if documents.is_test is None:
        rest, last = _parts(documents, everything, test, seed)
    else:
        rest, last = everything[~documents.is_test], everything[documents.is_test]
    train, middle = _parts(documents, rest, validation, seed)
    split = DocumentSplit(documents[train], documents[middle], documents[last], by_time)
    for name in ("train", "validation", "test"):
        if len(getattr(split, name)) < _LEAST:
            raise invalid(
                f"Every part must have {_LEAST} documents.",
                "Split more documents, or give another column of what is held out.",
                part=name,
                documents=len(getattr(split, name)),
            )
    if len(split.classes) < 2:
        raise invalid("There must be two classes to learn.", "", classes=split.classes)
    return split


def class_numbers(documents: Documents, classes: Sequence[str]) -> npt.NDArray[np.int32]:
    """The place of each document's class, -1 of one that is not among them.

    Example:
        >>> class_numbers(Documents.of(["a", "b"], label=["tea", "soup"]), ["milk", "tea"])
        array([ 1, -1], dtype=int32)
    """
    labels = documents.labels
    place = {name: number for number, name in enumerate(classes)}
    numbers = [place.get(str(value), UNKNOWN_CLASS) for value in labels.values.tolist()]
    return np.array(numbers, np.int32)[labels.codes]


def class_metrics(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> dict[str, float]:
    """Accuracy, log loss and macro F1, as `memcom_tf.tasks.Classes` has them.

    Example:
        >>> class_metrics([[0.9, 0.1], [0.2, 0.8]], [0, 1])["accuracy"]
        1.0
    """
    return Classes().metrics(np.asarray(probabilities), np.asarray(labels))


def _check_classes(documents: Documents) -> None:
    """Requires that labels are classes, and not, say, a number of each document."""
    found = len(np.unique(documents.labels.codes))
    if not 2 <= found <= len(documents) / _DOCUMENTS_A_CLASS:
        raise invalid(
            f"There must be two classes or more, and {_DOCUMENTS_A_CLASS} documents of a class.",
            "Name another column of labels.",
            classes=found,
            documents=len(documents),
        )


def _parts(
    documents: Documents, rows: npt.NDArray[np.int64], share: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Some rows without, and with, those that are held out, which are such a share of them."""
    count = round(share * len(rows))
    if documents.time is not None:
        order = rows[np.argsort(documents.time[rows], kind="stable")]
        return order[: len(order) - count], order[len(order) - count :]
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(rows)
    codes = documents.labels.codes[shuffled]
    of_class = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    number = np.empty(len(rows), np.int64)
    number[of_class] = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # Where a document stands among those of its class, from the first, which is never held out.
    chance = np.where(number == 0, 2.0, (number + rng.random(len(rows))) / sizes[codes])
    held_out = shuffled[np.argsort(chance, kind="stable")[:count]]
    return np.setdiff1d(rows, held_out), np.sort(held_out)
