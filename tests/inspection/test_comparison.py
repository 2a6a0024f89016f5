"""Two files side by side: bytes, agreement, metrics, and the command that prints them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from memcom_tf import Vocabulary
from memcom_tf._keras import keras
from memcom_tf.cli.main import main
from memcom_tf.converters import CompressedModelFile, compare, convert
from memcom_tf.converters.inspection.measurement import THREADS
from memcom_tf.evaluation import Examples
from memcom_tf.layers import FullEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker

ROOT = Path(__file__).parents[2]
ITEMS, LENGTH = 60, 4
NAMES = [f"item {i}" for i in range(ITEMS - 1)]
LEAST = dict(repeats=1)


def ranker(vocabulary, table):
    model = NextItemRanker(FullEmbedding(ITEMS, 8), history_length=LENGTH, vocabulary=vocabulary)
    model.build((None, LENGTH))
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.3, 0.4, variable.shape))
    model.item_embedding.trainable_variables[0].assign(table)
    model._item_bias.trainable_variables[0].assign(np.zeros((ITEMS, 1)))
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    table = np.random.default_rng(5).normal(size=(ITEMS, 8)).astype(np.float32)
    vocabulary = Vocabulary(NAMES)
    model = ranker(vocabulary, table)
    convert(model, k=5, verify=False).save(folder / "ranker.tflite")
    convert(model, k=5, weights="float32", verify=False).save(folder / "float.tflite")
    order = np.random.default_rng(6).permutation(ITEMS - 1)
    shuffled = Vocabulary([NAMES[place] for place in order])
    moved = ranker(shuffled, np.concatenate([table[:1], table[1 + order]]))
    convert(moved, k=7, verify=False).save(folder / "shuffled.tflite")
    convert(ranker(None, table), k=5, verify=False).save(folder / "nameless.tflite")
    inputs = keras.Input((3,), dtype="int32")
    vectors = MEmComEmbedding(30, 4, num_buckets=5, combiner="mean")(inputs)
    pooled = keras.Model(inputs, keras.layers.Dense(1)(vectors))
    convert(pooled, verify=False).save(folder / "pooled.tflite")
    rng = np.random.default_rng(7)
    histories, targets = rng.integers(1, ITEMS, (20, 4)), rng.integers(1, ITEMS, 20)
    np.savez(folder / "examples.npz", history=histories, target=targets)
    return folder


def test_bytes_are_those_of_the_files(folder):
    path = folder / "ranker.tflite"
    figures = compare(path, folder / "float.tflite", **LEAST).first
    content = path.read_bytes()
    assert figures.bytes["file"] == len(content)
    assert figures.bytes["graph"] == content.index(b"PK\x03\x04")
    assert figures.bytes["compressed"] == len(zlib.compress(content))
    assert figures.bytes["tables"] >= ITEMS * 8


def test_every_signature_is_timed(folder):
    comparison = compare(folder / "ranker.tflite", folder / "pooled.tflite", **LEAST)
    for figures, names in (
        (comparison.first, {"embed", "rank", "score"}),
        (comparison.second, {"embed", "serving_default"}),
    ):
        assert set(figures.milliseconds) == names
        assert all(set(times) == set(THREADS) for times in figures.milliseconds.values())
    assert comparison.agreement is None


def test_the_same_numbers_in_fewer_bits_nearly_agree(folder):
    agreement = compare(folder / "ranker.tflite", folder / "float.tflite", **LEAST).agreement
    assert agreement.k == 5
    assert agreement.common_share > 0.9
    assert 0 < agreement.largest_score_difference < 0.2


def test_items_are_compared_whatever_their_ids_are(folder):
    """The same table in another order, with a longer list: the same items, the same scores."""
    examples = np.load(folder / "examples.npz")
    users = np.arange(len(examples["target"]))
    comparison = compare(
        folder / "ranker.tflite",
        folder / "shuffled.tflite",
        examples=Examples(examples["history"], examples["target"], users),
        **LEAST,
    )
    assert comparison.agreement.common_share == 1.0
    assert comparison.agreement.largest_score_difference < 1e-5
    assert comparison.first.metrics == comparison.second.metrics
    assert set(comparison.first.metrics) == {"ndcg@5", "recall@5"}


def test_other_items_are_not_compared(folder):
    assert compare(folder / "ranker.tflite", folder / "nameless.tflite", **LEAST).agreement is None


def test_what_cannot_be_compared_is_an_error(folder):
    path = folder / "ranker.tflite"
    examples = Examples(np.array([[1, 2, 3, 0]]), np.array([ITEMS]), np.array([0]))
    with pytest.raises(ValueError, match=r"must be of files that are rankers of the same items"):
        compare(path, folder / "pooled.tflite", examples=examples)
    with pytest.raises(ValueError, match=rf"in \[0, {ITEMS}\). Received: target={ITEMS}"):
        compare(path, path, examples=examples)
    with pytest.raises(ValueError, match=r"`repeats` must be positive. Received: repeats=0"):
        compare(path, path, repeats=0)


def test_the_command_prints_a_table(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    paths = [str(folder / name) for name in ("ranker.tflite", "float.tflite")]
    assert main(["compare", *paths, "--examples", str(folder / "examples.npz")]) == 0
    printed = capsys.readouterr().out
    for words in ("B / A", "compressed bytes", "rank, 2 threads, ms", "recall@5", "64 random"):
        assert words in printed
    assert main(["compare", paths[0], str(folder / "pooled.tflite")]) == 0
    assert "not rankers of the same items" in capsys.readouterr().out


def test_the_command_needs_no_tensorflow(folder):
    words = [str(folder / "ranker.tflite"), str(folder / "shuffled.tflite"), "--json"]
    code = (
        "import sys; from memcom_tf.cli.main import main; "
        f"code = main(['compare', *{words}]); sys.exit(code or 'tensorflow' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, check=True)
    document = json.loads(done.stdout)
    assert document["agreement"]["common_share"] == 1.0
    file = CompressedModelFile(folder / "ranker.tflite")
    assert document["first"]["bytes"]["compressed"] == file.report["compressed_bytes"]
