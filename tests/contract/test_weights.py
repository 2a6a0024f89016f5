"""Weights of ids must be laid out as the ids, whoever computes and whenever the shape is known."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.kernels import use
from memcom_tf.layers import FullEmbedding
from tests.native import needs_native

MODES = ["reference", pytest.param("native", marks=needs_native)]
REFUSED = (ValueError, tf.errors.InvalidArgumentError)
IDS = np.array([[1, 2, 3], [4, 5, 6]], np.int32)


def layer(combiner="sum", **kwargs):
    made = FullEmbedding(10, 2, combiner=combiner, **kwargs)
    made.build(None)
    return made


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(3, 2), (1, 3), (2, 1), (6,), (2, 4), (2, 3, 1), (1, 2, 3)])
@pytest.mark.parametrize("known", ["all", "rank", "nothing"])
def test_weights_of_another_shape_are_refused(mode, shape, known):
    weights = np.ones(shape, np.float32)
    specs = {
        "all": (IDS.shape, shape),
        "rank": ([None, None], [None] * len(shape)),
        "nothing": (None, None),
    }[known]
    embedding = layer(mask_zero=True)
    with use(mode), pytest.raises(REFUSED, match="must have the shape"):
        signature = [tf.TensorSpec(specs[0], tf.int32), tf.TensorSpec(specs[1], tf.float32)]
        step = tf.function(
            lambda ids, weights: embedding(ids, weights=weights, training=True),
            input_signature=signature,
        )
        step(IDS, weights)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("lengths", [[3, 2], [2, 2], [2, 3, 0]])
def test_ragged_weights_with_other_row_splits_are_refused(mode, in_graph, lengths):
    ids = tf.ragged.constant([[1, 2], [3, 4, 5]], dtype=tf.int32)
    flat = tf.range(1.0, 1.0 + sum(lengths))
    weights = tf.RaggedTensor.from_row_lengths(flat, lengths)
    embedding = layer()

    def call(ids, weights):
        return embedding(ids, weights=weights, training=True)

    if in_graph:
        call = tf.function(
            call,
            input_signature=[
                tf.RaggedTensorSpec([None, None], tf.int32),
                tf.RaggedTensorSpec([None, None], tf.float32),
            ],
        )
    with use(mode), pytest.raises(REFUSED, match=r"`weights` must have the (row splits|shape)"):
        call(ids, weights)


@pytest.mark.parametrize("mode", MODES)
def test_weights_that_fit_are_taken_in_graphs_that_know_no_shape(mode):
    embedding = layer("mean")
    weights = np.linspace(0.5, 2, IDS.size).reshape(IDS.shape).astype(np.float32)
    wanted = (embedding.table_values()["embeddings"][IDS] * weights[..., None]).sum(1)
    wanted /= weights.sum(1, keepdims=True)
    step = tf.function(
        lambda ids, weights: embedding(ids, weights=weights, training=True),
        input_signature=[tf.TensorSpec(None, tf.int32), tf.TensorSpec(None, tf.float32)],
    )
    ragged = tf.function(
        lambda ids, weights: embedding(ids, weights=weights, training=True),
        input_signature=[
            tf.RaggedTensorSpec([None, None], tf.int32, row_splits_dtype=tf.int32),
            tf.RaggedTensorSpec([None, None], tf.float32),
        ],
    )
    with use(mode):
        np.testing.assert_allclose(step(IDS, weights), wanted, rtol=1e-5)
        rows = tf.RaggedTensor.from_tensor(IDS, row_splits_dtype=tf.int32)
        found = ragged(rows, tf.RaggedTensor.from_tensor(weights))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_xla_that_raises_nothing_makes_a_misfit_nan():
    embedding = layer(mask_zero=True)
    step = tf.function(
        lambda ids, weights: embedding(ids, weights=weights),
        input_signature=[
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None, None], tf.float32),
        ],
        jit_compile=True,
    )
    good = np.asarray(step(IDS, np.ones((2, 3), np.float32)))
    assert np.isfinite(good).all()
    try:
        found = np.asarray(step(IDS, np.ones((1, 3), np.float32)))
    except REFUSED:
        return
    assert np.isnan(found).all()
