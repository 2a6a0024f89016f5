"""Vectors of items from their texts, in place of those that training gives items that it knows."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.features import draw_rows
from memcom_tf.tasks.task import Task

_DRAWN = 256


class Vectors(Task):
    """Vectors `[n, d]`, of any Keras model that gives them, by how near they are to wanted ones.

    File and model agree where their vectors do, relative to how much these vary. How good the
    vectors are is told by examples, a pair: inputs as `predict` takes them, and the wanted vectors
    `[n, d]`, such as the rows of a trained table.

    Example:
        >>> metrics = Vectors().metrics(np.array([[2, 0], [0, 1]]), np.array([[1, 0], [0, 2]]))
        >>> {name: round(float(value), 3) for name, value in metrics.items()}
        {'cosine': 1.0, 'relative error': 0.632}
    """

    name: ClassVar[str] = "vectors"

    def inputs(self, model: Any) -> Any:
        """Ids of a `memcom_tf.models.TextVectors`; other models know."""
        features = getattr(model, "features", None)
        if features is None:
            return None
        import tensorflow as tf

        return {"ids": tf.TensorSpec([None, features.slots], tf.int32, name="ids")}

    def samples(self, model: Any) -> Any:
        """Texts of any n-grams of a `memcom_tf.models.TextVectors`."""
        features = getattr(model, "features", None)
        return None if features is None else draw_rows(features, _DRAWN)

    def metrics(self, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """The mean cosine to the wanted vectors, and the distance to them relative to their norms.

            cosine = mean_i y_i . v_i / (|y_i| |v_i|)
            relative error = sqrt(sum_i |y_i - v_i|^2 / sum_i |v_i|^2)

        The cosine to a vector of zeros is 0.

        Raises:
            ValueError: If there is not one finite wanted vector for each output, or all of these
                are zeros.
        """
        found, wanted = np.asarray(outputs, np.float64), np.asarray(labels, np.float64)
        if found.ndim != 2 or found.shape != wanted.shape or not found.size:
            raise invalid(
                "There must be a wanted vector for each output, as wide as it.",
                "Pass a model whose output is `[n, d]`, and vectors `[n, d]` of its inputs.",
                outputs=found.shape,
                vectors=wanted.shape,
            )
        if not np.isfinite(wanted).all() or not wanted.any():
            raise invalid("Wanted vectors must be finite, and not all zeros.")
        error = ((found - wanted) ** 2).sum() / (wanted**2).sum()
        return {"cosine": float(cosines(found, wanted).mean()), "relative error": float(error**0.5)}


def cosines(first: np.ndarray, second: np.ndarray) -> npt.NDArray[np.float64]:
    """The cosines `[n]` between rows of two arrays `[n, d]`; 0 of a row of zeros."""
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    products = np.einsum("nd,nd->n", first, second, dtype=np.float64)
    return np.divide(products, norms, out=np.zeros(len(norms)), where=norms > 0)
