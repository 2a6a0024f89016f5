"""Rows of fields, from files of every kind."""

from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memcom_tf.datasets import Columns, Rows, load_rows
from memcom_tf.datasets.row_files import CRITEO, load_rows_of
from memcom_tf.evaluation import split_rows

COLUMNS = Columns("click", ["site", "code"], ["age"], time="hour")
SITES, CODES, AGES = ["a", "", "b"], ["7", "007", ""], [31.5, np.nan, -2.0]


def csv_file(folder):
    path = folder / "rows.csv"
    path.write_text("click,site,code,age,hour,beside\n1,a,7,31.5,3,x\n0,,007,NA,1,y\n1,b,,-2,2,z\n")
    return path


def zipped(folder):
    path = folder / "rows.tsv.gz"
    text = csv_file(folder).read_text().replace(",", "\t")
    path.write_bytes(gzip.compress(text.encode()))
    return path


def parquet_file(folder):
    path = folder / "rows.parquet"
    table = pa.table({
        "click": pa.array([True, False, True]),
        "site": pa.array(["a", None, "b"]),
        "code": pa.array(["7", "007", None]),
        "age": pa.array([31.5, None, -2.0]),
        "hour": pa.array([3, 1, 2]),
    })  # fmt: skip
    pq.write_table(table, path)
    return path


def npz_file(folder):
    path = folder / "rows.npz"
    np.savez(path, click=[1, 0, 1], site=SITES, code=CODES, age=AGES, hour=[3, 1, 2])
    return path


@pytest.mark.parametrize("make", [csv_file, zipped, parquet_file, npz_file])
def test_files_of_every_kind_hold_the_same_rows(make, tmp_path):
    rows = load_rows(make(tmp_path), COLUMNS)
    assert rows.categorical["site"].array().tolist() == SITES
    assert rows.categorical["code"].array().tolist() == CODES
    np.testing.assert_array_equal(rows.numeric["age"], np.float32(AGES))
    assert rows.labels.tolist() == [True, False, True]
    assert rows.time.tolist() == [3, 1, 2]


def test_integers_with_gaps_are_categories_however_they_are_stored(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": [7.0, None, 12.0], "b": pa.array([7, None, 12])}), path)
    rows = load_rows(path, Columns(categorical=["a", "b"]))
    for column in rows.categorical.values():
        assert column.array().tolist() == ["7", "", "12"]


def criteo(labelled=True, rows=3):
    lines = []
    for row in range(rows):
        numbers = ["" if place == row else str(place - 1) for place in range(13)]
        categories = ["" if place == 2 else f"{row * 26 + place:08x}" for place in range(26)]
        lines.append("\t".join([*(["1"] if labelled else []), *numbers, *categories]))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", ["train.txt", "train.tsv", "train.txt.gz"])
def test_criteos_format_is_known_by_its_looks(name, tmp_path):
    path = tmp_path / name
    content = criteo().encode()
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    said = []
    rows = load_rows(path, report=said.append)
    assert said == ["reading labels from `label`, 26 categorical and 13 numeric fields"]
    assert len(rows) == 3  # the first line is a row
    assert tuple(rows.numeric) + tuple(rows.categorical) == CRITEO[1:]
    assert rows.categorical["C1"].array().tolist() == ["00000000", "0000001a", "00000034"]
    assert rows.categorical["C3"].array().tolist() == ["", "", ""]
    np.testing.assert_array_equal(rows.numeric["I1"], [np.nan, -1, -1])
    assert rows.time.tolist() == [0, 1, 2]


def test_criteos_rows_without_labels_are_read_to_be_scored(tmp_path):
    path = tmp_path / "test.txt"
    path.write_text(criteo(labelled=False))
    rows = load_rows_of(path, dict.fromkeys(CRITEO[14:]), CRITEO[1:14])
    assert len(rows) == 3
    assert rows.label is None


def test_a_line_of_another_length_is_named(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text(criteo() + "1\t2\n" + criteo())
    with pytest.raises(ValueError, match=r"line=4"):
        load_rows(path)


def test_avazus_format_is_known_by_its_names(tmp_path):
    path = tmp_path / "train.csv"
    names = "id,click,hour,C1,banner_pos,site_id,app_id,device_id,C14"
    path.write_text(
        f"{names}\n1,0,14102105,1005,0,1fbe,ecad,a99f,15706\n2,1,14102110,1005,1,f3,e,a,7\n"
    )
    rows = load_rows(path)
    assert "id" not in rows.categorical
    assert rows.categorical["hour_of_day"].array().tolist() == ["5", "10"]
    assert rows.categorical["C14"].array().tolist() == ["15706", "7"]
    assert rows.labels.tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "columns", "must"),
    [
        ("c,a\n1,x\n", None, "which columns are what"),
        ("c,a\n1,x\n", Columns("click", ["a"]), r"missing=\['click'\]"),
        ("c,a\n2,x\n", Columns("c", ["a"]), r"0 or 1.*line=2, value='2'"),
        ("c,a\n1,5\n0,five\n", Columns("c", [], ["a"]), r"finite numbers.*line=3, value='five'"),
        ("c,a\n1,5\n0,inf\n", Columns("c", [], ["a"]), r"finite numbers.*line=3"),
        ("c,a,a\n1,5,5\n", Columns("c", ["a"]), "once"),
        ("c,a\n1,x\n", Columns("c"), "fields to read"),
    ],
)
def test_what_is_wrong_is_said(text, columns, must, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=must):
        load_rows(path, columns)


@pytest.mark.parametrize(
    "text",
    ["label = 3", 'categorical = "site"', "label =", "[several]\ngenres = 3", 'colour = "red"'],
)
def test_a_file_of_columns_must_be_one(text, tmp_path):
    path = tmp_path / "columns.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match="which columns are what"):
        Columns.from_toml(path)


def test_a_file_of_columns(tmp_path):
    path = tmp_path / "columns.toml"
    path.write_text('label = "c"\ncategorical = ["a", "g"]\nnumeric = ["n"]\n[several]\ng = ";"\n')
    assert Columns.from_toml(path) == Columns("c", ["a", "g"], ["n"], {"g": ";"})
    with pytest.raises(ValueError, match="must be one thing"):
        Columns("a", ["a"])
    with pytest.raises(ValueError, match="among the categorical"):
        Columns("a", ["b"], several={"c": "|"})


def rows_of(count=200, **others):
    rng = np.random.default_rng(0)
    return Rows.of({"a": rng.integers(0, 9, count)}, label=rng.random(count) < 0.4, **others)


def test_later_rows_are_held_out():
    time = np.random.default_rng(1).permutation(200)
    split = split_rows(rows_of(time=time))
    assert split.by_time
    assert split.train.time.max() < split.validation.time.min()
    assert split.validation.time.max() < split.test.time.min()
    assert [len(split.train), len(split.validation), len(split.test)] == [162, 18, 20]


def test_rows_say_what_is_held_out():
    is_test = np.arange(200) % 4 == 0
    split = split_rows(rows_of(is_test=is_test))
    assert len(split.test) == 50
    assert split.test.is_test.all()
    assert not split.train.is_test.any()


def test_without_times_rows_are_held_out_at_random():
    rows = Rows.of({"a": np.arange(200)}, label=np.arange(200) % 2)
    split = split_rows(rows)

    def values(part):
        return part.categorical["a"].array().astype(int).tolist()

    parts = [values(part) for part in (split.train, split.validation, split.test)]
    assert sorted([*parts[0], *parts[1], *parts[2]]) == list(range(200))
    assert min(parts[2]) < 100  # not the last ones
    assert values(split_rows(rows, seed=1).test) != parts[2]


def test_a_split_needs_labels_of_both_kinds():
    with pytest.raises(ValueError, match="labels of both kinds"):
        split_rows(Rows.of({"a": ["x"] * 200}, label=[0] * 200))
    with pytest.raises(ValueError, match="must have labels"):
        split_rows(Rows.of({"a": ["x"] * 200}))
