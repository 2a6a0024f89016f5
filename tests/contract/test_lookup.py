"""What is looked up: shapes, dtypes, ids, pooling, and equality with the NumPy oracle."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.layers import PrunedEmbedding
from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.ops.reference import ReferenceOps
from memcom_tf.tables import RowSharing
from tests.contract.methods import INPUT_DIM, OUTPUT_DIM, Case, every_method

NUMPY = NumpyOps()


def oracle(layer, ids):
    return layer.lookup(NUMPY, np.asarray(ids), layer.table_values())


@pytest.mark.few(102)
@every_method
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32"])
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4), (0,), (0, 3)])
def test_shape_and_values_as_the_oracle(case: Case, dtype, shape):
    layer = case.trained()
    ids = np.random.default_rng(0).integers(0, INPUT_DIM, shape).astype(dtype)
    vectors = layer(ids)
    twin = keras.layers.Embedding(INPUT_DIM, OUTPUT_DIM)(ids)
    assert vectors.shape == twin.shape
    assert vectors.dtype == twin.dtype
    expected = oracle(layer, ids.astype("int64"))
    atol = 1e-6 * max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=atol)


@pytest.mark.few(6)
@every_method
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_size_equals_the_oracle(case: Case, data):
    input_dim = data.draw(st.integers(2 + case.variant.get("num_dedicated", 0), 400))
    output_dim = data.draw(st.integers(2, 9))
    sizes = case.method.size_range(input_dim, output_dim, **case.variant)
    size = data.draw(st.sampled_from(sizes))
    argument = {case.method.size_argument: size} if case.method.size_argument else {}
    layer = case.method(input_dim, output_dim, **argument, **case.variant)
    ids = np.arange(input_dim)
    np.testing.assert_allclose(layer(ids), oracle(layer, ids), rtol=1e-5, atol=1e-6)
    query = np.ones((1, output_dim), np.float32)
    scores = np.asarray(layer.score_all(query))
    np.testing.assert_allclose(scores[0], np.asarray(layer(ids)).sum(-1), rtol=1e-4, atol=1e-5)


@pytest.mark.few(2)
@every_method
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_ids_beyond_float32_are_exact(case: Case, dtype):
    input_dim = 2**24 + 40
    sizes = {"rank": 1, "num_kept": 2**24, "num_codebooks": 1, "num_nonzero": 1}
    argument = case.method.size_argument
    size = {argument: sizes.get(argument, 4099)} if argument else {}
    if case.method is PrunedEmbedding:
        with pytest.raises(ValueError, match="as float32"):
            case.method(input_dim, 2, **size, **case.variant)
        return
    layer = case.method(input_dim, 2, **size, **case.variant)
    # Neighbouring rows differ, so that an id which is off by one shows.
    tables = {
        table.name: (np.arange(table.parameters) % (table.num_codes or 1013))
        .reshape(table.rows, table.width)
        .astype(np.uint8 if table.holds_integers else np.float32)
        for table in layer.tables()
    }
    tail = np.arange(input_dim - 40, input_dim, dtype=dtype)
    with layer.substituted(layer, ReferenceOps(), tables):
        vectors = layer.call(tail)
    wide = layer.lookup(NUMPY, tail.astype(np.int64), tables)
    np.testing.assert_allclose(vectors, wide, rtol=1e-5)


@every_method
def test_out_of_range_ids_are_named(case: Case):
    layer = case.layer()
    for bad in (INPUT_DIM, -1):
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"\[0, {INPUT_DIM}\).*id={bad}"):
            layer(np.array([[1, bad]]))
        graph = tf.function(lambda ids, layer=layer: layer(ids))
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"\[0, {INPUT_DIM}\).*{bad}"):
            graph(tf.constant([[1, bad]]))


@pytest.mark.few(8)
@every_method
def test_xla_computes_the_same_and_poisons_out_of_range_ids(case: Case):
    layer = case.trained()
    compiled = tf.function(lambda ids: layer(ids), jit_compile=True)
    ids = np.arange(12).reshape(3, 4)
    np.testing.assert_allclose(compiled(ids), layer(ids), rtol=1e-5, atol=1e-6)
    assert np.isnan(compiled(np.full((3, 4), INPUT_DIM))).all()


@every_method
def test_ragged(case: Case):
    layer = case.trained()
    ids = tf.ragged.constant([[1, 2, 229], [], [0]])
    vectors = layer(ids)
    assert isinstance(vectors, tf.RaggedTensor)
    np.testing.assert_allclose(
        vectors.flat_values, oracle(layer, [1, 2, 229, 0]), rtol=1e-5, atol=1e-6
    )


def pooled(vectors, weights, combiner):
    total = (vectors * weights[..., None]).sum(-2)
    divisor = {
        "sum": np.ones(weights.shape[:-1]),
        "mean": weights.sum(-1),
        "sqrtn": np.sqrt((weights**2).sum(-1)),
    }[combiner][..., None]
    return np.divide(total, divisor, out=np.zeros_like(total), where=divisor != 0)


@pytest.mark.few(34)
@every_method
@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
def test_combiner(case: Case, combiner):
    """Composition happens before pooling; masked, weighted, ragged and empty bags."""
    layer = case.trained(combiner=combiner, mask_zero=True)
    ids = np.array([[3, 0, 5], [0, 0, 0], [229, 228, 1]])
    weights = np.array([[0.5, 2, 3], [1, 1, 1], [0, 1, 0.25]], np.float32)
    vectors = oracle(layer, ids)
    known = (ids != 0).astype(np.float32)
    np.testing.assert_allclose(layer(ids), pooled(vectors, known, combiner), rtol=1e-4, atol=1e-5)
    weighted = pooled(vectors, known * weights, combiner)
    np.testing.assert_allclose(layer(ids, weights), weighted, rtol=1e-4, atol=1e-5)

    ragged_ids = tf.ragged.constant([[3, 5], [], [229, 228, 1]], dtype=tf.int64)
    ragged_weights = tf.ragged.constant([[0.5, 3], [], [0, 1, 0.25]])
    np.testing.assert_allclose(layer(ragged_ids, ragged_weights), weighted, rtol=1e-4, atol=1e-5)
    unweighted = pooled(vectors, known, combiner)
    np.testing.assert_allclose(layer(ragged_ids), unweighted, rtol=1e-4, atol=1e-5)


@every_method
def test_mask_zero(case: Case):
    layer = case.layer(mask_zero=True)
    np.testing.assert_array_equal(
        layer.compute_mask(tf.constant([[0, 1]])), np.array([[False, True]])
    )
    assert case.layer().compute_mask(tf.constant([[0, 1]])) is None
    assert case.layer(mask_zero=True, combiner="sum").compute_mask(tf.constant([[0, 1]])) is None


@every_method
def test_mixed_precision(case: Case):
    layer = case.layer(dtype="mixed_float16", combiner="sum")
    vectors = layer(np.array([[1, 2]]), np.array([[1.0, 0.5]]))
    assert vectors.dtype == tf.float16
    assert layer.score_all(np.ones((1, OUTPUT_DIM))).dtype == tf.float16
    assert all(tf.as_dtype(variable.dtype) == tf.float32 for variable in layer.trainable_variables)


@every_method
def test_scores_of_the_whole_vocabulary(case: Case):
    layer = case.trained()
    query = np.random.default_rng(1).normal(size=(3, OUTPUT_DIM)).astype(np.float32)
    expected = query @ oracle(layer, np.arange(INPUT_DIM)).T
    np.testing.assert_allclose(layer.score_all(query), expected, rtol=1e-4, atol=1e-4)
    by_oracle = layer.lookup_scores(NUMPY, query, layer.table_values())
    np.testing.assert_allclose(by_oracle, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not is_keras_3, reason="keras-rs runs on Keras 3")
@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
def test_the_combiner_is_that_of_keras_rs(combiner):
    import keras_rs

    from memcom_tf.layers import FullEmbedding

    ours = FullEmbedding(INPUT_DIM, OUTPUT_DIM, combiner=combiner)
    theirs = keras_rs.layers.EmbedReduce(INPUT_DIM, OUTPUT_DIM, combiner=combiner)
    theirs.build((None, None))
    ours.build(None)
    theirs.embeddings.assign(ours.table_values()["embeddings"])
    rng = np.random.default_rng(0)
    for shape in [(4,), (4, 3), (2, 4, 3)]:
        ids = rng.integers(0, INPUT_DIM, shape)
        weights = rng.random(shape).astype(np.float32)
        if len(shape) < 3:
            np.testing.assert_allclose(ours(ids), theirs(ids), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours(ids, weights), theirs(ids, weights), rtol=1e-5, atol=1e-6)
    ragged = tf.ragged.constant([[3, 5], [], [229, 228, 1]])
    np.testing.assert_allclose(ours(ragged), theirs(ragged), rtol=1e-5, atol=1e-6)


@pytest.mark.few(33)
@every_method
@pytest.mark.parametrize("k", [1, 5, 40])
def test_the_best_ids_are_exact_where_a_method_finds_them(case: Case, k):
    layer = case.trained()
    rng = np.random.default_rng(11)
    for _ in range(20):
        query = rng.normal(size=(1, OUTPUT_DIM)).astype(np.float32)
        found = layer.find_top_k(query, k)
        by_oracle = layer.lookup_top_k(NUMPY, query, k, layer.table_values())
        assert (found is None) == (by_oracle is None)
        if found is None:
            continue
        scores = np.asarray(layer.score_all(query))[0]
        expected = -np.sort(-scores)[:k]
        np.testing.assert_allclose(scores[np.asarray(found)], expected, rtol=1e-5)
        np.testing.assert_allclose(scores[by_oracle], expected, rtol=1e-5)
        assert len(set(np.asarray(found))) == k


@pytest.mark.few(33)
@every_method
@pytest.mark.parametrize("more", [0, 1, 77])
def test_a_grown_layer_looks_up_what_it_did(case: Case, more):
    layer = case.trained(name="items")
    if more and not layer.can_grow:
        with pytest.raises(NotImplementedError, match="which ids share what changes with"):
            layer.grown(INPUT_DIM + more)
        return
    grown = layer.grown(INPUT_DIM + more)
    ids = np.arange(INPUT_DIM + more)
    np.testing.assert_array_equal(grown(ids[:INPUT_DIM]), layer(ids[:INPUT_DIM]))
    assert grown.get_config() == {**layer.get_config(), "input_dim": INPUT_DIM + more}
    assert np.isfinite(np.asarray(grown(ids))).all()
    for variable in grown.trainable_variables:
        variable.assign(variable * 0)
    assert np.asarray(layer(ids[:INPUT_DIM])).any(), "a table of its own"
    with pytest.raises(ValueError, match=f"at least {INPUT_DIM}"):
        layer.grown(INPUT_DIM - 1)


@every_method
def test_it_says_whether_remainders_decide_which_ids_share_a_row(case: Case):
    """Methods that do are refused a vocabulary that was ordered for another `num_buckets`."""
    layer = case.trained()
    ids = np.arange(INPUT_DIM)
    gathered = []

    class Recording(NumpyOps):
        def gather(self, table, rows):
            if len(rows) == len(ids):  # not a few rows of numbers of hash functions
                gathered.append(rows if np.ndim(rows) > 1 else np.broadcast_to(rows, ids.shape))
            return super().gather(table, rows)

    layer.lookup(Recording(), ids, layer.table_values())
    num_buckets = getattr(layer, "num_buckets", None) or INPUT_DIM
    buckets = RowSharing(num_buckets, getattr(layer, "num_dedicated", 0)).rows_of(ids)
    shares = any(np.array_equal(rows, buckets) for rows in gathered if rows.max() < ids.max())
    assert shares == (layer.sharing is not None)
