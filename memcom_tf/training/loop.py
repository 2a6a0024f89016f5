"""The loop of training where several workers make each step together.

Keras 3 takes a step on one process alone: its `fit` hands a model what a strategy of several
processes has made of a batch, which is no tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.errors import invalid
from memcom_tf.optimizers.adaptation import adapted_layers
from memcom_tf.training.checkpoint import fingerprint_of
from memcom_tf.training.workers import Workers, together


def check_together(
    workers: Workers, model: Any, batch_size: int, training: Mapping[str, Any]
) -> None:
    """Requires what training by several workers needs.

    Args:
        workers: The workers.
        model: The model, built.
        batch_size: Rows of a batch of all workers.
        training: What tells this training from others, as JSON takes it.

    Raises:
        ValueError: If it is not so.
    """
    workers.require_mirrored(model)
    if batch_size < workers.strategy.num_replicas_in_sync:
        raise invalid(
            "A batch must have a row for every replica.",
            "Train with larger batches or more data, or with fewer workers.",
            batch_size=batch_size,
            replicas=workers.strategy.num_replicas_in_sync,
        )
    if layers := adapted_layers(model):
        raise invalid(
            "Tables that change between steps must be trained by one process.",
            "Unset TF_CONFIG, or take another method.",
            method=type(layers[0]).__name__,
        )
    workers.require_same(fingerprint_of(training))


def steps_together(model: Any, workers: Workers) -> Callable[[Any, bool], Any]:
    """A function that makes one step by the `train_step` of a compiled model.

    It takes a batch, and whether that is of all workers, of which each takes its rows, and not
    this one's own. What `train_step` gives is returned, of every replica. Every replica computes
    its part of a batch; the optimizer adds their gradients up.

    Args:
        model: The model, built within the scope of the workers' strategy, and its optimizer.
        workers: The workers.
    """

    @tf.function(reduce_retracing=True)
    def step(rows: Any) -> Any:
        return workers.strategy.run(model.train_step, args=(rows,))

    return lambda batch, of_whole: step(workers.parts_of(batch, of_whole))


def fit_together(
    model: Any,
    data: tf.data.Dataset,
    workers: Workers,
    *,
    of_whole: bool,
    epochs: int,
    steps: int,
    initial_epoch: int = 0,
    callbacks: Sequence[Any] = (),
    verbose: int = 0,
) -> None:
    """Trains a compiled model as `fit` does, by its `train_step`, in step with other workers.

    Args:
        model: As of `steps_together`.
        data: Batches without end.
        workers: The workers.
        of_whole: Whether a batch is that of all workers, of which each takes its rows, and not
            this one's own.
        epochs: Epochs, those before the first one included.
        steps: Steps in each.
        initial_epoch: The first epoch.
        callbacks: As of `keras.Model.fit`.
        verbose: As of `keras.Model.fit`.

    Raises:
        ConnectionError: If another worker is gone.
    """
    followed = keras.callbacks.CallbackList(
        list(callbacks),
        add_history=False,
        add_progbar=verbose != 0,
        model=model,
        verbose=verbose,
        epochs=epochs,
        steps=steps,
    )

    step = steps_together(model, workers)

    def logs_of(found: Any) -> dict[str, float]:
        """The metrics of this worker's part."""
        local = workers.strategy.experimental_local_results
        return {name: float(local(value)[0]) for name, value in found.items()}

    batches = iter(data)
    model.stop_training = False
    with together():
        followed.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            for metric in model.metrics:
                metric.reset_state()
            followed.on_epoch_begin(epoch)
            found: Any = {}
            for number in range(steps):
                followed.on_train_batch_begin(number)
                found = step(next(batches), of_whole)
                followed.on_train_batch_end(number, {})
            followed.on_epoch_end(epoch, logs_of(found))
            if model.stop_training:
                break
        followed.on_train_end()
