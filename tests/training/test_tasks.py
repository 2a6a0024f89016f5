"""Tasks: what a model is for decides what its file computes and by what it is judged."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from memcom_tf import MEmComEmbedding
from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert, verify
from memcom_tf.layers import FullEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.tasks import Click, NextItem, Task, task_of

USERS, ITEMS = 50, 90


def clicks(activation="sigmoid"):
    """A click model whose outputs differ, and what it was made for."""
    user = keras.Input((), dtype="int32", name="user")
    item = keras.Input((), dtype="int32", name="item")
    joined = keras.layers.Concatenate()(
        [
            keras.layers.Embedding(USERS, 8, name="users")(user),
            MEmComEmbedding(ITEMS, 8, num_buckets=30, name="items")(item),
        ]
    )
    hidden = keras.layers.Dense(16, "relu")(joined)
    model = keras.Model([user, item], keras.layers.Dense(1, activation)(hidden))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0.0, 0.5, w.shape) for w in model.get_weights()])
    inputs = {"user": rng.integers(0, USERS, 700), "item": rng.integers(0, ITEMS, 700)}
    return model, inputs, rng.integers(0, 2, 700)


@pytest.mark.few(1)
@pytest.mark.parametrize("from_logits", [False, True])
def test_metrics_of_clicks_are_those_of_the_model_and_of_the_file(from_logits, tmp_path):
    model, inputs, labels = clicks(None if from_logits else "sigmoid")
    task = Click(from_logits)
    conversion = convert(model, task=task, examples=(inputs, labels))
    assert conversion.verification.passed
    path = tmp_path / "clicks.tflite"
    conversion.save(path)
    outputs = {
        "model": model.predict(inputs, verbose=0),
        "file": CompressedModelFile(path).run("serving_default", **inputs)["output_0"],
    }
    again = verify(model, path, task=task, examples=(inputs, labels))
    for found in (conversion.verification, again):
        for of, values in outputs.items():
            shares = values.astype(np.float64).ravel()
            shares = 1 / (1 + np.exp(-shares)) if from_logits else shares
            assert found.value(f"log loss of the {of}") == pytest.approx(log_loss(labels, shares))
            # A last bit may change the order of two of the pairs that it counts.
            area = pytest.approx(roc_auc_score(labels, shares), abs=1e-4)
            assert found.value(f"AUC of the {of}") == area


def test_the_task_is_the_models_own_or_none():
    ranker = NextItemRanker(FullEmbedding(20, 4), history_length=3)
    assert isinstance(task_of(ranker), NextItem)
    assert task_of(ranker).inputs(ranker).shape == (None, 3)
    model, _, _ = clicks()
    assert type(task_of(model)) is Task
    model.task = "anything of the user's own"
    assert type(task_of(model)) is Task
    model.task = Click()
    assert task_of(model) is model.task


def test_a_ranker_can_be_a_model_like_any_other():
    ranker = NextItemRanker(FullEmbedding(30, 4), history_length=3)
    ranker.build((None, 3))
    conversion = convert(ranker, task=Task(), inputs=np.zeros((1, 3), np.int32))
    assert conversion.verification.passed
    assert conversion.report["kind"] == "model"
    assert "serving_default" in conversion.report["signatures"]


def two_outputs():
    model, inputs, labels = clicks()
    outputs = [model.output, keras.layers.Dense(1)(model.layers[-2].output)]
    return keras.Model(model.input, outputs), inputs, labels


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("make", "task", "examples", "words"),
    [
        (clicks, Click(), lambda x, y: x, "must be a pair"),
        (clicks, None, lambda x, y: (x, y), "The task must have metrics"),
        (clicks, Click(), lambda x, y: (x, y[:-1]), "one output for each label"),
        (clicks, Click(), lambda x, y: (x, y + 1), r"Labels must be 0 or 1.*labels=\[1, 2\]"),
        (lambda: clicks(None), Click(), lambda x, y: (x, y), "Probabilities must be in"),
        (two_outputs, Click(), lambda x, y: (x, y), "one function with one output"),
    ],
)
def test_examples_that_are_none_of_the_task_are_refused(make, task, examples, words):
    model, inputs, labels = make()
    with pytest.raises(ValueError, match=words):
        convert(model, task=task, examples=examples(inputs, labels))


def test_examples_of_a_ranker_are_examples():
    ranker = NextItemRanker(FullEmbedding(30, 4), history_length=3)
    ranker.build((None, 3))
    with pytest.raises(ValueError, match=r"must be memcom_tf\.evaluation\.Examples"):
        convert(ranker, examples=(np.zeros((2, 3)), np.zeros(2)))
