"""Predicting whether something is chosen: a click, a purchase."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from memcom_tf.errors import invalid, message
from memcom_tf.features import draw_rows
from memcom_tf.tasks.task import Task

_DRAWN = 512


class Click(Task):
    """The probability of a click, of any Keras model with one output, by log loss and AUC.

    Examples are a pair: inputs as `predict` takes them, and labels `[n]`, 0 or 1.

    Args:
        from_logits: Whether the model gives logits, which a sigmoid makes probabilities of.

    Example:
        >>> metrics = Click().metrics(np.array([[0.9], [0.2], [0.6]]), np.array([1, 0, 1]))
        >>> {name: round(value, 3) for name, value in metrics.items()}
        {'log loss': 0.28, 'calibration': 0.85, 'AUC': 1.0}
    """

    name: ClassVar[str] = "click"

    def inputs(self, model: Any) -> Any:
        """Ids and numbers of a `memcom_tf.models.ClickModel`; other models know."""
        features = getattr(model, "features", None)
        if features is None:
            return None
        import tensorflow as tf

        specs = {}
        if features.categorical:
            specs["ids"] = tf.TensorSpec([None, features.slots], tf.int32, name="ids")
        if features.numeric:
            shape = [None, len(features.numeric)]
            specs["numbers"] = tf.TensorSpec(shape, tf.float32, name="numbers")
        return specs

    def __init__(self, from_logits: bool = False) -> None:
        self.from_logits = from_logits

    def samples(self, model: Any) -> Any:
        """Rows drawn by the fields of a `memcom_tf.models.ClickModel`."""
        features = getattr(model, "features", None)
        return None if features is None else draw_rows(features, _DRAWN)

    def metrics(self, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Log loss, calibration, and the area under the ROC curve.

        Calibration is the mean prediction over the mean label, 1 at best, where there are clicks;
        the area is there where there are others, too.

        Raises:
            ValueError: If there is not one probability for each label, or a label is not 0 or 1.
            ImportError: If scikit-learn is not installed.
        """
        log_loss, roc_auc_score = _metrics()
        values = np.asarray(outputs, np.float64)
        labels = np.asarray(labels).reshape(-1)
        if values.size != labels.size or not labels.size:
            raise invalid(
                "There must be one output for each label.",
                "Pass a model with one output, and labels `[n]` of its `n` inputs.",
                outputs=values.shape,
                labels=labels.shape,
            )
        if not np.isin(labels, (0, 1)).all():
            raise invalid("Labels must be 0 or 1.", "", labels=np.unique(labels)[:5].tolist())
        values = values.reshape(-1)
        if self.from_logits:
            values = 0.5 * (np.tanh(0.5 * values) + 1.0)
        if not ((values >= 0) & (values <= 1)).all():
            raise invalid(
                "Probabilities must be in [0, 1].",
                "Say `Click(from_logits=True)` where the model gives logits.",
                smallest=float(values.min()),
                largest=float(values.max()),
            )
        found = {"log loss": float(log_loss(labels, values, labels=[0, 1]))}
        if labels.any():
            found["calibration"] = float(values.mean() / labels.mean())
        if len(np.unique(labels)) == 2:
            found["AUC"] = float(roc_auc_score(labels, values))
        return found


def _metrics() -> tuple[Any, Any]:
    try:
        from sklearn.metrics import log_loss, roc_auc_score
    except ImportError as error:
        raise ImportError(
            message(
                "scikit-learn must be installed for log loss and AUC.",
                'Run: pip install "memcom_tf[order]".',
                missing=error.name,
            )
        ) from error
    return log_loss, roc_auc_score
