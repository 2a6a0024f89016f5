"""Spark prepares the rows that DuckDB prepares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memcom_tf.cli import __main__ as main
from memcom_tf.data import prepare_rows
from memcom_tf.datasets import Columns
from tests.data.test_prepared_rows import FIELDS, LINES, REFUSED, table, written
from tests.data.test_spark import spark  # noqa: F401

pyspark = pytest.importorskip("pyspark")
pytestmark = [pytest.mark.long, pytest.mark.usefixtures("spark")]


def assert_equal(folder, source, columns=None, **given):
    """Requires that both engines write the same, but for who made it."""
    for engine in ("duckdb", "spark"):
        prepare_rows(source, folder / engine, columns, engine=engine, **given)
    found = [json.loads((folder / of / "manifest.json").read_text()) for of in ("duckdb", "spark")]
    for manifest in found:
        assert manifest.pop("made_by")["engine"] in ("duckdb", "spark")
        for shard in manifest["shards"]:
            del shard["sha256"]
    assert found[0] == found[1]
    for shard in found[0]["shards"]:
        one, two = (pq.read_table(folder / of / shard["file"]) for of in ("duckdb", "spark"))
        assert one.equals(two), shard["file"]
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("name", "time", "test"),
    [
        ("rows.csv", None, None),
        ("rows.csv", "time", "held"),
        ("rows.parquet", "time", None),
        ("rows.parquet", None, "held"),
    ],
)
def test_both_engines_give_the_same(tmp_path, name, time, test):
    path = written(tmp_path, name, table())
    columns = Columns("click", *FIELDS, time=time, test=test)
    assert_equal(tmp_path, path, columns, seed=3, min_count=3, rows_per_shard=300)


def test_values_of_any_type_are_read_alike(tmp_path):
    of = table(400).append_column("whole", pa.array([7.0, None, 12.0, 7.0] * 100))
    of = of.append_column("day", pa.array([1, 2, 3, None] * 100, pa.int32()).cast(pa.date32()))
    path = written(tmp_path, "rows.parquet", of)
    assert_equal(tmp_path, path, Columns("click", ["whole", "day", "held"], ["code"]))


def test_criteos_format_in_several_files(tmp_path):
    for day in range(2):
        lines = [
            "\t".join(
                [str(row % 2), *(str(row % 7) for _ in range(13)), *[f"{row % 9:x}", ""] * 13]
            )
            for row in range(day, 200)
        ]
        (tmp_path / f"day{day}.txt").write_text("\n".join(lines) + "\n")
    assert_equal(tmp_path, str(tmp_path / "day*.txt"))


@pytest.mark.parametrize("task", ["next-item", "click"])
def test_spark_submit_runs_the_command(tmp_path, task):
    lines = [f"{row % 2},s{row % 31},{row}" for row in range(300)]
    (tmp_path / "rows.csv").write_text("\n".join(["user,item,time", *lines]) + "\n")
    words = ["prepare", "rows.csv", "-o", "data", "--engine", "spark", "--task", task]
    if task == "click":
        words += ["--label", "user", "--categorical", "item"]
    home = Path(pyspark.__file__).parent
    command = [home / "bin" / "spark-submit", "--master", "local[1]", main.__file__, *words]
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": paths,
    }
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.startswith("data: 300 ")
    assert (tmp_path / "data" / "manifest.json").is_file()


@pytest.mark.parametrize("case", ["no flag", "an empty label", "no number", "too large", "no time"])
def test_bad_input_is_refused_alike(tmp_path, case):
    line, columns, _, expected = REFUSED[case]
    (tmp_path / "rows.csv").write_text("\n".join(["click,site,age,flag", LINES, line]) + "\n")
    with pytest.raises(ValueError, match="must") as refused:
        prepare_rows(tmp_path / "rows.csv", tmp_path / "data", columns, engine="spark")
    assert expected in str(refused.value)
