"""The best weights of a model on validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


class BestWeights:
    """Keeps the weights of a model with which the log loss on validation is smallest.

    Args:
        model: The model, built before the first evaluation.
        metrics: Gives its metrics on validation, "log loss" among them where it has one.
        report: Called with a line for every evaluation.

    Attributes:
        found: The metrics by epochs trained.
        epochs: When the weights kept were those of the model.
    """

    def __init__(
        self,
        model: Any,
        metrics: Callable[[], dict[str, float]],
        report: Callable[[str], object],
    ) -> None:
        self.model, self._metrics, self._report = model, metrics, report
        self.found: dict[float, dict[str, float]] = {}
        self.epochs = 0.0
        self._weights: list[Any] = []

    def evaluate(self, epochs: float) -> None:
        """Measures the model after so many epochs of training."""
        metrics = self.found[epochs] = self._metrics()
        shown = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        self._report(f"after {epochs:.3g} epochs on validation: {shown}")
        if not self._weights or self.loss(epochs) < self.loss(self.epochs):
            self.epochs, self._weights = epochs, self.model.get_weights()

    def loss(self, epochs: float) -> float:
        """The log loss after so many epochs; infinite where there is none, or it is no number."""
        loss = self.found[epochs].get("log loss", math.inf)
        return math.inf if math.isnan(loss) else loss

    @property
    def waited(self) -> int:
        """Evaluations since the best one."""
        return sum(done > self.epochs for done in self.found)

    def restore(self) -> dict[str, Any]:
        """Gives the model its best weights.

        Returns:
            "log_loss" by epochs trained, "best" of it, and "epochs" when that was.
        """
        if self._weights:
            self.model.set_weights(self._weights)
        losses = {epochs: self.loss(epochs) for epochs in self.found}
        best = losses.get(self.epochs, math.inf)
        return {"log_loss": losses, "best": best, "epochs": self.epochs}
