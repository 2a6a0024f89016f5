"""What the benchmarks of a million items, of workers and of news say of their figures."""

from __future__ import annotations

from argparse import Namespace

import numpy as np
import pytest

from benchmarks.common import measure
from benchmarks.drift import updates
from benchmarks.scale import million, workers


def test_a_stage_is_measured_and_a_failing_one_says_what_failed(tmp_path):
    found = million.measured(million.Stage("version", ("--version",)), tmp_path)
    assert found["seconds"] > 0 and found["peak_bytes"] > 2**20 and found["bytes"] is None
    with pytest.raises(SystemExit, match=r"`memcom rank none.tflite` must succeed. Received: exit"):
        million.measured(million.Stage("rank", ("rank", "none.tflite")), tmp_path)


def test_every_command_that_was_measured_is_a_line():
    took = {"seconds": 2.0, "cpu_seconds": 1.5, "peak_bytes": 3e9, "bytes": 4e6, "cores": 1}
    stages = dict.fromkeys(["prepare", "compress"], took)
    text = million.report({"settings": {"rows": 10, "steps": 20}, "stages": stages})
    rows = [line for line in text.splitlines() if line.startswith("| `memcom")]
    assert rows == [
        "| `memcom prepare` | 2.0 | 1.5 | 3.00 | 4.0 | - |",
        "| `memcom compress --ratio 40` | 2.0 | 1.5 | 3.00 | 4.0 | 45 |",
    ]


def test_a_log_has_the_last_days_and_the_next_day_is_tested():
    session = np.array([1, 1, 2, 2, 2, 3, 3])
    item = np.array([10, 11, 12, 13, 14, 15, 16])
    day = np.array([0, 0, 2, 2, 2, 3, 3])
    clicks = updates.Clicks(session, item, np.arange(7), day)
    assert clicks.log(3, 3).item.tolist() == [12, 13, 14, 15, 16]
    assert clicks.log(2, 3).item.tolist() == [10, 11, 12, 13, 14]
    assert clicks.log(2, 1).item.tolist() == [12, 13, 14]
    tested = [(history.tolist(), target) for history, target in clicks.tested(2, 10)]
    assert tested == [([12], 13), ([12, 13], 14)]


def test_workers_have_places_of_their_own_and_the_same_cluster():
    one, two = workers.worker_configs(2)
    assert one["cluster"] == two["cluster"] and len(set(one["cluster"]["worker"])) == 2
    assert [config["task"]["index"] for config in (one, two)] == [0, 1]


def test_the_largest_difference_of_a_weight_is_found(tmp_path):
    np.savez(tmp_path / "one.npz", np.zeros(3), np.ones((2, 2)))
    np.savez(tmp_path / "two.npz", np.zeros(3), np.array([[1, 1], [1, 1.5]]))
    assert workers.difference(tmp_path / "one.npz", tmp_path / "two.npz") == 0.5


def test_the_report_of_workers_has_what_was_measured(monkeypatch):
    def run(module, arguments):
        np.savez(arguments["weights"], np.full(2, 1.0 if "worker" in arguments else 1.25))
        ms = 4.0 if "worker" in arguments else 6.0
        return {"ms": ms, "bytes": 2e6, "distinct": 1000.0, "moved": 0.5}

    monkeypatch.setattr(measure, "run_worker", run)
    options = Namespace(quick=True, rounds=2)
    found = workers.measured(options, "MEmCom, softmax over all items")
    text = workers.report({"steps": 4, "cases": {"MEmCom, softmax over all items": found}})
    row = "| MEmCom, softmax over all items | 2,000 | 6 | 4 | 1.5 | 2.00 | 1,000 | 5.0e-01 | 0 |"
    assert row in text
