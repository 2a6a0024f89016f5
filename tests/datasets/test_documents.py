"""Documents from files, and their split."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf.datasets import Documents, load_documents
from memcom_tf.evaluation import class_metrics, class_numbers, split_documents


def written(folder, text, name="mail.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_text_may_have_several_lines(tmp_path):
    path = written(tmp_path, 'body,group\n"Hello,\n""you""!",spam\nbye,ham\n')
    said = []
    found = load_documents(path, "body", "group", report=said.append)
    assert found.text.array().tolist() == ['Hello,\n"you"!', "bye"]
    assert found.labels.array().tolist() == ["spam", "ham"]
    assert found.columns == {"body": found.text}
    assert said == ["reading texts from `body`, classes from `group`"]


def test_labels_that_are_integers_are_names(tmp_path):
    found = load_documents(written(tmp_path, "text,label\na,10\nb,9\n"))
    assert found.labels.array().tolist() == ["10", "9"]


def test_what_is_held_out_and_times(tmp_path):
    path = written(tmp_path, "text,label,day,held\na,x,2020-01-02,1\nb,y,2020-01-01,0\n")
    found = load_documents(path, time="day", test="held")
    assert found.is_test.tolist() == [True, False]
    assert found.time[0] > found.time[1]
    assert found[1:].labels.array().tolist() == ["y"]


@pytest.mark.parametrize(
    ("text", "columns", "must"),
    [
        ("text,label\na,x\nb,\n", ("text", "label"), "Every document must have a class"),
        ("text,label\na,x\n", ("body", "label"), "missing=.'body'."),
        ("text,label\na,x\n", ("text", "text"), "A column must be one thing"),
        ("text,text\na,x\n", ("text", None), "in the file once"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, columns, must):
    with pytest.raises(ValueError, match=must):
        load_documents(written(tmp_path, text), *columns)


def test_columns_have_one_length():
    with pytest.raises(ValueError, match="equal lengths"):
        Documents.of(["a", "b"], label=["x"])
    with pytest.raises(ValueError, match="must have labels"):
        Documents.of(["a"]).labels  # noqa: B018


def of_sizes(**sizes):
    labels = [name for name, size in sizes.items() for _ in range(size)]
    return Documents.of([f"{name} {n}" for n, name in enumerate(labels)], label=labels)


def test_every_class_has_its_share_of_every_part():
    split = split_documents(of_sizes(a=100, b=300, c=1))
    sizes = {
        part: np.unique(getattr(split, part).labels.array(), return_counts=True)[1].tolist()
        for part in ("train", "validation", "test")
    }
    assert sizes["test"] == pytest.approx([10, 30], abs=1)
    assert sizes["validation"] == pytest.approx([9, 27], abs=2)
    assert sizes["train"][2] == 1  # what occurs once is learned
    texts = [t for part in (split.train, split.validation, split.test) for t in part.text.array()]
    assert len(set(texts)) == 401


def test_the_latest_are_held_out_where_there_are_times():
    labels = ["a", "b"] * 60
    split = split_documents(Documents.of(["t"] * 120, label=labels, time=np.arange(120)[::-1]))
    assert split.by_time
    assert split.test.time.max() == 119
    assert split.test.time.min() > split.validation.time.max()
    assert split.validation.time.min() > split.train.time.max()


def test_what_the_documents_say_is_held_out_is():
    flags = np.arange(180) % 3 == 0
    documents = Documents.of([f"t{n}" for n in range(180)], ["a", "b"] * 90, is_test=flags)
    split = split_documents(documents, seed=4)
    assert split.test.text.array().tolist() == [f"t{n}" for n in range(0, 180, 3)]
    assert (len(split.train), len(split.validation), split.by_time) == (108, 12, False)


@pytest.mark.parametrize(
    ("documents", "must"),
    [
        (of_sizes(**{f"n{n}": 1 for n in range(200)}), "Name another column of labels"),
        (of_sizes(a=200), "two classes or more"),
        (of_sizes(a=20, b=20), "Every part must have 10 documents"),
    ],
)
def test_labels_that_are_no_classes_are_refused(documents, must):
    with pytest.raises(ValueError, match=must):
        split_documents(documents)


def test_a_class_that_training_lacks_is_never_right():
    documents = Documents.of(["a", "b", "c"], label=["x", "y", "z"])
    numbers = class_numbers(documents, ["x", "y"])
    assert numbers.tolist() == [0, 1, -1]
    metrics = class_metrics([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]], numbers)
    assert metrics["accuracy"] == pytest.approx(2 / 3)
    assert metrics["log loss"] == pytest.approx(-np.log([0.9, 0.8]).mean())
    assert metrics["macro F1"] == pytest.approx((2 / 3 + 1 + 0) / 3)


@pytest.mark.parametrize(
    ("outputs", "labels", "must"),
    [
        ([[0.5, 0.6]], [0], "whose sum is 1"),
        ([0.5, 0.5], [0, 1], "a row of probabilities for each label"),
        ([[0.5, 0.5]], [2], "integers in .-1, 2"),
        ([[0.5, 0.5]], [0.0], "integers in .-1, 2"),
    ],
)
def test_what_are_no_probabilities_or_labels_is_refused(outputs, labels, must):
    with pytest.raises(ValueError, match=must):
        class_metrics(outputs, labels)
