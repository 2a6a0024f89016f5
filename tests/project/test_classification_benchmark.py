"""What the benchmark of text classifiers computes with."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.classification import report
from benchmarks.classification.data import load, split_of


def row(method, ratio, right, seed=0):
    right = np.asarray(right, bool)
    metrics = {"accuracy": float(right.mean()), "macro F1": 0.5}
    packed = np.packbits(right).tobytes().hex()
    sizes = {"file_bytes": 900, "graph_bytes": 800}
    return {
        "method": method,
        "ratio": ratio,
        "seed": seed,
        "test": metrics,
        "right": packed,
        **sizes,
    }


def test_losses_are_relative_and_paired():
    full, half = np.ones(1000), np.arange(1000) % 2
    lost, low, high = report.losses([row("m", 4, half)], [row("full", None, full)], 1000)
    assert lost == 0.5
    assert 0.44 < low < lost < high < 0.56
    # The same documents wrong: nothing is lost, and nothing is uncertain.
    assert report.losses([row("m", 4, half)], [row("full", None, half)], 1000) == (0, 0, 0)


@pytest.mark.parametrize(("wrong", "said"), [(5, ": reached."), (50, ": not reached.")])
def test_it_is_said_whether_the_target_was_reached(wrong, said):
    method, ratio, _ = report.TARGET
    right = np.arange(1000) >= wrong
    rows = [row("full", None, np.ones(1000), seed) for seed in (0, 1)]
    rows += [row(method, ratio, right, seed) for seed in (0, 1)]
    found = report.figures(rows, 1000)
    assert [each["seeds"] for each in found] == [2, 2]
    assert report.verdict(found).endswith(said)
    assert "was not run" in report.verdict(found[:1])


def test_tokens_of_an_archive_become_texts(tmp_path):
    path = tmp_path / "groups.npz"
    np.savez(
        path,
        token=np.array([2, 3, 1, 3], np.int32),
        split=np.array([0, 2, 4], np.int32),
        label=np.array([1, 0], np.uint8),
        test=np.array([False, True]),
        group=np.array(["milk", "tea"]),
        word=np.frombuffer(b"green\npot", np.uint8),
    )
    documents = load(path)
    assert documents.text.array().tolist() == ["green pot", "neverinanydocument pot"]
    assert documents.labels.array().tolist() == ["tea", "milk"]
    assert documents.is_test.tolist() == [False, True]


def test_some_documents_are_the_same_ones_each_time(tmp_path):
    path = tmp_path / "mail.csv"
    lines = [f"text {n},{'ab'[n % 2]}" for n in range(300)]
    path.write_text("\n".join(["text,label", *lines]))
    first, second = (split_of(load(path), 150) for _ in range(2))
    assert len(first.train) + len(first.validation) + len(first.test) == 150
    assert first.test.text.array().tolist() == second.test.text.array().tolist()
