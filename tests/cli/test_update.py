"""`memcom update`: from a model and a later log to a model of today."""

from __future__ import annotations

import json

import numpy as np
import pytest

from memcom_tf.cli.main import main
from memcom_tf.converters import CompressedModelFile

ITEMS, NEW = range(60), range(900, 905)


def write(path, items, seed):
    rng = np.random.default_rng(seed)
    lines = ["user,item,time,title"]
    for user in range(80):
        topic = [item for item in items if item % 5 == user % 5]
        taken = rng.permutation(topic)[:8]
        lines += [f"{user},{item},{time},Film {item}" for time, item in enumerate(taken)]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An old log, a later one, and a model of each size that was trained on the old one."""
    folder = tmp_path_factory.mktemp("update")
    write(folder / "old.csv", ITEMS, 0)
    write(folder / "new.csv", [*ITEMS[10:], *NEW], 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = "--width 8 --history-length 6 --steps 10 --batch-size 64"
        assert main(f"train old.csv -o full.keras {words}".split()) == 0
        assert main(f"train old.csv -o small.keras --ratio 3 {words}".split()) == 0
    return folder


@pytest.fixture
def run(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)

    def run(words):
        capsys.readouterr()
        code = main(words.split())
        out, error = capsys.readouterr()
        assert "Traceback" not in error
        return code, out, [line for line in error.splitlines() if line.startswith("memcom:")]

    return run


def test_a_later_log_updates_converts_and_ranks(folder, run):
    words = "update small.keras new.csv -o today.keras --steps 10 --batch-size 64 --forget"
    code, out, said = run(words)
    assert code == 0
    assert out.startswith("today.keras: 5 items new, 10 forgotten; the order has ")
    assert "nDCG@10 on validation 0." in out and out.endswith(" after\n")
    assert said[-1] == (
        "memcom: wrote today.keras; next: memcom convert today.keras -o today.tflite"
    )
    assert not (folder / "today.keras.checkpoint").exists()
    assert run("convert today.keras -o today.tflite --no-verify")[0] == 0
    assert run("convert small.keras -o small.tflite --no-verify")[0] == 0
    code, out, _ = run("rank today.tflite --json -k 10 --history 900 15")
    assert code == 0 and len(json.loads(out)) == 10
    assert run("rank today.tflite --history 5")[0] == 2  # it was forgotten
    before, after = (CompressedModelFile(f"{name}.tflite") for name in ("small", "today"))
    assert after.dictionary.input_dim == before.dictionary.input_dim
    assert after.dictionary.detail("title", after.dictionary.id(900)) == "Film 900"


def test_the_next_command_keeps_the_size_that_the_file_had(folder, run):
    assert run("compress full.keras old.csv -o full.tflite --max-bytes 11kB --epochs 0")[0] == 0
    code, out, said = run("update full.keras new.csv -o full2.keras --epochs 0 --json")
    found = json.loads(out)
    assert code == 0
    assert (found["new"], found["gone"], found["refreshed"]) == (5, 10, False)
    assert found["input_dim"][1] == found["input_dim"][0] + 5
    assert found["ndcg_at_10"] == found["ndcg_at_10_before"]
    assert said[-1].endswith(
        "next: memcom compress full2.keras new.csv -o full2.tflite --max-bytes 11000"
    )
    # A file of another model says nothing of this one.
    (folder / "full2.tflite").write_bytes((folder / "full.tflite").read_bytes())
    said = run("update full2.keras new.csv -o full3.keras --epochs 0")[2]
    assert said[-1].endswith("next: memcom convert full3.keras -o full3.tflite")


def test_a_prepared_data_set_is_the_log_that_it_was_made_of(run):
    pytest.importorskip("duckdb")
    assert run("prepare new.csv -o data")[0] == 0
    words = "--epochs 0 --json --forget"
    of_file = json.loads(run(f"update small.keras new.csv -o a.keras {words}")[1])
    of_folder = json.loads(run(f"update small.keras data -o b.keras {words}")[1])
    assert {**of_file, "output": ""} == {**of_folder, "output": ""}


def test_a_run_that_was_stopped_goes_on(folder, run, monkeypatch):
    from memcom_tf.training.best_epoch import BestEpoch

    words = "update small.keras new.csv -o resumed.keras --steps 10 --batch-size 64"
    whole = BestEpoch.on_epoch_end

    def stopped(self, epoch, logs=None):
        whole(self, epoch, logs)
        if epoch == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(BestEpoch, "on_epoch_end", stopped)
        code, _, said = run(words)
    assert code == 130
    assert any("--resume goes on" in line for line in said)
    code, _, said = run(f"{words} --resume")
    assert code == 0
    assert any(line.endswith("going on from resumed.keras.checkpoint") for line in said)
    assert not (folder / "resumed.keras.checkpoint").exists()


REFUSED = {
    "an output that is there": ("small.keras new.csv -o full.keras", "Replace it with --force."),
    "no such log": ("small.keras none.csv -o x.keras", "The file must exist."),
    "no such model": ("none.keras new.csv -o x.keras", "must be a .keras file"),
    "two lengths": ("small.keras new.csv -o x.keras --steps 1 --epochs 1", "Leave one of them"),
    "no steps": ("small.keras new.csv -o x.keras --steps 0", "`--steps` must be positive."),
    "no share": ("small.keras new.csv -o x.keras --least-quality 2", "`--least-quality` must be"),
    "no column": ("small.keras new.csv -o x.keras --user buyer", "`--user`"),
    "other items": ("small.keras other.csv -o x.keras", "Some items of the log must be in"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused(folder, run, case):
    write(folder / "other.csv", NEW, 2)
    words, expected = REFUSED[case]
    code, out, said = run(f"update {words}")
    assert code == 2 and out == ""
    assert expected in said[-1]
    assert not (folder / "x.keras").exists() and not (folder / "x.keras.checkpoint").exists()
