"""Vectors of words by the classes of the documents that they occur in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.tables import check_positive

_SMOOTHING = 0.5


def class_vectors(
    document: npt.ArrayLike,
    item: npt.ArrayLike,
    label: npt.ArrayLike,
    num_items: int,
    *,
    smoothing: float = _SMOOTHING,
) -> npt.NDArray[np.float32]:
    """Vectors of items, such as words, whose directions tell which classes they speak for.

    With `n_wc` the occurrences of item `w` in documents of class `c`, `N_c` their sum over the
    items, and `n'`, `N'` the same of all other classes, the vector of `w` has for each class

        log((n_wc + s) / (N_c + s num_items)) - log((n'_wc + s) / (N'_c + s num_items)),

    the weight of the item in a naive Bayes classifier of that class against the others.

    Args:
        document: `[n]` the document of each occurrence, a place in `label`.
        item: `[n]` the item, a number in `[0, num_items)`.
        label: `[documents]` the class of each document, an integer or a string. Those of training
            alone: what a model is chosen and tested by must not choose its order.
        num_items: Number of items.
        smoothing: Occurrences `s` that every item is taken to have more, in every class.

    Returns:
        `[num_items, classes]`, the classes in rising order.

    Raises:
        ValueError: If the arrays do not fit, a number is out of range, or there is one class.

    Example:
        >>> vectors = class_vectors([0, 0, 1], [0, 1, 1], ["tea", "milk"], num_items=3)
        >>> vectors.shape, vectors.argmax(axis=1).tolist()
        ((3, 2), [1, 0, 0])
    """
    check_positive(num_items=num_items)
    documents, items = np.asarray(document), np.asarray(item)
    classes, of_document = np.unique(np.asarray(label), return_inverse=True)
    if documents.ndim != 1 or documents.shape != items.shape or not len(items):
        raise invalid(
            "`document` and `item` must be `[n]` with n > 0.",
            "Pass one of each for every occurrence.",
            document=documents.shape,
            item=items.shape,
        )
    for name, values, size in (
        ("document", documents, len(of_document)),
        ("item", items, num_items),
    ):
        if values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= size:
            raise invalid(f"`{name}` must hold integers in [0, {size}).", dtype=str(values.dtype))
    if len(classes) < 2 or not smoothing > 0:
        raise invalid(
            "There must be two classes or more, and `smoothing` must be positive.",
            classes=len(classes),
            smoothing=smoothing,
        )
    counts = np.zeros((num_items, len(classes)))
    np.add.at(counts, (items, of_document.reshape(-1)[documents]), 1.0)
    others = counts.sum(axis=1, keepdims=True) - counts
    vectors = _log_shares(counts, smoothing) - _log_shares(others, smoothing)
    return vectors.astype(np.float32)


def _log_shares(counts: npt.NDArray[np.float64], smoothing: float) -> npt.NDArray[np.float64]:
    """Logarithms of what share of a class's occurrences an item has."""
    totals = counts.sum(axis=0) + smoothing * len(counts)
    return np.asarray(np.log(counts + smoothing) - np.log(totals))
