"""`memcom prepare`, and the commands that read what it wrote."""

from __future__ import annotations

import json

import numpy as np
import pytest

from memcom_tf.cli.main import main
from tests.data.logs import named, rows_of, write_csv

pytest.importorskip("duckdb")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A log, the data set of it, and a ranker trained on that."""
    folder = tmp_path_factory.mktemp("prepared")
    user, item, time = rows_of(3000, users=150, items=300)
    write_csv(folder / "log.csv", named(user, "u"), named(item, "i"), time)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["prepare", "log.csv", "-o", "data", "--interactions-per-shard", "1000"]) == 0
        words = "train data -o model.keras --steps 60 --batch-size 64 --width 16 --seed 1"
        assert main(words.split()) == 0
    return folder


def lines(capsys):
    out, error = capsys.readouterr()
    assert "Traceback" not in error
    return out.splitlines(), [line for line in error.splitlines() if line.startswith("memcom:")]


def test_prepare_says_what_it_does_and_prints_what_there_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "log.tsv", *rows_of(), "\t")
    assert main(["prepare", "log.tsv", "-o", "data", "--min-count", "5", "--memory", "300MB"]) == 0
    out, said = lines(capsys)
    assert out[0].startswith("data: 1,500 interactions of 60 users, ")
    assert out[0].endswith(" of 40 items with an id, 1 shards")
    assert any("at most 0.3 GB" in line for line in said)
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert manifest["vocabulary"]["out_of_vocabulary"] == "drop"


def test_training_says_its_memory_and_keeps_to_its_steps(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert (
        main(
            [
                "train",
                "data",
                "-o",
                "again.keras",
                "--steps",
                "10",
                "--batch-size",
                "32",
                "--width",
                "8",
            ]
        )
        == 0
    )
    out, said = lines(capsys)
    assert any(line.startswith("memcom: memory: about ") for line in said)
    assert sum(line.startswith("memcom: epoch ") and " of 5: " in line for line in said) == 5
    assert out[-1].startswith("again.keras: nDCG@10 on validation")


def test_a_model_is_compressed_and_converted_with_a_data_set(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    words = "compress model.keras data -o model.tflite --max-bytes 24kB --epochs 0"
    assert main(words.split()) == 0
    lines(capsys)
    assert main(["convert", "model.keras", "-o", "whole.tflite", "--examples", "data"]) == 0
    out, said = lines(capsys)
    users = json.loads((folder / "data" / "manifest.json").read_text())["statistics"]
    counted = f"of {users['users_with_held_out_items']} users for test"
    assert any(line.endswith(counted) for line in said)
    assert any("ndcg" in line.lower() for line in out)


REFUSED = {
    "columns of files": ("train data -o m.keras --user who", "Received: user='who'. Its columns"),
    "time": (
        "train data -o m.keras --no-time",
        "must be left out with a prepared data set. Received: time='--no-time'",
    ),
    "another task": ("train data -o m.keras --task click", "--task click must be a file"),
    "both lengths": ("train data -o m.keras --steps 5 --epochs 5", "Either --epochs or --steps"),
    "no steps": ("train data -o m.keras --steps 0", "`--steps` must be a positive integer"),
    "a folder": ("train . -o m.keras", "or a folder that `memcom prepare` wrote"),
    "no log": ("prepare none.csv -o x", "must be a file, a folder or a pattern"),
    "an output": ("prepare log.csv -o data", "Replace it with --force."),
    "a time that is none": ("prepare log.csv -o x --time item", "Name another with"),
    "a column": ("prepare log.csv -o x --user who", "name those with `--user`, `--item` and"),
    "a count": ("prepare log.csv -o x --min-count 99999", "`--min-count` must leave at least one"),
    "a size": ("prepare log.csv -o x --max-size 0", "`--max-size` must be positive"),
    "memory": ("prepare log.csv -o x --memory 1kB", "`--memory` must be at least"),
    "steps of clicks": ("train log.csv -o m.keras --task click --steps 5", "must be left out with"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_in_words_of_the_command_line(folder, monkeypatch, capsys, case):
    words, expected = REFUSED[case]
    monkeypatch.chdir(folder)
    assert main(words.split()) == 2
    out, said = lines(capsys)
    assert not out and expected in said[-1]
    assert not (folder / "x").exists() and not (folder / "m.keras").exists()


def test_a_model_that_does_not_know_the_items_of_a_data_set(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    rng = np.random.default_rng(0)
    item = [*named(rng.integers(0, 300, 500), "i"), *["new"] * 100]
    write_csv(tmp_path / "later.csv", np.arange(600) // 6, item, np.arange(600))
    assert main(["prepare", str(tmp_path / "later.csv"), "-o", str(tmp_path / "later")]) == 0
    lines(capsys)
    words = ["compress", "model.keras", str(tmp_path / "later"), "-o", str(tmp_path / "m.tflite")]
    words += ["--max-bytes", "24kB", "--epochs", "0"]
    assert main(words) == 2
    assert "Every item must be in the vocabulary" in lines(capsys)[1][-1]
    assert main([*words, "--new-items", "drop"]) == 0
    assert any("are not known to the model" in line for line in lines(capsys)[1])
