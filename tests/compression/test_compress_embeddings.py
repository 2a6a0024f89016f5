"""Any trained model with smaller embeddings: functional, sequential, subclassed."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.compression import compress_embeddings
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.layers import FullEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker, RetrievalModel
from memcom_tf.vocabulary import Vocabulary

ITEMS, WIDTH = 3000, 16


def table(rows=ITEMS, width=WIDTH, seed=0):
    """Rows of low rank and a little noise, as trained tables are."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 4)) @ rng.normal(size=(4, width))
    return (values + 0.1 * rng.normal(size=values.shape)).astype(np.float32)


def fill(model):
    rng = np.random.default_rng(1)
    for variable in model.weights:
        shape = tuple(variable.shape)
        embedding = shape[0] >= 100
        variable.assign(table(*shape) if embedding else rng.normal(size=shape))
    return model


def functional():
    user = keras.Input((), dtype="int32", name="user")
    items = keras.Input((5,), dtype="int32", name="items")
    table = keras.layers.Embedding(ITEMS, WIDTH, name="item_table", mask_zero=True)
    pooled = keras.layers.GlobalAveragePooling1D()(table(items))
    tiny = keras.layers.Embedding(100, 5, name="country")(user)
    kind = keras.layers.Embedding(2000, 4, name="kind")(user)
    joined = keras.layers.Concatenate()([pooled, tiny, kind])
    return fill(keras.Model([user, items], keras.layers.Dense(3, name="head")(joined)))


def sequential():
    layers = [keras.layers.Embedding(ITEMS, WIDTH, name="items"), keras.layers.Flatten()]
    return fill(
        keras.Sequential([keras.Input((2,), dtype="int32"), *layers, keras.layers.Dense(3)])
    )


@keras.saving.register_keras_serializable("test")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.items = keras.layers.Embedding(ITEMS, WIDTH, name="items")
        self.others = [keras.layers.Embedding(ITEMS, 8, name="others")]
        self.head = keras.layers.Dense(3)

    def call(self, ids):
        vectors = tf.concat([self.items(ids), self.others[0](ids)], axis=-1)
        return self.head(tf.reduce_mean(vectors, axis=1))

    def get_config(self):
        return {}


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 2), np.int32))
    return fill(model)


BATCHES = {
    functional: [np.array([1, 99]), np.array([[1, 2, 3, 0, 0], [ITEMS - 1, 5, 6, 7, 8]])],
    sequential: np.array([[1, 2], [ITEMS - 1, 0]]),
    subclassed: np.array([[1, 2], [ITEMS - 1, 0]]),
}


@pytest.mark.few(1)
@pytest.mark.parametrize("make", BATCHES)
def test_the_model_is_the_same_but_for_its_tables(make):
    model, batch = make(), BATCHES[make]
    before = [np.array(weight) for weight in model.weights]
    compression = compress_embeddings(model, ratio=8, inputs=batch)
    wanted, found = (np.asarray(m(batch)) for m in (model, compression.model))
    assert np.abs(found - wanted).max() < 0.3 * np.abs(wanted).max()
    assert np.abs(found - wanted).max() > 0
    for was, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(was, weight)  # the given model is not touched
    replaced = [layer for layer in compression.layers if layer.approximation is not None]
    assert all(layer.bytes_after <= layer.bytes_before / 8 for layer in replaced)
    assert all(layer.approximation.error < 0.05 for layer in replaced)
    assert len(replaced) == (2 if make is subclassed else 1)
    assert convert(compression.model, inputs=batch).verification.passed


def test_small_tables_and_others_than_asked_for_are_left_alone():
    model = functional()
    left = {layer.name: layer.reason for layer in compress_embeddings(model, ratio=8).layers}
    assert left == {
        "item_table": "",
        "country": "less than 1% of all tables' bytes",
        "kind": "rows of fewer than 5 values",
    }
    compression = compress_embeddings(
        subclassed(), ratio=8, layers=["it*"], inputs=BATCHES[subclassed]
    )
    assert [layer.reason for layer in compression.layers] == ["", "not asked for"]
    assert "others 3,000 x 8: 96,000 bytes, left alone: not asked for" in str(compression)
    assert compress_embeddings(model, ratio=8).model.get_layer("item_table").mask_zero


def test_a_number_of_bytes_is_kept_and_used():
    model = functional()
    whole = convert(model, verify=False).report["graph_bytes"]
    limit = whole // 2
    compression = compress_embeddings(model, max_bytes=limit)
    assert 0.8 * limit < compression.file_bytes <= limit
    assert convert(compression.model).report["graph_bytes"] == compression.file_bytes


def test_rows_of_8_bits_are_kept_where_they_fit():
    model = sequential()
    compression = compress_embeddings(model, ratio=3)
    assert isinstance(compression.model.layers[0], FullEmbedding)
    assert compression.layers[0].approximation.error < 1e-4


def test_the_best_method_depends_on_the_table():
    """Low rank for rows of low rank, codes for rows in clusters."""
    rng = np.random.default_rng(3)
    ids = keras.Input((), dtype="int32")
    embedding = keras.layers.Embedding(ITEMS, 32, name="items")
    model = keras.Model(ids, embedding(ids))

    def chosen(values):
        embedding.set_weights([values.astype(np.float32)])
        (layer,) = compress_embeddings(model, ratio=25).layers
        return layer.approximation.candidate.method.__name__

    assert chosen(rng.normal(size=(ITEMS, 2)) @ rng.normal(size=(2, 32))) == "LowRankEmbedding"
    centres = rng.normal(size=(40, 32))
    clusters = centres[rng.integers(0, 40, ITEMS)] + 0.05 * rng.normal(size=(ITEMS, 32))
    assert chosen(clusters) == "ResidualQuantizedEmbedding"


def test_a_method_may_be_named_and_frequent_rows_weigh_more():
    model = sequential()
    compression = compress_embeddings(model, ratio=10, method="MEmComEmbedding")
    assert isinstance(compression.model.layers[0], MEmComEmbedding)
    frequencies = np.where(np.arange(ITEMS) < 50, 1000.0, 1e-3)
    ids = np.arange(50)
    errors = []
    for counts in (None, {"items": frequencies}):
        made = compress_embeddings(model, ratio=12, method="LowRankEmbedding", frequencies=counts)
        found = np.asarray(made.model.layers[0](ids))
        errors.append(((found - np.asarray(model.layers[0](ids))) ** 2).sum())
    assert errors[1] < errors[0]


REFUSED = {
    "both": (dict(ratio=2, max_bytes=5), "Either `max_bytes` or `ratio` must be given"),
    "ratio": (dict(ratio=0.5), "`ratio` must be 1 or more. Received: ratio=0.5"),
    "few bytes": (dict(max_bytes=100), "must leave room .* Received: max_bytes=100. The file with"),
    "method": (dict(ratio=2, method="Zip"), "`method` must be one of .* Received: method='Zip'"),
    "layers": (
        dict(ratio=2, layers=["x"]),
        "Names must be those of embeddings. Received: name='x'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    arguments, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        compress_embeddings(sequential(), **arguments)


def test_a_model_without_embeddings_or_without_config_is_refused():
    with pytest.raises(ValueError, match="must hold an embedding"):
        compress_embeddings(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), ratio=2)

    class Own(Subclassed):
        def get_config(self):
            raise NotImplementedError("no config")

    model = Own()
    model(BATCHES[subclassed])
    with pytest.raises(TypeError, match="must be made again by its config"):
        compress_embeddings(model, ratio=2, inputs=BATCHES[subclassed])
    with pytest.raises(ValueError, match="inputs of a subclassed model must be given"):
        compress_embeddings(subclassed(), ratio=2)


def test_the_catalogue_of_a_ranker_is_described_first(tmp_path):
    """Wherever the model has its table: another layer takes its place among attributes."""
    vocabulary = Vocabulary(range(ITEMS - 1))
    ranker = NextItemRanker(
        FullEmbedding(ITEMS, WIDTH),
        history_length=5,
        item_bias=False,
        query_projection=True,
        vocabulary=vocabulary,
    )
    ranker.build_once()
    smaller = compress_embeddings(ranker, ratio=8).model
    assert smaller.item_embedding is not ranker.item_embedding
    path = tmp_path / "smaller.tflite"
    convert(smaller, k=10).save(path)
    assert CompressedModelFile(path).description.num_ids == ITEMS
    kind = keras.Input((1,), dtype="int32", name="kind")
    query = keras.layers.Flatten()(FullEmbedding(40, WIDTH)(kind))
    model = RetrievalModel(
        keras.Model(kind, query), FullEmbedding(ITEMS, WIDTH), vocabulary=vocabulary
    )
    model.build_once()
    convert(model, k=10).save(path, overwrite=True)
    assert CompressedModelFile(path).description.num_ids == ITEMS
