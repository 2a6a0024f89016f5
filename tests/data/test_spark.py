"""Spark gives what DuckDB gives."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memcom_tf.data import prepare
from tests.data.logs import flags_of, named, rows_of, write_csv, write_parquet

pytestmark = pytest.mark.long
pytest.importorskip("duckdb")
pytest.importorskip("pyspark", reason="pyspark is not installed: pip install memcom_tf[spark]")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java, which is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def spark():
    """One local session for all, which `prepare` finds active."""
    from pyspark.sql import SparkSession

    patch = pytest.MonkeyPatch()
    patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "3")
        .config("spark.sql.files.maxPartitionBytes", "4096")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()
    patch.undo()


def assert_equal(one, two):
    """Requires that two data sets hold the same, but for who made them."""
    assert one.vocabulary == two.vocabulary
    assert one.manifest.statistics == two.manifest.statistics
    assert one.num_shards == two.num_shards
    for first, second in zip(one.manifest.shards, two.manifest.shards, strict=True):
        tables = [pq.read_table(of.folder / s.file) for of, s in ((one, first), (two, second))]
        assert tables[0].equals(tables[1])


CASES = {
    "log.csv": {},
    "log.csv.gz": {},
    "log.tsv": {"interactions_per_shard": 300},
    "log.parquet": {"interactions_per_shard": 200, "min_count": 20, "out_of_vocabulary": "share"},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("strings", [True, False])
def test_both_engines_give_the_same(tmp_path, spark, name, strings):
    user, item, time = rows_of(times=50)
    if strings:
        user, item = named(user, "ann "), named(item, "Ü")
    if name.endswith(".parquet"):
        path = write_parquet(tmp_path / name, user, item, time)
    else:
        path = write_csv(tmp_path / name, user, item, time, "\t" if "tsv" in name else ",")
    found = [prepare(path, tmp_path / e, engine=e, **CASES[name]) for e in ("duckdb", "spark")]
    assert_equal(*found)
    assert not list(tmp_path.glob(".*"))


WRITTEN = {
    "dates": lambda t: f"2018-{1 + t % 12:02}-20",
    "without seconds": lambda t: f"2018-09-20 {t % 24:02}:{t % 60:02}",
    "zones": lambda t: f"2018-09-20T12:00:{t % 60:02}.{t % 1000:03}{'+02:00' if t % 2 else '-05'}",
    "UTC": lambda t: f"2018-09-20 12:00:{t % 60:02} UTC",
    "zones without colons": lambda t: f"2018-09-20T12:{t % 60:02} +0{t % 5}30",
    "fractions": lambda t: f"{t / 4}",
}


@pytest.mark.parametrize("written", WRITTEN)
def test_times_of_text_are_read_alike(tmp_path, spark, written):
    user, item, time = rows_of(500)
    path = write_csv(tmp_path / "log.csv", user, item, map(WRITTEN[written], time.tolist()))
    assert_equal(*(prepare(path, tmp_path / e, engine=e) for e in ("duckdb", "spark")))


@pytest.mark.parametrize("type_", [pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.date32()])
def test_types_of_time_are_read_alike(tmp_path, spark, type_):
    user, item, time = rows_of(500)
    column = pa.array(time.astype("int32")).cast(pa.int32() if type_ == pa.date32() else pa.int64())
    table = pa.table({"user": user, "item": item, "time": column.cast(type_)})
    pq.write_table(table, tmp_path / "log.parquet")
    source = tmp_path / "log.parquet"
    assert_equal(*(prepare(source, tmp_path / e, engine=e) for e in ("duckdb", "spark")))


def test_parts_come_in_their_order_where_times_do_not_tell(tmp_path, spark):
    user, item, time = rows_of(900)
    for number, low in enumerate(range(0, 900, 300)):
        part = slice(low, low + 300)
        name = f"part {3 - number}.csv"
        write_csv(tmp_path / name, user[part], item[part], time[part] * 0)
    # The last is the largest: Spark reads it first.
    parts = sorted(tmp_path.glob("*.csv"), reverse=True)
    assert_equal(*(prepare(parts, tmp_path / e, engine=e) for e in ("duckdb", "spark")))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_a_log_says_is_held_out_is_split_alike(tmp_path, spark, ending):
    user, item, time = rows_of()
    write = write_csv if ending == "csv" else write_parquet
    # Of files as large as several of Spark's blocks.
    for number, part in enumerate(np.array_split(np.arange(len(user)), 2)):
        flags = flags_of(len(part), seed=number)
        write(tmp_path / f"{number}.{ending}", user[part], item[part], time[part], test=flags)
    found = [
        prepare(str(tmp_path / f"*.{ending}"), tmp_path / e, engine=e, interactions_per_shard=400)
        for e in ("duckdb", "spark")
    ]
    assert_equal(*found)
    assert not found[0].ordered


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user,item,time\n1,,3\n", "must not have missing values"),
        ("user,item,time\n1,2\n", "readable by Spark"),
        ("user,item,time\n1,2,soon\n", "column of times must hold"),
        ("user,item,time\n1,\xe9,3\n", "must be text in UTF-8"),
        ("user,item,time\n", "There must be interactions"),
        ("user,item,test\n1,2,0\n1,2,5\n", "0 or 1. Received: value='5'"),
        ("user,item,test\n1,2,1\n", "Some interactions must be for training"),
    ],
)
def test_bad_input_is_refused_by_spark(tmp_path, spark, text, expected):
    (tmp_path / "log.csv").write_text(text, encoding="latin1")
    with pytest.raises(ValueError, match="must") as refused:
        prepare(tmp_path / "log.csv", tmp_path / "data", engine="spark")
    assert expected in str(refused.value)
    assert not (tmp_path / "data").exists()
