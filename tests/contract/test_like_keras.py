"""What methods share with Keras' embedding: `embeddings`, `weights`, sparse and ragged ids."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.layers import CompressedEmbedding, DeepHashEmbedding, FullEmbedding, MEmComEmbedding
from tests.contract.methods import INPUT_DIM, OUTPUT_DIM, Case, every_method

IDS = tf.SparseTensor([[0, 1], [2, 0], [2, 3]], [7, 0, 229], (3, 4))
only_keras_3 = pytest.mark.skipif(not is_keras_3, reason="an attribute of Keras 3")


@every_method
def test_embeddings_are_what_ids_look_up(case: Case):
    layer = case.layer(mask_zero=True, combiner="sum")
    with pytest.raises(AttributeError, match="must build the layer"):
        _ = layer.embeddings
    layer = case.trained(combiner="mean")
    expected = layer(np.arange(INPUT_DIM)).numpy()
    table = layer.embeddings
    assert tuple(table.shape) == (INPUT_DIM, OUTPUT_DIM)
    np.testing.assert_array_equal(np.asarray(table), expected)
    np.testing.assert_array_equal(tf.convert_to_tensor(table), expected)
    # Those that are read are looked up, and no others: sums of a product of all are another's.
    np.testing.assert_array_equal(table[-1], layer(np.array([INPUT_DIM - 1])).numpy()[0])
    np.testing.assert_array_equal(table[3:5, 0], layer(np.array([3, 4])).numpy()[:, 0])
    np.testing.assert_allclose(table[-1], expected[-1], rtol=1e-5, atol=1e-6)


def test_composed_embeddings_compute_the_rows_that_are_read():
    layer = MEmComEmbedding(1000, 4, num_buckets=3)
    layer.build(None)
    asked = []
    layer._vectors = lambda ids, training: asked.extend(ids.numpy().ravel()) or ids
    assert layer.embeddings[[5, -1]].tolist() == [5, 999]
    assert layer.embeddings[7:9].tolist() == [7, 8]
    assert asked == [5, 999, 7, 8]


def test_composed_embeddings_cannot_be_assigned_and_are_not_saved(tmp_path, monkeypatch):
    layer = MEmComEmbedding(10, 4, num_buckets=3)
    model = keras.Sequential([keras.Input((2,), dtype="int32"), layer])
    with pytest.raises(NotImplementedError, match=r"can only be read.*shape=\(10, 4\).*from_table"):
        layer.embeddings.assign(np.zeros((10, 4)))
    assert not isinstance(layer.embeddings, tf.Tensor)
    monkeypatch.setattr(CompressedEmbedding, "_vectors", None)  # nothing may compute them
    model.save(tmp_path / "model.keras")


@every_method
def test_initial_weights_are_approximated_or_refused(case: Case):
    table = np.random.default_rng(4).normal(size=(INPUT_DIM, OUTPUT_DIM)).astype(np.float32)
    trained = case.layer()
    arguments = {**trained.get_config(), "weights": [table], "name": None}
    if trained.approximate(table, np.ones(INPUT_DIM, np.float32)) is None:
        with pytest.raises(NotImplementedError, match="must be trained"):
            type(trained)(**arguments).build(None)
        return
    layer = type(trained)(**arguments)
    layer.build(None)
    expected = trained._nearest_tables(table, np.ones(INPUT_DIM, np.float32))
    for name, values in layer.table_values().items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-5, atol=1e-6)
    assert "weights" not in layer.get_config()


def test_initial_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"`weights` must be of shape \(3, 4\).*shape=\(3, 5\)"):
        FullEmbedding(3, 4, weights=np.ones((3, 5)))
    with pytest.raises(ValueError, match="finite=False"):
        MEmComEmbedding(3, 4, num_buckets=1, weights=np.full((3, 4), np.nan))
    with pytest.raises(NotImplementedError, match="DeepHashEmbedding must be trained"):
        DeepHashEmbedding(3, 4, hidden=2, weights=np.ones((3, 4)))


@pytest.mark.few(8)
@every_method
def test_sparse_ids_are_dense_ones_with_zeros(case: Case):
    layer = case.trained()
    np.testing.assert_array_equal(layer(IDS), layer(tf.sparse.to_dense(IDS)))


@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
@pytest.mark.parametrize("mask_zero", [False, True])
def test_sparse_ids_are_pooled_without_what_is_missing(combiner, mask_zero):
    layer = MEmComEmbedding(
        INPUT_DIM, OUTPUT_DIM, num_buckets=9, combiner=combiner, mask_zero=mask_zero
    )
    ragged = tf.ragged.constant([[7], [], [0, 229]])
    np.testing.assert_allclose(layer(IDS), layer(ragged), rtol=1e-6)
    weights = IDS.with_values([2.0, 3.0, 4.0])
    expected = layer(ragged, tf.ragged.constant([[2.0], [], [3.0, 4.0]]))
    np.testing.assert_allclose(layer(IDS, weights), expected, rtol=1e-6)
    compiled = tf.function(layer.__call__)
    np.testing.assert_allclose(compiled(IDS, weights), expected, rtol=1e-6)


def test_sparse_weights_elsewhere_than_the_ids_are_refused():
    layer = FullEmbedding(INPUT_DIM, OUTPUT_DIM, combiner="sum")
    moved = tf.SparseTensor([[0, 1], [2, 1], [2, 3]], [2.0, 3.0, 4.0], (3, 4))
    with pytest.raises(ValueError, match="`weights` must have the positions of the ids"):
        layer(IDS, moved)
    fewer = tf.SparseTensor([[0, 1]], [2.0], (3, 4))
    with pytest.raises(ValueError, match="`weights` must have the positions of the ids"):
        layer(IDS, fewer)
    with pytest.raises(ValueError, match="sparse exactly where the ids are"):
        layer(IDS, np.ones((3, 4), np.float32))
    with pytest.raises(ValueError, match=r"two axes to be pooled.*shape=\(1, 3, 4\)"):
        layer(tf.sparse.expand_dims(IDS, 0))


def test_a_mask_is_sparse_or_ragged_as_the_ids():
    layer = FullEmbedding(INPUT_DIM, OUTPUT_DIM, mask_zero=True)
    ragged = tf.ragged.constant([[7, 0], [], [1]])
    assert layer.compute_mask(ragged).to_list() == [[True, False], [], [True]]
    np.testing.assert_array_equal(layer.compute_mask(IDS), tf.sparse.to_dense(IDS) != 0)
    pooled = FullEmbedding(INPUT_DIM, OUTPUT_DIM, mask_zero=True, combiner="sum")
    assert pooled.compute_mask(ragged) is None


@only_keras_3
@pytest.mark.parametrize("combiner", [None, "sum"])
def test_symbolic_vectors_are_ragged_as_the_ids(combiner):
    ids = keras.Input((None,), dtype="int32", ragged=True)
    vectors = MEmComEmbedding(INPUT_DIM, OUTPUT_DIM, num_buckets=9, combiner=combiner)(ids)
    assert vectors.ragged == (combiner is None)


@only_keras_3
def test_quantizing_a_model_leaves_our_layers_as_they_are():
    inputs = keras.Input((3,), dtype="int32")
    dense = keras.layers.Dense(2)
    model = keras.Model(inputs, dense(MEmComEmbedding(20, 4, num_buckets=3, name="ours")(inputs)))
    with pytest.warns(UserWarning, match="MEmComEmbedding does not have a `quantize` method"):
        model.quantize("int8")
    assert dense.dtype_policy.name == "int8_from_float32"
    for attempt in (
        lambda: model.get_layer("ours").quantize("int4"),
        lambda: FullEmbedding(3, 2, dtype="int8_from_float32"),
    ):
        with pytest.raises(NotImplementedError, match=r"not have a `quantize`.*`storage`"):
            attempt()
    with pytest.raises(NotImplementedError, match=r"`enable_lora` method.*rank=4"):
        model.get_layer("ours").enable_lora(4)
