"""Ten thousand damaged and hostile files, in `make test` a tenth: each is refused or answered."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from memcom_tf import Vocabulary
from memcom_tf._keras import keras
from memcom_tf.converters import convert, verify
from memcom_tf.layers import FullEmbedding, MEmComEmbedding, ProductQuantizedEmbedding
from memcom_tf.models import NextItemRanker
from tests.damage import Sample, damaged
from tests.fuzz_worker import answers

ROOT = Path(__file__).parents[2]
CASES = {"bytes": 4500, "zip": 1800, "description": 1200, "vocabulary": 600, "graph": 2000}
SHARES = [0.1, pytest.param(1.0, marks=pytest.mark.long)]
ITEMS, LENGTH = 40, 3
HANGS_AFTER = 120
"""Seconds without a word: far more than any case takes."""


def with_values(model):
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.3, 0.4, variable.shape))
    return model


@pytest.fixture(scope="module")
def model():
    titles = {1000 + i: f"Film {i}" for i in range(ITEMS - 1)}
    vocabulary = Vocabulary(list(titles), details={"title": titles})
    table = MEmComEmbedding(ITEMS, 4, num_buckets=10)
    ranker = NextItemRanker(table, history_length=LENGTH, vocabulary=vocabulary)
    ranker.build((None, LENGTH))
    return with_values(ranker)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    convert(model, k=4, verify=False).save(folder / "ranker.tflite")
    codes = ProductQuantizedEmbedding(ITEMS, 4, num_codebooks=2, num_codes=4)
    ranker = NextItemRanker(codes, history_length=LENGTH)
    ranker.build((None, LENGTH))
    convert(with_values(ranker), k=4, verify=False).save(folder / "codes.tflite")
    for kind in ("int8", "int4"):  # EMBEDDING_LOOKUP, and products with scales of rows
        ranker = NextItemRanker(FullEmbedding(ITEMS, 5), history_length=LENGTH)
        ranker.build((None, LENGTH))
        conversion = convert(with_values(ranker), k=4, weights=kind, profile="litert", verify=False)
        conversion.save(folder / f"litert_{kind}.tflite")
    inputs = keras.Input((LENGTH,), dtype="int32", name="history")
    vectors = MEmComEmbedding(ITEMS, 4, num_buckets=10, combiner="mean")(inputs)
    pooled = with_values(keras.Model(inputs, keras.layers.Dense(2, "relu")(vectors)))
    convert(pooled, verify=False).save(folder / "pooled.tflite")
    return folder


def lines_of(process):
    """Lines as they come; None where none comes any more."""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        rest = b""
        while selector.select(HANGS_AFTER):
            read = os.read(process.stdout.fileno(), 2**16)
            if not read:
                return
            *whole, rest = (rest + read).split(b"\n")
            yield from (line.decode() for line in whole)
    yield None


@pytest.mark.few(3)
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", CASES)
def test_damaged_files_are_refused_or_answered(folder, kind, share):
    first, last = 0, int(CASES[kind] * share)
    outcomes, wrong = Counter(), []
    while first < last:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz_worker", folder, kind, str(first), str(last)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        )
        number = None
        for line in lines_of(process):
            if line is None:
                wrong.append(f"case {number} hangs")
                process.kill()
                break
            if line.startswith("case "):
                number = int(line.removeprefix("case "))
                continue
            first = number + 1
            outcomes[line.split()[0]] += 1
            if line.startswith("ERROR"):
                wrong.append(f"case {number}: {line}")
        code = process.wait()
        assert number is not None, f"the worker did not start: {code}"
        if first <= number:
            wrong.append(f"case {number} ends the process: {code}")
            first = number + 1
        assert len(wrong) < 20, wrong
    assert not wrong
    assert sum(outcomes.values()) == last
    assert outcomes["refused"] > last // 4


def test_good_files_are_answered(folder):
    for path in folder.glob("*.tflite"):
        assert all(np.isfinite(values).all() for values in answers(path))


@pytest.mark.few(1)
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", CASES)
def test_verify_refuses_damaged_files(model, folder, tmp_path, kind, share):
    sample = Sample((folder / "ranker.tflite").read_bytes())
    for number in range(int(80 * share)):
        (tmp_path / "damaged.tflite").write_bytes(damaged(sample, kind, number))
        try:
            verify(model, tmp_path / "damaged.tflite")
        except ValueError as error:
            assert " must " in str(error), (number, error)
