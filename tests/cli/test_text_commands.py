"""`memcom train --task text`, `compress`, `convert` and `score`, as a user runs them."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from memcom_tf.cli.main import main

CLASSES = ["Küche, Bad", "sport", "政治"]
COLUMNS = ["--task", "text", "--text", "body", "--label", "group"]


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts")
    rng = np.random.default_rng(0)
    with (path / "mail.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "group", "body", "held"])
        for number in range(400):
            kind = int(rng.integers(0, 3))
            own = [f"Wörter{kind}x{n}" for n in rng.integers(0, 20, 5)]
            others = [f'"w{n}"' for n in rng.integers(0, 200, 9)]
            text = "東京\n" * (kind == 2) + ", ".join([*own, *others])
            writer.writerow([number, CLASSES[kind], text, int(number % 5 == 0)])
    return path


@pytest.fixture(scope="module")
def trained(folder):
    output = folder / "model.keras"
    words = ["train", folder / "mail.csv", "-o", output, *COLUMNS, "--test", "held"]
    assert run(*words, "--epochs", 12, "--width", 8) == 0
    return output


@pytest.fixture(scope="module")
def converted(folder, trained):
    path = folder / "model.tflite"
    assert run("convert", trained, "-o", path, "--samples", folder / "mail.csv") == 0
    return path


def test_classes_are_written_and_judged(folder, converted, capsys):
    assert run("score", converted, folder / "mail.csv", "--label", "group") == 0
    printed = capsys.readouterr()
    header, *rows = csv.reader(io.StringIO(printed.out))
    assert header == ["class", "probability"]
    assert len(rows) == 400
    assert {name for name, _ in rows} <= set(CLASSES)
    assert all(1 / 3 <= float(value) <= 1 for _, value in rows)
    accuracy = float(printed.err.rpartition("accuracy ")[2].partition(",")[0])
    assert accuracy > 0.8
    assert run("score", converted, folder / "mail.csv", "--json") == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert [[row["class"], str(row["probability"])] for row in found] == rows
    assert "accuracy" not in printed.err  # without labels


def test_texts_of_another_column(converted, tmp_path, capsys):
    rows = tmp_path / "rows.csv"
    rows.write_text("text,x\nWörter1x3 Wörter1x4 Wörter1x5,1\n,2\n", encoding="utf-8")
    assert run("score", converted, rows, "--text", "text") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("sport,")
    assert len(lines) == 3
    assert run("score", converted, rows) == 2
    assert "missing=['body']" in capsys.readouterr().err


def test_verify_inspect_compare_and_golden(folder, trained, converted, tmp_path, capsys):
    assert run("verify", trained, converted, "--samples", folder / "mail.csv") == 0
    assert run("inspect", converted) == 0
    assert run("compare", converted, converted) == 0
    golden = tmp_path / "golden.json"
    assert run("golden", converted, "-o", golden) == 0
    assert run("golden", converted, "-o", golden, "--check") == 0
    assert "the same" in capsys.readouterr().out
    assert run("rank", converted, "--history", "w1") == 2
    assert "must hold a ranker" in capsys.readouterr().err


@pytest.mark.few(1)
@pytest.mark.parametrize("order", ["classes", "documents"])
def test_trained_small(folder, trained, tmp_path, order, capsys):
    output = tmp_path / "small.keras"
    words = [*COLUMNS, "--width", 8, "--epochs", 2, "--ratio", 4, "--order", order]
    if order == "documents":
        words += ["--teacher", trained]
    assert run("train", folder / "mail.csv", "-o", output, *words) == 0
    printed = capsys.readouterr()
    assert "accuracy" in printed.out
    assert "324 documents of 3 classes to train on" in printed.err


@pytest.mark.long
def test_compress(folder, trained, tmp_path, capsys):
    out = tmp_path / "small.tflite"
    words = [trained, folder / "mail.csv", *COLUMNS, "--test", "held", "-o", out]
    assert run("compress", *words, "--max-bytes", "9kB", "--epochs", 2) == 0
    printed = capsys.readouterr().out
    assert "on validation accuracy" in printed
    assert run("inspect", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["graph_bytes"] <= 9000
    assert run("score", out, folder / "mail.csv") == 0


@pytest.mark.parametrize(
    ("words", "must"),
    [
        (["--task", "text"], "missing=['text', 'label']"),
        (["--task", "text", "--text", "body"], "missing=['label']"),
        (["--task", "text", "--text", "body", "--label", "id"], "Name another column of labels"),
        (["--task", "text", "--text", "body", "--label", "body"], "must be one thing"),
        ([*COLUMNS, "--ratio", "4", "--method", "None"], "`--method` must be one"),
        ([*COLUMNS, "--categorical", "group"], "`--categorical` must be left out with --task text"),
        (["--task", "click", "--order", "documents"], "`--order` must be left out with --task cli"),
        (["--text", "body"], "`--text` must be left out with --task next-item"),
    ],
)
def test_what_is_wrong_is_said_in_words_of_the_command_line(folder, tmp_path, words, must, capsys):
    out = tmp_path / "model.keras"
    assert run("train", folder / "mail.csv", "-o", out, *words) == 2
    assert must in capsys.readouterr().err
    assert not out.exists()


def test_another_model_is_no_text_classifier(folder, tmp_path, capsys):
    from memcom_tf.features import Categorical, Features
    from memcom_tf.models import ClickModel, save_model

    model = ClickModel(Features([Categorical("site", 9)]), width=4)
    model.build_once()
    save_model(model, tmp_path / "clicks.keras")
    words = [tmp_path / "clicks.keras", folder / "mail.csv", *COLUMNS]
    assert run("compress", *words, "-o", tmp_path / "x.tflite", "--ratio", 2) == 2
    assert "must be a text classifier" in capsys.readouterr().err
