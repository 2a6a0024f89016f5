"""Text classifiers compressed to a budget of bytes."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf.compression import TextCompression, compress, compress_texts
from memcom_tf.converters import convert
from memcom_tf.datasets import Documents
from memcom_tf.evaluation import class_metrics, class_numbers, split_documents
from memcom_tf.layers import FullEmbedding
from memcom_tf.training import TextSettings, train_text_classifier
from memcom_tf.training.texts import predictions

# The commands of the README do it in `make test`.
pytestmark = pytest.mark.long

SETTINGS = TextSettings(epochs=2, learning_rate=1e-3)
MAX_BYTES = 17_000


@pytest.fixture(scope="module")
def split():
    """A word tells of one of three classes, or of none."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, 900, (600, 15))
    classes = np.array([(word[word % 2 == 0] % 3) for word in words], object)
    label = [f"c{np.bincount(votes, minlength=3).argmax()}" for votes in classes]
    return split_documents(Documents.of([" ".join(f"w{n}" for n in row) for row in words], label))


@pytest.fixture(scope="module")
def model(split):
    return train_text_classifier(split, width=24, settings=TextSettings(epochs=20)).model


@pytest.fixture(scope="module")
def compression(model, split):
    return compress_texts(model, split, max_bytes=MAX_BYTES, settings=SETTINGS)


def metrics(model, split):
    found = predictions(model, model.features.encode(split.validation.columns))
    return class_metrics(found, class_numbers(split.validation, model.classes))


def test_the_file_fits_and_is_nearly_full(compression):
    assert isinstance(compression, TextCompression)
    converted = convert(compression.model, samples=compression.samples)
    assert converted.verification.passed, converted.verification
    assert converted.report["graph_bytes"] == compression.file_bytes
    assert 0.9 * MAX_BYTES < compression.file_bytes <= MAX_BYTES


def test_it_says_what_was_tried_and_is_what_it_says(compression, model, split):
    chosen, other, *rest = compression.trials
    assert isinstance(compression.model.embedding, chosen.candidate.method)
    assert chosen.after["log loss"] <= other.after["log loss"]
    assert chosen.candidate.method is not other.candidate.method
    assert all(trial.after is None and trial.file_bytes <= MAX_BYTES for trial in rest)
    assert metrics(compression.model, split) == compression.metrics[1] == chosen.after
    assert metrics(model, split) == compression.metrics[0]
    assert str(chosen) in str(compression)


def test_training_does_not_make_it_worse(compression):
    chosen = compression.trials[0]
    assert chosen.after["log loss"] <= chosen.before["log loss"]


def test_the_model_is_left_as_it_was(compression, model, split):
    assert isinstance(model.embedding, FullEmbedding)
    (words,) = model.features.vocabularies.values()
    (others,) = compression.model.features.vocabularies.values()
    assert sorted(words) == sorted(others)


def test_where_rows_of_8_bits_fit_nothing_else_is_tried(model, split):
    found = compress(model, split, ratio=1.5, settings=SETTINGS)
    assert [trial.candidate.method for trial in found.trials] == [FullEmbedding]


@pytest.mark.parametrize(
    ("arguments", "must"),
    [
        ({}, "Either `max_bytes` or `ratio`"),
        ({"max_bytes": 9000, "ratio": 2}, "Either `max_bytes` or `ratio`"),
        ({"ratio": 0.5}, "`ratio` must be 1 or more"),
        ({"max_bytes": 3000}, "must leave room for the smallest table"),
    ],
)
def test_what_is_wrong_is_refused(model, split, arguments, must):
    with pytest.raises(ValueError, match=must):
        compress_texts(model, split, settings=SETTINGS, **arguments)
