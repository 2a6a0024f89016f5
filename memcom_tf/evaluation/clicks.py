"""How good predicted probabilities of clicks are, of all rows and of groups of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.tasks import Click

_GROUPS = 10


def click_metrics(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> dict[str, float]:
    """Log loss, AUC and calibration, as `memcom_tf.tasks.Click` has them.

    Example:
        >>> metrics = click_metrics([0.9, 0.2, 0.6], [1, 0, 1])
        >>> {name: round(value, 3) for name, value in metrics.items()}
        {'log loss': 0.28, 'calibration': 0.85, 'AUC': 1.0}
    """
    return Click().metrics(np.asarray(probabilities), np.asarray(labels))


def by_frequency(
    ids: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    groups: int = _GROUPS,
) -> list[dict[str, Any]]:
    """The metrics by how frequent the value of a field is.

    Args:
        ids: `[n]` ids of the field, by falling frequency, as `memcom_tf.features` gives them: 0 of
            missing values and 1 of unknown ones are a group of their own.
        probabilities: `[n]` predictions.
        labels: `[n]` labels, 0 or 1.
        groups: Groups of about as many rows each, that of the most frequent values first.

    Returns:
        For each group that has rows: "ids", the smallest and the largest, "rows", and the metrics;
        AUC only where there are labels of both kinds, calibration where there are clicks.

    Example:
        >>> found = by_frequency([2, 2, 5, 1], [0.5, 0.5, 0.1, 0.3], [1, 0, 0, 1], groups=2)
        >>> [(group["ids"], group["rows"]) for group in found]
        [((0, 1), 1), ((2, 2), 2), ((5, 5), 1)]
    """
    ids = np.asarray(ids)
    predictions, clicks = np.asarray(probabilities).reshape(-1), np.asarray(labels).reshape(-1)
    known = np.sort(ids[ids > 1])
    # A value is in one group, whose borders lie between values.
    shares = np.arange(1, groups) / groups
    edges = np.unique(known[(shares * len(known)).astype(int)]) if len(known) else known
    group_of = np.where(ids > 1, 1 + np.searchsorted(edges, ids, side="left"), 0)
    found = []
    for group in np.unique(group_of):
        rows = group_of == group
        span = (0, 1) if group == 0 else (int(ids[rows].min()), int(ids[rows].max()))
        metrics = click_metrics(predictions[rows], clicks[rows])
        found.append({"ids": span, "rows": int(rows.sum()), **metrics})
    return found
