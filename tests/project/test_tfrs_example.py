"""The two-tower example, run as its docstring says: from training to titles."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from memcom_tf import converters

SCRIPT = Path(__file__).parents[2] / "examples" / "tfrs_two_tower.py"


def run(*command):
    # The script chooses its Keras itself, whichever these tests run with.
    environment = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    command = [sys.executable, *map(str, command)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.long
def test_from_training_to_titles(tmp_path):
    options = ["--epochs", 2, "--limit", 8000, "--method", "QuotientRemainderEmbedding"]
    done = run(SCRIPT, "--output", tmp_path, *options)
    assert done.returncode == 0, done.stderr
    first, last = map(float, re.findall(r"mean loss ([\d.]+)", done.stdout))
    assert last < first

    # Chance finds 10 of 1682 films: 0.006.
    shares = [float(share) for share in re.findall(r"top-10 ([\d.]+)", done.stdout)]
    assert len(shares) == 3
    assert min(shares) > 0.01
    in_keras, in_file = map(float, re.findall(r"recall@10 ([\d.]+)", done.stdout))
    assert in_keras > 0.01
    assert abs(in_keras - in_file) < 0.01

    assert done.stdout.count("verified on LiteRT") == 1
    file = converters.CompressedModelFile(tmp_path / "two_tower.tflite")
    assert set(file.signatures) == {"query", "rank", "score", "embed", "embed_history_items"}
    found = {of["method"]: of for of in file.report["embeddings"]}
    for method in ("MEmComEmbedding", "QuotientRemainderEmbedding"):
        embedding = found[method]
        assert 4 * embedding["parameters"] <= embedding["input_dim"] * embedding["output_dim"]

    ranked = re.findall(r"^ *(\d+)\. (.+)$", done.stdout, re.MULTILINE)
    assert [int(place) for place, _ in ranked] == list(range(1, 11))
    titles = {title for _, title in ranked}
    vocabulary = file.vocabulary
    known = vocabulary.detail("title", range(vocabulary.first_id, vocabulary.input_dim))
    assert len(titles) == 10
    assert titles <= set(known.tolist())


@pytest.mark.long
def test_keras_3_is_refused():
    code = (
        "import runpy, sys, tensorflow as tf; tf.keras.layers.Layer; "
        "runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    done = run("-c", code, SCRIPT)
    assert done.returncode == 1
    assert "TensorFlow must not run Keras 3 yet. Received: error=" in done.stderr
    assert "in a new process." in done.stderr
