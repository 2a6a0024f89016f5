"""Click models: what they compute, training, files."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert, verify
from memcom_tf.converters.inspection.golden import differences, golden
from memcom_tf.datasets import Rows
from memcom_tf.evaluation import by_frequency, click_metrics, split_rows
from memcom_tf.features import Categorical, Features, Numeric, fit_features
from memcom_tf.layers import (
    CompositionalEmbedding,
    FullEmbedding,
    HashedEmbedding,
    QuotientRemainderEmbedding,
)
from memcom_tf.models import ClickModel, compressed_tables, save_model
from memcom_tf.training import ClickSettings, train_click_model, train_clicks

WIDTH = 4
INTERACTIONS = ["deepfm", "dlrm", "dcn", "wide"]
PLAIN = {"hidden_units": (), "interaction": "wide", "width": WIDTH}


def log(count=1500, seed=0):
    """Clicks by the site, by one of the genres, and where the age is above 40."""
    rng = np.random.default_rng(seed)
    site = rng.integers(0, 300, count)
    genres = ["|".join(rng.choice(list("abc"), rng.integers(0, 3), replace=False)) for _ in site]
    age = np.where(rng.random(count) < 0.1, np.nan, rng.normal(40, 10, count))
    logit = np.where(site % 2, 1.5, -1.5) + np.where(age > 40, 1.0, -1.0)
    logit += [1.5 * ("a" in text) for text in genres]
    return Rows.of(
        {"site": [f"s{s}" for s in site], "genres": genres},
        {"age": age, "noise": np.exp(rng.normal(size=count))},
        label=rng.random(count) < 1 / (1 + np.exp(-logit)),
        several={"genres": "|"},
    )


@pytest.fixture(scope="module")
def rows():
    return log()


@pytest.fixture(scope="module")
def features(rows):
    return fit_features(rows)


def filled(model, seed=1):
    """The model with weights that tell everything apart."""
    model.build_once()
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.4, weight.shape))
    return model


@pytest.mark.few(2)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("interaction", INTERACTIONS)
def test_saved_converted_and_proved(interaction, compressed, rows, features, tmp_path):
    tables = None
    if compressed:
        tables = compressed_tables(features, "MEmComEmbedding", 3, width=WIDTH, min_rows=100)
        assert list(tables) == ["site"]
    model = ClickModel(
        features, width=WIDTH, interaction=interaction, hidden_units=(8,), tables=tables
    )
    filled(model)
    inputs = features.encode(rows[:200])
    wanted = model.predict(inputs, verbose=0)
    assert wanted.std() > 0.05
    save_model(model, tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(inputs, verbose=0), wanted)
    assert loaded.features == features
    assert loaded.features.vocabularies == features.vocabularies
    path = tmp_path / "model.tflite"
    convert(loaded, weights="int8", verify=False).save(path)
    proof = verify(model, path)
    assert proof.passed, proof
    file = CompressedModelFile(path)
    np.testing.assert_allclose(file.predict(rows[:200]), wanted[:, 0], atol=0.01)
    assert [of.name for of in file.fields.categorical] == ["site", "genres"]
    document = golden(file)
    assert len(document["rows"]) == len(document["outputs"]) == 32
    assert differences(document, file) == []
    document["outputs"][3] += 0.1
    assert len(differences(document, file)) == 1


def by_hand(model, ids, numbers):
    """Logits of the wide model, in NumPy."""
    table = model.joint.table_values()["embeddings"]
    places = {name: model.rows_of(name) for name in model.full_tables}
    site, genres = (table[places[name]] for name in ("site", "genres"))
    found = []
    for row, values in zip(ids, numbers, strict=True):
        parts = [site[row[0]]]
        several = [genres[i] for i in row[1:] if i]
        parts.append(np.mean(several, axis=0) if several else np.zeros(WIDTH))
        seen, missing = [], []
        for of, value in zip(model.features.numeric, values, strict=True):
            known = not np.isnan(value)
            bins = 1 + sum(value >= b for b in of.boundaries) if known else 0
            parts.append(table[places[f"{of.name} (number)"]][bins])
            t = np.sign(value) * np.log1p(abs(value)) if of.log else value
            seen.append(np.clip((t - of.mean) / of.deviation, -10, 10) if known else 0.0)
            missing.append(0.0 if known else 1.0)
        kernel, bias = model._numbers.get_weights()
        parts.append(np.array(seen + missing) @ kernel + bias)
        kernel, bias = model._wide.get_weights()
        found.append(np.concatenate(parts) @ kernel + bias)
    return np.array(found)


def test_it_computes_what_it_says(rows, features):
    model = filled(ClickModel(features, **PLAIN))
    inputs = features.encode(rows[:50])
    wanted = by_hand(model, inputs["ids"], inputs["numbers"])
    np.testing.assert_allclose(model.logits(inputs), wanted, rtol=1e-4, atol=1e-5)
    deep = ClickModel(features, width=WIDTH, hidden_units=())
    deep.build_once()
    deep.set_weights(model.get_weights())
    vectors = deep.vectors(inputs).numpy()
    pairs = [sum(v[i] @ v[j] for i in range(len(v)) for j in range(i)) for v in vectors]
    np.testing.assert_allclose(
        deep.logits(inputs)[:, 0], wanted[:, 0] + pairs, rtol=1e-4, atol=1e-5
    )


def test_ids_that_a_field_does_not_have_are_unknown_ones(features):
    model = filled(ClickModel(features, **PLAIN))
    numbers = np.zeros((5, 2), np.float32)
    ids = np.zeros((5, features.slots), np.int32)
    ids[:, 0] = [1, -1, features.tables["site"], 2**31 - 1, -(2**31)]
    found = model.predict({"ids": ids, "numbers": numbers}, verbose=0)
    assert (found == found[0]).all()
    ids[:, 0] = 2
    assert model.predict({"ids": ids, "numbers": numbers}, verbose=0)[0] != found[0]


@pytest.mark.parametrize("number", [1e30, -1e30, 3e38])
def test_numbers_of_any_size_give_probabilities(features, number):
    model = filled(ClickModel(features, width=WIDTH))
    ids = np.zeros((1, features.slots), np.int32)
    found = model.predict({"ids": ids, "numbers": np.full((1, 2), number, np.float32)}, verbose=0)
    assert np.isfinite(found).all()


def test_a_narrow_table_is_widened(rows, features):
    layer = HashedEmbedding(features.tables["site"], 2, num_buckets=50)
    model = ClickModel(features, width=WIDTH, tables={"site": layer})
    inputs = features.encode(rows)
    before = filled(model).predict(inputs, verbose=0)
    assert (
        "site_widened" in [weight.path.split("/")[-2] for weight in model.weights]
        if hasattr(model.weights[0], "path")
        else True
    )
    model._widened["site"].kernel.assign(np.zeros((2, WIDTH)))
    assert not np.allclose(model.predict(inputs, verbose=0), before)


@pytest.mark.long
def generated(features, width=WIDTH):
    """Two partitions of the sites, each a feature of its own."""
    return CompositionalEmbedding(
        features.tables["site"],
        2 * width,
        num_buckets=18,
        num_partitions=2,
        operation="concat",
        name="site",
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("interaction", ["deepfm", "dlrm", "dcn"])
def test_partitions_may_be_features_of_their_own(interaction, rows, features, tmp_path):
    layer = generated(features)
    model = ClickModel(
        features, width=WIDTH, interaction=interaction, hidden_units=(8,), tables={"site": layer}
    )
    filled(model)
    inputs = features.encode(rows[:50])
    vectors = np.asarray(model.vectors(inputs))
    plain = ClickModel(features, width=WIDTH)
    plain.build_once()
    assert vectors.shape[1] == np.asarray(plain.vectors(inputs)).shape[1] + 1
    ids = model.features.encode(rows[:50])["ids"]
    place = [of.name for of in features.categorical].index("site")
    first = sum(of.length for of in features.categorical[:place])
    wanted = np.asarray(layer(ids[:, first])).reshape(-1, 2, WIDTH)
    np.testing.assert_allclose(vectors[:, place : place + 2], wanted, rtol=1e-6)
    save_model(model, tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0)
    )
    assert convert(model).verification.passed


def test_only_numbers_or_only_categories(rows):
    for kept in ({"numeric": {}}, {"categorical": {}}):
        part = Rows(**{"categorical": rows.categorical, "numeric": rows.numeric, **kept},
                    several={} if "categorical" in kept else rows.several)  # fmt: skip
        features = fit_features(part)
        model = filled(ClickModel(features, width=WIDTH, interaction="dcn"))
        assert model.predict(features.encode(part), verbose=0).shape == (len(rows), 1)
        assert convert(model).verification.passed


def test_training_learns_and_keeps_the_best(rows):
    split = split_rows(rows)
    said = []
    settings = ClickSettings(epochs=4, batch_size=64, learning_rate=1e-2)
    trained = train_click_model(split, width=WIDTH, settings=settings, report=said.append)
    assert trained.metrics["AUC"] > 0.7
    assert 0.7 < trained.metrics["calibration"] < 1.4
    losses = trained.record["log_loss"]
    assert trained.record["best"] == min(losses.values())
    assert len(said) == len(losses)
    inputs = trained.model.features.encode(split.validation)
    again = click_metrics(trained.model.predict(inputs, verbose=0), split.validation.labels)
    assert again["log loss"] == pytest.approx(trained.record["best"], abs=1e-6)
    # Trained further, what it had is a candidate.
    worse = train_clicks(trained.model, split, ClickSettings(epochs=1, learning_rate=0.5))
    assert worse["epochs"] == 0.0
    assert worse["best"] == pytest.approx(trained.record["best"], abs=1e-6)


def test_a_teacher_is_a_part_of_the_target(rows):
    """One that says the opposite of every label leaves nothing to learn by halves."""
    split = split_rows(rows)
    quick = {"epochs": 3, "evaluations": 1, "batch_size": 64, "learning_rate": 1e-2}
    settings = ClickSettings(**quick, distillation=0.5)

    class Opposite:
        features = fit_features(split.train)

        def outputs_of(self, inputs, batch_size):
            return 1.0 - split.train.labels

    spreads = []
    for teacher in (None, Opposite()):
        model = train_click_model(split, width=WIDTH, settings=settings, teacher=teacher).model
        spreads.append(model.predict(model.features.encode(split.test), verbose=0).std())
    assert spreads[1] < 0.2 * spreads[0]


def test_a_teacher_of_other_fields_is_refused(rows):
    split = split_rows(rows)
    teacher = ClickModel(Features([Categorical("site", 9), Categorical("shop", 9)]), width=WIDTH)
    with pytest.raises(ValueError, match=r"all fields of `teacher`.*missing=\['shop'\]"):
        train_click_model(split, width=WIDTH, teacher=teacher)


@pytest.mark.long
def test_training_is_reproducible(rows):
    split = split_rows(rows)
    settings = ClickSettings(epochs=1, evaluations=1, batch_size=256)
    one, two = (train_click_model(split, width=WIDTH, settings=settings).model for _ in range(2))
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_what_is_trained_on_gives_features(rows):
    """Values, their counts and the boundaries of numbers are those of training."""
    split = split_rows(rows)
    trained = train_click_model(split, width=WIDTH, settings=ClickSettings(epochs=1, evaluations=1))
    assert trained.model.features == fit_features(split.train)
    assert trained.model.features != fit_features(rows)


def test_large_tables_are_compressed_and_small_ones_stay_full():
    features = Features([Categorical("large", 5000), Categorical("small", 50)])
    found = compressed_tables(features, "QuotientRemainderEmbedding", 1000, min_rows=60)
    assert list(found) == ["large"]
    # As small as the method can be.
    assert 20 < found["large"].compression_ratio < 100
    with pytest.raises(ValueError, match="`method` must be one of"):
        compressed_tables(features, "None", 4)
    with pytest.raises(ValueError, match="1 or more"):
        compressed_tables(features, "MEmComEmbedding", 0.5)


@pytest.mark.parametrize(
    ("tables", "must"),
    [
        ({"nowhere": FullEmbedding(3, WIDTH)}, "tables of categories"),
        ({"site": FullEmbedding(3, WIDTH)}, "must have"),
        ({"age": FullEmbedding(3, WIDTH)}, "tables of categories"),
    ],
)
def test_layers_must_fit_their_tables(features, tables, must):
    with pytest.raises(ValueError, match=must):
        ClickModel(features, width=WIDTH, tables=tables)


def test_arguments_are_checked(features):
    with pytest.raises(ValueError, match="`interaction` must be one of"):
        ClickModel(features, interaction="none")
    with pytest.raises(ValueError, match="positive integer"):
        ClickModel(features, width=0)
    with pytest.raises(ValueError, match="positive integer"):
        ClickSettings(epochs=0)
    with pytest.raises(ValueError, match="must be positive"):
        ClickSettings(learning_rate=0.0)
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        ClickSettings(distillation=2.0)


def test_all_full_tables_are_one_lookup(features):
    """And their gradient is the rows of one table."""
    model = filled(ClickModel(features, width=WIDTH))
    inputs = {
        "ids": np.ones((3, features.slots), np.int32),
        "numbers": np.zeros((3, 2), np.float32),
    }
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model.logits(inputs, training=True))
    (gradient,) = tape.gradient(loss, model.joint.trainable_variables)
    assert isinstance(gradient, tf.IndexedSlices)
    assert len(model.embeddings) == 1
    assert set(np.asarray(gradient.indices).tolist()) == {
        model.rows_of(name).start + 1 for name in features.tables
    } | {
        model.rows_of(f"{of.name} (number)").start + 1 + sum(b <= 0 for b in of.boundaries)
        for of in features.numeric
    }


def test_metrics_by_frequency():
    rng = np.random.default_rng(0)
    ids = np.concatenate([np.ones(50, int), 2 + np.minimum(rng.geometric(0.1, 950), 60)])
    labels = rng.random(1000) < 0.3
    found = by_frequency(ids, np.full(1000, 0.3), labels, groups=4)
    assert found[0]["ids"] == (0, 1)
    assert found[0]["rows"] == 50
    assert sum(group["rows"] for group in found) == 1000
    spans = [group["ids"] for group in found[1:]]
    assert all(one[1] < two[0] for one, two in pairwise(spans))
    whole = click_metrics(np.full(1000, 0.3), labels)
    mean = sum(group["log loss"] * group["rows"] for group in found) / 1000
    assert mean == pytest.approx(whole["log loss"])
    assert Numeric("x").input_dim == 2


def test_tables_of_each_method_as_click_models_take_them(features):
    def site(method, ratio, **kwargs):
        tables = compressed_tables(features, method, ratio, width=8, min_rows=100, **kwargs)
        return tables["site"]

    shared = site("QuotientRemainderEmbedding", 3)
    assert (shared.own_dim, shared.operation) == (1, "concat")
    assert shared.compression_ratio >= 3
    # A number of each id's own would be more than half of what there is room for.
    assert site("QuotientRemainderEmbedding", 5).own_dim == 0
    assert site("QuotientRemainderEmbedding", 3, operation="add", own_dim=0).operation == "add"
    narrow = site("MultiLayerEmbedding", 4)
    assert (narrow.output_dim, narrow.inner_dim) == (2, 128)
    assert site("FullEmbedding", 4).output_dim == 2


def test_a_number_of_its_own_tells_ids_apart():
    """The first numbers of a vector are a table's own; the rest is what it would be without."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(60, 5)).astype(np.float32)
    arguments = {"num_buckets": 12, "operation": "mult"}
    layer = QuotientRemainderEmbedding.from_table(table, own_dim=2, **arguments)
    rest = QuotientRemainderEmbedding.from_table(table[:, 2:], **arguments)
    found = np.asarray(layer(np.arange(60)))
    np.testing.assert_allclose(found[:, :2], table[:, :2], rtol=1e-6)
    np.testing.assert_allclose(found[:, 2:], rest(np.arange(60)), rtol=1e-6)
    query = rng.normal(size=(3, 5)).astype(np.float32)
    np.testing.assert_allclose(layer.score_all(query), query @ found.T, rtol=1e-4, atol=1e-5)
    for wrong in (-1, 5):
        with pytest.raises(ValueError, match="own_dim"):
            QuotientRemainderEmbedding(60, 5, own_dim=wrong, **arguments)
