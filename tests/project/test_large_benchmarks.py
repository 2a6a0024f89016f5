"""What the benchmarks of a million items and of news day after day say of their figures."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.drift import updates
from benchmarks.scale import million


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
