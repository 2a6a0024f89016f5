"""The demo, with one epoch instead of seven and one way to compress."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

# `make demo` and the tests of the app, which take its files, run it whole.
pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
KEYS = {
    "name",
    "parameters",
    "tflite_bytes",
    "ratio",
    "ndcg_at_10_keras",
    "ndcg_at_10_tflite",
    "recall_at_10_tflite",
    "max_embedding_error",
    "rank_ms",
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    output = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "examples/movielens_demo.py", "--quick", "--output", output]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return output, run.stdout


def test_the_report_holds_every_figure(demo):
    output, _ = demo
    report = json.loads((output / "report.json").read_text())
    assert report["data_set"] == "MovieLens 100K"
    assert report["seed"] == 0
    models = {model["name"]: model for model in report["models"]}
    assert list(models)[:3] == ["uncompressed float32", "uncompressed int8", "MEmCom int8"]
    for model in models.values():
        assert model.keys() >= KEYS
        # The file ranks as the model does: int8 moves few films across the tenth place.
        assert model["ndcg_at_10_tflite"] == pytest.approx(model["ndcg_at_10_keras"], abs=0.005)
    assert models["uncompressed float32"]["ndcg_at_10_keras"] == pytest.approx(
        models["uncompressed float32"]["ndcg_at_10_tflite"], abs=1e-6
    )
    # Half of what popularity alone reaches would be a model that did not learn.
    assert models["MEmCom int8"]["ndcg_at_10_tflite"] > 0.015


def test_the_compressed_file_is_at_least_eight_times_smaller(demo):
    output, _ = demo
    report = json.loads((output / "report.json").read_text())
    compressed = next(model for model in report["models"] if model["name"] == "MEmCom int8")
    assert compressed["ratio"] >= 8
    on_disk = (output / "memcom_int8.tflite").stat().st_size
    assert on_disk == compressed["tflite_bytes"] + compressed["vocabulary_bytes"]


def test_files_plot_and_next_command_are_there(demo):
    output, printed = demo
    for name in ("uncompressed.keras", "memcom.keras", "quality_against_bytes.png"):
        assert (output / name).stat().st_size > 1000
    assert "watched last" in printed
    (command,) = (line for line in printed.splitlines() if "memcom rank" in line)
    words = shlex.split(command)
    ranked = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ranked.returncode == 0, ranked.stderr
    assert len(ranked.stdout.splitlines()) == 10
