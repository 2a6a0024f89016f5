"""Golden values of a file: against the Keras model, and that a difference is seen."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from memcom_tf.cli.main import main
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.inspection.golden import TOLERANCE, differences, golden
from memcom_tf.layers import FullEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker

ITEMS, LENGTH, K = 80, 6, 5


@pytest.fixture(scope="module")
def model():
    ranker = NextItemRanker(MEmComEmbedding(ITEMS, 8, num_buckets=25), history_length=LENGTH)
    ranker.build((None, LENGTH))
    rng = np.random.default_rng(3)
    for variable in ranker.trainable_variables:
        variable.assign(rng.normal(0.2, 0.5, variable.shape))
    return ranker


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("golden") / "model.tflite"
    convert(model, k=K, weights="float32", verify=False).save(path)
    return path


def test_inputs_cover_the_edges(path):
    document = golden(CompressedModelFile(path))
    ids, histories = document["embed"]["ids"], [case["history"] for case in document["cases"]]
    assert ids[0] == 1
    assert ids[-1] == ITEMS - 1
    assert [len(history) for history in histories] == [0, 1, 2, 3, 5, LENGTH, LENGTH, LENGTH + 3]
    assert all(len(case["ids"]) == len(case["scores"]) == K for case in document["cases"])
    assert all(not set(case["ids"]) & set(case["history"][-LENGTH:]) for case in document["cases"])


def test_values_are_those_of_the_keras_model(model, path):
    document = golden(CompressedModelFile(path))
    vectors = model.item_embedding(np.array(document["embed"]["ids"]))
    np.testing.assert_allclose(document["embed"]["vectors"], vectors, atol=1e-5)
    for case in document["cases"]:
        row = np.zeros((1, LENGTH), np.int32)
        recent = case["history"][-LENGTH:]
        row[0, : len(recent)] = recent
        scores = np.array(model(row))[0]
        np.testing.assert_allclose(case["candidate_scores"], scores[case["candidates"]], atol=1e-4)
        np.testing.assert_allclose(case["scores"], scores[case["ids"]], atol=1e-4)
        scores[[0, *recent]] = -np.inf
        np.testing.assert_allclose(case["scores"], np.sort(scores)[::-1][:K], atol=1e-4)


def test_the_same_file_does_not_differ(path):
    file = CompressedModelFile(path)
    document = json.loads(json.dumps(golden(file)))
    assert golden(file) == document
    assert differences(document, file) == []


@pytest.mark.parametrize("name", ["scores", "candidate_scores", "ids"])
def test_a_changed_value_is_named(path, name):
    file = CompressedModelFile(path)
    document = golden(file)
    values = document["cases"][2][name]
    if name == "ids":
        values[0], values[-1] = values[-1], values[0]
    else:
        values[1] += 10 * TOLERANCE
    (line,) = differences(document, file)
    assert line.startswith(f"case 2: {name}")


def test_items_of_equal_scores_may_change_places(path):
    file = CompressedModelFile(path)
    document = golden(file)
    case = document["cases"][2]
    case["scores"][1] = case["scores"][0] - TOLERANCE / 4
    case["ids"][0], case["ids"][1] = case["ids"][1], case["ids"][0]
    assert all(" ids" not in line for line in differences(document, file))


def test_values_of_another_file_are_refused(path, tmp_path):
    other = tmp_path / "other.tflite"
    shutil.copy(path, other)
    document = golden(CompressedModelFile(path)) | {"sha256": "0" * 64}
    with pytest.raises(ValueError, match=r"must be those of the file.*memcom golden"):
        differences(document, CompressedModelFile(other))


def test_a_file_without_a_ranker_is_refused(tmp_path):
    from memcom_tf._keras import keras

    model = keras.Sequential([keras.Input((3,), dtype="int32"), FullEmbedding(20, 4)])
    path = tmp_path / "model.tflite"
    convert(model, verify=False).save(path)
    with pytest.raises(ValueError, match=r"must hold a ranker.*kind='model'"):
        golden(CompressedModelFile(path))


def test_command_line(path, tmp_path, capsys):
    copy = tmp_path / "model.tflite"
    shutil.copy(path, copy)
    assert main(["golden", str(copy)]) == 0
    written = tmp_path / "model.golden.json"
    assert capsys.readouterr().out == f"{written}\n"
    assert main(["golden", str(copy), "--check"]) == 0
    document = json.loads(written.read_text())
    document["embed"]["vectors"][0][0] += 1
    written.write_text(json.dumps(document))
    assert main(["golden", str(copy), "--check"]) == 1
    assert "vectors" in capsys.readouterr().out
    assert main(["golden", str(tmp_path / "none.tflite")]) == 2
