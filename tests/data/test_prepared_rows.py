"""Prepared rows are what the loader makes of them, and train the model that the file trains."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from memcom_tf.data import open_dataset, open_rows, prepare_rows
from memcom_tf.data.prepared_rows import StoredRows
from memcom_tf.datasets import Columns, Rows, load_rows
from memcom_tf.datasets.row_files import CRITEO
from memcom_tf.evaluation import split_rows
from memcom_tf.features import fit_features
from memcom_tf.training import ClickSettings, click_rows, train_click_model
from memcom_tf.training.click_rows import Teaching, TrainingRows

pytest.importorskip("duckdb")

PARTS = "train", "validation", "test"
FIELDS = ["genres", "site", "code"], ["age", "money"], {"genres": "|"}


def table(count=1200, seed=0):
    """Rows of which some values are missing, rare, several, or written with blanks."""
    rng = np.random.default_rng(seed)
    age = [f" {x:.2f}" if x > 30 else "NA" for x in rng.normal(40, 10, count)]
    return pa.table({
        "click": rng.integers(0, 2, count),
        "site": [f"Ü{n}" for n in (200 * rng.random(count) ** 2).astype(int)],
        "genres": rng.choice(["a|b", "b| c\u00a0|", "", "|", "d"], count),
        "code": pa.array(rng.integers(0, 9, count), mask=rng.random(count) < 0.1),
        "age": age,
        "money": np.exp(rng.normal(3, 2, count)),
        "time": rng.integers(0, 50, count),
        "held": rng.random(count) < 0.2,
    })  # fmt: skip


def written(folder, name, of):
    path = folder / name
    if name.endswith(".parquet"):
        pq.write_table(of, path, row_group_size=300)
        return path
    options = pa.csv.WriteOptions(delimiter="," if ".csv" in name else "\t")
    pa.csv.write_csv(of, path, options)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


def assert_same(found, split, features):
    """Requires that a data set has the rows of a split, under the ids of its fields."""
    assert found.features.to_config() == features.to_config()
    assert found.features.vocabularies == features.vocabularies
    assert found.by_time == split.by_time
    for name in PARTS:
        wanted, part = getattr(split, name), getattr(found, name)
        assert len(part) == len(wanted)
        np.testing.assert_array_equal(part.labels, wanted.labels)
        encoded = features.encode(wanted)
        for of in (found.features, features):
            for key, values in of.encode(part).items():
                np.testing.assert_array_equal(values, encoded[key], f"{name} {key}")


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv.gz", "rows.parquet"])
@pytest.mark.parametrize("time", [None, "time"])
@pytest.mark.parametrize("test", [None, "held"])
def test_rows_are_split_and_fitted_as_from_the_file(tmp_path, name, time, test):
    path = written(tmp_path, name, table())
    columns = Columns("click", *FIELDS, time=time, test=test)
    split = split_rows(load_rows(path, columns), seed=3)
    found = prepare_rows(path, tmp_path / "data", columns, seed=3, min_count=3)
    assert_same(found, split, fit_features(split.train, min_count=3))
    assert {file.name for file in tmp_path.iterdir()} == {name, "data"}


def test_values_of_any_type(tmp_path):
    rng = np.random.default_rng(0)
    of = table(400).append_column("whole", pa.array(rng.choice([7.0, None, 12.0], 400)))
    of = of.append_column("day", pa.array(rng.integers(0, 9, 400), pa.int32()).cast(pa.date32()))
    of = of.append_column("flag", pa.array(rng.random(400) < 0.5))
    path = written(tmp_path, "rows.parquet", of)
    columns = Columns("click", ["whole", "day", "held"], ["flag", "code"])
    split = split_rows(load_rows(path, columns))
    found = prepare_rows(path, tmp_path / "data", columns)
    assert_same(found, split, fit_features(split.train))


def test_criteos_format_is_known_by_its_looks(tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for row in range(400):
        numbers = ["" if rng.random() < 0.2 else str(rng.integers(-2, 90)) for _ in range(13)]
        codes = ["" if rng.random() < 0.1 else f"{rng.integers(0, 9):08x}" for _ in range(26)]
        lines.append("\t".join([str(row % 2), *numbers, *codes]))
    for day, part in enumerate((lines[:150], lines[150:])):
        (tmp_path / f"day{day}.txt").write_text("\n".join(part) + "\n")
    (tmp_path / "whole.txt").write_text("\n".join(lines) + "\n")
    split = split_rows(load_rows(tmp_path / "whole.txt"))
    found = prepare_rows(str(tmp_path / "day*.txt"), tmp_path / "data")
    assert_same(found, split, fit_features(split.train))
    assert sorted(found.features.names) == sorted(CRITEO[1:])
    assert found.by_time


def test_avazus_format_is_known_by_its_names(tmp_path):
    rng = np.random.default_rng(0)
    names = "id,click,hour,C1,banner_pos,site_id,app_id,device_id,C14"
    lines = [
        f"{row},{row % 2},141021{rng.integers(0, 24):02},1005,{rng.integers(0, 3)},"
        f"{rng.integers(0, 30):x},e,a,{rng.integers(0, 9)}"
        for row in range(400)
    ]
    path = tmp_path / "train.csv"
    path.write_text("\n".join([names, *lines]) + "\n")
    split = split_rows(load_rows(path))
    found = prepare_rows(path, tmp_path / "data")
    assert_same(found, split, fit_features(split.train))
    assert "hour_of_day" in found.features.names


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A file of rows, their split, and their data sets of one and of several shards."""
    folder = tmp_path_factory.mktemp("rows")
    path = written(folder, "rows.csv", table())
    columns = Columns("click", *FIELDS)
    one = prepare_rows(path, folder / "one", columns, min_count=1)
    many = prepare_rows(path, folder / "many", columns, min_count=1, rows_per_shard=300)
    return split_rows(load_rows(path, columns)), one, many


def in_order(inputs, labels):
    whole = np.c_[inputs["ids"], np.nan_to_num(inputs["numbers"], nan=-1), labels]
    return whole[np.lexsort(whole.T)]


def test_several_shards_hold_the_same(rows):
    split, one, many = rows
    assert len(many.train.shards) == 4
    for name in PARTS:
        found, wanted = getattr(many, name), getattr(split, name)
        np.testing.assert_array_equal(
            in_order(one.features.encode(found), found.labels),
            in_order(one.features.encode(wanted), wanted.labels),
        )
    for mine, wanted in zip(many.features.numeric, one.features.numeric, strict=True):
        assert mine.boundaries == wanted.boundaries and mine.log == wanted.log
        assert mine.mean == pytest.approx(wanted.mean)
        assert mine.deviation == pytest.approx(wanted.deviation)


def test_some_of_the_rows_are_read(rows):
    _, _, many = rows
    whole = many.features.encode(many.train)
    wanted = np.random.default_rng(0).permutation(len(many.train))[:70]
    part = many.train[wanted]
    for key, values in many.features.encode(part).items():
        np.testing.assert_array_equal(values, whole[key][wanted])
    np.testing.assert_array_equal(part.labels, many.train.labels[wanted])
    assert len(many.train[:0]) == 0
    assert len(many.train.first(10)) == many.train.shards[0].rows


def test_rows_are_read_under_the_ids_of_a_model(rows):
    split, one, _ = rows
    features = fit_features(split.train, min_count=9)
    assert features.tables["site"] < one.features.tables["site"]
    for key, values in features.encode(split.test).items():
        np.testing.assert_array_equal(features.encode(one.test)[key], values)


def test_values_that_were_not_counted_are_unknown_to_a_model_too(rows):
    split, one, _ = rows
    site = Rows({"site": split.test.categorical["site"], "new": split.test.categorical["code"]})
    features = fit_features(site, min_count=1)
    (own,) = (of for of in one.features.categorical if of.name == "site")
    found, wanted = (features.encode(of)["ids"] for of in (one.test, site))
    known = own.ids(site.categorical["site"].array().tolist())[:, 0] > 1
    assert known.any() and not known.all()
    np.testing.assert_array_equal(found[:, 0], np.where(known, wanted[:, 0], 1))
    assert not found[:, 1].any()  # a field that the data set does not have is missing
    with pytest.raises(ValueError, match="must have fields of the model"):
        fit_features(Rows.of({"other": ["a"]})).encode(one.test)
    with pytest.raises(ValueError, match="must be one of the model"):
        fit_features(Rows.of({"site": ["a"]}, several={"site": ";"})).encode(one.test)


@pytest.mark.parametrize("at_once", [1, 400, 2**20])
def test_every_row_comes_once_in_an_epoch_in_an_order_of_the_seed(rows, at_once, monkeypatch):
    monkeypatch.setattr(click_rows, "ROWS_AT_ONCE", at_once)
    _, _, many = rows
    teaching = Teaching(None, 0.0)
    wanted = in_order(many.features.encode(many.train), many.train.labels)
    if at_once < len(many.train):
        monkeypatch.setattr(StoredRows, "_whole", property(lambda self: pytest.fail("all rows")))

    def epochs():
        feed, rng = TrainingRows(many.train, many.features, teaching), np.random.default_rng(3)
        for _ in range(2):
            yield list(feed.pieces(rng, 3))

    first, second = epochs()
    for pieces in (first, second):
        assert [ends for _, _, ends in pieces].count(True) == 3 and pieces[-1][2]
        inputs = {key: np.concatenate([x[key] for x, _, _ in pieces]) for key in first[0][0]}
        labels = np.concatenate([targets for _, targets, _ in pieces])
        np.testing.assert_array_equal(in_order(inputs, labels), wanted)
    again = next(epochs())
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one[0]["ids"], two[0]["ids"])
    assert (first[0][0]["ids"][:50] != second[0][0]["ids"][:50]).any()


@pytest.mark.parametrize("taught", [False, True])
def test_training_from_one_shard_is_training_from_the_file(rows, taught):
    split, one, _ = rows
    settings = ClickSettings(epochs=1, batch_size=64)
    teacher = None
    if taught:
        teacher = train_click_model(split, width=4, min_count=1, settings=settings).model
    wanted = train_click_model(split, width=4, min_count=1, teacher=teacher, settings=settings)
    found = train_click_model(one, width=4, teacher=teacher, settings=settings)
    assert found.record == wanted.record
    assert found.metrics == wanted.metrics
    for mine, theirs in zip(found.model.get_weights(), wanted.model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_training_reads_shards(rows, monkeypatch):
    _, _, many = rows
    monkeypatch.setattr(click_rows, "ROWS_AT_ONCE", 400)
    monkeypatch.setattr(click_rows, "MOST_HELD_OUT", 30)
    said = []
    settings = ClickSettings(epochs=1, batch_size=64)
    teacher = train_click_model(many, width=4, settings=settings, report=said.append).model
    for name in ("validation", "test"):
        part = getattr(many, name)
        assert f"{name}: {len(part.first(30))} of {len(part)} rows" in said
    train_click_model(many, width=4, teacher=teacher, settings=settings)


class Stopped(BaseException):
    """As a signal would end it."""


def test_a_stopped_run_leaves_no_data_set_and_goes_on(tmp_path):
    path = written(tmp_path, "rows.csv", table())
    given = {"columns": Columns("click", *FIELDS), "rows_per_shard": 300}
    whole = prepare_rows(path, tmp_path / "whole", **given)

    def stop(line):
        if line.startswith("wrote 6 of"):
            raise Stopped

    with pytest.raises(Stopped):
        prepare_rows(path, tmp_path / "data", report=stop, **given)
    assert not (tmp_path / "data").exists()
    said = []
    prepare_rows(path, tmp_path / "data", report=said.append, **given)
    assert any(line.startswith("going on from") for line in said)
    assert "6 of 12 files are written already" in said
    for file in whole.folder.iterdir():
        assert file.read_bytes() == (tmp_path / "data" / file.name).read_bytes()


def test_the_manifest_tells_what_was_read_and_written(rows):
    _, one, _ = rows
    manifest = json.loads((one.folder / "manifest.json").read_text())
    assert manifest["settings"]["protocol"] == "split_rows"
    assert manifest["settings"]["columns"]["several"] == {"genres": "|"}
    assert manifest["statistics"]["rows"] == 1200
    assert [shard["part"] for shard in manifest["shards"]] == list(PARTS)
    with pytest.raises(ValueError, match="prepared for --task click"):
        open_dataset(one.folder)


@pytest.mark.parametrize("damage", ["train", "vocabularies"])
def test_damage_is_found(tmp_path, damage):
    path = written(tmp_path, "rows.csv", table(300))
    folder = prepare_rows(path, tmp_path / "data", Columns("click", *FIELDS)).folder
    (file,) = folder.glob(f"{damage}*")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match="must be as it was written"):
        found = open_rows(folder)
        found.features.encode(found.train)


LINES = "\n".join(f"{row % 2},s{row % 3},{row},{row % 2}" for row in range(200))
REFUSED = {
    "no columns": ("", None, {}, "which columns are what"),
    "no label": ("", Columns(None, ["site"]), {}, "column of labels must be named"),
    "no column": ("", Columns("click", ["nowhere"]), {}, "missing=['nowhere']"),
    "no field": ("", Columns("click"), {}, "fields to read"),
    "no flag": ("2,s,3,0", Columns("click", ["site"]), {}, "0 or 1. Received: value='2'"),
    "an empty label": (",s,3,0", Columns("click", ["site"]), {}, "missing values"),
    "no number": ("1,s,five,0", Columns("click", [], ["age"]), {}, "finite numbers"),
    "too large": ("1,s,1e39,0", Columns("click", [], ["age"]), {}, "finite numbers"),
    "two lines": ('1,"s\n2",3,0', Columns("click", ["site"]), {}, "line break"),
    "no time": ("1,s,soon,0", Columns("click", ["site"], time="age"), {}, "column of times"),
    "one kind": ("", Columns("click", ["site"], test="flag"), {}, "labels of both kinds"),
    "no engine": ("", Columns("click", ["site"]), {"engine": "sql"}, "`engine` must be"),
    "no shard": ("", Columns("click", ["site"]), {"rows_per_shard": 1}, "at least 100"),
    "no count": ("", Columns("click", ["site"]), {"min_count": 0}, "`min_count` must be"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_and_nothing_is_written(tmp_path, case):
    line, columns, arguments, expected = REFUSED[case]
    text = "\n".join(["click,site,age,flag", LINES, *([line] if line else [])]) + "\n"
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(ValueError, match="must") as refused:
        prepare_rows(tmp_path / "rows.csv", tmp_path / "data", columns, **arguments)
    assert expected in str(refused.value)
    assert {file.name for file in tmp_path.iterdir()} == {"rows.csv"}


def test_a_frame_is_rows(tmp_path):
    of = table(300)
    path = written(tmp_path, "rows.parquet", of)
    columns = Columns("click", *FIELDS)
    found = prepare_rows(of, tmp_path / "data", columns)
    split = split_rows(load_rows(path, columns))
    assert_same(found, split, fit_features(split.train))


def test_a_column_is_not_taken_for_one_of_other_capitals(tmp_path):
    of = table(300)
    path = written(tmp_path, "rows.parquet", of.append_column("Site", of["genres"]))
    with pytest.raises(ValueError, match="by more than capitals"):
        prepare_rows(path, tmp_path / "data", Columns("click", ["Site"]))
    split = split_rows(load_rows(path, Columns("click", ["site"])))
    found = prepare_rows(path, tmp_path / "data", Columns("click", ["site"]))
    assert_same(found, split, fit_features(split.train))


@pytest.mark.parametrize(
    "fields",
    [
        (["site"], []),
        ([], ["money"]),
        (["nothing", "blanks"], ["nowhere"], {"blanks": "|"}),
    ],
)
def test_fields_of_one_kind_and_fields_that_are_missing(tmp_path, fields):
    of = table(300).append_column("nothing", pa.array([""] * 300))
    of = of.append_column("blanks", pa.array(["| |"] * 300))
    of = of.append_column("nowhere", pa.array([None] * 300, pa.float64()))
    path = written(tmp_path, "rows.parquet", of)
    columns = Columns("click", *fields)
    split = split_rows(load_rows(path, columns))
    found = prepare_rows(path, tmp_path / "data", columns)
    assert_same(found, split, fit_features(split.train))
