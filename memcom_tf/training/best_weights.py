"""The best weights of a model on validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

_SHARE = 0.3
"""Of the newest weights in the mean: about the last five evaluations count."""


class BestWeights:
    """Keeps the weights of a model with which the loss on validation is smallest.

    What is measured are means of the weights over the last evaluations, as in stochastic weight
    averaging: they are better than the weights of any one of them, and vary less with the seed.
    Training goes on from the weights that it reached.

    Args:
        model: The model, built before the first evaluation.
        metrics: Gives its metrics on validation, that of the loss among them where it has one.
        report: Called with a line for every evaluation.
        by: The metric that is the loss.

    Attributes:
        found: The metrics by epochs trained.
        epochs: When the weights kept were those of the model.
    """

    def __init__(
        self,
        model: Any,
        metrics: Callable[[], dict[str, float]],
        report: Callable[[str], object],
        by: str = "log loss",
    ) -> None:
        self.model, self._metrics, self._report, self._by = model, metrics, report, by
        self.found: dict[float, dict[str, float]] = {}
        self.epochs = 0.0
        self._weights: list[np.ndarray] = []
        self._mean: list[np.ndarray] = []
        self._others: list[np.ndarray] = []
        self._averaged = 0

    def evaluate(self, epochs: float) -> None:
        """Measures the model after so many epochs of training; 0 is before the first step."""
        reached = self.model.get_weights()
        mean = self._mean_with(reached) if epochs > 0 else reached
        self.model.set_weights(mean)
        metrics = self.found[epochs] = self._metrics()
        self.model.set_weights(reached)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        self._report(f"after {epochs:.3g} epochs on validation: {shown}")
        if not self._weights or self.loss(epochs) < self.loss(self.epochs):
            self.epochs, self._weights = epochs, mean

    def _mean_with(self, reached: list[np.ndarray]) -> list[np.ndarray]:
        """The mean, these weights included.

        It starts anew where what is not trained has changed: rows that stand for other ids than
        before have no mean with what they were.
        """
        trained = {id(weight) for weight in self.model.trainable_weights}
        is_trained = [id(weight) in trained for weight in self.model.weights]
        others = [array for array, of in zip(reached, is_trained, strict=True) if not of]
        same = len(others) == len(self._others) and all(map(np.array_equal, others, self._others))
        self._averaged = self._averaged + 1 if same and self._mean else 1
        share = max(_SHARE, 1 / self._averaged)
        if self._averaged == 1:
            self._mean = reached
        else:
            self._mean = [
                old + share * (new - old) if of else new
                for old, new, of in zip(self._mean, reached, is_trained, strict=True)
            ]
        self._others = others
        return self._mean

    def loss(self, epochs: float) -> float:
        """The loss after so many epochs; infinite where there is none, or it is no number."""
        loss = self.found[epochs].get(self._by, math.inf)
        return math.inf if math.isnan(loss) else loss

    @property
    def waited(self) -> int:
        """Evaluations since the best one."""
        return sum(done > self.epochs for done in self.found)

    def kept(self) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
        """What `take_up` has to know: as JSON takes it, and arrays."""
        record = {"found": self.found, "epochs": self.epochs, "averaged": self._averaged}
        return record, {"best": self._weights, "mean": self._mean, "others": self._others}

    def take_up(self, record: dict[str, Any], arrays: dict[str, list[np.ndarray]]) -> None:
        """Goes on where `kept` was called."""
        self.found = {float(epochs): metrics for epochs, metrics in record["found"].items()}
        self.epochs, self._averaged = record["epochs"], record["averaged"]
        self._weights, self._mean, self._others = (
            arrays[name] for name in ("best", "mean", "others")
        )

    def restore(self) -> dict[str, Any]:
        """Gives the model its best weights.

        Returns:
            The loss, such as "log_loss", by epochs trained; "best" of it; "epochs" when that was.
        """
        if self._weights:
            self.model.set_weights(self._weights)
        losses = {epochs: self.loss(epochs) for epochs in self.found}
        best = losses.get(self.epochs, math.inf)
        return {self._by.replace(" ", "_"): losses, "best": best, "epochs": self.epochs}
