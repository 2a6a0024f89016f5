"""The benchmark of a stream that drifts: what it reads, tests, keeps and says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.drift import __main__ as drift
from benchmarks.drift import cost, methods, report
from benchmarks.drift.data import Day, load
from benchmarks.drift.ranker import CANDIDATES, Ranker, batch_of
from memcom_tf.layers import FullEmbedding

ITEMS, DAYS = 300, 3


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Sessions of three clicks, whose articles are of sixty others each day."""
    rng = np.random.default_rng(0)
    sessions = 400 * DAYS
    day = np.repeat(np.arange(DAYS), 400)
    time = day * 86_400 + rng.integers(0, 80_000, sessions)
    items = 1 + day[:, None] * 60 + rng.zipf(1.6, (sessions, 3)) % 90
    order = rng.permutation(3 * sessions)
    times = (time[:, None] + 7 * np.arange(3)).ravel()
    path = tmp_path_factory.mktemp("drift") / "clicks.npz"
    sorted_by_time = order[np.argsort(times[order], kind="stable")]
    np.savez(
        path,
        session=np.repeat(np.arange(sessions) + 7, 3)[sorted_by_time],
        item=items.ravel()[sorted_by_time],
        time=1_500_000_000 + times[sorted_by_time],
    )
    return path


def test_a_session_is_what_was_clicked_before(tmp_path):
    clicks = [(1, 5, 0), (2, 9, 1), (1, 6, 2), (1, 7, 90_000), (2, 8, 90_001), (3, 4, 90_002)]
    session, item, time = np.array(clicks).T
    np.savez(tmp_path / "few.npz", session=session, item=item, time=time)
    stream = load(tmp_path / "few.npz", 1.0, 2)
    first, second = stream.days
    assert first.targets.tolist() == [6] and first.histories.tolist() == [[5, 0, 0, 0, 0]]
    assert second.targets.tolist() == [7, 8]
    assert second.histories.tolist() == [[6, 5, 0, 0, 0], [9, 0, 0, 0, 0]]
    assert [part.tolist() for part in stream.catalogues] == [[5, 6, 9], [4, 7, 8]]
    batch = batch_of(second.histories, second.targets, np.zeros(0, np.int32))
    assert batch.known.tolist() == [6, 5, 9] and batch.rows.tolist() == [0, 0, 1]
    assert batch.last.tolist() == [0, 2] and batch.shares.tolist() == [0.5, 0.5, 1]
    np.savez(tmp_path / "less.npz", session=session)
    with pytest.raises(ValueError, match="must have the vectors"):
        load(tmp_path / "less.npz", 1.0, 2)


def test_metrics_are_those_of_ranks_with_ties_in_all_orders():
    layer = FullEmbedding(ITEMS, 16)
    ranker = Ranker(layer)
    table = np.random.default_rng(0).normal(size=(ITEMS, 16))[np.arange(ITEMS) % 12]
    layer.assign_tables({"embeddings": table})
    histories = np.zeros((40, 5), np.int32)
    histories[:, 0] = np.arange(1, 41)
    day = Day(histories, np.arange(41, 81, dtype=np.int32))
    catalogue = np.arange(1, ITEMS)
    gains, areas = ranker.test(day, catalogue, 3)
    others = np.random.default_rng(3).integers(0, len(catalogue) - 1, (40, CANDIDATES))
    others += others >= (day.targets - 1)[:, None]
    batch = batch_of(*day, np.zeros(0, np.int32))
    query = np.asarray(ranker._queries(*batch[:4], catalogue.astype(np.int32))[0])
    scores = query @ table[:12].T
    for row, (target, drawn) in enumerate(zip(day.targets, catalogue[others], strict=True)):
        assert target not in drawn
        wanted, compared = scores[row][target % 12], scores[row][drawn % 12]
        above, equal = (compared > wanted).sum(), (compared == wanted).sum()
        ranks = np.arange(above + 1, above + equal + 2)
        assert gains[row] == pytest.approx((1 / np.log2(ranks + 1) * (ranks <= 10)).mean())
        assert areas[row] == pytest.approx(1 - (ranks.mean() - 1) / CANDIDATES)


def test_those_who_are_chosen_have_rows_of_their_own(source):
    stream = load(source, 1.0, DAYS)
    ranker = Ranker(methods.CONTENDERS["oracle"].make(stream.num_items, 20))
    importance = np.zeros(stream.num_items)
    for hot in ([3, 50], [50, 170], range(100, 130)):
        importance[:] = 0
        importance[list(hot)] = 5
        methods._choose(ranker, importance)
        rows = ranker.table.table_values()["row_of"][:, 0]
        assert np.flatnonzero(rows < 10).tolist() == list(hot)[:10]


def test_runs_are_kept_and_reported(source, tmp_path, monkeypatch):
    for name, value in {"_IDS": 500, "_BAGS": 4, "_ROWS": 40, "_WARM_UP": 2}.items():
        monkeypatch.setattr(cost, name, value)
    monkeypatch.setattr(drift, "_QUICK_SHARE", 1.0)
    out = tmp_path / "out.jsonl"
    chosen = ["full", "hashing", "static", "cafe_sketch_gradient", "oracle"]
    options = ["--data", str(source), "--json", str(out), "--quick", "--days", str(DAYS)]
    assert drift.main([*options, "--ratios", "10", "--methods", *chosen]) == 0
    lines = out.read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["method"] for row in rows] == [*chosen, "cost"]
    sketch = rows[3]
    count = round(rows[0]["rows"] / 10)
    assert sketch["rows"] == count and [day["day"] for day in sketch["days"]] == [1, 2]
    assert sketch["training_bytes"] == 4 * (count * 16 + count // 2 * 16)
    assert all(0 < day["known"] < 1 for day in sketch["days"])
    text = out.with_suffix(".md").read_text()
    assert text.startswith("# A stream that drifts: clicks\n\n**A quick run")
    assert "## 1/10 of the rows" in text and "## What a sketch costs" in text
    assert "nan" not in text
    assert drift.main([*options, "--ratios", "10", "--methods", *chosen]) == 0
    assert out.read_text().splitlines() == lines
    assert report.line(sketch).startswith("nDCG@10 ")


@pytest.mark.parametrize("wrong", [["--share", "0"], ["--days", "1"], ["--ratios", "0"]])
def test_wrong_options_are_refused(source, wrong):
    with pytest.raises(SystemExit):
        drift.main(["--data", str(source), *wrong])
