"""Training of any compressed model after the original, on whatever data there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.cluster import require_alone
from memcom_tf.errors import invalid
from memcom_tf.optimizers import LazyAdam
from memcom_tf.optimizers.adaptation import with_adaptation
from memcom_tf.seeding import seeded
from memcom_tf.tables import check_positive
from memcom_tf.training.with_loss import ModelWithLoss


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
    target_loss = None if loss is None else keras.losses.get(loss)
    trained = ModelWithLoss(model, target_loss, original, share)
    with seeded(seed):
        data, held_out = _training_and_validation(
            x, y, validation_data, validation_split, batch_size
        )
        trained.compile(LazyAdam(learning_rate))
        return _best_of(trained, data, held_out, epochs, verbose)


def _best_of(
    trained: ModelWithLoss, data: Any, held_out: Any, epochs: int, verbose: int | str
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
