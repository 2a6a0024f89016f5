"""Logs in object stores, in Delta tables and in data sets of Arrow are logs like others."""

from __future__ import annotations

import sys

import numpy as np
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from memcom_tf.cli.main import main
from memcom_tf.data import prepare, prepare_rows
from memcom_tf.data.remote import RemoteFile
from memcom_tf.datasets import Columns
from memcom_tf.evaluation import load_split
from tests.data.logs import assert_same_split, flags_of, rows_of, write_csv, write_parquet

pytest.importorskip("duckdb")


@pytest.fixture
def store():
    """A file system of fsspec in memory, empty."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec: pip install memcom_tf[remote]")
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.mark.parametrize("name", ["part.csv", "part.tsv", "part.csv.gz", "part.parquet"])
def test_files_folders_and_patterns_of_a_store(tmp_path, store, name):
    user, item, time = rows_of(600, times=5)
    flags = flags_of(600)

    def write(path, part):
        of = user[part], item[part], time[part]
        if name.endswith(".parquet"):
            return write_parquet(path, *of, test=flags[part])
        return write_csv(path, *of, "\t" if "tsv" in name else ",", test=flags[part])

    wanted = load_split(write(tmp_path / name, slice(None)))
    for number, part in enumerate(np.array_split(np.arange(600), 3)):
        path = write(tmp_path / name.replace("part", str(number)), part)
        store.pipe(f"/bucket/log/day={number}/{name}", path.read_bytes())
    store.pipe("/bucket/log/_SUCCESS", b"")
    store.pipe(f"/bucket/log/.hidden/{name}", b"no")
    url = "memory://bucket/log"
    one_by_one = [f"{url}/day={number}/{name}" for number in range(3)]
    for sources in (url, f"{url}/day=*/{name}", one_by_one):
        found = prepare(sources, tmp_path / "data", overwrite=True)
        assert_same_split(found, wanted)
        assert [of["path"] for of in found.manifest.inputs] == one_by_one


def test_rows_of_a_store(tmp_path, store):
    lines = [f"{row % 2},s{row % 7}" for row in range(300)]
    (tmp_path / "rows.csv").write_text("\n".join(["click,site", *lines]))
    store.pipe("/bucket/rows.csv", (tmp_path / "rows.csv").read_bytes())
    columns = Columns("click", ["site"])
    wanted = prepare_rows(tmp_path / "rows.csv", tmp_path / "here", columns)
    found = prepare_rows("memory://bucket/rows.csv", tmp_path / "there", columns)
    assert [of.sha256 for of in found.manifest.shards] == [
        of.sha256 for of in wanted.manifest.shards
    ]


class Tagged:
    """A store that knows of its files what they hold, and is asked for nothing else."""

    def info(self, key):
        return {"size": 5, "ETag": '"abc"', "type": "file"}


def test_the_hash_of_a_store_is_taken_where_it_has_one(store):
    store.pipe("/bucket/log.csv", b"hello")
    assert RemoteFile("s3://bucket/log.csv", Tagged(), "bucket/log.csv").tag() == "abc"
    of_memory = RemoteFile("memory://bucket/log.csv", store, "/bucket/log.csv")
    assert of_memory.tag() is None
    assert (of_memory.name, of_memory.suffix, of_memory.stat().st_size) == ("log.csv", ".csv", 5)


@pytest.mark.parametrize(
    ("source", "error", "expected"),
    [
        ("memory://bucket/none.csv", FileNotFoundError, "must be that of a file, or of a folder"),
        ("memory://bucket/*.tsv", FileNotFoundError, "must be that of a file, or of a folder"),
        ("nowhere://bucket/log.csv", OSError, "The object store must answer"),
    ],
)
def test_urls_that_lead_nowhere_are_refused(tmp_path, store, source, error, expected):
    store.pipe("/bucket/log.csv", b"user,item\n1,2\n")
    with pytest.raises(error, match=expected):
        prepare(source, tmp_path / "data")
    assert not list(tmp_path.iterdir())


def test_what_is_missing_for_a_url_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fsspec", None)
        assert main(["prepare", "s3://bucket/log.csv", "-o", "data"]) == 2
    assert 'pip install "memcom_tf[remote]"' in capsys.readouterr().err
    pytest.importorskip("fsspec", reason="fsspec: pip install memcom_tf[remote]")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    assert main(["prepare", "gs://bucket/log.csv", "-o", "data"]) == 2
    assert "Run: pip install gcsfs." in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["data set", "reader"])
def test_a_data_set_of_arrow_is_a_log(tmp_path, kind):
    path = write_parquet(tmp_path / "log.parquet", *rows_of())
    table = pyarrow.dataset.dataset(path)
    if kind == "reader":
        table = table.scanner().to_reader()
    found = prepare(table, tmp_path / "data")
    assert_same_split(found, load_split(path))
    assert {file.name for file in tmp_path.iterdir()} == {"log.parquet", "data"}


def test_a_delta_table_is_a_log(tmp_path):
    deltalake = pytest.importorskip("deltalake", reason="deltalake: pip install memcom_tf[delta]")
    user, item, time = rows_of(times=10**6)
    path = write_parquet(tmp_path / "log.parquet", user, item, time)
    table = pq.read_table(path)
    deltalake.write_deltalake(tmp_path / "delta", table.slice(0, 700))
    deltalake.write_deltalake(tmp_path / "delta", table.slice(700), mode="append")
    found = prepare(tmp_path / "delta", tmp_path / "data")
    assert_same_split(found, load_split(path))
    assert found.manifest.inputs[0]["path"].endswith("delta, version 1")
    with pytest.raises(ValueError, match="must be a log of its own"):
        prepare([tmp_path / "delta", path], tmp_path / "other")


def test_what_is_missing_for_a_delta_table_is_named(tmp_path, monkeypatch):
    (tmp_path / "delta" / "_delta_log").mkdir(parents=True)
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(ImportError, match='pip install "memcom_tf\\[delta\\]"'):
        prepare(tmp_path / "delta", tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["table/_delta_log/0.json", "table/metadata/v1.metadata.json"])
@pytest.mark.parametrize("remote", [False, True])
def test_files_of_a_table_are_not_read_as_they_lie(tmp_path, request, name, remote):
    write_csv(tmp_path / "log.csv", *rows_of(50))
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text("{}")
    source = tmp_path
    if remote:
        store, source = request.getfixturevalue("store"), "memory://bucket"
        for path in filter(lambda path: path.is_file(), tmp_path.rglob("*")):
            store.pipe(f"/bucket/{path.relative_to(tmp_path)}", path.read_bytes())
    with pytest.raises(ValueError, match="must not have a table in it"):
        prepare(source, tmp_path / "data")
