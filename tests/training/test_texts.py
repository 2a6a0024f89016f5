"""Text classifiers: what they compute, training without a leak, files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert, runtime, verify
from memcom_tf.converters.inspection.golden import differences, golden
from memcom_tf.datasets import Documents
from memcom_tf.datasets.labels import Labels
from memcom_tf.evaluation import class_metrics, class_numbers, split_documents
from memcom_tf.features import Categorical, Features, fit_text
from memcom_tf.layers import FullEmbedding, MEmComEmbedding
from memcom_tf.models import TextClassifier, save_model
from memcom_tf.training import TextSettings, train_text_classifier, train_texts
from memcom_tf.training.text_tables import ordered, word_table
from memcom_tf.training.texts import _targets, predictions

CLASSES = ["Küche", "a,b", "sport"]
QUICK = TextSettings(epochs=15)
WIDTH = 8


def documents(count=450, seed=0):
    """Of words of their class, and of many of all."""
    rng = np.random.default_rng(seed)
    label = rng.choice(CLASSES, count)
    texts = []
    for name in label:
        own = [f"{name[0]}{n}" for n in rng.integers(0, 60, rng.integers(1, 8))]
        texts.append(" ".join([*own, *(f"x{n}" for n in rng.integers(0, 300, 12))]))
    return Documents.of(texts, label, name="body")


@pytest.fixture(scope="module")
def split():
    return split_documents(documents())


@pytest.fixture(scope="module")
def features(split):
    return fit_text(split.train.text.array().tolist(), name="body")


def filled(model, seed=1):
    """The model with weights that tell everything apart."""
    model.build_once()
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.5, weight.shape))
    return model


def test_it_computes_what_it_says(split, features):
    model = filled(TextClassifier(features, CLASSES, width=WIDTH, hidden_units=(5,)))
    inputs = features.encode(split.test.columns)
    table, h, b, w, c = (np.asarray(weight) for weight in model.get_weights())
    wanted = []
    for ids in inputs["ids"]:
        x = table[ids[ids > 0]].mean(axis=0)
        logits = np.maximum(x @ h + b, 0) @ w + c
        wanted.append(np.exp(logits) / np.exp(logits).sum())
    np.testing.assert_allclose(predictions(model, inputs), wanted, rtol=1e-4, atol=1e-6)


def test_a_document_without_words_and_ids_that_there_are_not(features):
    model = filled(TextClassifier(features, CLASSES, width=WIDTH))
    ids = np.zeros((5, features.slots), np.int32)
    ids[:4, 0] = [1, -1, features.tables["body"], 2**31 - 1]
    found = predictions(model, {"ids": ids})
    assert (found[:4] == found[0]).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_words_are_left_out_in_training_alone(features):
    model = filled(TextClassifier(features, CLASSES, width=WIDTH, vector_dropout=0.0, dropout=0.0))
    ids = {"ids": np.arange(2, 2 + features.slots, dtype=np.int32)[None]}
    calls = [np.asarray(model(ids, training=True)) for _ in range(2)]
    assert not np.allclose(*calls)
    np.testing.assert_array_equal(model(ids), model(ids))


@pytest.mark.long
@pytest.mark.parametrize("order", ["classes", "documents", "frequency", None])
def test_words_are_learned_in_every_order(order, split):
    ratio = {} if order is None else {"ratio": 4, "order": order}
    said = []
    trained = train_text_classifier(
        split, width=WIDTH, settings=TextSettings(epochs=20), report=said.append, **ratio
    )
    assert trained.metrics["accuracy"] > 0.6  # a third by chance
    record = trained.record
    assert record["best"] == min(record["log_loss"].values())
    assert len(said) == len(record["accuracy"])
    (vocabulary,) = trained.model.features.vocabularies.values()
    assert vocabulary.order == ("similarity" if order in ("classes", "documents") else "frequency")


def test_trained_saved_converted_and_proved(split, tmp_path, monkeypatch):
    settings = TextSettings(epochs=10)
    trained = train_text_classifier(split, width=WIDTH, ratio=4, settings=settings)
    model = trained.model
    save_model(model, tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    inputs = model.features.encode(split.test.columns)
    wanted = predictions(model, inputs)
    np.testing.assert_array_equal(predictions(loaded, inputs), wanted)
    assert (loaded.features, loaded.classes) == (model.features, tuple(CLASSES))
    path = tmp_path / "model.tflite"
    convert(loaded, verify=False).save(path)
    examples = inputs, class_numbers(split.test, CLASSES)
    proof = verify(model, path, examples=examples)
    assert proof.passed, proof
    measured = {check.name: check.value for check in proof.checks}
    assert measured["accuracy of the model"] == trained.metrics["accuracy"]
    assert measured["accuracy of the file"] == pytest.approx(trained.metrics["accuracy"], abs=0.03)
    file = CompressedModelFile(path)
    assert file.classes == tuple(CLASSES)
    assert [of.tokenizer for of in file.fields.categorical] == ["words"]
    np.testing.assert_allclose(file.predict(split.test.columns), wanted, atol=0.02)
    # Of long documents few at a time, so that no kernel holds too much: to the same end.
    calls, run = [], file.run
    monkeypatch.setattr(runtime, "_VALUES_AT_A_TIME", 2 * inputs["ids"].shape[1])
    monkeypatch.setattr(file, "run", lambda *words, **x: calls.append(x) or run(*words, **x))
    np.testing.assert_allclose(file.predict(split.test.columns), wanted, atol=0.02)
    assert len(calls) == -(-len(split.test) // 2)
    monkeypatch.undo()
    document = golden(file)
    assert np.shape(document["outputs"]) == (32, 3)
    assert differences(document, file) == []
    document["outputs"][3][1] += 0.1
    assert len(differences(document, file)) == 1


def test_training_keeps_the_best(split, features):
    model = TextClassifier(features, CLASSES, width=WIDTH)
    record = train_texts(model, split, QUICK)
    found = predictions(model, features.encode(split.validation.columns))
    metrics = class_metrics(found, class_numbers(split.validation, CLASSES))
    assert metrics["log loss"] == record["best"]
    assert metrics["accuracy"] == record["accuracy"][record["epochs"]]
    # Trained further, what it had is a candidate.
    worse = train_texts(model, split, TextSettings(epochs=1, learning_rate=30.0))
    assert worse["epochs"] == 0
    assert worse["best"] == record["best"]


def test_a_teacher_is_a_part_of_the_target(split, features):
    model = TextClassifier(features, CLASSES, width=WIDTH)
    labels = np.eye(3)[class_numbers(split.train, CLASSES)]
    teacher = np.full(labels.shape, 1 / 3, np.float32)
    np.testing.assert_array_equal(_targets(model, split, None, 0.25), labels)
    found = _targets(model, split, teacher, 0.25)
    np.testing.assert_allclose(found, 0.75 * labels + 0.25 / 3, rtol=1e-6)
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        TextSettings(distillation=-0.1)
    other = TextClassifier(features, ["x", "y"], width=WIDTH)
    with pytest.raises(ValueError, match="the classes of the documents"):
        train_text_classifier(split, width=WIDTH, settings=TextSettings(epochs=1), teacher=other)


def relabelled(part, seed):
    """The documents with their labels at random."""
    codes = np.random.default_rng(seed).permutation(part.labels.codes)
    return replace(part, label=Labels(part.labels.values, codes))


@pytest.mark.parametrize("order", ["classes", "documents"])
def test_no_label_but_those_of_training_decides_the_order(order, split, features):
    table = word_table(features, WIDTH, 4)

    def fingerprint(of):
        (found,) = ordered(features, of, table, order, seed=0).vocabularies.values()
        return found.fingerprint

    plain = fingerprint(split)
    for part in ("validation", "test"):
        shuffled = replace(split, **{part: relabelled(getattr(split, part), 5)})
        assert fingerprint(shuffled) == plain
        other = replace(split, **{part: documents(60, seed=9)})
        assert fingerprint(other) == plain
    shuffled = replace(split, train=relabelled(split.train, 5))
    assert (fingerprint(shuffled) == plain) == (order == "documents")


@pytest.mark.parametrize(
    ("count", "batch", "epochs"),
    [(200, 16, 60), (1600, 32, 60), (10_000, 64, 19), (100_000, 64, 10)],
)
def test_few_documents_are_learned_in_as_many_steps(count, batch, epochs):
    settings = TextSettings()
    assert (settings.batch_of(count), settings.epochs_of(count)) == (batch, epochs)
    assert TextSettings(epochs=3, batch_size=8).batch_of(count) == 8


def test_what_is_for_test_changes_nothing_of_the_model(split):
    other = replace(split, test=relabelled(split.test, 3))
    settings = {"width": WIDTH, "ratio": 4, "settings": replace(QUICK, epochs=2)}
    models = [train_text_classifier(each, **settings).model for each in (split, other)]
    for mine, theirs in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_half_of_the_rows_are_of_frequent_words(features):
    table = word_table(features, WIDTH, 4)
    assert isinstance(table, MEmComEmbedding)
    assert table.num_dedicated == pytest.approx(table.num_buckets, abs=1)
    assert table.compression_ratio == pytest.approx(4, rel=0.05)


@pytest.mark.long
def test_any_method_may_hold_the_words(split):
    trained = train_text_classifier(
        split, width=WIDTH, ratio=4, method="HashedEmbedding", settings=QUICK
    )
    assert type(trained.model.embedding).__name__ == "HashedEmbedding"
    (vocabulary,) = trained.model.features.vocabularies.values()
    assert vocabulary.order == "frequency"


@pytest.mark.parametrize(
    ("arguments", "must"),
    [
        ({"order": "labels"}, "`order` must be one of"),
        ({"method": "None", "ratio": 2}, "`method` must be one of"),
        ({"ratio": 1000}, "`ratio` must be at most"),
        ({"width": 0}, "`width` must be"),
    ],
)
def test_what_is_wrong_is_refused(split, arguments, must):
    with pytest.raises(ValueError, match=must):
        train_text_classifier(split, **arguments)


def test_a_model_takes_one_field_of_texts_and_a_table_that_pools(features):
    with pytest.raises(ValueError, match="one field of texts"):
        TextClassifier(Features([Categorical("site", 9)]), CLASSES)
    with pytest.raises(ValueError, match="give the mean of words"):
        TextClassifier(
            features, CLASSES, embedding=FullEmbedding(features.tables["body"], 4, name="words")
        )
    with pytest.raises(ValueError, match="two classes or more"):
        TextClassifier(features, ["one"])


def test_classes_of_other_documents_are_refused(split, features):
    model = TextClassifier(features, ["x", "y"], width=4)
    with pytest.raises(ValueError, match="must be those of the model"):
        train_texts(model, split, QUICK)
