"""What arrives at an optimizer from layers and tapes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.optimizers import LazyAdam
from tests.optimizers.cases import (
    DECAY,
    RATE,
    ROWS,
    WIDTH,
    assert_equal,
    both,
    embedding_model,
    examples,
    fit,
    memcom,
    stock_embedding,
    table,
    values_of,
)


@both
@pytest.mark.parametrize("layer", [memcom, stock_embedding])
def test_gradients_of_lookups_arrive_sparse_and_move_only_their_rows(layer):
    seen = []

    class Watching(LazyAdam):
        def _update_jointly(self, pairs, learning_rate):
            seen.extend(isinstance(gradient, tf.IndexedSlices) for gradient, _ in pairs)
            return super()._update_jointly(pairs, learning_rate)

    model = embedding_model(Watching(RATE, weight_decay=DECAY), layer)
    *tables, _, _ = model.trainable_variables
    before = values_of(tables)
    fit(model)
    assert seen[: len(tables) + 2] == [True] * len(tables) + [False, False]
    # The last table has a row for every id.
    moved = (np.asarray(tables[-1]) != before[-1]).any(axis=1)
    assert set(moved.nonzero()[0]) == set(examples()[0].ravel())


class Unread(tf.IndexedSlices):
    """Slices that are computed when they are read, which nobody may do here."""

    def __init__(self, shape):
        self._shape = tf.TensorShape(shape)

    @property
    def shape(self):
        return self._shape

    @property
    def dtype(self):
        return tf.float32

    @property
    def values(self):
        raise AssertionError("values were read")

    indices = values


@pytest.mark.parametrize("use_ema", [False, True])
@pytest.mark.parametrize("decay", [None, DECAY])
def test_all_pairs_of_a_step_arrive_unread_before_any_update(decay, use_ema):
    class Joint(LazyAdam):
        def _update_jointly(self, pairs, learning_rate):
            (first, table), (second, bias) = pairs
            assert isinstance(table, tf.Variable)
            assert isinstance(first, Unread)
            table.assign_add(tf.ones_like(table))
            return [(None, table), (second, bias)]

    ours, bias = table(), table(2, (WIDTH,), name="bias")
    before, bias_before = values_of([ours, bias])
    optimizer = Joint(RATE, weight_decay=decay, use_ema=use_ema)
    optimizer.apply_gradients([(Unread((ROWS, WIDTH)), ours), (tf.ones([WIDTH]), bias)])
    assert_equal([ours], [before + 1])
    assert (np.asarray(bias) != bias_before).all()
    if use_ema:
        optimizer.finalize_variable_values([ours, bias])
    assert np.asarray(optimizer.iterations) == 1
