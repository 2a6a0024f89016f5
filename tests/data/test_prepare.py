"""A prepared log is what the loader makes of it, and nothing half-written is ever seen."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memcom_tf import Vocabulary
from memcom_tf.data import open_dataset, prepare
from memcom_tf.datasets import load_interactions
from memcom_tf.evaluation import leave_last_out, load_split
from tests.data.logs import assert_same_split, named, rows_of, write_csv, write_parquet

pytest.importorskip("duckdb")

LENGTH = 6


@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.csv.gz", "log.csv.zst", "log.parquet"])
@pytest.mark.parametrize("strings", [True, False])
def test_a_prepared_log_is_split_as_the_loader_splits_it(tmp_path, name, strings):
    user, item, time = rows_of()
    if strings:
        user, item = named(user, "ann-"), named(item, "Ü")
    if name.endswith(".parquet"):
        path = write_parquet(tmp_path / name, user, item, time)
    else:
        path = write_csv(tmp_path / name, user, item, time, "\t" if "tsv" in name else ",")
    wanted = load_split(path, history_length=LENGTH)
    prepare(path, tmp_path / "data")
    found = open_dataset(tmp_path / "data", history_length=LENGTH)
    assert_same_split(found, wanted)
    assert found.vocabulary.kind is (str if strings else int)
    log = found.train_interactions
    assert log.item.tolist() == wanted.train_interactions.item.tolist()
    assert log.user.tolist() == wanted.train_interactions.user.tolist()


def test_several_shards_hold_the_same(tmp_path):
    path = write_csv(tmp_path / "log.csv", *rows_of())
    wanted = load_split(path, history_length=LENGTH)
    prepare(path, tmp_path / "data", interactions_per_shard=200)
    found = open_dataset(tmp_path / "data", history_length=LENGTH)
    assert found.num_shards == 8
    assert sum(len(found.sequences(shard)) for shard in range(8)) == 60
    assert_same_split(found, wanted, in_order=False)
    rows = np.random.default_rng(0).permutation(len(found.train))[:50]
    part = found.train[rows]
    np.testing.assert_array_equal(part.history, found.train.history[rows])
    np.testing.assert_array_equal(part.target, found.train.target[rows])
    assert part.user.tolist() == found.train.user[rows].tolist()


TIMES = {
    "numbers with fractions": lambda t: f"{t / 4}",
    "dates": lambda t: f"2018-{1 + t % 12:02}-20",
    "date-times": lambda t: f"2018-09-20T{t % 24:02}:30:{t % 60:02}.{t % 1000:03}",
    "without seconds": lambda t: f"2018-09-20 {t % 24:02}:{t % 60:02}",
    "zones": lambda t: f"2018-09-20T12:00:{t % 60:02}{'+02:00' if t % 2 else '-05:30'}",
    "UTC": lambda t: f"2018-09-20 12:00:{t % 60:02} UTC",
    "zones without colons": lambda t: f"2018-09-20T12:{t % 60:02} +0{t % 5}00",
    "Z": lambda t: f"2018-09-20T12:{t % 60:02}Z",
    "nanoseconds": lambda t: f"{1537439400000000000 + t}",
}


@pytest.mark.parametrize("written", TIMES)
def test_times_order_as_in_the_loader(tmp_path, written):
    user, item, time = rows_of(600)
    path = write_csv(tmp_path / "log.csv", user, item, map(TIMES[written], time.tolist()))
    prepare(path, tmp_path / "data")
    wanted = load_split(path, history_length=LENGTH)
    assert_same_split(open_dataset(tmp_path / "data", history_length=LENGTH), wanted)


@pytest.mark.parametrize(
    "type_", [pa.timestamp("ns"), pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.float32()]
)
def test_types_of_time_in_parquet(tmp_path, type_):
    user, item, time = rows_of(600)
    table = pa.table({"user": user, "item": item, "time": pa.array(time.astype("int32"))})
    column = table["time"].cast(pa.float32() if type_ == pa.float32() else pa.int64()).cast(type_)
    pq.write_table(table.set_column(2, "time", column), tmp_path / "log.parquet")
    prepare(tmp_path / "log.parquet", tmp_path / "data")
    wanted = load_split(tmp_path / "log.parquet", history_length=LENGTH)
    assert_same_split(open_dataset(tmp_path / "data", history_length=LENGTH), wanted)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_folders_and_patterns_are_read_in_the_order_of_their_names(tmp_path, ending):
    user, item, time = rows_of(times=5)
    write = write_csv if ending == "csv" else write_parquet
    whole = write(tmp_path / f"whole.{ending}", user, item, time)
    wanted = load_split(whole, history_length=LENGTH)
    folder = tmp_path / "log"
    for number, part in enumerate(np.array_split(np.arange(len(user)), 3)):
        day = folder / f"day={number}"
        day.mkdir(parents=True)
        write(day / f"part.{ending}", user[part], item[part], time[part])
    (folder / "_SUCCESS").write_text("")
    (folder / f".hidden.{ending}").write_text("no")
    for source in (folder, str(folder / "day=*" / f"*.{ending}"), sorted(folder.glob("day=*"))):
        prepare(source, tmp_path / "data", overwrite=True)
        assert_same_split(open_dataset(tmp_path / "data", history_length=LENGTH), wanted)


@pytest.mark.parametrize("policy", ["drop", "share"])
@pytest.mark.parametrize("limits", [{"min_count": 30}, {"max_size": 9}])
def test_rare_items_get_no_id(tmp_path, policy, limits):
    path = write_csv(tmp_path / "log.csv", *rows_of())
    log = load_interactions(path)
    counts = leave_last_out(log).vocabulary
    vocabulary = Vocabulary.from_counts(
        dict(zip(counts, counts.counts.tolist(), strict=True)), out_of_vocabulary=policy, **limits
    )
    assert 0 < len(vocabulary) < 20
    wanted = leave_last_out(log, history_length=LENGTH, vocabulary=vocabulary)
    prepare(path, tmp_path / "data", out_of_vocabulary=policy, **limits)
    assert_same_split(open_dataset(tmp_path / "data", history_length=LENGTH), wanted)


@pytest.mark.parametrize("policy", ["drop", "share", "error"])
def test_a_data_set_is_opened_under_the_ids_of_a_model(tmp_path, policy):
    path = write_csv(tmp_path / "log.csv", *rows_of())
    log = load_interactions(path)
    prepare(path, tmp_path / "data", interactions_per_shard=400)
    known = list(range(3, 25)) if policy != "error" else list(range(40))
    vocabulary = Vocabulary(known, out_of_vocabulary="share" if policy == "share" else "error")
    given = {"vocabulary": vocabulary, "new_items": policy}
    wanted = leave_last_out(log, history_length=LENGTH, **given)
    found = open_dataset(tmp_path / "data", history_length=LENGTH, **given)
    assert_same_split(found, wanted, in_order=False)
    assert found.num_new_items == wanted.num_new_items
    turned = Vocabulary(known[::-1], out_of_vocabulary=vocabulary.out_of_vocabulary)
    assert_same_split(found.renumbered(turned), wanted.renumbered(turned), in_order=False)


def test_the_manifest_tells_what_was_read_and_written(tmp_path):
    path = write_csv(tmp_path / "log.csv", *rows_of())
    said = []
    prepare(path, tmp_path / "data", memory=2**29, report=said.append)
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert manifest["statistics"]["interactions"] == 1500
    assert manifest["inputs"][0]["bytes"] == path.stat().st_size
    assert manifest["settings"]["protocol"] == "leave_last_out"
    assert any("at most 0.5 GB" in line and "spill" in line for line in said)
    assert {file.name for file in tmp_path.iterdir()} == {"log.csv", "data"}


def test_the_same_log_gives_the_same_bytes(tmp_path):
    path = write_parquet(tmp_path / "log.parquet", *rows_of())
    for name in ("one", "two"):
        prepare(path, tmp_path / name, interactions_per_shard=500)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


class Stopped(BaseException):
    """As a signal would end it."""


@pytest.mark.parametrize("stop_at", ["ordered 2 of", "wrote 2 of"])
def test_a_stopped_run_leaves_no_data_set_and_goes_on(tmp_path, stop_at):
    path = write_csv(tmp_path / "log.csv", *rows_of())
    prepare(path, tmp_path / "whole", interactions_per_shard=500)

    def stop(line):
        if line.startswith(stop_at):
            raise Stopped

    with pytest.raises(Stopped):
        prepare(path, tmp_path / "data", interactions_per_shard=500, report=stop)
    assert not (tmp_path / "data").exists()
    said = []
    prepare(path, tmp_path / "data", interactions_per_shard=500, report=said.append)
    assert any(line.startswith("going on from") for line in said)
    assert not any(line.startswith(stop_at.replace("2", "1")) for line in said)
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / "data" / file.name).read_bytes()


def test_what_was_left_of_another_log_is_not_gone_on_from(tmp_path):
    path = write_csv(tmp_path / "log.csv", *rows_of())

    def stop(line):
        if line.startswith("ordered 2"):
            raise Stopped

    with pytest.raises(Stopped):
        prepare(path, tmp_path / "data", interactions_per_shard=500, report=stop)
    write_csv(path, *rows_of(seed=1))
    prepare(path, tmp_path / "data", interactions_per_shard=500)
    found = open_dataset(tmp_path / "data", history_length=LENGTH)
    assert_same_split(found, load_split(path, history_length=LENGTH), in_order=False)


def test_a_data_set_is_replaced_in_one_step(tmp_path):
    path = write_csv(tmp_path / "log.csv", *rows_of())
    prepare(path, tmp_path / "data")
    before = (tmp_path / "data" / "manifest.json").read_bytes()
    with pytest.raises(FileExistsError, match="output must not exist"):
        prepare(path, tmp_path / "data")
    path.write_text("user,item,time\n1,,3\n")
    with pytest.raises(ValueError, match="missing values"):
        prepare(path, tmp_path / "data", overwrite=True)
    assert (tmp_path / "data" / "manifest.json").read_bytes() == before
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="or be a prepared data set"):
        prepare(path, tmp_path / "mine", overwrite=True)


@pytest.mark.parametrize("damage", ["shard", "vocabulary", "manifest", "missing"])
def test_damage_is_found(tmp_path, damage):
    path = write_csv(tmp_path / "log.csv", *rows_of())
    folder = prepare(path, tmp_path / "data").folder
    (shard,) = folder.glob("users-*")
    if damage == "missing":
        shard.unlink()
    elif damage == "manifest":
        (folder / "manifest.json").write_text('{"format": "memcom_tf.data", "format_version": 1}')
    else:
        file = shard if damage == "shard" else folder / "vocabulary.parquet"
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match="must"):
        found = open_dataset(folder)
        assert len(found.vocabulary)
        assert len(found.validation)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_columns_may_be_called_as_ours_are(tmp_path, ending):
    user, item, time = rows_of(300)
    names = {"user": "row", "item": "file", "time": "written"}
    write = write_csv if ending == "csv" else write_parquet
    plain = write(tmp_path / f"plain.{ending}", user, item, time)
    path = tmp_path / f"log.{ending}"
    if ending == "csv":
        path.write_text(plain.read_text().replace("user,item,time", ",".join(names.values())))
    else:
        pq.write_table(pq.read_table(plain).rename_columns(names), path)
    found = prepare(path, tmp_path / "data", **names)
    assert_same_split(found, load_split(plain))


def test_columns_that_duckdb_adds_are_refused(tmp_path):
    path = write_parquet(tmp_path / "log.parquet", *rows_of(50), file_row_number=[1] * 50)
    with pytest.raises(ValueError, match="must not have columns called"):
        prepare(path, tmp_path / "data")


@pytest.mark.parametrize("kind", ["pandas", "arrow", "duckdb"])
def test_a_frame_is_a_log(tmp_path, kind):
    path = write_parquet(tmp_path / "log.parquet", *rows_of())
    if kind == "pandas":
        frame = pytest.importorskip("pandas").read_parquet(path)
    elif kind == "arrow":
        frame = pq.read_table(path)
    else:
        frame = pytest.importorskip("duckdb").connect().sql(f"SELECT * FROM '{path}'")
    found = prepare(frame, tmp_path / "data")
    assert_same_split(found, load_split(path))
    assert found.manifest.inputs[0]["path"] == "frame"
    assert {file.name for file in tmp_path.iterdir()} == {"log.parquet", "data"}


REFUSED = {
    "no row": ("user,item,time\n", {}, "There must be interactions"),
    "an empty item": ("user,item,time\n1,,2\n", {}, "missing values. Received: column='item'"),
    "an empty time": ("user,item,time\n1,2,\n", {}, "missing values. Received: column='time'"),
    "a short line": ("user,item,time\n1,2,3\n1,2\n", {}, "Line: 3"),
    "an open quote": ('user,item,time\n1,"2,3\n1,2,3\n', {}, "readable by DuckDB"),
    "two lines in an id": ('user,item,time\n1,"2\n5",3\n', {}, "line break"),
    "no time": ("user,item,time\n1,2,soon\n", {}, "column of times must hold"),
    "no date": ("user,item,time\n1,2,2018-02-31\n", {}, "column of times must hold"),
    "two kinds of time": ("user,item,time\n1,2,3\n1,2,2018-02-01\n", {}, "all of one kind"),
    "an inexact time": ("user,item,time\n1,2,1.5\n1,2,9007199254740993\n", {}, "column of times"),
    "no column": ("user,what,time\n1,2,3\n", {}, "One column must be the item"),
    "capitals": (
        "user,item,ITEM\n1,2,3\n",
        {"item": "item", "time": "ITEM"},
        "by more than capitals",
    ),
    "two times": ("user,item,time,date\n1,2,3,4\n", {}, "One column must be the time"),
    "a column twice": ("user,item,time\n1,2,3\n", {"time": "item"}, "read as one thing"),
    "all held out": ("user,item,test\n1,2,1\n", {}, "Some interactions must be for training"),
    "no flag": ("user,item,test\n1,2,0\n1,3,soon\n", {}, "0 or 1. Received: value='soon'"),
    "an empty flag": ("user,item,test\n1,2,\n", {}, "missing values. Received: how_many=1"),
    "no column of flags": ("user,item\n1,2\n", {"test": "held"}, "missing=['held']"),
    "too frequent": ("user,item\n1,2\n", {"min_count": 7}, "must leave at least one item"),
    "no policy": ("user,item\n1,2\n", {"min_count": 2, "out_of_vocabulary": "error"}, "known"),
    "a negative count": ("user,item\n1,2\n", {"min_count": -1}, "`min_count` must be 0 or more"),
    "no size": ("user,item\n1,2\n", {"max_size": 0}, "`max_size` must be positive"),
    "no shard": ("user,item\n1,2\n", {"interactions_per_shard": 0}, "must be positive"),
    "no memory": ("user,item\n1,2\n", {"memory": 1}, "`memory` must be at least"),
    "another engine": ("user,item\n1,2\n", {"engine": "sqlite"}, "`engine` must be known"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_and_nothing_is_written(tmp_path, case):
    text, arguments, expected = REFUSED[case]
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(ValueError, match="must") as refused:
        prepare(tmp_path / "log.csv", tmp_path / "data", **arguments)
    assert expected in str(refused.value)
    assert not (tmp_path / "data").exists()


def test_sources_that_are_no_log_are_refused(tmp_path):
    for source in ("none.csv", "*.parquet", tmp_path):
        with pytest.raises(FileNotFoundError, match="must"):
            prepare(source, tmp_path / "data")
    one = write_csv(tmp_path / "one.csv", *rows_of(20))
    (tmp_path / "two.csv").write_text("item,user,time\n1,2,3\n")
    with pytest.raises(ValueError, match="same columns in the same order"):
        prepare(tmp_path / "*.csv", tmp_path / "data")
    write_parquet(tmp_path / "three.parquet", *rows_of(20))
    with pytest.raises(ValueError, match="of one format"):
        prepare([one, tmp_path / "three.parquet"], tmp_path / "data")
    with pytest.raises(ValueError, match="come once"):
        prepare([one, one], tmp_path / "data")


def test_one_process_writes(tmp_path):
    path = write_csv(tmp_path / "log.csv", *rows_of(50))

    refused = []

    def again(line):
        if line.startswith("DuckDB"):
            with pytest.raises(ValueError, match="written by one process"):
                prepare(path, tmp_path / "data")
            refused.append(line)

    prepare(path, tmp_path / "data", report=again)
    assert len(refused) == 1
