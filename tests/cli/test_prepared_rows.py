"""`memcom prepare --task click`, and the commands that read what it wrote."""

from __future__ import annotations

import json

import numpy as np
import pytest

from memcom_tf.cli.main import main

pytest.importorskip("duckdb")

CLICK = ["--task", "click"]
COLUMNS = ["--label", "click", "--categorical", "site", "genres", "--several", "genres"]
COLUMNS += ["--numeric", "age"]
LENGTH = ["--epochs", "1", "--width", "8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file of rows, its data set, and a click model trained on that."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    lines = ["click,site,genres,age"]
    for _ in range(1500):
        site = rng.integers(0, 700)
        clicked = int(rng.random() < (0.8 if site % 2 else 0.2))
        genres = rng.choice(["a|b", "b", ""])
        lines.append(f"{clicked},s{site},{genres},{rng.normal(40, 10):.2f}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["prepare", "rows.csv", *CLICK, *COLUMNS, "-o", "data"]) == 0
        assert main(["train", "data", *CLICK, "-o", "model.keras", *LENGTH]) == 0
    return folder


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


def lines(capsys):
    out, error = capsys.readouterr()
    assert "Traceback" not in error
    return out.splitlines(), [line for line in error.splitlines() if line.startswith("memcom:")]


def test_prepare_says_what_there_is(folder, capsys):
    words = ["prepare", "rows.csv", *CLICK, *COLUMNS, "-o", "again", "--min-count", "3"]
    assert main([*words, "--rows-per-shard", "500", "--seed", "1"]) == 0
    out, said = lines(capsys)
    assert out == [
        "again: 1,500 rows of 3 fields, 1,215 to train on, 135 for validation, 150 for test, "
        "3 shards"
    ]
    assert "memcom: reading labels from `click`, 2 categorical and 1 numeric field" in said
    manifest = json.loads((folder / "again" / "manifest.json").read_text())
    assert (manifest["settings"]["min_count"], manifest["settings"]["seed"]) == (3, 1)


def test_a_data_set_trains_what_the_file_trains(capsys):
    from memcom_tf import load_model

    assert main(["train", "rows.csv", *CLICK, *COLUMNS, "-o", "of_file.keras", *LENGTH]) == 0
    lines(capsys)
    found, wanted = (load_model(name).get_weights() for name in ("model.keras", "of_file.keras"))
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_model_is_converted_and_scored_with_a_data_set(capsys):
    assert main(["convert", "model.keras", "-o", "model.tflite", "--examples", "data"]) == 0
    out, said = lines(capsys)
    assert "memcom: examples: 150 of 150 rows for test" in said
    assert any("AUC" in line for line in out)
    assert main(["verify", "model.keras", "model.tflite", "--examples", "data"]) == 0
    lines(capsys)
    assert main(["score", "model.tflite", "data", "-o", "scores.csv"]) == 0
    out, said = lines(capsys)
    assert out == ["scores.csv: 150 probabilities"]
    assert any("AUC" in line for line in said)


@pytest.mark.long
def test_compress(capsys):
    words = ["compress", "model.keras", "data", *CLICK, "-o", "small.tflite", "--ratio", "2"]
    assert main([*words, "--epochs", "1"]) == 0
    out, _ = lines(capsys)
    assert any("log loss on validation" in line for line in out)


REFUSED = {
    "columns": ("train data --task click -o m.keras --label click", "Received: label='click'"),
    "a count": ("train data --task click -o m.keras --min-count 2", "Received: min_count='2'"),
    "another task": ("train data -o m.keras", "prepared for --task click"),
    "texts": ("train data --task text -o m.keras", "must be a file, or a data set for it"),
    "no columns": ("prepare rows.csv --task click -o x", "which columns are what"),
    "no label": ("prepare rows.csv --task click -o x --numeric age", "column of labels must be"),
    "a label to score": ("score model.tflite data --label click", "`--label` must be left out"),
    "users": ("prepare rows.csv --task click -o x --user site", "`--user` must be left out"),
    "a size": ("prepare rows.csv --task click -o x --max-size 3", "`--max-size` must be left out"),
    "a label of a log": ("prepare rows.csv -o x --label click", "`--label` must be left out"),
    "a seed of a log": ("prepare rows.csv -o x --seed 3", "`--seed` must be left out"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_in_words_of_the_command_line(folder, capsys, case):
    words, expected = REFUSED[case]
    assert main(words.split()) == 2
    out, said = lines(capsys)
    assert not out and expected in said[-1]
    assert not (folder / "x").exists() and not (folder / "m.keras").exists()


def test_a_ranker_is_not_tested_on_rows(capsys):
    from memcom_tf._keras import keras

    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save("other.keras")
    assert main(["convert", "other.keras", "-o", "other.tflite", "--examples", "data"]) == 2
    assert "must be a click model" in lines(capsys)[1][-1]
