"""The comparison of all methods at equal bytes: what it runs, keeps and says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.methods import __main__ as methods
from benchmarks.methods import report
from benchmarks.methods.tasks import METHODS_OF_START, SCRATCH, TABLE
from memcom_tf.compression.sizes import table_within, tables_within
from memcom_tf.layers import METHODS

COUNT = 1500


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    site, other = rng.integers(0, 300, COUNT), rng.integers(1, 5, COUNT)
    label = rng.random(COUNT) < np.where(site % 2, 0.9, 0.1)
    path = tmp_path / "clicks.npz"
    arrays = {"cat": np.stack([site, other], 1).astype(np.int32), "label": label.astype(np.uint8)}
    np.savez(path, **arrays)
    return path


def test_methods_from_both_starts_fit_the_bytes_and_are_kept(source, tmp_path, monkeypatch):
    out = tmp_path / "out.jsonl"
    arguments = ["--data", str(source), "--task", "click", "--quick", "--json", str(out)]
    arguments += ["--methods", "HashedEmbedding", "StaircaseEmbedding", "FullEmbedding"]
    assert methods.main(arguments) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    full, *others = rows
    assert full["method"] == report.FULL
    assert {(row["method"], row["start"]) for row in others} == {
        ("HashedEmbedding", SCRATCH),
        ("StaircaseEmbedding", SCRATCH),
        ("FullEmbedding", SCRATCH),
        ("HashedEmbedding", TABLE),
        ("StaircaseEmbedding", TABLE),
    }
    for row in others:
        assert row["reachable"] and row["bytes"] <= full["bytes"] / 2
    text = out.with_suffix(".md").read_text()
    assert "--data clicks.npz --task click --validation 0.1 --test 0.1`" in text
    assert "A quick run" in text and "HashedEmbedding (hashing), from the table" in text
    assert "FullEmbedding (reduced width)" in text
    assert out.with_suffix(".png").stat().st_size > 1000
    monkeypatch.setattr(report, "line", lambda *_: pytest.fail("it was run again"))
    assert methods.main(arguments) == 0


def test_every_method_has_its_runs():
    assert METHODS_OF_START[SCRATCH] == list(METHODS)
    assert {"ResidualQuantizedEmbedding", "PrunedEmbedding"} <= set(METHODS_OF_START[TABLE])
    assert not {"HashWeightedEmbedding", "FullEmbedding"} & set(METHODS_OF_START[TABLE])


@pytest.mark.parametrize("method", METHODS)
def test_tables_are_as_large_as_their_bytes_allow(method):
    least = table_within(METHODS[method], 4000, 16, 0, {})
    smallest = least.candidate.stored_bytes(4000, least.width)
    found = table_within(METHODS[method], 4000, 16, 2 * smallest + 4000, {})
    size = found.candidate.stored_bytes(4000, found.width)
    assert smallest <= size <= 2 * smallest + 4000
    assert found.layer().input_dim == 4000


def test_bytes_are_shared_by_the_sizes_of_the_tables():
    shapes = {"large": (8000, 16), "small": (2000, 16)}
    sizes = []

    def file_bytes(tables):
        found = {
            name: table.candidate.stored_bytes(table.rows, table.width)
            for name, table in tables.items()
        }
        sizes.append(found)
        return 1000 + sum(found.values())

    found = tables_within(METHODS["HashedEmbedding"], shapes, 21_000, 1000, file_bytes)
    large, small = (found[name].candidate.arguments["num_buckets"] for name in shapes)
    assert large == pytest.approx(4 * small, rel=0.02)
    assert 0.97 * 20_000 < sum(sizes[-1].values()) <= 20_000
    assert tables_within(METHODS["HashedEmbedding"], shapes, 900, 1000, file_bytes) is None
