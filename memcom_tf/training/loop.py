"""The loop of training where several workers make each step together.

Keras 3 takes a step on one process alone: its `fit` hands a model what a strategy of several
processes has made of a batch, which is no tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.training.workers import Workers, together


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

    Every replica computes its part of a batch; the optimizer adds their gradients up.

    Args:
        model: The model, built within the scope of the workers' strategy, and its optimizer.
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

    @tf.function(reduce_retracing=True)
    def step(rows: Any) -> Any:
        return workers.strategy.run(model.train_step, args=(rows,))

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
                found = step(workers.parts_of(next(batches), of_whole))
                followed.on_train_batch_end(number, {})
            followed.on_epoch_end(epoch, logs_of(found))
            if model.stop_training:
                break
        followed.on_train_end()
