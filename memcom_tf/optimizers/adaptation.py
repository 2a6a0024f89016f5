"""Tables that change between steps of training, and the state of optimizers that moves along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.layers.contract.finding import find_embeddings
from memcom_tf.layers.contract.layer import CompressedEmbedding
from memcom_tf.optimizers.base import SparseOptimizer
from memcom_tf.optimizers.hooks import as_tf_variable


class AdaptTables(keras.callbacks.Callback):
    """Lets compressed embeddings change their tables while a model is trained.

    Methods that say `adapts_every` steps are asked after so many what changes: ids that read other
    rows, rows that are pruned. What the optimizer keeps of a row moves with it. Rankers, `train`
    and `fine_tune` do it by themselves; `keras.Model.fit` of another model is passed it. Steps are
    those of the optimizer, so that a resumed training goes on counting.

    Example:
        >>> from memcom_tf.layers import MEmComEmbedding
        >>> from memcom_tf.training import AdaptTables
        >>> ids = keras.Input((3,), dtype="int32")
        >>> model = keras.Model(ids, MEmComEmbedding(50, 8, num_buckets=9)(ids))
        >>> model.compile("adam", "mse")
        >>> batch = np.zeros((4, 3), np.int32), np.zeros((4, 3, 8))
        >>> _ = model.fit(*batch, callbacks=[AdaptTables()], verbose=0)  # nothing: it never adapts
    """

    def __init__(self) -> None:
        super().__init__()
        self._layers: list[CompressedEmbedding] = []
        self._step = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Finds the layers; Keras calls this."""
        self._layers = adapted_layers(self.model)
        for layer in self._layers:
            layer.is_adapted = True
        self._step = self._steps() if self._layers else 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Asks the layers whose turn it is; Keras calls this."""
        if not self._layers:
            return
        before, self._step = self._step, self._steps()
        for layer in self._layers:
            if self._step // layer.adapts_every == before // layer.adapts_every:
                continue
            change = layer.adapt_tables(self._step)
            for name, rows_from in (change.rows_from if change else {}).items():
                move_rows(self.model.optimizer, layer.variable(name), rows_from)

    def on_train_end(self, logs: Any = None) -> None:
        """Leaves the layers; Keras calls this."""
        for layer in self._layers:
            layer.is_adapted = False

    def _steps(self) -> int:
        # Under `tf.distribute` it is a variable of each replica, which counts the same.
        return int(tf.convert_to_tensor(as_tf_variable(self.model.optimizer.iterations)))


def adapted_layers(model: Any) -> list[CompressedEmbedding]:
    """The embeddings of a model that change between steps of training."""
    return [layer for layer in find_embeddings(model) if layer.adapts_every]


def with_adaptation(model: Any, callbacks: Any = None) -> list[Any]:
    """Callbacks with `AdaptTables` among them, where an embedding of the model needs it."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    found = list(callbacks) if isinstance(callbacks, Sequence) else [callbacks]
    found = [callback for callback in found if callback is not None]
    if any(isinstance(callback, AdaptTables) for callback in found) or not adapted_layers(model):
        return found
    return [AdaptTables(), *found]


def move_rows(optimizer: Any, variable: Any, rows_from: npt.ArrayLike) -> None:
    """Moves what an optimizer keeps of the rows of a table, as the rows themselves have moved.

    Args:
        optimizer: An optimizer of ours or of Keras; one that has not seen the table keeps nothing.
        variable: The table `[rows, width]`, a Keras variable or TensorFlow's.
        rows_from: `[rows]` which row each one was before; -1 for one that starts anew.

    Example:
        >>> from memcom_tf.optimizers import LazyAdam, move_rows
        >>> table = keras.Variable(np.zeros((3, 2)), name="table")
        >>> optimizer = LazyAdam()
        >>> optimizer.build([table])
        >>> momentum, _ = optimizer.slots_of(table)
        >>> _ = momentum.assign([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
        >>> move_rows(optimizer, table, [2, -1, 0])
        >>> momentum.numpy()[:, 0].tolist()
        [3.0, 0.0, 1.0]
    """
    places = np.asarray(rows_from)
    known = places >= 0
    for slot, start in _slots(getattr(optimizer, "inner_optimizer", optimizer), variable):
        values = np.asarray(slot)
        if len(values) == len(places):
            moved = np.full_like(values, start) if np.ndim(start) == 0 else np.array(start)
            moved[known] = values[places[known]]
            slot.assign(moved)


def _slots(optimizer: Any, variable: Any) -> Iterator[tuple[Any, Any]]:
    """The slots of a variable, with what they start from: a number, or the variable's values."""
    place = _place(optimizer, variable)
    if place is None:
        return
    if isinstance(optimizer, SparseOptimizer):
        for slot in optimizer.slots_of(variable):
            yield slot, optimizer._slot_start()
    for name, group in list(vars(optimizer).items()):
        # Keras has a list for each kind of slot, in the order of the variables.
        if not isinstance(group, list | tuple) or len(group) <= place:
            continue
        slot = group[place]
        if slot is variable or not hasattr(slot, "assign"):
            continue
        if as_tf_variable(slot) is as_tf_variable(variable) or slot.shape != variable.shape:
            continue
        averaged = name == "_model_variables_moving_average"
        start = getattr(optimizer, "initial_accumulator_value", 0.0)
        yield slot, np.asarray(variable) if averaged else start


def _place(optimizer: Any, variable: Any) -> int | None:
    """The place of a variable among those of an optimizer; None where it is not among them."""
    if not is_keras_3:
        held = as_tf_variable(variable)
        index = getattr(optimizer, "_index_dict", {})
        found = index.get(optimizer._var_key(held))
        return None if found is None else int(found)
    for place, trained in enumerate(getattr(optimizer, "_trainable_variables", [])):
        if trained is variable:
            return place
    return None
