"""Logs that are damaged, or made to do harm: a sentence each, and never another error."""

import gzip
import io
import re
import struct
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memcom_tf.datasets import load_interactions
from memcom_tf.datasets.files import npz
from memcom_tf.datasets.files.npz import read_arrays
from tests.datasets.test_logs import PACKED

HOSTILE_TEXT = {
    "empty": (b"", "The first line must name the columns"),
    "no rows": (b"user,item\n", "There must be interactions"),
    "semicolons": (b"user;item\n1;2\n", "separated by commas, and are by semicolons"),
    "tabs": (b"user\titem\n1\t2\n", "separated by commas, and are by tabs"),
    "UTF-16": ("user,item\n1,2\n".encode("utf-16"), "UTF-8.*UTF-16.*iconv -f utf-16"),
    "UTF-16 without a mark": ("user,item\n1,2\n".encode("utf-16-le"), "UTF-8.*UTF-16"),
    "Latin-1": ("user,item\n1,2\n1,café\n".encode("latin-1"), "UTF-8.*line=3"),
    "Latin-1 in the names": ("user,artículo\n1,2\n".encode("latin-1"), "UTF-8"),
    "NUL": (b"user,item\n1,a\n1,a\0b\n", r"NUL in it.*line=3, value='a\\x00b'"),
    "NULs at the end": (b"user,item\n1,a\n" + bytes(500), "must"),
    "an open quote": (b'user,item\n1,5\n1,"abc\n2,3\n', "quote that is opened.*line=3"),
    "an open quote elsewhere": (b'user,item,title\n1,5,"abc\n2,3,x\n', "quote.*line=2"),
    "a quote that the next row closes": (
        b'user,item,title\n1,5,"abc\n2,6,"x"\n3,7,y\n',
        "quote that is opened.*after_line=1",
    ),
    "the same, at the end": (b'user,item,title\n1,5,"abc\n2,6,"x"', "quote that is opened"),
    "a quote over lines": (b'user,item\n1,"abc\n2,3"\n', r"line break.*line=2, value='abc\\n2,3'"),
    "a column twice": (b"user,item,item\n1,2,3\n", r"once. Received: twice=\['item'\]"),
    "a long row": (b"user,item\n1," + b"x" * 9_000_000, "shorter than 8 MiB"),
    "gzip": (gzip.compress(b"user,item\n1,2\n"), "gzip.*name it .csv.gz"),
    "zstd": (PACKED[".zst"](b"user,item\n1,2\n"), "zstd.*name it .csv.zst"),
    "a spreadsheet": (b"PK\x03\x04 and so on", "spreadsheet"),
}


@pytest.mark.parametrize("case", HOSTILE_TEXT)
def test_text_that_is_refused(tmp_path, case):
    content, message = HOSTILE_TEXT[case]
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_interactions(path)
    assert " must " in str(caught.value)
    assert "log.csv" in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_damaged_compression(tmp_path, suffix):
    whole = PACKED[suffix](b"user,item\n" + b"".join(b"%d,%d\n" % (i, i) for i in range(5000)))
    path = tmp_path / f"log.csv{suffix}"
    path.write_bytes(whole + whole[:0])
    assert len(load_interactions(path)) == 5000
    for content in (whole[: len(whole) // 2], whole[:-2], b"user,item\n1,2\n", b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=" must "):
            load_interactions(path)


def test_a_bomb_of_text(tmp_path, monkeypatch):
    from memcom_tf.datasets.files import streams

    monkeypatch.setattr(streams, "_UNPACKED_FREELY", 2**20)
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(b"user,item\n" + b"1,2\n" * 2**21))
    with pytest.raises(ValueError, match="must unpack to at most"):
        load_interactions(path)


def zipped(arrays, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in arrays.items():
            if not isinstance(content, bytes):
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, np.asarray(content), allow_pickle=True)
                content = buffer.getvalue()
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def member(text_of_header, data=bytes(64), version=b"\x01\x00"):
    size = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text_of_header) + 1)
    return b"\x93NUMPY" + version + size + text_of_header.encode() + b"\n" + data


def claims(shape, descr="'<i8'", order=False):
    return member(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}")


def marked(content, offsets, value):
    """An archive with a field of every entry set, in both of its directories."""
    content = bytearray(content)
    for signature, offset in zip((b"PK\x03\x04", b"PK\x01\x02"), offsets, strict=True):
        for found in re.finditer(re.escape(signature), bytes(content)):
            content[found.start() + offset] = value
    return bytes(content)


GOOD = {"user": np.arange(300), "item": np.arange(300) % 7}
HOSTILE_ARRAYS = {
    "encrypted": marked(zipped(GOOD), (6, 8), 1),
    "an unknown method": marked(zipped(GOOD), (8, 10), 97),
    "broken deflate": zipped(GOOD, zipfile.ZIP_DEFLATED).replace(
        zipped(GOOD, zipfile.ZIP_DEFLATED)[60:90], b"\xff" * 30
    ),
    "broken bytes": zipped(GOOD).replace(struct.pack("<q", 77), struct.pack("<q", 78), 1),
    "cut": zipped(GOOD)[:1500],
    "no archive": b"text",
    "empty": b"",
    "an array alone": claims("(8,)"),
    "8 TB": zipped({**GOOD, "user": claims(f"({2**40},)")}),
    "2**124": zipped({**GOOD, "user": claims(f"({2**62}, {2**62})")}),
    "less than nothing": zipped({**GOOD, "user": claims("(-8,)")}),
    "less than nothing twice": zipped({**GOOD, "user": claims("(-2, -4)")}),
    "texts of no length": zipped({**GOOD, "user": claims(f"({2**62},)", "'<U0'")}),
    "no shape": zipped({**GOOD, "user": claims("'many'")}),
    "a call": zipped({**GOOD, "user": claims("(__import__('os').getpid(),)")}),
    "deep": zipped({**GOOD, "user": member("(" * 1900)}),
    "deep and long": zipped({**GOOD, "user": member("(" * 9000, version=b"\x02\x00")}),
    "another version": zipped(
        {**GOOD, "user": claims("(8,)").replace(b"\x01\x00", b"\x03\x00", 1)}
    ),
    "no characters": zipped({**GOOD, "user": claims("(16,)", "'<U1'")[:-4] + b"\xff\xff\xff\x7f"}),
    "half a character": zipped({**GOOD, "user": np.array(["\ud800"] * 300)}),
    "objects": zipped({**GOOD, "user": np.array([1, "a"] * 150, object)}),
    "complex": zipped({**GOOD, "user": np.zeros(300, complex)}),
    "structured": zipped({**GOOD, "user": np.zeros(300, [("a", "i4")])}),
    "bytes": zipped({**GOOD, "user": np.array([b"a"] * 300)}),
    "floats": zipped({**GOOD, "user": np.zeros(300)}),
    "two dimensions": zipped({**GOOD, "user": np.zeros((300, 1), int)}),
    "no dimension": zipped({**GOOD, "user": np.array(3)}),
    "another length": zipped({**GOOD, "user": np.arange(299)}),
    "no row": zipped({"user": np.arange(0), "item": np.arange(0)}),
    "a NUL": zipped({**GOOD, "user": np.array(["a\0b"] * 300)}),
}


@pytest.mark.parametrize("case", HOSTILE_ARRAYS)
def test_arrays_that_are_refused(tmp_path, case):
    path = tmp_path / "log.npz"
    path.write_bytes(HOSTILE_ARRAYS[case])
    with pytest.raises(ValueError, match=" must ") as caught:
        load_interactions(path)
    assert len(str(caught.value)) < 1000


def test_an_array_twice_is_refused(tmp_path):
    path = tmp_path / "log.npz"
    path.write_bytes(zipped(GOOD))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("user.npy", claims("(8,)"))
    with pytest.raises(ValueError, match=r"once. Received: twice=\['user'\]"):
        load_interactions(path)


def test_a_bomb_of_zeros(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "_UNPACKED_FREELY", 2**20)
    path = tmp_path / "log.npz"
    np.savez_compressed(path, user=np.zeros(2**18, int), item=np.zeros(2**18, int))
    with pytest.raises(ValueError, match=r"must not be packed more than 200-fold.*numpy\.savez"):
        load_interactions(path)
    np.savez(path, user=np.zeros(2**18, int), item=np.zeros(2**18, int))
    assert len(load_interactions(path)) == 2**18


def test_read_arrays_of_any_shape(tmp_path):
    arrays = {
        "history": np.asfortranarray(np.arange(12).reshape(3, 4)),
        "target": np.array([1, 2, 3], ">i4"),
        "weight": np.array(0.5),
        "none": np.zeros((0, 3), np.float32),
        "flags": np.array([True, False]),
    }
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    found = read_arrays(tmp_path / "a.npz", arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
    with pytest.raises(ValueError, match="it must hold 'other' once"):
        read_arrays(tmp_path / "a.npz", ["other"])


def test_damaged_parquet_is_refused_or_read(tmp_path):
    """Bytes changed at random, most of them where the schema and the sizes are."""
    path = tmp_path / "log.parquet"
    pd.DataFrame({"user": np.arange(60) // 6, "item": [f"i{i % 7}" for i in range(60)]}).to_parquet(
        path
    )
    intact = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        content = bytearray(intact)
        for _ in range(rng.integers(1, 4)):
            place = rng.integers(len(content) - 1500, len(content))
            content[place] = rng.choice([0, 255, 127, 128, rng.integers(256)])
        path.write_bytes(content)
        try:
            load_interactions(path)
        except ValueError as error:
            assert " must " in str(error)
            refused += 1
    assert refused > 50
    for content in (b"", b"PAR1", b"PAR1PAR1", intact[:-4], intact[len(intact) // 2 :]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="must be an undamaged Parquet file"):
            load_interactions(path)


def test_a_bomb_of_rows(tmp_path, monkeypatch):
    from memcom_tf.datasets.files import parquet

    monkeypatch.setattr(parquet, "_ROWS_FREELY", 1000)
    monkeypatch.setattr(parquet, "MOST_ROWS_A_BYTE", 10)
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({name: np.zeros(200_000, int) for name in ("user", "item")}), path)
    with pytest.raises(ValueError, match=r"must hold at most 10 rows a byte.*rows=200000"):
        load_interactions(path)
