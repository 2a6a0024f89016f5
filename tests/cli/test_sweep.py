"""`memcom sweep`: from a log to a folder that `memcom compare` opens."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from memcom_tf.cli.main import main
from memcom_tf.datasets import made_up_dishes

WORDS = "--width 16 --history-length 10 --epochs 1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    log = made_up_dishes(num_users=60)
    with (folder / "log.csv").open("w", newline="") as file:
        rows = zip(log.user, log.item, log.time, log.item, strict=True)
        csv.writer(file).writerows([("user", "item", "time", "title"), *rows])
    return folder


@pytest.fixture
def run(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)

    def run(words):
        capsys.readouterr()
        code = main(words.split())
        out, error = capsys.readouterr()
        assert "Traceback" not in error
        return code, out, error.splitlines()

    return run


def test_methods_and_compress_are_trained_shown_and_compared(folder, run):
    words = "sweep --methods HashedEmbedding compress --ratios 2 log.csv -o runs"
    code, out, said = run(f"{words} {WORDS}")
    assert code == 0
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    methods = [line.split()[0] for line in lines[3:6]]
    assert methods == ["full", "Hashed", "compress"]
    assert said[-1] == (
        "memcom: wrote runs; next: memcom compare runs --examples runs/test.npz --html runs.html"
    )
    assert "memcom: run 2 of 3: HashedEmbedding at 2x, seed 0" in said
    code, out, _ = run("compare runs --examples runs/test.npz --json")
    found = json.loads(out)
    rows = json.loads((folder / "runs" / "runs.json").read_text())["runs"]
    assert code == 0 and found["reference"] == 0
    by_file = {file["label"]: file["metrics"]["ndcg@10"] for file in found["files"]}
    assert by_file == {row["file"]: pytest.approx(row["ndcg@10"]) for row in rows}
    code, out, _ = run("inspect runs/ratio2-compress-seed0.tflite")
    assert code == 0 and "sweep" in out


def test_click_models_of_rows_are_swept_too(folder, run):
    rng = np.random.default_rng(0)
    site = rng.integers(0, 1_200, 6_000)
    clicked = (rng.random(6_000) < np.where(site % 2, 0.9, 0.1)).astype(int)
    with (folder / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("click", "site"), *zip(clicked, site, strict=True)])
    words = "sweep --task click rows.csv --label click --categorical site --epochs 1 -o clicks"
    code, out, said = run(f"{words} --methods QuotientRemainderEmbedding --ratios 2 --json")
    found = json.loads(out)
    full, small = found["runs"]
    assert code == 0 and found["metric"] == "AUC"
    assert small["bytes"] <= full["bytes"] / 2
    assert small["chosen"].startswith("site: QuotientRemainderEmbedding(")
    assert said[-1] == "memcom: wrote clicks; next: memcom compare clicks --html runs.html"
    assert run("inspect clicks/ratio2-QuotientRemainderEmbedding-seed0.tflite")[0] == 0


def test_text_classifiers_of_documents_are_swept_too(folder, run):
    drawn = np.random.default_rng(0).integers(0, 400, (800, 6))
    rows = [
        (" ".join(f"w{word}" for word in row), "odd" if row[0] % 2 else "even") for row in drawn
    ]
    with (folder / "texts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("title", "kind"), *rows])
    words = "sweep --task text texts.csv --text title --label kind --epochs 2 --width 64 -o texts"
    methods = "--methods MEmComEmbedding compress --ratios 4"
    code, out, said = run(f"{words} {methods} --json")
    found = json.loads(out)
    full, small, compressed = found["runs"]
    assert code == 0 and found["metric"] == "accuracy"
    for row in (small, compressed):
        assert row["bytes"] <= full["bytes"] / 4
        assert 0 < row["accuracy"] <= 1 and row["macro F1"] > 0
    assert small["chosen"].startswith("MEmComEmbedding(")
    assert "num_dedicated=" in small["chosen"]
    assert said[-1] == "memcom: wrote texts; next: memcom compare texts --html runs.html"
    code, out, _ = run("score texts/ratio4-MEmComEmbedding-seed0.tflite texts.csv --text title")
    assert code == 0 and out.startswith("class,probability")
    assert run(f"{words} {methods} --json")[2][-1] == said[-1]
    assert run(f"{words} {methods} --loss bpr")[0] == 2


def test_a_failure_is_said_and_ends_in_a_failure(run):
    words = f"sweep log.csv -o few --methods HashedEmbedding --ratios 9999 {WORDS} --json"
    code, out, said = run(words)
    found = json.loads(out)
    assert code == 1 and found["metric"] == "ndcg@10"
    full, failed = found["runs"]
    assert full["bytes"] > 0 and "`--ratios` must leave room" in failed["error"]
    assert said[-2].startswith(
        "memcom: failed: HashedEmbedding at 9999x, seed 0: `--ratios` must leave"
    )


def test_a_sweep_that_is_stopped_goes_on(run, monkeypatch):
    from memcom_tf.sweeps import sweeping

    kept = sweeping.Runs.keep

    def stopped(self, plan, figures):
        kept(self, plan, figures)
        raise KeyboardInterrupt

    words = f"sweep log.csv -o stopped --methods HashedEmbedding --ratios 4 {WORDS}"
    with monkeypatch.context() as patch:
        patch.setattr(sweeping.Runs, "keep", stopped)
        code, _, said = run(words)
    assert code == 130
    assert "memcom: finished runs are in stopped: the same command goes on" in said
    code, _, said = run(words)
    assert code == 0
    assert "memcom: run 1 of 2: full, seed 0: done before" in said


REFUSED = {
    "no log": ("none.csv -o x", "The file must exist."),
    "a file": ("log.csv -o log.csv", "`--output` must be a folder"),
    "no place": ("log.csv -o none/x", "that `--output` is to be in must exist"),
    "two lengths": ("log.csv -o x --steps 1 --epochs 1", "Leave one of them"),
    "an option of clicks": ("log.csv -o x --label click", "`--label` must be left out"),
    "an option of rankers": ("log.csv -o x --task click --loss bpr", "`--loss` must be left out"),
    "a ratio below 1": ("log.csv -o x --ratios 0", "`--ratios` must be 1 or more"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused(folder, run, case):
    words, expected = REFUSED[case]
    code, out, said = run(f"sweep {words}")
    assert code == 2 and out == ""
    assert expected in said[-1]
    assert not (folder / "x").exists()


def test_an_unknown_method_is_refused_with_those_that_there_are(capsys):
    with pytest.raises(SystemExit):
        main(["sweep", "log.csv", "-o", "x", "--methods", "Magic"])
    assert "invalid choice: 'Magic'" in capsys.readouterr().err
