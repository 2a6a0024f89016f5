"""The best weights on validation, and their mean over evaluations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from memcom_tf.training.best_weights import BestWeights


class Model:
    """One trained weight, and one that is not trained."""

    def __init__(self):
        self.trainable_weights = [object()]
        self.weights = [*self.trainable_weights, object()]
        self.values = [np.zeros(1), np.zeros(1)]

    def get_weights(self):
        return list(self.values)

    def set_weights(self, weights):
        self.values = list(weights)


@pytest.mark.parametrize(
    ("losses", "best"),
    [([3, 1, 2], 1), ([1, 2, 3], 0), ([math.nan, 2, 3], 1), ([2, math.nan, 2], 0), ([None, 5], 1)],
)
def test_the_smallest_loss_decides(losses, best):
    model, lines, measured = Model(), [], []
    waiting = iter(losses)

    def metrics():
        loss = next(waiting)
        measured.append(model.values[0].item())
        return {} if loss is None else {"log loss": float(loss)}

    kept = BestWeights(model, metrics, lines.append)
    for epoch in range(len(losses)):
        model.values[0] = np.full(1, float(epoch))
        kept.evaluate(epoch)
        assert model.values[0] == epoch  # training goes on from there
    assert kept.waited == len(losses) - 1 - best
    record = kept.restore()
    assert record["epochs"] == best and model.values[0] == measured[best]
    assert record["best"] == losses[best] and len(lines) == len(losses)
    assert np.isinf([loss for loss in record["log_loss"].values() if loss not in losses]).all()


def measured(weights, others):
    """What is measured of such weights, one evaluation after the other."""
    model, found = Model(), []

    def metrics():
        found.append([value.item() for value in model.values])
        return {"log loss": 1.0}

    kept = BestWeights(model, metrics, lambda line: None)
    for epoch, values in enumerate(zip(weights, others, strict=True)):
        model.values = [np.full(1, value) for value in values]
        kept.evaluate(epoch)
    return found


def test_a_mean_of_trained_weights_is_measured():
    found = measured([9.0, 1.0, 3.0, 5.0, 3.0], [7.0] * 5)
    weights = [weight for weight, _ in found]
    # Those before training by themselves, then means of one, two and three, then 0.3 of the new.
    np.testing.assert_allclose(weights, [9.0, 1.0, 2.0, 3.0, 3.0])
    assert [other for _, other in found] == [7.0] * 5


def test_a_mean_starts_anew_where_what_is_not_trained_has_changed():
    found = measured([0.0, 1.0, 3.0, 5.0, 7.0], [0.0, 0.0, 0.0, 1.0, 1.0])
    np.testing.assert_allclose(found, [[0, 0], [1, 0], [2, 0], [5, 1], [6, 1]])
