"""Training of any compressed model after the original, on whatever data there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.cluster import require_alone
from memcom_tf.errors import invalid
from memcom_tf.models.replicas import mean_over_replicas, num_replicas, over_replicas
from memcom_tf.optimizers import LazyAdam
from memcom_tf.optimizers.adaptation import with_adaptation
from memcom_tf.seeding import seeded
from memcom_tf.tables import check_positive


def fine_tune(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    original: Any = None,
    loss: Any = None,
    distillation: float = 0.5,
    validation_data: Any = None,
    validation_split: float = 0.1,
    epochs: int = 5,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    seed: int = 0,
    verbose: int | str = 0,
) -> dict[str, Any]:
    """Trains a compressed model further, and leaves it with its best weights on validation.

    The loss is `(1 - d) * loss(y, f(x)) + d * E[(f(x) - g(x))^2] / Var[g(x)]`, where `f` is the
    model, `g` the original, and `d` the `distillation`. Without targets the second part is all of
    it: inputs alone will do. The weights that the model comes with are a candidate too, so that
    the loss on validation never rises.

    Source: Hinton et al., Distilling the knowledge in a neural network, arXiv:1503.02531, there
    by logits at a high temperature, which comes to squared differences.

    Args:
        model: A built Keras model, such as that of `compress`, with dense outputs.
        x: Arrays as `keras.Model.fit` takes them, or a `tf.data.Dataset` of batches `(x, y)`,
            or `(x,)` without targets.
        y: The targets, where `x` is no data set.
        original: The model before compression, of the same inputs and outputs; it is not changed.
        loss: A Keras loss for the targets, or its name; None learns from the original alone.
        distillation: Share of the original in the loss, in [0, 1], where there are both.
        validation_data: `(x, y)`, `(x,)` or a data set, which chooses the epoch; None takes
            `validation_split` of the arrays.
        validation_split: Share of the arrays, the last ones.
        epochs: Epochs; the learning rate stays.
        batch_size: Examples in a step, where `x` is no data set.
        learning_rate: Of `memcom_tf.optimizers.LazyAdam`.
        seed: Seed of the order and of dropout.
        verbose: As of `keras.Model.fit`.

    Returns:
        "epoch": the best, 0 where no training helped; "loss": on validation by epoch, the first
        before training.

    Raises:
        ValueError: If there is nothing to learn from, or nothing to validate on.

    Example:
        >>> from memcom_tf import compress
        >>> ids = keras.Input((4,), dtype="int32")
        >>> table = keras.layers.Embedding(5000, 16, name="items")
        >>> pooled = keras.layers.GlobalAveragePooling1D()(table(ids))
        >>> model = keras.Model(ids, keras.layers.Dense(1)(pooled))
        >>> compressed = compress(model, ratio=10).model
        >>> history = np.random.default_rng(0).integers(0, 5000, (512, 4))
        >>> losses = fine_tune(compressed, history, original=model, epochs=2)["loss"]
        >>> min(losses.values()) <= losses[0]
        True
    """
    require_alone("Training by `fine_tune`")
    check_positive(epochs=epochs, batch_size=batch_size)
    if not 0 <= distillation <= 1:
        raise invalid("`distillation` must be in [0, 1].", distillation=distillation)
    if original is None and loss is None:
        raise invalid(
            "There must be something to learn from.",
            "Pass `original`, the model before compression, or `loss` and targets, or all.",
            original=original,
            loss=loss,
        )
    share = distillation if original is not None and loss is not None else float(loss is None)
    trained = _FineTuned(model, original, None if loss is None else keras.losses.get(loss), share)
    with seeded(seed):
        data, held_out = _training_and_validation(
            x, y, validation_data, validation_split, batch_size
        )
        trained.compile(LazyAdam(learning_rate))
        return _best_of(trained, data, held_out, epochs, verbose)


def _best_of(
    trained: _FineTuned, data: Any, held_out: Any, epochs: int, verbose: int | str
) -> dict[str, Any]:
    """Trains, and leaves the model with its best weights."""
    model = trained.trained

    def validation_loss() -> float:
        return float(trained.evaluate(held_out, verbose=0, return_dict=True)["loss"])

    losses = {0: validation_loss()}
    best, weights = 0, model.get_weights()
    for epoch in range(1, epochs + 1):
        trained.fit(
            data,
            epochs=epoch,
            initial_epoch=epoch - 1,
            shuffle=False,
            verbose=verbose,
            callbacks=with_adaptation(model),
        )
        losses[epoch] = validation_loss()
        if losses[epoch] < losses[best]:
            best, weights = epoch, model.get_weights()
    model.set_weights(weights)
    return {"epoch": best, "loss": losses}


class _FineTuned(keras.Model):
    """A model with the loss of `fine_tune`."""

    def __init__(self, model: Any, original: Any, loss: Any, share: float) -> None:
        super().__init__(name="fine_tuned")  # TensorFlow's scopes take no underscore in front
        self.trained, self.target_loss, self.share = model, loss, share
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


def _training_and_validation(
    x: Any, y: Any, validation_data: Any, share: float, batch_size: int
) -> tuple[Any, Any]:
    """Data sets of batches for both."""
    if isinstance(x, tf.data.Dataset):
        if validation_data is None:
            raise invalid(
                "A data set must come with `validation_data`.",
                "Pass batches that are not trained on.",
                validation_data=None,
            )
        return x, _batches(validation_data, batch_size)
    examples = (x,) if y is None else (x, y)
    size = len(tf.nest.flatten(x)[0])
    if validation_data is None:
        trained = size - int(np.ceil(share * size))
        if not 0 < trained < size:
            raise invalid(
                "There must be examples to train on, and others to validate on.",
                "Pass `validation_data`, or another share.",
                examples=size,
                validation_split=share,
            )
        validation_data = _part(examples, trained, size)
        examples, size = _part(examples, 0, trained), trained
    shuffled = tf.data.Dataset.from_tensor_slices(examples).shuffle(size)
    return shuffled.batch(batch_size), _batches(validation_data, batch_size)


def _part(examples: Any, begin: int, end: int) -> Any:
    return tf.nest.map_structure(lambda array: np.asarray(array)[begin:end], examples)


def _batches(data: Any, batch_size: int) -> Any:
    if isinstance(data, tf.data.Dataset):
        return data
    return tf.data.Dataset.from_tensor_slices(data).batch(batch_size)
