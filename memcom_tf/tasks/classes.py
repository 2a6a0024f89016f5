"""Classification: one of several classes, such as the group of a document."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from memcom_tf.errors import invalid, message
from memcom_tf.features import draw_rows
from memcom_tf.tasks.task import Task

UNKNOWN_CLASS = -1
"""The label of an example whose class a model does not know."""

_DRAWN = 256
_LEAST = 1e-7
_SUM = 1e-3


class Classes(Task):
    """One of several classes, of any Keras model that gives a probability for each.

    Examples are a pair: inputs as `predict` takes them, and labels `[n]`, the place of the class
    among the outputs, or -1 of a class that is not among them.

    Example:
        >>> outputs = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
        >>> metrics = Classes().metrics(outputs, np.array([0, 1, 1, 0]))
        >>> {name: round(value, 3) for name, value in metrics.items()}
        {'accuracy': 0.75, 'log loss': 0.4, 'macro F1': 0.733}
    """

    name: ClassVar[str] = "classes"

    def inputs(self, model: Any) -> Any:
        """Ids of a `memcom_tf.models.TextClassifier`; other models know."""
        features = getattr(model, "features", None)
        if features is None:
            return None
        import tensorflow as tf

        return {"ids": tf.TensorSpec([None, features.slots], tf.int32, name="ids")}

    def samples(self, model: Any) -> Any:
        """Documents drawn by the words of a `memcom_tf.models.TextClassifier`."""
        features = getattr(model, "features", None)
        return None if features is None else draw_rows(features, _DRAWN)

    def metrics(self, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Accuracy, log loss, and macro F1, the mean over classes of F1.

        A class that is not among the outputs counts as not found; log loss is of the others.

        Raises:
            ValueError: If there is not one row of probabilities for each label, or a label is no
                place of one.
            ImportError: If scikit-learn is not installed.
        """
        f1_score, log_loss = _metrics()
        values, labels = np.asarray(outputs, np.float64), np.asarray(labels).reshape(-1)
        if values.ndim != 2 or len(values) != len(labels) or not labels.size:
            raise invalid(
                "There must be a row of probabilities for each label.",
                "Pass a model whose output is `[n, classes]`, and labels `[n]` of its inputs.",
                outputs=values.shape,
                labels=labels.shape,
            )
        count = values.shape[1]
        fits = labels.dtype.kind in "iu" and labels.min() >= UNKNOWN_CLASS and labels.max() < count
        if not fits:
            raise invalid(
                f"Labels must be integers in [-1, {count}).",
                "",
                labels=np.unique(labels)[:5].tolist(),
            )
        if not ((values >= 0).all() and np.allclose(values.sum(axis=1), 1, atol=_SUM)):
            raise invalid(
                "Outputs must be probabilities, whose sum is 1.",
                "End the model with a softmax.",
                sums=values.sum(axis=1)[:5].tolist(),
            )
        predicted = values.argmax(axis=1)
        found = {"accuracy": float((predicted == labels).mean())}
        known = labels != UNKNOWN_CLASS
        if known.any():
            likely = np.clip(values[known], _LEAST, None)
            likely /= likely.sum(axis=1, keepdims=True)
            found["log loss"] = float(log_loss(labels[known], likely, labels=np.arange(count)))
        scores = {"average": "macro", "zero_division": 0.0}
        found["macro F1"] = float(f1_score(labels, predicted, **scores))
        return found


def _metrics() -> tuple[Any, Any]:
    try:
        from sklearn.metrics import f1_score, log_loss
    except ImportError as error:
        raise ImportError(
            message(
                "scikit-learn must be installed for log loss and F1.",
                'Run: pip install "memcom_tf[order]".',
                missing=error.name,
            )
        ) from error
    return f1_score, log_loss
