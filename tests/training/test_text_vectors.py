"""Vectors of texts: what the model computes, distilling from a table, files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert, verify
from memcom_tf.converters.inspection.golden import differences, golden
from memcom_tf.converters.model_file.archive import append_members, read_archive
from memcom_tf.features import Categorical, Features, fit_text, hashed_ngrams
from memcom_tf.layers import FullEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker, RetrievalModel, TextClassifier, TextVectors, save_model
from memcom_tf.tasks import Vectors
from memcom_tf.tasks.vectors import cosines
from memcom_tf.training import TextVectorSettings, distill_text_vectors
from memcom_tf.training.text_vectors import _held_out, _Loss

WIDTH = 6
TOPICS = ("tea", "milk", "coffee", "juice")
QUICK = TextVectorSettings(epochs=25, learning_rate=0.02)
FEATURES = hashed_ngrams("title", num_buckets=400, max_ngrams=60)


def catalogue(count=300, seed=0):
    """Titles of a topic, and vectors near that of the topic."""
    rng = np.random.default_rng(seed)
    of_topics = rng.normal(size=(len(TOPICS), WIDTH))
    topics = rng.integers(0, len(TOPICS), count)
    titles = [f"{TOPICS[topic]} no {number}" for number, topic in enumerate(topics)]
    vectors = of_topics[topics] + rng.normal(0, 0.1, (count, WIDTH))
    return titles, vectors.astype(np.float32), topics, of_topics


@pytest.fixture(scope="module")
def distilled():
    titles, vectors, *_ = catalogue()
    return distill_text_vectors(titles, vectors, features=FEATURES, width=8, settings=QUICK)


@pytest.fixture(scope="module")
def converted(distilled, tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors") / "titles.tflite"
    conversion = convert(distilled)
    assert conversion.verification.passed, conversion.verification
    conversion.save(path)
    return path


def vectors_of(model, texts):
    (name,) = model.features.names
    return model.predict(model.features.encode({name: texts}), verbose=0)


def filled(model, seed=1):
    """The model with weights that tell everything apart."""
    model.build_once()
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.5, weight.shape))
    return model


@pytest.mark.parametrize("hidden_units", [None, 5])
def test_it_computes_what_it_says(hidden_units):
    model = filled(TextVectors(FEATURES, WIDTH, width=4, hidden_units=hidden_units))
    texts = ["Green tea", "東京 🍵", "a"]
    table, *dense = map(np.asarray, model.get_weights())
    wanted = []
    for ids in FEATURES.encode({"title": texts})["ids"]:
        x = table[ids[ids > 0]].mean(axis=0)
        if hidden_units:
            x = np.maximum(x @ dense[0] + dense[1], 0)
        wanted.append(x @ dense[-2] + dense[-1])
    np.testing.assert_allclose(vectors_of(model, texts), wanted, rtol=1e-4, atol=1e-5)


def test_a_text_of_nothing_known_has_the_vector_of_the_bias():
    model = filled(TextVectors(FEATURES, WIDTH, width=4))
    bias = np.asarray(model.dense_layers[-1].bias)
    np.testing.assert_array_equal(vectors_of(model, ["", None, "🍵!"]), [bias] * 3)
    # Ids that there are not are that of no n-gram.
    ids = np.zeros((4, FEATURES.slots), np.int32)
    ids[:, 0] = [1, -1, FEATURES.tables["title"], 2**31 - 1]
    found = model.predict({"ids": ids}, verbose=0)
    assert (found == found[0]).all()
    assert (found[0] != bias).any()


def test_ngrams_are_left_out_in_training_alone():
    model = filled(TextVectors(FEATURES, WIDTH, width=4))
    ids = FEATURES.encode({"title": ["a green tea of many letters"]})
    assert not np.allclose(*[model(ids, training=True) for _ in range(2)])
    np.testing.assert_array_equal(model(ids), model(ids))
    without = filled(TextVectors(FEATURES, WIDTH, width=4, ngram_dropout=0.0))
    np.testing.assert_allclose(without(ids, training=True), without(ids), rtol=1e-5)


def test_new_items_get_vectors_of_their_topic(distilled):
    *_, of_topics = catalogue()
    found = vectors_of(distilled, [f"{topic} of today" for topic in TOPICS])
    places = np.array([[cosines(y[None], v[None])[0] for v in of_topics] for y in found])
    np.testing.assert_array_equal(places.argmax(axis=1), range(len(TOPICS)))
    assert places.max(axis=1).min() > 0.6


@pytest.mark.parametrize(
    "arguments",
    [
        {"hidden_units": 16},
        {
            "embedding": MEmComEmbedding(
                402, 8, num_buckets=150, name="ngrams", combiner="mean", mask_zero=True
            )
        },
    ],
    ids=["hidden", "memcom"],
)
def test_with_a_hidden_layer_or_any_table(arguments, tmp_path):
    titles, vectors, *_ = catalogue()
    model = distill_text_vectors(
        titles, vectors, features=FEATURES, width=8, settings=QUICK, **arguments
    )
    assert Vectors().metrics(vectors_of(model, titles), vectors)["cosine"] > 0.8
    conversion = convert(model)
    assert conversion.verification.passed, conversion.verification


def test_the_best_weights_on_items_held_out_are_kept():
    titles, vectors, *_ = catalogue()
    rng = np.random.default_rng(3)
    noise = rng.normal(size=vectors.shape)  # of which training learns by heart alone
    said = []
    settings = replace(QUICK, epochs=40, patience=4)
    distill_text_vectors(titles, noise, features=FEATURES, settings=settings, report=said.append)
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in said]
    assert len(losses) < 30
    assert losses.index(min(losses)) == len(losses) - 1 - settings.patience
    model = distill_text_vectors(titles, noise, features=FEATURES, settings=settings)
    held_out = _held_out(titles, settings)
    scale = float((noise[~held_out] ** 2).sum(axis=1).mean())
    found = vectors_of(model, [title for title, out in zip(titles, held_out, strict=True) if out])
    kept = np.asarray(_Loss(settings.cosine, scale)(noise[held_out], found)).mean()
    assert kept == pytest.approx(min(losses), abs=1e-3)


def test_what_is_held_out_is_a_share_of_the_texts():
    texts = [f"film {n // 2}" for n in range(200)]
    held_out = _held_out(texts, TextVectorSettings())
    assert held_out.sum() == 20
    np.testing.assert_array_equal(held_out[::2], held_out[1::2])
    assert (held_out != _held_out(texts, TextVectorSettings(seed=1))).any()
    assert _held_out(["a", "b"], TextVectorSettings()).sum() == 1


def test_the_same_seed_gives_the_same_model():
    titles, vectors, *_ = catalogue(60)
    settings = replace(QUICK, epochs=2)

    def weights(**changed):
        return distill_text_vectors(
            titles, vectors, features=FEATURES, settings=replace(settings, **changed)
        ).get_weights()

    for mine, theirs in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert not np.array_equal(weights()[0], weights(seed=1)[0])


def test_frequent_items_count_more():
    """Of two vectors for one text the model takes that of the more frequent item."""
    titles = ["green tea", "green tea", "cold milk", "hot milk", "milk"] * 8
    vectors = np.array([[1, 0], [0, 1], [-1, 0], [-1, 0], [-1, 0]] * 8, np.float32)
    counts = [100, 1, 10, 10, 10] * 8
    settings = TextVectorSettings(epochs=40, learning_rate=0.02, validation=0.2)
    assert not _held_out(titles, settings)[0]

    def tea(**changed):
        model = distill_text_vectors(
            titles,
            vectors,
            frequencies=counts,
            features=FEATURES,
            settings=replace(settings, **changed),
        )
        return vectors_of(model, ["green tea"])[0]

    damped, alike = tea(damping=1.0), tea(damping=0.0)
    assert damped[0] - damped[1] > 0.5
    assert abs(alike[0] - alike[1]) < 0.3


def test_the_loss_is_what_it_says():
    wanted, found = np.array([[3.0, 4.0], [0.0, 2.0]]), np.array([[3.0, 4.0], [2.0, 0.0]])
    np.testing.assert_allclose(_Loss(0.25, 5.0)(wanted, found), [0, 0.75 * 8 / 5 + 0.25], atol=1e-6)
    # Of zeros the cosine is 0.
    np.testing.assert_allclose(_Loss(1.0, 1.0)(wanted, 0 * found), [1, 1], atol=1e-6)


def test_saved_and_loaded(distilled, tmp_path):
    save_model(distilled, tmp_path / "titles.keras")
    loaded = keras.models.load_model(tmp_path / "titles.keras", compile=False)
    texts = ["tea", "東京", ""]
    np.testing.assert_array_equal(vectors_of(loaded, texts), vectors_of(distilled, texts))
    assert (loaded.features, loaded.output_dim) == (FEATURES, WIDTH)
    copied = distilled.copied()
    np.testing.assert_array_equal(vectors_of(copied, texts), vectors_of(distilled, texts))


def test_the_file_gives_the_vectors_of_the_model(distilled, converted):
    file = CompressedModelFile(converted)
    assert file.description.output_dim == WIDTH
    assert [of.holds for of in file.description.fields] == ["ngrams"]
    assert file.archive.field_dictionaries == {}
    assert file.fields == FEATURES
    texts = ["Tea of 2024!", "MILK", "東京都 🍵", "", None, "x" * 5000]
    wanted = vectors_of(distilled, texts)
    spread = wanted.std(axis=0).max()
    found = file.text_vectors(texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=0.05 * spread)
    np.testing.assert_array_equal(file.predict({"title": texts}), found)
    assert file.text_vectors([]).shape == (0, WIDTH)


def test_the_proof_says_how_near_the_vectors_are(distilled, converted):
    titles, vectors, *_ = catalogue()
    proof = verify(distilled, converted, examples=(FEATURES.encode({"title": titles}), vectors))
    assert proof.passed, proof
    of_model = Vectors().metrics(vectors_of(distilled, titles), vectors)
    for name, value in of_model.items():
        assert proof.value(f"{name} of the model") == pytest.approx(value, abs=1e-5)
        assert proof.value(f"{name} of the file") == pytest.approx(value, abs=0.02)
    other = distilled.copied()
    other.dense_layers[-1].bias.assign_add([0.5] * WIDTH)
    assert not verify(other, converted).passed


def test_golden_values_are_of_several_scripts(converted):
    file = CompressedModelFile(converted)
    document = golden(file)
    assert np.shape(document["outputs"]) == (32, WIDTH)
    texts = [row["title"] for row in document["rows"]]
    assert texts[0] is None
    assert any("東京" in text for text in texts[1:])
    assert differences(document, file) == []
    document["outputs"][3][1] += 0.1
    assert len(differences(document, file)) == 1


def test_new_items_are_ranked_with_old_ones(tmp_path):
    """What the query of a ranker's file and a vector give is the score that the file gives."""
    items = FullEmbedding(40, WIDTH, name="items")
    history = keras.Input([5], dtype="int32", name="history")
    query = keras.layers.GlobalAveragePooling1D()(items(history))
    ranker = RetrievalModel(keras.Model(history, query), items)
    ranker.build_once()
    convert(ranker, k=3).save(tmp_path / "ranker.tflite")
    file = CompressedModelFile(tmp_path / "ranker.tflite")
    row = file.history_row([3, 8])
    query = file.run("query", history=row)["query"]
    ids = np.array([9, 4], np.int32)
    vectors = file.run("embed", ids=ids)["vectors"]
    scores = file.run("score", history=row, candidates=ids)["scores"]
    np.testing.assert_allclose((query @ vectors.T)[0], scores, rtol=1e-4, atol=1e-6)


class Query(keras.Model):
    """The query of a ranker, as a model of its own."""

    def __init__(self, ranker):
        super().__init__()
        self.ranker = ranker

    def call(self, history):
        """Query vectors of histories."""
        return self.ranker.query(history)


def test_a_next_item_ranker_in_a_retrieval_model_has_a_query(tmp_path):
    ranker = NextItemRanker(FullEmbedding(40, WIDTH), history_length=5, item_bias=False)
    ranker.build_once()
    around = RetrievalModel(
        Query(ranker), ranker.scored_embedding, inputs=ranker.query_specs["history"]
    )
    around.build_once()
    files = []
    for number, model in enumerate((ranker, around)):
        convert(model, k=3).save(tmp_path / f"{number}.tflite")
        files.append(CompressedModelFile(tmp_path / f"{number}.tflite"))
    history = files[1].history_row([3, 8])
    query = files[1].run("query", history=history)["query"]
    np.testing.assert_allclose(query, ranker.query(history), atol=1e-3)
    lists = [file.rank([3, 8])[0].tolist() for file in files]
    assert lists[0] == lists[1]


def test_descriptions_that_are_not_of_the_graph_are_refused(converted, tmp_path):
    archive = read_archive(converted)
    described = archive.description
    graph = converted.read_bytes()[: archive.graph_bytes]
    (field,) = described.fields
    path = tmp_path / "other.tflite"
    changes = {
        "another width": {"output_dim": WIDTH + 1},
        "a number of a row": {"output_dim": None},
        "classes too": {"classes": [f"c{n}" for n in range(WIDTH)]},
        "no buckets": {"fields": [replace(field, input_dim=2)]},
        "a vocabulary": {"fields": [replace(field, vocabulary_fingerprint="00")]},
        "a separator": {"fields": [replace(field, separator="|")]},
        "another length": {"fields": [replace(field, length=9)]},
        "no fields": {"fields": None},
    }
    for name, changed in changes.items():
        path.write_bytes(append_members(graph, replace(described, **changed), None))
        with pytest.raises(ValueError, match="The file"):
            CompressedModelFile(path)
            pytest.fail(name)


def test_other_files_give_no_vectors_of_texts(tmp_path):
    classifier = TextClassifier(fit_text(["tea milk tea"]), ["a", "b"], width=4)
    filled(classifier)
    convert(classifier, verify=False).save(tmp_path / "classes.tflite")
    file = CompressedModelFile(tmp_path / "classes.tflite")
    with pytest.raises(ValueError, match="must hold a model of vectors of texts"):
        file.text_vectors(["tea"])


def test_the_command_line_says_what_such_a_file_is(converted, tmp_path, capsys):
    from memcom_tf.cli.main import main

    rows = tmp_path / "rows.csv"
    rows.write_text("title\ntea\n")
    assert main(["inspect", str(converted)]) == 0
    assert main(["score", str(converted), str(rows)]) == 2
    assert "This one gives vectors of texts" in capsys.readouterr().err
    assert main(["rank", str(converted), "--history", "1"]) == 2
    printed = capsys.readouterr().err
    assert "must hold a ranker" in printed
    assert "memcom score" not in printed


@pytest.mark.parametrize(
    ("make", "must"),
    [
        (lambda: TextVectors(fit_text(["tea"]), 3), "one field of texts, cut into ngrams"),
        (lambda: TextClassifier(FEATURES, ["a", "b"]), "one field of texts, cut into words"),
        (lambda: TextVectors(Features([Categorical("site", 9)]), 3), "hashed_ngrams"),
        (lambda: TextVectors(FEATURES, 0), "`output_dim` must be"),
        (lambda: TextVectors(FEATURES, 3, hidden_units=0), "`hidden_units` must be"),
        (
            lambda: TextVectors(FEATURES, 3, embedding=FullEmbedding(402, 4, name="ngrams")),
            "give the mean of ngrams",
        ),
    ],
)
def test_what_a_model_is_made_of(make, must):
    with pytest.raises(ValueError, match=must):
        make()


TEXTS = ["tea", "milk", "juice"]


@pytest.mark.parametrize(
    ("texts", "table", "arguments", "must"),
    [
        (TEXTS, np.ones((2, 4)), {}, "a vector of the table for each text"),
        (TEXTS, np.ones(3), {}, "a vector of the table for each text"),
        (TEXTS, np.full((3, 4), np.nan), {}, "must be finite"),
        (TEXTS, np.zeros((3, 4)), {}, "must not all be zeros"),
        (["tea"] * 3, np.ones((3, 4)), {}, "two different texts"),
        (TEXTS, np.ones((3, 4)), {"frequencies": [1, 2]}, "a finite count for each text"),
        (TEXTS, np.ones((3, 4)), {"frequencies": [1, 2, -1]}, "a finite count for each text"),
    ],
)
def test_what_cannot_be_distilled_is_refused(texts, table, arguments, must):
    with pytest.raises(ValueError, match=must):
        distill_text_vectors(texts, table, features=FEATURES, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"cosine": 1.5},
        {"damping": -0.1},
        {"validation": 0.0},
        {"validation": 1.0},
    ],
)
def test_settings_are_in_range(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        TextVectorSettings(**arguments)


@pytest.mark.parametrize(
    ("outputs", "vectors", "must"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "a wanted vector for each output"),
        (np.ones(3), np.ones(3), "a wanted vector for each output"),
        (np.ones((0, 3)), np.ones((0, 3)), "a wanted vector for each output"),
        (np.ones((2, 3)), np.zeros((2, 3)), "finite, and not all zeros"),
        (np.ones((2, 3)), np.full((2, 3), np.inf), "finite, and not all zeros"),
    ],
)
def test_metrics_of_vectors_need_vectors(outputs, vectors, must):
    with pytest.raises(ValueError, match=must):
        Vectors().metrics(outputs, vectors)


def test_metrics_of_vectors():
    found, wanted = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[2.0, 0.0], [0.0, 1.0]])
    metrics = Vectors().metrics(found, wanted)
    assert metrics == {"cosine": 0.5, "relative error": pytest.approx((2 / 5) ** 0.5)}
