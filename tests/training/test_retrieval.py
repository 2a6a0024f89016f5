"""A ranker around any query model: towers, losses, saving, files, lists of some items."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf

from examples.query_towers import gru4rec, sasrec, with_fields
from memcom_tf import Vocabulary
from memcom_tf._keras import keras
from memcom_tf.compression import compress
from memcom_tf.converters import CompressedModelFile, convert, verify
from memcom_tf.converters.inspection.golden import differences, golden
from memcom_tf.datasets import Interactions
from memcom_tf.evaluation import Examples, evaluate_ranking, leave_last_out
from memcom_tf.features import Categorical, Features, Numeric
from memcom_tf.layers import FullEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker, RankingLoss, RetrievalModel
from memcom_tf.optimizers import LazyAdam
from memcom_tf.training import TrainingSettings, train

ITEMS, WIDTH, LENGTH = 60, 8, 4
FEATURES = Features(
    [
        Categorical(
            "country", 5, vocabulary=Vocabulary(["NO", "SE", "FI"], out_of_vocabulary="share")
        )
    ],
    [Numeric("age", (20.0, 40.0))],
)


def vocabulary():
    return Vocabulary([f"item {i}" for i in range(ITEMS - 1)])


def model_of(tower, items=None, **kwargs):
    items = items or FullEmbedding(ITEMS, WIDTH)
    kwargs.setdefault("vocabulary", vocabulary())
    model = RetrievalModel(tower(items, LENGTH), items, **kwargs)
    model.build_once()
    return model


def fielded(**kwargs):
    def tower(items, length):
        return with_fields(items, length, FEATURES)

    return model_of(tower, features=FEATURES, **kwargs)


def next_of_last(n=256):
    rng = np.random.default_rng(6)
    history = rng.integers(1, ITEMS - 1, (n, LENGTH)).astype(np.int32)
    known = rng.integers(1, LENGTH + 1, n)
    history[np.arange(LENGTH) >= known[:, None]] = 0
    target = history[np.arange(n), known - 1] + 1
    rankable = (history != target[:, None]).all(axis=1)
    return history[rankable], target[rankable].astype(np.int32)


def queries(n=16):
    history, _ = next_of_last(n)
    rng = np.random.default_rng(1)
    return {
        "history": history,
        "ids": rng.integers(0, 5, (len(history), 1)).astype(np.int32),
        "numbers": rng.normal(30, 9, (len(history), 1)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A file that takes a history and fields, and its model."""
    model = fielded(item_bias=True)
    model.item_bias_embedding.assign_tables(
        {"embeddings": np.random.default_rng(0).normal(size=(ITEMS, 1))}
    )
    conversion = convert(model, k=6)
    path = tmp_path_factory.mktemp("retrieval") / "model.tflite"
    conversion.save(path)
    return model, conversion, CompressedModelFile(path)


# Scores and inputs.


def test_scores_are_queries_times_items_and_biases():
    model = fielded(item_bias=True)
    model.item_bias_embedding.assign_tables({"embeddings": np.arange(ITEMS)[:, None]})
    inputs = queries()
    query = np.asarray(model.query_model(list(inputs.values())))
    table = model.item_embedding.table_values()["embeddings"]
    np.testing.assert_allclose(model(inputs), query @ table.T + np.arange(ITEMS), rtol=1e-5)


def test_the_history_may_have_any_name():
    items = FullEmbedding(ITEMS, WIDTH)
    watched = keras.Input([LENGTH], dtype="int64", name="watched")
    query = keras.Model(watched, keras.layers.GlobalAveragePooling1D()(items(watched)))
    model = RetrievalModel(query, items)
    history = next_of_last(4)[0]
    assert list(model.query_specs) == ["history"] and model.history_length == LENGTH
    for inputs in (history, {"watched": history}, {"history": history}):
        np.testing.assert_array_equal(model(inputs), model(history))
    assert RetrievalModel(query, items, history=False).history_length == 0


def test_a_subclassed_query_model_says_what_it_takes():
    @keras.saving.register_keras_serializable("tests")
    class Tower(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(WIDTH)

        def call(self, user, hour):
            return self.dense(tf.concat([user, hour], axis=1))

    items = FullEmbedding(ITEMS, WIDTH)
    with pytest.raises(ValueError, match="inputs of a subclassed model must be given"):
        RetrievalModel(Tower(), items)
    specs = {name: tf.TensorSpec([None, 3], tf.float32) for name in ("user", "hour")}
    model = RetrievalModel(Tower(), items, inputs=specs)
    inputs = {name: np.random.default_rng(0).normal(size=(5, 3)) for name in specs}
    again = RetrievalModel.from_config(model.get_config())
    assert model(inputs).shape == again(inputs).shape == (5, ITEMS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": FEATURES}, "must take the fields"),
        ({"history": "watched"}, "must be the name of an input"),
        ({"vocabulary": Vocabulary(["tea"])}, "must be that of the vocabulary"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        model_of(gru4rec, **arguments)


def test_a_query_of_another_width_is_refused():
    items, hour = FullEmbedding(ITEMS, WIDTH), keras.Input([1], name="hour")
    model = RetrievalModel(keras.Model(hour, keras.layers.Dense(3)(hour)), items)
    with pytest.raises(ValueError, match=r"as wide as those of the items.*output_dim=8"):
        model.build_once()


def test_inputs_that_are_missing_or_others_are_refused():
    model, inputs = fielded(), queries()
    with pytest.raises(ValueError, match="inputs of a query must be"):
        model({"history": inputs["history"]})
    with pytest.raises(ValueError, match="inputs of a query must be"):
        model({**inputs, "weather": inputs["numbers"]})


# Training and saving.


@pytest.mark.few(1)
@pytest.mark.parametrize("tower", [sasrec, gru4rec])
def test_a_tower_learns_and_is_saved(tower, tmp_path):
    keras.utils.set_random_seed(0)
    model = model_of(tower)
    history, target = next_of_last(1024)
    examples = Examples(history, target, np.arange(len(target)))
    model.compile(LazyAdam(0.03))
    model.fit(history, target, epochs=12, batch_size=64, verbose=0)
    assert evaluate_ranking(model, examples, k=5)["ndcg@5"] > 0.6
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(history), model(history), rtol=1e-5, atol=1e-5)
    assert loaded.vocabulary == model.vocabulary
    # The table that the tower and the scores share is one still.
    assert len(loaded.weights) == len(model.weights)


def test_fields_are_saved(tmp_path):
    model = fielded()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.features.vocabularies["country"] == FEATURES.vocabularies["country"]
    np.testing.assert_allclose(loaded(queries()), model(queries()), rtol=1e-6)


@pytest.mark.long
def test_training_to_the_best_epoch_takes_a_context():
    model, inputs = fielded(), queries(200)
    target = next_of_last(200)[1]
    history = inputs.pop("history")
    examples = Examples(history, target, np.arange(len(target)), context=inputs)
    assert set(examples[:3].inputs) == {"history", "ids", "numbers"}
    log = Interactions(user=[1, 1], item=["item 1", "item 2"])
    base = leave_last_out(log, vocabulary=model.vocabulary, history_length=LENGTH)
    split = type(base)(model.vocabulary, examples, log, examples, examples, {})
    record = train(model, split, TrainingSettings(epochs=4, evaluate_every=1))
    assert record["best"] > record["ndcg"][0]


# Losses.

SCORES = np.array([[0.5, 2.0, -1.0, 1.0]], np.float32)
TARGET = np.array([[2]])


def test_losses_over_the_catalogue_by_hand():
    """Id 0 is padding: it is no item that a pair is formed with, but has its part of a softmax."""
    others = np.array([2.0, 1.0])
    pairs = np.log1p(np.exp(others + 1.0))
    wanted = {
        "softmax": np.log(np.exp(SCORES).sum()) + 1.0,
        "listnet": np.log(np.exp(SCORES).sum()) + 1.0,
        # Of the four logits two are excluded, whose loss is 0.
        "ranknet": pairs.sum() / 4,
    }
    for name, value in wanted.items():
        found = RankingLoss(name)(tf.constant(SCORES), tf.constant(TARGET), None)
        np.testing.assert_allclose(found, value, rtol=1e-5)


def test_bpr_takes_one_item_for_each_target():
    tf.random.set_seed(0)
    loss = RankingLoss("bpr")
    found = {
        round(float(loss(tf.constant(SCORES), tf.constant(TARGET), None)), 3) for _ in range(40)
    }
    pairs = np.log1p(np.exp(np.array([2.0, 1.0]) + 1.0))
    assert found - {0.0} == {round(float(x), 3) for x in pairs}


def test_losses_of_lists_by_hand():
    labels, is_item = np.array([[0.0, 2.0, 1.0, 5.0]]), np.array([[True, True, True, False]])
    scores = SCORES[:, :3]
    log_share = scores - np.log(np.exp(scores).sum())
    pairs = np.log1p(np.exp([-(2.0 - 0.5), -(2.0 + 1.0), -(-1.0 - 0.5)]))
    listnet = np.exp(labels[:, :3]) / np.exp(labels[:, :3]).sum()
    wanted = {
        "softmax": -(labels[:, :3] / 3 * log_share).sum(),
        "listnet": -(listnet * log_share).sum(),
        "ranknet": pairs.mean(),
        "bpr": pairs.mean(),
    }
    for name, value in wanted.items():
        found = RankingLoss(name).of_lists(labels, tf.constant(SCORES), is_item)
        np.testing.assert_allclose(found, value, rtol=1e-5)


@pytest.mark.few(1)
@pytest.mark.parametrize("loss", ["softmax", "ranknet", "bpr", "listnet"])
def test_every_ranker_learns_by_every_loss(loss):
    keras.utils.set_random_seed(1)
    history, target = next_of_last(512)
    ranker = NextItemRanker(FullEmbedding(ITEMS, WIDTH), history_length=LENGTH, num_negatives=30)
    ranker.compile(LazyAdam(0.05), loss=loss)
    ranker.fit(history, target, epochs=12, batch_size=64, verbose=0)
    examples = Examples(history, target, np.arange(len(target)))
    assert evaluate_ranking(ranker, examples, k=10)["ndcg@10"] > 0.5
    with pytest.raises(ValueError, match="must be one of"):
        ranker.compile("adam", loss="hinge")


@pytest.mark.few(1)
@pytest.mark.parametrize("loss", ["softmax", "ranknet", "listnet", "keras-rs"])
def test_lists_of_graded_items_are_learned(loss):
    keras_rs = pytest.importorskip("keras_rs")
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    user = rng.integers(0, 8, 256)
    candidates = rng.integers(1, ITEMS, (256, 6))
    labels = (candidates + user[:, None]) % 3
    candidates[:, 5] = 0
    inputs = keras.Input([8], name="user")
    model = RetrievalModel(
        keras.Model(inputs, keras.layers.Dense(WIDTH)(inputs)), FullEmbedding(ITEMS, WIDTH)
    )
    rows = np.eye(8, dtype=np.float32)[user]
    model.compile(LazyAdam(0.05), keras_rs.losses.ListMLELoss() if loss == "keras-rs" else loss)
    model.fit(rows, {"candidates": candidates, "labels": labels}, epochs=30, verbose=0)
    scores = np.take_along_axis(np.asarray(model(rows)), candidates, axis=1)[:, :5]
    labels = labels[:, :5]
    above = labels[:, :, None] > labels[:, None]
    right = scores[:, :, None] > scores[:, None]
    assert right[above].mean() > 0.9
    with pytest.raises(ValueError, match="`candidates` and `labels`"):
        model.fit(rows, {"candidates": candidates}, verbose=0)


def test_a_saved_model_knows_its_loss(tmp_path):
    model = model_of(gru4rec)
    model.compile("adam", loss="ranknet")
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").ranking_loss.loss == "ranknet"


# Files.


def test_a_file_is_proved_and_says_what_it_takes(converted):
    model, conversion, file = converted
    assert conversion.verification.passed
    assert file.description.kind == "ranker" and file.ranker.history_length == LENGTH
    assert [of.name for of in file.description.fields] == ["country", "age"]
    assert set(file.signatures) == {"query", "rank", "score", "embed"}
    inputs = queries()
    np.testing.assert_allclose(
        file.run("query", **inputs)["query"], model.query(inputs), rtol=0.02, atol=0.02
    )
    assert verify(model, file.path).passed


@pytest.mark.long
def test_another_model_is_not_proved_by_the_file(converted):
    _, _, file = converted
    other = fielded(item_bias=True)
    assert not verify(other, file.path).passed


def _exact(file, history, row, items, k):
    inputs = file.query_inputs(history, row)
    scores = file.run("score", **inputs, candidates=np.asarray(items, np.int32))["scores"]
    return [items[place] for place in np.argsort(-scores, kind="stable")[:k]]


@pytest.mark.parametrize("k", [1, 4, 6])
def test_lists_leave_items_out_or_are_of_some_alone(converted, k):
    file = converted[2]
    history, row = [3, 8], {"country": "SE", "age": 31}
    items = [i for i in range(1, ITEMS) if i not in history]
    best = file.rank(history, row=row)[0].tolist()
    assert best == _exact(file, history, row, items, 6)
    assert file.rank(history, row=row, k=k)[0].tolist() == best[:k]
    # A few are left of the graph's list, or none.
    for exclude in (best[:2], best, [*best, 0]):
        left = [i for i in items if i not in exclude]
        found = file.rank(history, row=row, k=k, exclude=exclude)[0].tolist()
        assert found == _exact(file, history, row, left, k)
    some = list(range(1, 20))
    ids, scores = file.rank(history, row=row, k=100, candidates=some, exclude=[5])
    left = [i for i in some if i not in (*history, 5)]
    assert ids.tolist() == _exact(file, history, row, left, 100) and len(ids) == len(left)
    assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 7}, r"`k` must be in \[1, 6\]"),
        ({"k": 0}, "must be a positive integer"),
        ({"exclude": [ITEMS]}, "Ids must be in"),
        ({"candidates": [-1]}, "Ids must be in"),
        ({"row": {"contry": "NO"}}, "Fields must be among"),
    ],
)
def test_what_a_list_cannot_be_is_said(converted, arguments, message):
    with pytest.raises(ValueError, match=message):
        converted[2].rank([3], **arguments)


def test_golden_values_hold_lists_of_every_kind(converted):
    document = golden(converted[2])
    assert {len(each["exclude"]) > 0 for each in document["lists"]} == {True, False}
    assert differences(document, converted[2]) == []
    document["lists"][3]["scores"][0] += 1
    assert len(differences(document, converted[2])) == 1


def test_a_file_without_a_history():
    user = keras.Input([3], name="user")
    items = FullEmbedding(ITEMS, WIDTH)
    model = RetrievalModel(keras.Model(user, keras.layers.Dense(WIDTH)(user)), items)
    model.build_once()
    conversion = convert(model, k=5)
    assert conversion.verification.passed and conversion.report["history_length"] == 0


@pytest.mark.long
@pytest.mark.parametrize("tower", [sasrec, gru4rec])
@pytest.mark.parametrize("profile", ["portable", "litert"])
def test_towers_of_the_field_are_proved(tower, profile):
    model = model_of(tower, MEmComEmbedding(ITEMS, WIDTH, num_buckets=12))
    assert convert(model, profile=profile).verification.passed


# Compression.


def log_of_sequences(items=ITEMS - 1):
    rng = np.random.default_rng(0)
    start = rng.integers(0, items, 150)
    item = (start[:, None] + np.arange(7)) % items
    return Interactions(np.repeat(np.arange(150), 7), [f"item {i}" for i in item.reshape(-1)])


@pytest.mark.long
def test_a_tower_is_compressed_to_a_budget():
    split = leave_last_out(log_of_sequences(400), history_length=LENGTH)
    items = FullEmbedding(split.vocabulary.input_dim, 64)
    model = RetrievalModel(gru4rec(items, LENGTH, 8), items, vocabulary=split.vocabulary)
    train(model, split, TrainingSettings(epochs=8))
    compressed = compress(model, split, ratio=3)
    assert compressed.file_bytes <= compressed.original_bytes / 3
    assert compressed.model.item_embedding is not model.item_embedding
    assert convert(compressed.model).verification.passed


def test_other_ids_under_a_new_order_are_refused():
    """A table with as many ids as there are items, but looked up by users."""
    from memcom_tf.compression.students import check_renumbered, uncompressed

    split = leave_last_out(log_of_sequences(), history_length=LENGTH)
    size = split.vocabulary.input_dim
    items, users = FullEmbedding(size, WIDTH), FullEmbedding(size, WIDTH, name="users")
    user = keras.Input([1], dtype="int32", name="user")
    query = keras.Model(user, keras.layers.Flatten()(users(user)))
    model = RetrievalModel(query, items, vocabulary=split.vocabulary, history=False)
    model.build_once()

    def with_users(part):
        rows = np.arange(len(part.target))[:, None] % size
        return Examples(part.history[:, :0], part.target, part.user, context={"user": rows})

    split = dataclasses.replace(split, train=with_users(split.train))
    turned = Vocabulary(list(split.vocabulary)[::-1])
    other = uncompressed(model, turned)
    with pytest.raises(ValueError, match="must be looked up by ids of items"):
        check_renumbered(model, split, other, split)


# The command line.


def test_the_command_line_ranks_without_reading_the_whole_vocabulary(
    converted, capsys, monkeypatch
):
    from memcom_tf.cli.main import main
    from memcom_tf.vocabulary import Dictionary

    def read(self):
        raise AssertionError("the whole vocabulary was read")

    monkeypatch.setattr(Dictionary, "vocabulary", read)
    rank = ["rank", str(converted[2].path), "--history", "item 3", "--fields", "country=SE"]
    assert main([*rank, "--exclude", "item 5", "--json"]) == 0
    found = [row["item"] for row in json.loads(capsys.readouterr().out)]
    assert len(found) == 6 and not {"item 3", "item 5"} & set(found)


def test_the_command_line_ranks_with_fields(converted, capsys, tmp_path):
    from memcom_tf.cli.main import main
    from memcom_tf.cli.task_options import _LOSSES
    from memcom_tf.models.losses import LOSSES

    assert _LOSSES == LOSSES
    file = converted[2]
    rank = ["rank", str(file.path), "--history", "item 3", "--fields", "country=SE", "age=31"]
    history = file.vocabulary.ids(["item 3"])
    best = file.rank(history, row={"country": "SE", "age": 31})[0]
    titles = file.vocabulary.items(best)
    assert main([*rank, "-k", "2", "--exclude", titles[0]]) == 0
    printed = re.findall(r"item \d+", capsys.readouterr().out)
    assert printed == titles[1:3].tolist()
    stock = tmp_path / "stock.txt"
    stock.write_text("item 5\n\nitem 7\n")
    assert main([*rank, "-k", "9", "--candidates-file", str(stock)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    for wrong, said in (
        (["--fields", "country"], "NAME=VALUE"),
        (["--exclude", "no such"], "no such"),
        (["-k", "7"], "`-k` must be in"),
    ):
        assert main([*rank, *wrong]) == 2
        assert said in capsys.readouterr().err
