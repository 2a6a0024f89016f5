"""Vocabulary: items to ids and back, and every way it can be told something wrong."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memcom_tf.vocabulary import PADDING_ID, SHARED_ID, Vocabulary

TITLES = {50: "Star Wars (1977)", 7: "Twelve Monkeys (1995)", 181: "Return of the Jedi (1983)"}
items_of_one_kind = st.one_of(
    st.lists(st.integers(-(2**80), 2**80), min_size=1, unique=True),
    st.lists(st.text(), min_size=1, unique=True),
)


@given(
    items=items_of_one_kind,
    policy=st.sampled_from(["error", "drop", "share"]),
    texts=st.lists(st.text(), min_size=1),
    counted=st.booleans(),
)
def test_round_trips(items, policy, texts, counted):
    details = {"title": dict(zip(items, texts, strict=False))}
    counts = range(len(items)) if counted else None
    vocabulary = Vocabulary(items, counts=counts, out_of_vocabulary=policy, details=details)
    ids = vocabulary.ids(items)
    assert ids.tolist() == list(range(vocabulary.first_id, vocabulary.input_dim))
    assert vocabulary.items(ids).tolist() == items
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary
    assert hash(again) == hash(vocabulary)
    assert again.fingerprint == vocabulary.fingerprint
    assert again.detail("title", ids).tolist() == vocabulary.detail("title", ids).tolist()


@pytest.mark.parametrize("items", [[2**31, -(2**40), 2**63, 5], ["Amélie", "千と千尋", "🎬", ""]])
def test_saves_large_integers_and_unicode(tmp_path, items):
    vocabulary = Vocabulary(items, out_of_vocabulary="share")
    path = tmp_path / "vocabulary.json"
    vocabulary.save(path)
    loaded = Vocabulary.load(path)
    assert loaded == vocabulary
    assert list(loaded) == items
    assert [file.name for file in tmp_path.iterdir()] == ["vocabulary.json"]


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "vocabulary.json"
    Vocabulary(["old"]).save(path)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        Vocabulary(["new"]).save(path)
    assert list(Vocabulary.load(path)) == ["old"]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "values",
    [
        7,
        np.int64(7),
        [7, 50],
        (7, 50),
        [[7, 50], [50, 7]],
        np.array([[7], [50]], np.uint8),
        pd.Series([50, 7, 7], index=[9, 8, 7]),
        pd.Series([50, 7], dtype="Int64"),
        [],
        np.array([]),
    ],
)
def test_ids_have_the_shape_of_the_input(values):
    vocabulary = Vocabulary([50, 7])
    ids = vocabulary.ids(values)
    expected = np.asarray(values)
    assert ids.shape == expected.shape
    assert ids.dtype == np.int32
    assert np.array_equal(vocabulary.items(ids).astype(int), expected)


@pytest.mark.parametrize(
    "values",
    [np.array(["a", "b"]), pd.Series(["a", "b"]), pd.Series(["a", "b"], dtype=object), ("a", "b")],
)
def test_ids_of_strings(values):
    assert Vocabulary(["b", "a"]).ids(values).tolist() == [2, 1]


def test_policies_for_unknown_items():
    drop = Vocabulary(["a", "b"], out_of_vocabulary="drop")
    share = Vocabulary(["a", "b"], out_of_vocabulary="share")
    assert (drop.first_id, drop.input_dim, len(drop)) == (1, 3, 2)
    assert (share.first_id, share.input_dim, len(share)) == (2, 4, 2)
    assert drop.ids(["x", "b"]).tolist() == [PADDING_ID, 2]
    assert share.ids(["x", "b"]).tolist() == [SHARED_ID, 3]
    assert share.items([0, 1, 2]).tolist() == [None, None, "a"]
    with pytest.raises(ValueError, match=r"nearest to 'Star Wras': 'Star Wars'"):
        Vocabulary(["Star Wars", "Fargo"]).ids(["Fargo", "Star Wras"])
    with pytest.raises(ValueError, match=r"Received: unknown=\[3, 4, 5\], how_many=4\. Correct"):
        Vocabulary([1, 2]).ids([1, 3, 4, 3, 5, 6])


def test_contains_only_its_kind():
    vocabulary = Vocabulary([1, 2])
    assert 1 in vocabulary
    assert np.int32(2) in vocabulary
    assert True not in vocabulary
    assert 1.0 not in vocabulary
    assert "1" not in vocabulary


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([True, False], "must be strings or integers"),
        (np.array([True]), "must be strings or integers"),
        ([1.0], "must be strings or integers"),
        (np.array([1.5]), "must be strings or integers"),
        ([b"a"], "must be strings or integers"),
        ([1, "a"], "must be of one kind"),
        ([1, True], r"position=1, value=True"),
        (["a", None], "missing values. Received: position=1, value=None"),
        (["a", float("nan")], "missing values. Received: position=1"),
        (pd.Series([1, None, 2]), "missing values. Received: position=1, value=nan"),
        (pd.Series([1, None], dtype="Int64"), "missing values. Received: position=1"),
        (pd.Series(["a", None]), "missing values. Received: position=1"),
        ([[1], [2, 3]], "nested lists of equal length"),
        ([[1, 2], [2, 3]], "must have one dimension"),
        ("abc", "must have one dimension"),
    ],
)
def test_refuses_what_is_no_column_of_items(values, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(values)
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_column(values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"items": []}, "must not be empty"),
        ({"items": ["a", "b", "a"]}, r"must be distinct. Received: repeated=\['a'\]"),
        ({"items": ["a"], "order": "similar"}, r"`order` must be known. Received: order='similar'"),
        ({"items": ["a"], "out_of_vocabulary": "x"}, "`out_of_vocabulary` must be known"),
        ({"items": ["a"], "counts": [1, 2]}, "aligned"),
        ({"items": ["a"], "counts": [-1]}, "non-negative"),
        ({"items": ["a"], "counts": [1.0]}, "non-negative integers"),
        ({"items": ["a"], "counts": [2**63]}, "non-negative integers"),
        ({"items": "ab", "counts": [1, 2]}, "one dimension"),
        ({"items": ["a", "b"], "counts": [1, 2], "order": "frequency"}, "must not rise"),
        ({"items": ["a"], "details": {"title": {"a": 3}}}, "must be strings"),
    ],
)
def test_refuses_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(**arguments)


def test_from_counts_orders_by_falling_count_then_value():
    counts = {"b": 2, "c": 5, "a": 2, "d": 0}
    assert list(Vocabulary.from_counts(counts)) == ["c", "a", "b", "d"]
    assert list(Vocabulary.from_counts(dict(reversed(counts.items())))) == ["c", "a", "b", "d"]
    assert list(Vocabulary.from_counts(counts, order="given")) == ["b", "c", "a", "d"]
    assert list(Vocabulary.from_counts(counts, order="given", max_size=2)) == ["c", "a"]
    assert list(Vocabulary.from_counts(counts, min_count=2)) == ["c", "a", "b"]
    assert Vocabulary.from_counts(counts).counts.tolist() == [5, 2, 2, 0]
    assert Vocabulary.from_counts(counts).order == "frequency"
    with pytest.raises(ValueError, match="occurred 5 times"):
        Vocabulary.from_counts(counts, min_count=6)
    with pytest.raises(ValueError, match="`max_size` must be positive"):
        Vocabulary.from_counts(counts, max_size=0)
    with pytest.raises(ValueError, match="must not be empty"):
        Vocabulary.from_counts({})


def test_from_column_takes_any_iterable_and_a_catalogue():
    column = [9, 7, 9]
    expected = Vocabulary([9, 7, 8], counts=[2, 1, 0], order="frequency")
    for values in (column, np.array(column), pd.Series(column), (x for x in column)):
        assert Vocabulary.from_column(values, catalogue=[8, 7]) == expected
    assert list(Vocabulary.from_column(column, catalogue={8}, min_count=1)) == [9, 7]
    assert list(Vocabulary.from_column([3, 1, 1], order="given")) == [3, 1]


def test_pad_keeps_the_most_recent_and_puts_zeros_at_the_end():
    vocabulary = Vocabulary([10, 20, 30], out_of_vocabulary="drop")
    histories = [[10, 20, 30], [30], [], np.array([99, 10, 99]), (20, 99, 10, 99)]
    padded = vocabulary.pad(histories, 2)
    assert padded.tolist() == [[2, 3], [3, 0], [0, 0], [1, 0], [2, 1]]
    assert padded.dtype == np.int32
    assert vocabulary.pad([], 3).shape == (0, 3)
    shared = Vocabulary([10], out_of_vocabulary="share")
    assert shared.pad([[10, 99, 98]], 2).tolist() == [[1, 1]]
    with pytest.raises(ValueError, match=r"`length` must be positive\. Received: length=0"):
        vocabulary.pad(histories, 0)
    with pytest.raises(ValueError, match=r"history must be a list\. Received: history='abc'"):
        Vocabulary(["a"]).pad(["abc"], 2)


@given(st.lists(st.lists(st.integers(1, 9)), max_size=8), st.integers(1, 5))
def test_pad_is_that_of_a_loop(histories, length):
    padded = Vocabulary(range(1, 10)).pad(histories, length)
    for row, history in zip(padded.tolist(), histories, strict=True):
        recent = history[-length:]
        assert row == recent + [0] * (length - len(recent))


def test_items_and_details_of_ids():
    vocabulary = Vocabulary([50, 7, 3], details={"title": TITLES}, out_of_vocabulary="share")
    assert vocabulary.details == ("title",)
    assert vocabulary.items(3).item() == 7
    assert vocabulary.items([]).shape == (0,)
    assert vocabulary.detail("title", [[0, 1], [2, 4]]).tolist() == [["", ""], [TITLES[50], ""]]
    for ids, message in [
        ([5], r"must be in \[0, input_dim\) = \[0, 5\). Received: id=5"),
        ([-1], "Received: id=-1"),
        ([1.0], "must be integers"),
        ([True], "must be integers"),
    ]:
        with pytest.raises(ValueError, match=message):
            vocabulary.items(ids)
    with pytest.raises(ValueError, match=r"detail='genre'. It has \['title'\]"):
        vocabulary.detail("genre", [2])


def test_find():
    double = {1: "Deceiver (1997)", 2: "Deceiver (1997)", 3: "Alien (1979)", 4: "Aliens (1986)"}
    vocabulary = Vocabulary([*TITLES, 1, 2, 3, 4], details={"title": TITLES | double})
    assert vocabulary.find("star wars (1977)") == 1
    assert vocabulary.find(" MONKEYS ") == 2
    short = Vocabulary([3, 4], details={"title": {3: "Alien", 4: "Aliens"}})
    assert short.find("alien") == 1, "the whole title comes before a part of another"
    for text, message in [
        ("alien", r"fits 2 items: 'Alien \(1979\)' \(item 3\); 'Aliens \(1986\)' \(item 4\)"),
        ("Deceiver (1997)", "fits 2 items"),
        ("Star Wrs (1977)", r"Nearest: 'Star Wars \(1977\)'"),
        ("zzzzzz", "Nothing is near"),
        (" ", "must not be empty"),
    ]:
        with pytest.raises(ValueError, match=message):
            vocabulary.find(text)
    with pytest.raises(ValueError, match="must be one of the vocabulary's"):
        vocabulary.find("x", detail="genre")


def test_equality_and_fingerprint():
    base = Vocabulary(["a", "b"])
    for other in (
        Vocabulary(["b", "a"]),
        Vocabulary(["a", "b"], order="frequency"),
        Vocabulary(["a", "b"], out_of_vocabulary="drop"),
    ):
        assert other != base
        assert other.fingerprint != base.fingerprint
    counted = Vocabulary(["a", "b"], counts=[1, 2])
    assert counted != base
    assert counted.fingerprint == base.fingerprint
    assert Vocabulary([1]).fingerprint != Vocabulary(["1"]).fingerprint
    assert base != "a"
    assert len(base.fingerprint) == 64
    assert "2 items, input_dim=3" in repr(base)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "must be a vocabulary of memcom_tf. Received: format='other'"),
        ({"format_version": 2}, "at most 1. Received: format_version=2. A later memcom_tf"),
        ({"format_version": 0}, "damage"),
        ({"format_version": True}, "damage"),
        ({"format_version": None}, "damage"),
        ({"items": ["b", "a"]}, "fingerprint does not fit"),
        ({"items": ["a", "a"]}, "damage.*distinct"),
        ({"items": None}, "damage"),
        ({"items": 3}, "damage"),
        ({"items": [["a", "b"]]}, "damage"),
        ({"counts": [1]}, "damage"),
        ({"counts": 5}, "damage"),
        ({"order": "new"}, "damage"),
        ({"details": {"title": ["only one"]}}, "damage"),
        ({"details": []}, "damage"),
        ({"details": {"title": [1, 2]}}, "damage"),
    ],
)
def test_refuses_damaged_json(tmp_path, change, message):
    content = json.loads(Vocabulary(["a", "b"]).to_json()) | change
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_json(json.dumps(content))
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"vocabulary\.json"):
        Vocabulary.load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "[" * 100000])
def test_refuses_other_text(text):
    with pytest.raises(ValueError, match="vocabulary"):
        Vocabulary.from_json(text)


def test_every_field_is_needed():
    content = json.loads(Vocabulary(["a"]).to_json())
    for name in content:
        less = {key: value for key, value in content.items() if key != name}
        with pytest.raises(ValueError, match="vocabulary"):
            Vocabulary.from_json(json.dumps(less))


def test_load_of_other_files(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="binary"):
        Vocabulary.load(tmp_path / "binary")
    with pytest.raises(FileNotFoundError):
        Vocabulary.load(tmp_path / "none")


def test_wrong_kind_is_an_error_under_every_policy():
    for policy in ("error", "drop", "share"):
        with pytest.raises(ValueError, match="`items` must be int"):
            Vocabulary([1], out_of_vocabulary=policy).ids(["1"])
