"""`memcom train --task click`, `compress`, `convert` and `score`, as a user runs them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from memcom_tf._keras import keras
from memcom_tf.cli.main import main

COLUMNS = ["--label", "click", "--categorical", "site", "genres", "--numeric", "age"]
OF_SEVERAL = ["--several", "genres"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("clicks")
    rng = np.random.default_rng(0)
    lines = ["click,site,genres,age,beside"]
    for _ in range(1500):
        site, age = rng.integers(0, 1300), rng.normal(40, 10)
        clicked = rng.random() < (0.8 if site % 2 else 0.2)
        lines.append(f"{int(clicked)},s{site},{rng.choice(['a|b', 'b', ''])},{age:.2f},x")
    (path / "rows.csv").write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def trained(folder):
    output = folder / "model.keras"
    words = ["train", folder / "rows.csv", "-o", output, "--task", "click", *COLUMNS, *OF_SEVERAL]
    assert main([str(word) for word in [*words, "--epochs", "2", "--min-count", "1"]]) == 0
    return output


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def converted(folder, trained):
    path = folder / "model.tflite"
    assert run("convert", trained, "-o", path, "--samples", folder / "rows.csv") == 0
    return path


def test_probabilities_are_written_and_judged(folder, converted, capsys):
    assert run("score", converted, folder / "rows.csv", "--label", "click") == 0
    printed = capsys.readouterr()
    header, *lines = printed.out.splitlines()
    assert header == "probability"
    assert len(lines) == 1500
    assert all(0 < float(line) < 1 for line in lines)
    assert "AUC" in printed.err
    assert run("score", converted, folder / "rows.csv", "--json") == 0
    printed = capsys.readouterr()
    assert [f"{value:.6g}" for value in json.loads(printed.out)] == lines
    assert "AUC" not in printed.err  # without labels


def test_what_is_not_in_the_file_is_missing(folder, converted, tmp_path, capsys):
    rows = tmp_path / "rows.csv"
    rows.write_text("site,genres\ns1,a\nnever,\n")
    assert run("score", converted, rows) == 0
    printed = capsys.readouterr()
    assert "missing in every row, as the file does not have them: ['age']" in printed.err
    assert len(printed.out.splitlines()) == 3
    rows.write_text("x,y\n1,2\n")
    assert run("score", converted, rows) == 2
    assert "must have fields of the model" in capsys.readouterr().err


def test_the_output_is_not_replaced(folder, converted, tmp_path, capsys):
    out = tmp_path / "out.csv"
    out.write_text("mine")
    assert run("score", converted, folder / "rows.csv", "-o", out) == 2
    assert out.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert run("score", converted, folder / "rows.csv", "-o", out, "--force") == 0
    assert len(out.read_text().splitlines()) == 1501


def test_verify_inspect_and_golden(folder, trained, converted, tmp_path, capsys):
    assert run("verify", trained, converted, "--samples", folder / "rows.csv") == 0
    assert run("inspect", converted) == 0
    golden = tmp_path / "golden.json"
    assert run("golden", converted, "-o", golden) == 0
    assert run("golden", converted, "-o", golden, "--check") == 0
    assert "the same" in capsys.readouterr().out


def test_a_small_model_is_taught_by_a_full_one(folder, trained, tmp_path, capsys):
    small = tmp_path / "small.keras"
    words = ["train", folder / "rows.csv", "-o", small, "--task", "click", *COLUMNS, *OF_SEVERAL]
    words += ["--ratio", "4", "--epochs", "1", "--min-count", "1", "--teacher"]
    assert run(*words, trained) == 0
    assert "AUC" in capsys.readouterr().out
    assert run(*words, small.with_name("no.keras"), "--force") == 2
    assert "must be a .keras file" in capsys.readouterr().err
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(folder / "other.keras")
    assert run(*words, folder / "other.keras", "--force") == 2
    assert "The teacher must be a click model" in capsys.readouterr().err


@pytest.mark.long
def test_compress(folder, trained, tmp_path, capsys):
    out = tmp_path / "small.tflite"
    words = [trained, folder / "rows.csv", "--task", "click", *COLUMNS, *OF_SEVERAL]
    assert run("compress", *words, "-o", out, "--ratio", "2.5", "--epochs", "1") == 0
    printed = capsys.readouterr().out
    assert "site, " in printed
    assert "log loss on validation" in printed
    assert run("score", out, folder / "rows.csv") == 0


@pytest.mark.parametrize(
    ("words", "must"),
    [
        (["--task", "click"], "which columns are what"),
        (["--task", "click", "--categorical", "site"], "column of labels must be named"),
        (["--task", "click", *COLUMNS[:4], "click"], "must be one thing"),
        (["--task", "click", *COLUMNS, "--columns", "x.toml"], "in one way"),
        (
            ["--task", "click", "--label", "click", "--categorical", "nowhere"],
            "missing=['nowhere']",
        ),
        (["--task", "click", *COLUMNS, *OF_SEVERAL, "--method", "None"], "`--method` must be one"),
        (["--label", "click"], "`--label` must be left out"),
    ],
)
def test_what_is_wrong_is_said_in_words_of_the_command_line(folder, tmp_path, words, must, capsys):
    out = tmp_path / "model.keras"
    assert run("train", folder / "rows.csv", "-o", out, *words) == 2
    assert must in capsys.readouterr().err
    assert not out.exists()


def test_a_compression_is_not_resumed(folder, trained, tmp_path, capsys):
    words = [trained, folder / "rows.csv", "-o", tmp_path / "m.tflite", *COLUMNS, "--ratio", 2]
    assert run("compress", *words, "--task", "click", "--resume") == 2
    assert "`--resume` must be left out with --task click" in capsys.readouterr().err


def test_a_ranker_takes_no_rows(folder, converted, tmp_path, capsys):
    assert run("rank", converted, "--history", "s1") == 2
    assert "must hold a ranker" in capsys.readouterr().err
