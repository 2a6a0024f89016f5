"""A model with a loss of targets and of what another model gives, of one replica or of several."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.errors import invalid
from memcom_tf.models.replicas import mean_over_replicas, num_replicas, over_replicas


class ModelWithLoss(keras.Model):
    """Trains a model on targets, and on the outputs of another one.

    Where several replicas make a step, the loss is the mean over the rows of all of them.

    Args:
        model: The model.
        target_loss: A loss of Keras, or a function that gives one for each row; None learns no
            targets.
        original: A model whose outputs are learned too.
        share: Share of these in the loss.
    """

    def __init__(
        self, model: Any, target_loss: Any, original: Any = None, share: float = 0.0
    ) -> None:
        super().__init__(name="fine_tuned")  # TensorFlow's scopes take no underscore in front
        self.trained, self.target_loss, self.share = model, target_loss, share
        # Kept from Keras, which would train it.
        self._original = (original,)
        self._mean = keras.metrics.Mean(name="loss")

    @property
    def metrics(self) -> list[Any]:
        """The running mean of the loss."""
        return [self._mean]

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The trained model's outputs."""
        return self.trained(inputs, training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step on `(x,)`, `(x, y)` or `(x, y, sample_weight)`."""
        with tf.GradientTape() as tape:
            loss = self._loss(data, training=True)
            total = loss + sum(self.trained.losses) / num_replicas()
        variables = self.trained.trainable_variables
        gradients = tape.gradient(total, variables)
        self.optimizer.apply_gradients(
            [pair for pair in zip(gradients, variables, strict=True) if pair[0] is not None]
        )
        return self._noted(loss)

    def test_step(self, data: Any) -> dict[str, Any]:
        """The loss of a batch, without training."""
        return self._noted(self._loss(data, training=False))

    def _noted(self, loss: Any) -> dict[str, Any]:
        # Of several replicas the losses are parts, whose mean the metric takes.
        self._mean.update_state(loss * num_replicas())
        return {"loss": self._mean.result()}

    def _loss(self, data: Any, training: bool) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        found = self.trained(x, training=training)
        loss = 0.0
        if self.target_loss is not None:
            if y is None:
                raise invalid("`loss` needs targets.", "Pass `y`, or leave `loss` out.", y=y)
            loss += (1 - self.share) * self._of_targets(y, found, weight)
        if self._original[0] is not None:
            wanted = self._original[0](x, training=False)
            loss += self.share * _relative_squared_error(wanted, found)
        return loss

    def _of_targets(self, y: Any, found: Any, weight: Any) -> Any:
        outputs, targets = tf.nest.flatten(found), tf.nest.flatten(y)
        if len(outputs) != len(targets):
            raise invalid(
                "There must be as many targets as outputs.",
                targets=len(targets),
                outputs=len(outputs),
            )
        losses = []
        for target, output in zip(targets, outputs, strict=True):
            target = tf.convert_to_tensor(target)
            if target.shape.rank == output.shape.rank - 1 and output.shape[-1] == 1:
                target = target[..., None]  # else the losses of tf_keras compare all with all
            if isinstance(self.target_loss, keras.losses.Loss):
                losses.append(self.target_loss(target, output, sample_weight=weight))
            else:  # a function, which gives a loss for each example
                of_examples = self.target_loss(target, output)
                weights = 1.0 if weight is None else tf.cast(weight, of_examples.dtype)
                losses.append(mean_over_replicas(of_examples * weights))
        return tf.add_n(losses)


def _relative_squared_error(wanted: Any, found: Any) -> Any:
    """Squared differences over the variance of what is wanted, the mean of all outputs."""
    targets, outputs = tf.nest.flatten(wanted), tf.nest.flatten(found)
    shapes = [[tuple(x.shape) for x in values] for values in (targets, outputs)]
    if shapes[0] != shapes[1]:
        raise invalid(
            "`original` must have the outputs of the model.",
            "Pass the model before compression.",
            original=shapes[0],
            model=shapes[1],
        )
    shares = []
    for target, output in zip(targets, outputs, strict=True):
        target = tf.stop_gradient(tf.cast(target, tf.float32))
        squared = mean_over_replicas(
            tf.math.squared_difference(tf.cast(output, tf.float32), target)
        )
        mean = over_replicas(mean_over_replicas(target))
        variance = over_replicas(mean_over_replicas(tf.math.squared_difference(target, mean)))
        shares.append(squared / tf.where(variance > 0, variance, 1.0))
    return tf.add_n(shares) / len(shares)
