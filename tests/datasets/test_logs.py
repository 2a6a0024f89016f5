"""Logs from files: ids as they are written, times in order, and refusals that name the line."""

import gzip
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memcom_tf.datasets import load_interactions, load_log
from memcom_tf.datasets.files import opening
from memcom_tf.errors import at_command_line

FRAME = pd.DataFrame({"user": [1, 1, 2], "item": ["tea", "milk", "tea"], "when": [3, 2, 1]})
PACKED = {".gz": gzip.compress, ".zst": lambda text: pa.compress(text, "zstd", asbytes=True)}
SUFFIXES = [*opening.SUFFIXES]


def write(path, frame=FRAME):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".npz":
        np.savez(path, **{name: np.array(frame[name].tolist()) for name in frame})
    else:
        text = frame.to_csv(sep="," if ".csv" in path.name else "\t", index=False).encode()
        path.write_bytes(PACKED.get(path.suffix, bytes)(text))
    return path


def text(tmp_path, *lines, name="log.csv", end="\n"):
    path = tmp_path / name
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_of_file(tmp_path, suffix):
    path = write(tmp_path / f"log{suffix}")
    loaded = load_interactions(path, time="when")
    assert loaded.user.tolist() == [1, 1, 2]
    assert loaded.item.tolist() == ["tea", "milk", "tea"]
    assert loaded.time.tolist() == [3, 2, 1]
    assert load_interactions(str(path), user="item", item="when").time is None
    assert load_interactions(path, user="when", item="when").item.tolist() == [3, 2, 1]
    with pytest.raises(ValueError, match=r"It has \['user', 'item', 'when'\]") as caught:
        load_interactions(path, user="customer")
    assert "Received: missing=['customer']" in str(caught.value)
    assert "`user`, `item` and `time`" in str(caught.value)


# Items as they are written, and as they are read.
ITEMS = {
    "integers": (["7", "-3", "0", "9223372036854775807"], [7, -3, 0, 2**63 - 1]),
    "leading zeros": (["0001388703", "12", "7", "007"], None),
    "a sign": (["+7", "7"], None),
    "minus zero": (["-0", "0"], None),
    "an exponent": (["1e5", "100000"], None),
    "floats": (["1.0", "1", "2.5"], None),
    "beyond int64": (["9223372036854775808", "1"], None),
    "thirty digits": (["1" + "0" * 28 + "7", "1" + "0" * 28 + "8"], None),
    "one that is no number, at the end": (["12", "13", "B000"], None),
    "words for missing values": (["NA", "null", "None", "nan", "n/a", "N/A", "NULL", "-"], None),
    "truth": (["True", "False"], None),
    "spaces": ([" 7", "7"], None),
    "other digits": (["٣", "3"], None),
    "quotes": (['5" disc', "a,b", "é"], None),
}


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("case", ITEMS)
def test_ids_are_those_of_the_file(tmp_path, case, suffix):
    items, expected = ITEMS[case]
    path = tmp_path / f"log{suffix}"
    pd.DataFrame({"user": "u", "item": items}).to_csv(
        path, sep="," if suffix == ".csv" else "\t", index=False
    )
    assert load_interactions(path).item.tolist() == (items if expected is None else expected)


def test_the_type_is_that_of_the_whole_column(tmp_path, monkeypatch):
    """Blocks of the reader that hold integers alone make no integers of a column of strings."""
    from memcom_tf.datasets.files import delimited

    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 64)
    monkeypatch.setattr(delimited, "_HEADER_BYTES", 64)
    items = [str(place) for place in range(500)] + ["B7"] + [str(place) for place in range(500)]
    path = text(tmp_path, "item,user,test", *(f"{item},3,{i % 2}" for i, item in enumerate(items)))
    log, is_test = load_log(path)
    assert log.item.tolist() == items
    assert log.item_labels.values.tolist() == sorted(set(items))
    assert log.user.tolist() == [3] * 1001
    assert is_test.tolist() == [bool(place % 2) for place in range(1001)]


def test_types_of_parquet_and_npz_count(tmp_path):
    path = tmp_path / "log.parquet"
    same = {"user": pa.array([1, 2, 1], pa.uint64())}
    for column, expected in [
        (pa.array(["7", "8", "7"]), ["7", "8", "7"]),
        (pa.array([b"7", b"a", b"7"]), ["7", "a", "7"]),
        (pa.array(["7", "8", "7"], pa.large_string()), ["7", "8", "7"]),
        (pa.array(["7", "8", "7"]).dictionary_encode(), ["7", "8", "7"]),
        (pa.array([7, 8, 7]).dictionary_encode(), [7, 8, 7]),
        (pa.array([7, 8, 7], pa.decimal128(20)), [7, 8, 7]),
        (pa.array([2**64 - 1, 8, 7], pa.uint64()), [str(2**64 - 1), "8", "7"]),
    ]:
        pq.write_table(pa.table({**same, "item": column}), path)
        assert load_interactions(path).item.tolist() == expected
    for column in (
        pa.array([1.0, 2.0, 1.0]),
        pa.array([True, False, True]),
        pa.array([b"\xff", b"a", b"b"]),
        pa.array([b"ab", b"cd", b"ef"], pa.binary(2)),
        pa.array([[1], [2], [3]]),
        pa.array([{"a": 1}] * 3),
        pa.array([0, 1, 2], pa.timestamp("s")),
        pa.array([0, 1, 2], pa.duration("s")),
    ):
        pq.write_table(pa.table({**same, "item": column}), path)
        with pytest.raises(ValueError, match=r"must hold strings or integers.*column='item'"):
            load_interactions(path)
    np.savez(tmp_path / "log.npz", user=["7", "07"], item=np.array([2**64 - 1, 3], np.uint64))
    log = load_interactions(tmp_path / "log.npz")
    assert (log.user.tolist(), log.item.tolist()) == (["7", "07"], [str(2**64 - 1), "3"])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("column", ["user", "item", "when"])
def test_an_empty_field_is_a_missing_value(tmp_path, suffix, column):
    frame = FRAME.astype({column: object})
    frame.loc[1, column] = None
    if suffix == ".npz":
        if column == "item":
            frame.loc[1, column] = ""
        else:
            frame[column] = frame[column].astype(float)
    path = write(tmp_path / f"log{suffix}", frame)
    place = "row=2" if suffix in (".parquet", ".npz") else "line=3"
    must = "must not have missing values"
    if suffix == ".npz" and column == "user":  # as floats, which users never are
        must, place = "must hold strings or integers", "dtype='float64'"
    with pytest.raises(ValueError, match=f"{must}.*{place}.*column='{column}'"):
        load_interactions(path, time="when")


# Times as they are written in the order that they have, from the first to the last.
TIMES = {
    "seconds": ["99", "100", "1500000000"],
    "negative": ["-5", "0", "3"],
    "nanoseconds": ["1500000000000000001", "1500000000000000002", "1500000000000000003"],
    "fractions": ["0.5", "7", "1.5e9"],
    "days": ["2018-09-20", "2018-09-21", "2018-10-01"],
    "far away": ["0999-01-01", "2018-09-21", "9999-12-31"],
    "days and seconds": ["2018-09-20", "2018-09-20 00:00:01", "2018-09-21T00:00"],
    "parts of a second": ["2018-09-20T10:00:00.1", "2018-09-20T10:00:00.123456789", "2018-09-21"],
    "UTC": ["2018-09-20T10:00:00Z", "2018-09-20 10:00:01 UTC", "2018-09-20T10:00:02+00:00"],
    "zones": ["2018-09-20T12:00:00+02:00", "2018-09-20 10:30:00Z", "2018-09-20 06:00:00 -0500"],
}


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
@pytest.mark.parametrize("case", TIMES)
def test_times_are_put_in_order(tmp_path, case, suffix):
    in_order = TIMES[case]
    shuffled = [2, 0, 1]
    frame = pd.DataFrame({"user": 1, "item": shuffled, "time": [in_order[i] for i in shuffled]})
    log = load_interactions(write(tmp_path / f"log{suffix}", frame))
    assert log.item[np.argsort(log.time)].tolist() == [0, 1, 2]
    assert len(np.unique(log.time)) == 3


def test_types_of_time(tmp_path):
    """Zoned timestamps by the instant, not by the clock on the wall."""
    hours = pd.to_datetime(["2020-10-25 01:30Z", "2020-10-25 00:30Z", "2020-10-25 02:30Z"])
    days = pd.Series(hours).dt.date.tolist()
    days[1] = days[1].replace(day=24)
    for column, expected in [
        (hours.tz_convert("Europe/Berlin"), [1, 0, 2]),
        (hours.tz_localize(None), [1, 0, 2]),
        (days, [1, 0, 2]),
        (np.array([3, 1, 2], np.uint8), [1, 2, 0]),
    ]:
        frame = pd.DataFrame({"user": 1, "item": [0, 1, 2], "time": column})
        frame.to_parquet(tmp_path / "log.parquet")
        log = load_interactions(tmp_path / "log.parquet")
        assert np.argsort(log.time, kind="stable").tolist() == expected
    np.savez(tmp_path / "log.npz", user=[1], item=[2], date=np.array(["2018-09-20"], "M8[D]"))
    assert load_interactions(tmp_path / "log.npz").time.tolist()[0].isoformat() == "2018-09-20"


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["2018-09-20", "20/09/2018"], r"line=3, value='20/09/2018'"),
        (["2018-09-20", "2018-02-30", "2018-09-21"], r"line=3, value='2018-02-30'"),
        (["1500000000", "2018-09-20"], r"line=3, values=\{'a number': '1500000000'"),
        (["2018-09-20T10:00:00Z", "2018-09-20T10:00:00"], "line=3, values="),
        (["1", "NA"], "line=3, value='NA'"),
        (["1", "nan"], "line=3, value='nan'"),
        (["1", "inf"], "line=3, value='inf'"),
        (["99999999999999999999", "1"], "of 64 bits.*line=2, value='9999"),
        (["1500000000000000001", "0.5"], "of 64 bits.*line=2"),
        (["1" * 5000, "x"], "value='x'"),
        (["x" * 5000], r"value='x{60}\.\.\.'"),
    ],
)
def test_what_is_no_time_is_refused(tmp_path, times, message):
    path = text(tmp_path, "user,item,time", *(f"1,2,{time}" for time in times))
    with pytest.raises(ValueError, match=message) as caught:
        load_interactions(path)
    assert "column='time'" in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["time", "Timestamp", "DATE", "dateTime", "unixReviewTime"])
def test_a_column_of_times_is_found_by_its_name(tmp_path, name):
    path = text(tmp_path, f"user,item,rating,{name}", "1,2,5,20", "1,3,4,10")
    said = []
    log = load_interactions(path, report=said.append)
    assert log.time.tolist() == [20, 10]
    assert said == [
        f"reading users from `user`, items from `item`, time from `{name}`; not read: `rating`"
    ]
    said.clear()
    assert load_interactions(path, time=False, report=said.append).time is None
    assert said == [
        "reading users from `user`, items from `item`; the order of the rows counts as time; "
        f"not read: `rating`, `{name}`"
    ]


USUAL_HEADERS = {
    "userId,movieId,rating,timestamp": ("userId", "movieId", "timestamp"),
    "reviewerID,asin,overall,unixReviewTime": ("reviewerID", "asin", "unixReviewTime"),
    "customer_id,product_id,price,created_at": ("customer_id", "product_id", "created_at"),
    "session_id,item_id,category,ts": ("session_id", "item_id", "ts"),
    "user_id,session_id,Article ID,event_time": ("user_id", "Article ID", "event_time"),
    "userId,user,item,movieId": ("user", "item", None),
}


@pytest.mark.parametrize("header", USUAL_HEADERS)
def test_columns_are_found_by_their_usual_names(tmp_path, header):
    names = dict(zip(header.split(","), range(1, 5), strict=True))
    path = text(tmp_path, header, ",".join(map(str, names.values())))
    log = load_interactions(path)
    user, item, time = USUAL_HEADERS[header]
    assert (log.user.tolist(), log.item.tolist()) == ([names[user]], [names[item]])
    assert (None if log.time is None else log.time.tolist()) == (time and [names[time]])


def test_columns_that_may_be_the_same_thing_are_named(tmp_path):
    path = text(tmp_path, "user,movie_id,product_id", "1,2,3")
    with pytest.raises(ValueError, match='`item="movie_id"` or `item="product_id"`'):
        load_interactions(path)
    with pytest.raises(
        ValueError, match=r"One column must be the user.*There are \['who', 'what'\]"
    ):
        load_interactions(text(tmp_path, "who,what", "1,2"))


def test_titles_and_details_of_items(tmp_path):
    rows = ["1,5,,x", "2,5,Five,y", "2,7,Seven,", "3,5,Another,z"]
    path = text(tmp_path, "user,item,Title,kind", *rows)
    assert load_log(path).interactions.details == {}
    found = load_log(path, title=None, details={"genre": "kind"}).interactions.details
    assert found == {"title": {5: "Five", 7: "Seven"}, "genre": {5: "x"}}
    with pytest.raises(ValueError, match=r"have the columns of details.*missing=\['name'\]"):
        load_log(path, title="name")
    with pytest.raises(ValueError, match="must be read as one thing"):
        load_log(path, title="item")


def test_titles_from_a_file_of_items(tmp_path):
    path = text(tmp_path, "user,movieId", "1,5", "1,7")
    (tmp_path / "movies.csv").write_text('movieId,title\n7,"Seven, or so"\n9,Nine\n')
    said = []
    log = load_log(path, title=None, items=tmp_path / "movies.csv", report=said.append)
    assert log.interactions.details["title"][7] == "Seven, or so"
    assert "items from `movieId`, title from `title` of" in said[1]
    (tmp_path / "others.csv").write_text("movieId,title\n007,Seven\n")
    with pytest.raises(ValueError, match=r"must name the items of the log.*the_file='007'"):
        load_log(path, title=None, items=tmp_path / "others.csv")
    (tmp_path / "none.csv").write_text("movieId,genres\n7,a\n")
    with pytest.raises(ValueError, match="must have a column of titles"):
        load_log(path, title=None, items=tmp_path / "none.csv")


def test_two_columns_that_may_be_the_time(tmp_path):
    path = text(tmp_path, "user,item,date,timestamp", "1,2,2018-09-20,5")
    with pytest.raises(ValueError, match="One column must be the time") as caught:
        load_interactions(path)
    assert '`time="date"` or `time="timestamp"`' in str(caught.value)
    with at_command_line(), pytest.raises(ValueError) as caught:
        load_interactions(path)
    assert "`--time date` or `--time timestamp`" in str(caught.value)
    assert load_interactions(path, time="timestamp").time.tolist() == [5]
    # A column that is something else is no candidate.
    assert load_interactions(path, item="date").time.tolist() == [5]
    with pytest.raises(ValueError, match=r"must be read as one thing.*column='date'"):
        load_interactions(path, item="date", time="date")


def test_what_is_held_out(tmp_path):
    for flags in (["0", "1"], ["False", "true"], ["0.0", "1.0"]):
        path = text(tmp_path, "user,item,test,date,time", *(f"1,2,{flag},," for flag in flags))
        said = []
        log, is_test = load_log(path, report=said.append)  # the order of a set needs no time
        assert (log.time, is_test.tolist()) == (None, [False, True])
        assert "what is held out from `test`; not read: `date`, `time`" in said[0]
    for bad, message in [("2", "line=2, value='2'"), ("", "missing"), ("no", "value='no'")]:
        with pytest.raises(ValueError, match=message):
            load_log(text(tmp_path, "user,item,test", f"1,2,{bad}"))
    path = text(tmp_path, "user,item,test", "1,2,variant-0")
    with pytest.raises(ValueError, match="Pass `test=None` where that column is something else"):
        load_log(path)
    assert load_log(path, test=None).is_test is None
    for flags in ([0, 1], [False, True], [0.0, 1.0]):
        pd.DataFrame({"user": 1, "item": 2, "test": flags}).to_parquet(tmp_path / "log.parquet")
        np.savez(tmp_path / "log.npz", user=[1, 1], item=[2, 2], test=flags)
        for name in ("log.parquet", "log.npz"):
            assert load_log(tmp_path / name)[1].tolist() == [False, True]
    np.savez(tmp_path / "log.npz", user=[1, 1], item=[2, 2], test=[0, 2])
    with pytest.raises(ValueError, match="must hold 0 or 1"):
        load_log(tmp_path / "log.npz")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines(tmp_path, end):
    lines = ["", "user,title,item", '1,"two', 'lines, ""quoted""",5', "", "2,,6"]
    log = load_interactions(text(tmp_path, *lines, end=end))
    assert (log.user.tolist(), log.item.tolist()) == ([1, 2], [5, 6])
    path = text(tmp_path, *lines, "3,x,y,z", end=end)
    with pytest.raises(ValueError, match=r"line=7, fields=4, names=3"):
        load_interactions(path)
    path.write_bytes(path.read_bytes().replace(b"3,x,y,z", b"3,x"))
    with pytest.raises(ValueError, match=r"line=7, fields=2, names=3"):
        load_interactions(path)
    path.write_bytes(b"\xef\xbb\xbfuser,item" + end.encode() + b"1,2")
    assert load_interactions(path).user.tolist() == [1]


@pytest.mark.parametrize("end", ["", "9"])
def test_a_comma_at_the_end_of_rows_shifts_nothing(tmp_path, end):
    path = text(tmp_path, "user,item,time", f"1,100,7,{end}", f"2,101,8,{end}")
    with pytest.raises(ValueError, match=r"line=2, fields=4, names=3"):
        load_interactions(path)
    path = text(tmp_path, "user,item,time,", f"1,100,7,{end}", f"2,101,8,{end}")
    assert load_interactions(path).item.tolist() == [100, 101]
    path = text(tmp_path, "\tuser\titem", f"{end}\t1\t100", name="log.tsv")  # an index
    assert load_interactions(path).item.tolist() == [100]


def test_files_of_other_kinds(tmp_path):
    for name in ("log.json", "log.csv.bz2", "log.parquet.gz", "log"):
        with pytest.raises(ValueError, match=r"must end in one of \.csv"):
            load_interactions(tmp_path / name)
    for suffix in SUFFIXES:
        with pytest.raises(FileNotFoundError):
            load_interactions(tmp_path / f"log{suffix}")
        (tmp_path / f"folder{suffix}").mkdir()
        with pytest.raises(IsADirectoryError, match="must be a file"):
            load_interactions(tmp_path / f"folder{suffix}")


@pytest.mark.parametrize("suffix", [".csv", ".tsv.gz", ".parquet"])
def test_a_missing_library_names_the_extra(tmp_path, monkeypatch, suffix):
    path = write(tmp_path / f"log{suffix}")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'pip install "memcom_tf\[data\]"'):
        load_interactions(path)


def test_arrays_need_no_library_and_no_log_needs_tensorflow(tmp_path):
    np.savez(tmp_path / "log.npz", user=[1], item=["tea"], time=[3])
    (tmp_path / "log.csv").write_text("user;item\n1;2\n")
    program = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'pandas'): sys.modules[name] = None\n"
        "from memcom_tf.cli.main import main\n"
        "assert main(['train', 'log.csv', '-o', 'm.keras']) == 2\n"
        "sys.modules['pyarrow'] = None\n"
        "from memcom_tf.datasets import load_interactions\n"
        "assert load_interactions('log.npz').time.tolist() == [3]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    assert "separated by commas, and are by semicolons" in done.stderr


def test_a_file_is_opened_for_its_names_and_read_once(tmp_path, monkeypatch):
    from memcom_tf.evaluation import load_split

    path = write(tmp_path / "log.parquet")
    reads = []
    whole = opening.open_columns

    def counted(*arguments):
        file = whole(*arguments)
        read = file.read
        file.read = lambda kinds: (reads.append(dict(kinds)), read(kinds))[1]
        return file

    monkeypatch.setattr("memcom_tf.datasets.logs.open_columns", counted)
    load_split(path, time="when")
    assert reads == [{"user": "label", "item": "label", "when": "time"}]
