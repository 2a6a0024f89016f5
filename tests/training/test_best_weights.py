"""The best weights on validation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from memcom_tf.training.best_weights import BestWeights


class Model:
    """Weights that are the number of evaluations."""

    def __init__(self):
        self.weights = 0

    def get_weights(self):
        return [self.weights]

    def set_weights(self, weights):
        (self.weights,) = weights


@pytest.mark.parametrize(
    ("losses", "best"),
    [([3, 1, 2], 1), ([1, 2, 3], 0), ([math.nan, 2, 3], 1), ([2, math.nan, 2], 0), ([None, 5], 1)],
)
def test_the_smallest_loss_decides(losses, best):
    model, lines = Model(), []
    waiting = iter(losses)

    def metrics():
        loss = next(waiting)
        return {} if loss is None else {"log loss": float(loss)}

    kept = BestWeights(model, metrics, lines.append)
    for epoch in range(len(losses)):
        model.weights = epoch
        kept.evaluate(epoch)
    assert kept.waited == len(losses) - 1 - best
    record = kept.restore()
    assert model.weights == record["epochs"] == best
    assert record["best"] == losses[best] and len(lines) == len(losses)
    assert np.isinf([loss for loss in record["log_loss"].values() if loss not in losses]).all()
