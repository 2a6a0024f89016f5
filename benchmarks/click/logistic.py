"""The baseline: logistic regression on one-hot values, as scikit-learn has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from memcom_tf.evaluation import click_metrics
from memcom_tf.evaluation.rows import RowSplit
from memcom_tf.features import Features, fit_features
from memcom_tf.models.field_values import seen_numbers

STRENGTHS = 0.03, 0.1, 0.3, 1.0, 3.0
"""Of `C`, the inverse of the regularization."""
MIN_COUNTS = 1, 2, 4


def best_on_validation(
    split: RowSplit, strengths: tuple[float, ...] = STRENGTHS
) -> tuple[np.ndarray, np.ndarray, str]:
    """Its predictions for the rows for validation and for test, and what was chosen.

    It sees what a click model sees: values that are frequent enough, intervals of numbers, and
    the numbers themselves, standardized.
    """
    best: tuple[float, np.ndarray, np.ndarray, str] | None = None
    for min_count in MIN_COUNTS:
        features = fit_features(split.train, min_count=min_count)
        train, validation, test = (
            one_hot(features, part) for part in (split.train, split.validation, split.test)
        )
        for strength in strengths:
            model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
            model.fit(train, split.train.labels)
            found = model.predict_proba(validation)[:, 1]
            loss = click_metrics(found, split.validation.labels)["log loss"]
            if best is None or loss < best[0]:
                chosen = f"C={strength:g}, min_count={min_count}"
                best = loss, found, model.predict_proba(test)[:, 1], chosen
    assert best is not None
    return best[1:]


def one_hot(features: Features, rows: Any) -> Any:
    """A sparse matrix of ones for values and intervals, and of standardized numbers."""
    inputs = features.encode(rows)
    parts = []
    first = 0
    for of in features.categorical:
        ids = inputs["ids"][:, first : first + of.length]
        # A missing value is one of its own, but the end of several is none.
        parts.append(_ones(ids, of.input_dim, ids > 0 if of.has_several else ids >= 0))
        first += of.length
    if features.numeric:
        numbers, intervals = map(np.asarray, seen_numbers(inputs["numbers"], features.numeric))
        parts.append(sparse.csr_matrix(numbers))
        for place, number in enumerate(features.numeric):
            ids = intervals[:, place : place + 1]
            parts.append(_ones(ids, number.input_dim, ids >= 0))
    return sparse.hstack(parts).tocsr()


def _ones(ids: np.ndarray, size: int, there: np.ndarray) -> Any:
    rows, places = np.nonzero(there)
    return sparse.csr_matrix(
        (np.ones(len(rows), np.float32), (rows, ids[rows, places])), (len(ids), size)
    )
