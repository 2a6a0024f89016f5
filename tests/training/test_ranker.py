"""The ranker: what it learns, what its scores depend on, saving, and errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from memcom_tf import Vocabulary
from memcom_tf._keras import is_keras_3, keras
from memcom_tf.evaluation import Examples, RankingValidation, evaluate_ranking
from memcom_tf.layers import FullEmbedding, HashedEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.optimizers import LazyAdam

ITEMS, WIDTH, LENGTH = 60, 8, 4


def memcom(**kwargs):
    return MEmComEmbedding(ITEMS, WIDTH, num_buckets=20, **kwargs)


def ranker(embedding=None, *, trained=True, **kwargs):
    model = NextItemRanker(embedding or memcom(), **{"history_length": LENGTH, **kwargs})
    model.build((None, LENGTH))
    if trained:
        rng = np.random.default_rng(9)
        for variable in model.trainable_variables:
            variable.assign(rng.normal(0.3, 0.5, variable.shape))
    return model


def next_of_last(n=512):
    """Histories of any length; the target is the item after the last one."""
    rng = np.random.default_rng(6)
    history = rng.integers(1, ITEMS - 1, (n, LENGTH)).astype(np.int32)
    known = rng.integers(1, LENGTH + 1, n)
    history[np.arange(LENGTH) >= known[:, None]] = 0
    target = history[np.arange(n), known - 1] + 1
    rankable = (history != target[:, None]).all(axis=1)
    return history[rankable], target[rankable].astype(np.int32)


HISTORY = np.array([[3, 7, 0, 0], [59, 1, 59, 2], [5, 0, 0, 0], [0, 0, 0, 0]], np.int32)


# Scores.


def test_scores_are_those_of_the_formula():
    output = HashedEmbedding(ITEMS, WIDTH, num_buckets=9)
    model = ranker(hidden_units=(6,), query_projection=True, output_embedding=output)
    projection = np.asarray(model._projection(np.arange(WIDTH)))
    recency = np.exp(5.0 * np.asarray(model._recency))
    gate, scale = np.asarray(model._last_item_gate), np.asarray(model._scale)
    items = np.asarray(model.item_embedding(np.arange(ITEMS)))
    scored = np.asarray(model.output_embedding(np.arange(ITEMS)))
    bias = np.asarray(model._item_bias(np.arange(ITEMS)))[:, 0]
    first, second = ([np.asarray(weight) for weight in dense.weights] for dense in model._tower)
    for row, scores in zip(HISTORY, np.asarray(model(HISTORY)), strict=True):
        known = row[row != 0]
        query = np.zeros(WIDTH)
        if len(known):
            weights = recency[: len(known)][::-1]
            query = (weights / weights.sum()) @ items[known] + gate * items[known[-1]]
        query = scale * query
        query = query + query @ projection
        query = query + np.maximum(query @ first[0] + first[1], 0) @ second[0] + second[1]
        np.testing.assert_allclose(scores, scored @ query + bias, rtol=1e-4, atol=1e-5)


def test_an_unknown_history_scores_by_popularity():
    model = ranker()
    bias = np.asarray(model._item_bias(np.arange(ITEMS)))[:, 0]
    np.testing.assert_allclose(np.asarray(model(HISTORY))[3], bias, rtol=1e-6)
    without = ranker(item_bias=False)
    np.testing.assert_array_equal(np.asarray(without(HISTORY))[3], 0)
    assert len(without.embeddings) == 1


def test_padding_does_not_matter():
    """Neither its vector nor how much of it there is."""
    model = ranker()
    before = np.asarray(model(HISTORY))[:, 1:]
    multiplier = model.item_embedding.trainable_variables[1]
    values = np.asarray(multiplier).copy()
    values[0] = 1e3
    multiplier.assign(values)
    np.testing.assert_array_equal(np.asarray(model(HISTORY))[:, 1:], before)
    longer = ranker(history_length=LENGTH + 2)
    shorter = ranker(history_length=LENGTH)
    for ours, theirs in zip(longer.trainable_variables, shorter.trainable_variables, strict=True):
        if ours.shape == theirs.shape:
            ours.assign(theirs)
    longer._recency.assign(np.concatenate([np.asarray(shorter._recency), [7, 7]]))
    padded = np.pad(HISTORY, ((0, 0), (0, 2)))
    np.testing.assert_allclose(longer(padded), shorter(HISTORY), rtol=1e-5, atol=1e-6)


def test_the_order_matters():
    model = ranker()
    forth, back = np.array([[3, 7, 9, 0]]), np.array([[9, 7, 3, 0]])
    assert np.abs(np.asarray(model(forth)) - np.asarray(model(back))).max() > 0.1


def test_tied_and_untied():
    tied = ranker()
    assert tied.scored_embedding is tied.item_embedding
    untied = ranker(output_embedding=memcom())
    extra = sum(table.parameters for table in memcom().tables())
    assert untied.count_params() == tied.count_params() + extra
    before = np.asarray(untied(HISTORY))
    untied.output_embedding.trainable_variables[0].assign(np.zeros((20, WIDTH)))
    bias = np.asarray(untied._item_bias(np.arange(ITEMS)))[:, 0]
    assert np.abs(before - bias).max() > 0.1
    np.testing.assert_allclose(untied(HISTORY), np.tile(bias, (4, 1)), rtol=1e-5)


@pytest.mark.parametrize("item_bias", [True, False])
def test_candidates_score_as_in_the_whole(item_bias):
    model = ranker(item_bias=item_bias)
    query = model.query(HISTORY)
    candidates = np.array([1, 59, 30, 30])
    whole = np.asarray(model(HISTORY))
    np.testing.assert_allclose(
        model.score(query, candidates), whole[:, candidates], rtol=1e-4, atol=1e-5
    )


def test_the_tower_starts_as_nothing():
    """Its last layer is zero, so that training starts from the model without it."""
    model = ranker(trained=False, hidden_units=(5, 6), query_projection=True)
    plain = ranker(model.item_embedding, trained=False)
    np.testing.assert_allclose(model(HISTORY), plain(HISTORY), rtol=1e-6)
    assert [dense.units for dense in model._tower] == [5, 6, WIDTH]


# Training.


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_negatives": 15},
        {"num_negatives": 15, "item_bias": False, "output": True},
        {"hidden_units": (16,), "dropout": 0.1, "item_dropout": 0.1},
    ],
    ids=str,
)
def test_it_learns(settings):
    settings = dict(settings)
    if settings.pop("output", False):
        settings["output_embedding"] = FullEmbedding(ITEMS, WIDTH)
    model = ranker(FullEmbedding(ITEMS, WIDTH), trained=False, **settings)
    model.compile(keras.optimizers.Adam(0.03))
    history, target = next_of_last()
    examples = Examples(history, target, np.arange(len(target)))
    before = model.evaluate(history, target, verbose=0)
    losses = model.fit(history, target, batch_size=32, epochs=6, verbose=0).history["loss"]
    after = model.evaluate(history, target, verbose=0)
    before, after = (x["loss"] if isinstance(x, dict) else x for x in (before, after))
    assert before == pytest.approx(np.log(ITEMS), rel=0.1)
    assert losses[-1] < 0.6 * losses[0]
    assert after < 0.7 * before
    # Better than guessing, by a lot.
    recall = evaluate_ranking(model.predict_on_batch, examples, k=5)["recall@5"]
    assert recall > 0.8


def test_training_is_reproducible():
    def train():
        keras.utils.set_random_seed(3)
        model = ranker(trained=False, num_negatives=5, item_dropout=0.2)
        model.compile(keras.optimizers.Adam(0.03))
        return model.fit(*next_of_last(128), epochs=2, verbose=0).history["loss"]

    assert train() == train()


@pytest.mark.few(1)
@pytest.mark.parametrize("num_negatives", [None, 5])
@pytest.mark.parametrize("optimizer", [keras.optimizers.Adam, LazyAdam])
def test_fit_builds_the_model(num_negatives, optimizer):
    model = NextItemRanker(memcom(), history_length=LENGTH, num_negatives=num_negatives)
    model.compile(optimizer(0.03))
    losses = model.fit(*next_of_last(256), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_every_weight_is_trained():
    output = memcom(bias=True)
    model = ranker(hidden_units=(6,), query_projection=True, output_embedding=output)
    model.compile(keras.optimizers.SGD(0.5))
    before = [np.asarray(variable).copy() for variable in model.trainable_variables]
    model.fit(*next_of_last(64), epochs=1, batch_size=64, verbose=0)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        assert np.abs(np.asarray(variable) - old).max() > 0, variable.name


def test_the_sampled_loss_estimates_the_full_one():
    """With as many negatives as items both are sums over the catalogue, one of a sample."""
    history, target = next_of_last(2000)
    full = ranker()
    sampled = ranker(num_negatives=50 * ITEMS)
    sampled.set_weights(full.get_weights())
    exact = float(full._loss(history, target))
    estimate = float(sampled._loss(history, target))
    assert estimate == pytest.approx(exact, rel=0.05)
    # Evaluation takes the whole catalogue in both.
    alike = [np.asarray(model._loss(history, target, False)) for model in (full, sampled)]
    np.testing.assert_allclose(alike[0], alike[1], rtol=1e-5)


def test_regularization_is_a_part_of_what_is_minimized():
    """But not of the loss that is reported."""
    regularizer = keras.regularizers.L2(10.0)
    history, target = next_of_last(64)

    def norm_after(embedding):
        model = ranker(embedding, item_bias=False)
        model.compile(keras.optimizers.SGD(0.01))
        loss = model.fit(history, target, epochs=3, verbose=0).history["loss"][0]
        return loss, np.abs(model.item_embedding.table_values()["shared"]).mean()

    loss, norm = norm_after(memcom())
    regularized_loss, regularized_norm = norm_after(memcom(embeddings_regularizer=regularizer))
    assert regularized_norm < 0.8 * norm
    assert regularized_loss < loss + 10


@pytest.fixture
def half_precision():
    keras.mixed_precision.set_global_policy("mixed_float16")
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.few(1)
@pytest.mark.parametrize("num_negatives", [None, 10])
def test_mixed_precision(half_precision, num_negatives):
    model = ranker(trained=False, num_negatives=num_negatives, hidden_units=(8,))
    assert np.asarray(model(HISTORY)).dtype == np.float16
    assert {str(np.asarray(v).dtype) for v in model.trainable_variables} == {"float32"}
    model.compile(keras.optimizers.Adam(0.03))
    losses = model.fit(*next_of_last(), epochs=5, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@pytest.mark.long
def test_a_ranker_computes_in_the_dtype_of_its_embedding(tmp_path):
    """That of the layer, whatever the global policy is; a saved one keeps it."""
    layer = memcom(dtype="mixed_float16")
    model = NextItemRanker(layer, history_length=LENGTH, dropout=0.1, hidden_units=(4,))
    model.compile(keras.optimizers.Adam(0.01))
    losses = model.fit(*next_of_last(), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    scores = np.asarray(model(HISTORY))
    assert scores.dtype == np.float16
    model.save(tmp_path / "ranker.keras")
    loaded = keras.models.load_model(tmp_path / "ranker.keras")
    np.testing.assert_array_equal(np.asarray(loaded(HISTORY)), scores)


class Recorder(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.logs = []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))


def test_validation_by_ranking_stops_training_early():
    history, target = next_of_last(200)
    examples = Examples(history[:50], target[:50], np.arange(50))
    model = ranker(trained=False)
    # Nothing is learned, so nothing improves after the first epoch.
    model.compile(keras.optimizers.SGD(0.0))
    recorder = Recorder()
    fitted = model.fit(
        history,
        target,
        epochs=9,
        verbose=0,
        callbacks=[
            RankingValidation(examples, k=10, batch_size=20),
            keras.callbacks.EarlyStopping(monitor="val_ndcg@10", mode="max", patience=2),
            recorder,
        ],
    )
    assert len(recorder.logs) == 3
    expected = evaluate_ranking(model.predict_on_batch, examples, k=10)
    for name, value in expected.items():
        assert recorder.logs[0][f"val_{name}"] == value
        assert fitted.history[f"val_{name}"] == [value] * 3


def test_validation_sees_the_model_of_the_epoch():
    history, target = next_of_last(300)
    examples = Examples(history, target, np.arange(len(target)))
    model = ranker(FullEmbedding(ITEMS, WIDTH), trained=False)
    model.compile(keras.optimizers.Adam(0.03))
    fitted = model.fit(
        history, target, epochs=6, verbose=0, callbacks=[RankingValidation(examples, k=5)]
    )
    ndcg = fitted.history["val_ndcg@5"]
    assert ndcg[-1] > ndcg[0]
    assert ndcg[-1] == evaluate_ranking(model.predict_on_batch, examples, k=5)["ndcg@5"]


# Saving.

VOCABULARY = Vocabulary(
    [f"item {i}" for i in range(ITEMS - 1)], details={"title": {"item 3": "Drei"}}
)


SETTINGS = {
    "hidden_units": (6, 5),
    "activation": "tanh",
    "dropout": 0.1,
    "item_dropout": 0.2,
    "item_bias": False,
    "query_projection": True,
    "num_negatives": 11,
    "name": "shop",
}


def every_setting():
    output = HashedEmbedding(ITEMS, WIDTH, num_buckets=9)
    return ranker(memcom(bias=True), output_embedding=output, vocabulary=VOCABULARY, **SETTINGS)


@pytest.mark.few(1)
@pytest.mark.parametrize("make", [ranker, every_setting])
def test_saved_and_loaded_it_is_the_same(make, tmp_path):
    model = make()
    path = str(tmp_path / "model.keras")
    model.save(path)
    loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(loaded(HISTORY), model(HISTORY))
    assert loaded.vocabulary == model.vocabulary
    assert loaded.get_config() == model.get_config()
    for name in SETTINGS:
        assert getattr(loaded, name) == getattr(model, name)
    # And it goes on training.
    loaded.compile(keras.optimizers.Adam(0.01))
    loaded.fit(*next_of_last(64), verbose=0)


def test_weights_are_saved_alone(tmp_path):
    model, other = ranker(), ranker(trained=False)
    path = str(tmp_path / "ranker.weights.h5")
    model.save_weights(path)
    other.load_weights(path)
    np.testing.assert_array_equal(other(HISTORY), model(HISTORY))


def test_config_through_json():
    model = every_setting()
    config = json.loads(json.dumps(model.get_config()))
    again = NextItemRanker.from_config(config)
    again.build((None, LENGTH))
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(HISTORY), model(HISTORY))
    if is_keras_3:  # tf_keras writes the bare name of a subclass of Model, and cannot find it
        again = keras.models.model_from_json(model.to_json())
        assert again.get_config() == model.get_config()


# Errors.

REFUSED = {
    "pooling": (
        lambda: NextItemRanker(memcom(combiner="mean"), history_length=3),
        "`combiner` of its embeddings must be None. Received: combiner='mean'",
    ),
    "pooling output": (
        lambda: NextItemRanker(memcom(), history_length=3, output_embedding=memcom(combiner="sum")),
        "`combiner` of its embeddings must be None. Received: combiner='sum'",
    ),
    "history_length": (
        lambda: NextItemRanker(memcom(), history_length=0),
        "`history_length` must be a positive integer. Received: history_length=0",
    ),
    "num_negatives": (
        lambda: NextItemRanker(memcom(), history_length=3, num_negatives=0),
        "`num_negatives` must be a positive integer. Received: num_negatives=0",
    ),
    "input_dim": (
        lambda: NextItemRanker(
            memcom(), history_length=3, output_embedding=FullEmbedding(ITEMS + 1, WIDTH)
        ),
        "`input_dim` of both embeddings must be the same. Received: item_embedding=60, "
        "output_embedding=61",
    ),
    "output_dim": (
        lambda: NextItemRanker(
            memcom(), history_length=3, output_embedding=FullEmbedding(ITEMS, WIDTH + 1)
        ),
        "`output_dim` of both embeddings must be the same. Received: item_embedding=8, "
        "output_embedding=9",
    ),
    "vocabulary": (
        lambda: NextItemRanker(memcom(), history_length=3, vocabulary=Vocabulary(["a"])),
        "must be that of the vocabulary. Received: input_dim=60, vocabulary_input_dim=2",
    ),
    "dtype": (
        lambda: NextItemRanker(memcom(), history_length=3, dtype="mixed_float16"),
        "in the dtype of its embedding. Received: compute_dtype='float16', "
        "item_embedding='float32'",
    ),
    "dtype of output": (
        lambda: NextItemRanker(
            memcom(), history_length=3, output_embedding=memcom(dtype="mixed_float16")
        ),
        "`compute_dtype` of both embeddings must be the same. Received: item_embedding='float32'",
    ),
    "dropout": (lambda: NextItemRanker(memcom(), history_length=3, dropout=1.5), "1.5"),
    "item_dropout": (lambda: NextItemRanker(memcom(), history_length=3, item_dropout=-1), "-1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    action, words = REFUSED[case]
    with pytest.raises(ValueError) as caught:
        action()
    assert words in str(caught.value)
