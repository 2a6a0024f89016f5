"""The benchmark of prepared logs measures what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace

import pytest

from benchmarks.common import measure
from benchmarks.data import __main__ as data
from benchmarks.data import case

pytest.importorskip("duckdb")


def test_a_log_follows_from_its_seed(tmp_path):
    import pyarrow.parquet as pq

    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        case.write_log(str(tmp_path / name), 3000, seed)
    one, two, three = (pq.read_table(tmp_path / name) for name in ("one", "two", "three"))
    assert one.equals(two) and not one.equals(three)
    assert one.num_rows == 3000
    assert len(set(one["user"].to_pylist())) == 30
    assert one["item"][0].as_py().startswith("item-")


def test_every_way_finds_the_same_items(tmp_path):
    path, folder = str(tmp_path / "log.parquet"), str(tmp_path)
    case.write_log(path, 2000, 0)
    found = {name: case.TASKS[name](path, folder) for name in ("prepare", "loader", "pandas")}
    assert len({result["items"] for result in found.values()}) == 1
    case.run_duckdb(path, folder)
    assert (tmp_path / "sequences.parquet").is_file()


def test_a_process_that_it_started_counts_too():
    code = "import time; a = bytearray(10**8); [i for i in range(10**6)]; print(1); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline()
        cpu, peak = case.usage_of(child.pid)
        whole_cpu, whole_peak = case.usage_of(os.getpid())
        assert peak > 10**8
        assert whole_cpu >= cpu and whole_peak > peak
    finally:
        child.kill()
        child.wait()


def test_the_report_has_what_was_measured(tmp_path, monkeypatch):
    seconds = {"duckdb": 2.0, "prepare": 3.0, "shards": 1.0}

    def run(module, arguments, environment):
        name = {"batches": arguments.get("source")}.get(arguments["task"], arguments["task"])
        more = (
            {"rows_a_second": 5000.0, "rows_a_cpu_second": 7000.0}
            if name == "shards"
            else {"items": 7}
        )
        one = {"seconds": 1.0, "cpu_seconds": seconds[name], "peak_bytes": 10**9}
        return {**one, **more}

    monkeypatch.setattr(measure, "run_worker", run)
    without = ["spark", "loader", "pandas", "polars", "memory"]
    options = Namespace(without=without, rounds=2, batches=10)
    rounds = data.run_all(options, 1000, "log", "out")
    assert {name: len(results) for name, results in rounds.items()} == dict.fromkeys(seconds, 2)
    size = {**data.figures(rounds), "rows": 1000, "file_bytes": 10**6}
    assert size["targets"]["cpu_ratio"]["found"]["median"] == 1.5
    document = {"batches": 10, "rounds": 2, "sizes": [size, {**size, "rows": 2000}]}
    text = data.report(json.loads(json.dumps(document)))
    assert "takes 1.5 times the CPU seconds" in text
    for rows in "1,000", "2,000":
        assert f"| shards of a prepared data set | {rows} | 5,000 | 7,000 | 1.00 |" in text


def test_what_holds_all_rows_is_left_out_of_large_logs(monkeypatch):
    monkeypatch.setattr(data, "available", lambda name: True)
    assert data.cases_of(10_000_000, []) == [*data.WAYS, *data.SOURCES]
    assert data.cases_of(100_000_000, []) == ["duckdb", "prepare", "shards"]
