"""Sums of float32 depend on their order, which is the processor's: no proof may depend on it."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf.converters.proof.vectors import sample_ids
from memcom_tf.converters.quantization.bounds import embedding_ball
from memcom_tf.converters.quantization.fold import ship
from memcom_tf.layers import MultiLayerEmbedding

ROWS, WIDTH, INNER = 300, 12, 96


@pytest.fixture
def layer():
    made = MultiLayerEmbedding(ROWS, WIDTH, inner_dim=INNER)
    made.build((None,))
    rng = np.random.default_rng(0)
    made.set_weights([rng.normal(0, 3, weight.shape) for weight in made.get_weights()])
    return made


def in_order(layer, order):
    """The vectors as a processor computes them that sums in that order, one by one."""
    inner, projection = layer.get_weights()
    found = np.zeros((ROWS, WIDTH), np.float32)
    for i in order:
        found += np.outer(inner[:, i], projection[i])
    return found


def test_vectors_of_any_order_of_sums_are_within_the_bound(layer):
    shipped = ship(layer, "float32")
    ids = sample_ids(ROWS, np.random.default_rng(0))
    ball = embedding_ball(shipped, ids)
    rng = np.random.default_rng(1)
    errors = [np.abs(in_order(layer, rng.permutation(INNER))[ids] - ball.middle) for _ in range(20)]
    assert (np.max(errors, axis=0) <= ball.radii).all()
    # What rounding the sums alone would allow is not enough.
    assert np.max(errors) > 2.0**-23 * np.abs(ball.middle).max()
    assert (np.max(errors, axis=0) > 2.0**-23 * np.abs(ball.middle)).any()


def test_what_ships_does_not_depend_on_the_order_of_sums(layer):
    before = ship(layer, "float32").tables["embeddings"].data
    inner, projection = layer.get_weights()
    order = np.random.default_rng(2).permutation(INNER)
    layer.set_weights([inner[:, order], projection[order]])
    after = ship(layer, "float32").tables["embeddings"].data
    np.testing.assert_array_equal(before, after)
    assert (in_order(layer, range(INNER)) != in_order(layer, order)).any()


def test_a_layer_that_rounds_ships_what_it_computes_with():
    made = MultiLayerEmbedding(ROWS, WIDTH, storage={"embeddings": "int4_per_row"})
    made.build((None,))
    ids = np.arange(ROWS)
    shipped = ship(made)
    stored = shipped.tables["embeddings"].dequantized()
    np.testing.assert_array_equal(np.asarray(made(ids)), stored)
