"""Vocabularies in bytes: what converters/VOCABULARY_FORMAT.md promises, here as in the apps."""

from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memcom_tf.vocabulary import Dictionary, Vocabulary, encode_dictionary
from memcom_tf.vocabulary.packed import PackedInts, bytes_of, number, pack, read_number, width_of
from memcom_tf.vocabulary.texts import BLOCK, SortedTexts, encode_texts

ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / "tests/golden/vocabularies.json").read_text())
CASES = {case["name"]: case for case in GOLDEN["vocabularies"]}
DAMAGED = {case["name"]: bytes.fromhex(case["hex"]) for case in GOLDEN["damaged"]}
BROKEN = r"The dictionary must .* Received: "


def vocabulary_of(case) -> Vocabulary:
    details = {
        name: dict(zip(case["items"], column, strict=True))
        for name, column in case["details"].items()
    }
    names = ("items", "counts", "order", "num_buckets", "out_of_vocabulary")
    arguments = {name: case[name] for name in names}
    return Vocabulary(**arguments, num_dedicated=case["num_unshared"], details=details)


def same_lookups(dictionary: Dictionary, vocabulary: Vocabulary, ids=None) -> None:
    assert len(dictionary) == len(vocabulary)
    assert dictionary.details == vocabulary.details
    assert dictionary.fingerprint == vocabulary.fingerprint
    for name in ("first_id", "input_dim"):
        assert getattr(dictionary, name) == getattr(vocabulary, name)
    np.testing.assert_array_equal(dictionary.free_ids, vocabulary.free_ids)
    for id_ in range(vocabulary.input_dim) if ids is None else ids:
        item = vocabulary.items(id_).item()
        assert dictionary.item(id_) == item
        assert item is None or dictionary.id(item) == id_
        for name in vocabulary.details:
            assert dictionary.detail(name, id_) == vocabulary.detail(name, id_).item()


# Golden vectors: the tests of the apps read the same.


@pytest.mark.parametrize("name", CASES)
def test_the_bytes_are_those_of_the_golden_vectors(name):
    case = CASES[name]
    vocabulary, content = vocabulary_of(case), bytes.fromhex(case["hex"])
    assert encode_dictionary(vocabulary).hex() == case["hex"]
    dictionary = Dictionary(content)
    assert dictionary.vocabulary() == vocabulary
    assert (dictionary.fingerprint, dictionary.first_id) == (case["fingerprint"], case["first_id"])
    same_lookups(dictionary, vocabulary)
    kind = type(next(iter(vocabulary)))
    for text in case["unknown"]:
        assert kind is int or dictionary.id(text) is None
        assert dictionary._items.texts.find(text.encode()) is None


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_is_refused(name):
    with pytest.raises(ValueError, match=r"The dictionary must be intact. Received: damage="):
        Dictionary(DAMAGED[name]).vocabulary()


def test_the_format_page_shows_the_golden_vector():
    page = (ROOT / "converters/VOCABULARY_FORMAT.md").read_text()
    rows = re.findall(r"^(\d+) +\| ((?:[0-9a-f]{2} )+) *\|", page, re.MULTILINE)
    shown = [bytes.fromhex(row) for _, row in rows]
    starts = [int(start) for start, _ in rows]
    assert starts == [sum(map(len, shown[:place])) for place in range(len(rows))]
    assert b"".join(shown).hex() == CASES["strings"]["hex"]


# Round trips.

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAMES = st.lists(TEXTS, min_size=1, max_size=60, unique=True)
NUMBERS = st.lists(st.integers(-(10**30), 10**30), min_size=1, max_size=60, unique=True)


@st.composite
def vocabularies(draw) -> Vocabulary:
    items = draw(NAMES | NUMBERS)
    details = draw(st.dictionaries(TEXTS, st.dictionaries(st.sampled_from(items), TEXTS)))
    policy = draw(st.sampled_from(["error", "drop", "share"]))
    if not draw(st.booleans()):
        counts = draw(st.none() | st.lists(st.integers(0, 2**63 - 1), min_size=60, max_size=60))
        counts = counts and counts[: len(items)]
        return Vocabulary(items, counts=counts, details=details, out_of_vocabulary=policy)
    slots = list(items)
    for place in draw(st.lists(st.integers(0, len(items)), max_size=9)):
        slots.insert(place, None)
    return Vocabulary(
        slots,
        order="similarity",
        num_buckets=draw(st.integers(1, 2**32 - 1)),
        num_dedicated=draw(st.integers(0, 99)),
        details=details,
        out_of_vocabulary=policy,
    )


@given(vocabularies())
@settings(max_examples=300, deadline=None)
def test_a_round_trip_changes_nothing(vocabulary):
    content = encode_dictionary(vocabulary)
    dictionary = Dictionary(content)
    again = dictionary.vocabulary()
    assert again == vocabulary
    assert again.fingerprint == vocabulary.fingerprint
    assert encode_dictionary(again) == content
    same_lookups(dictionary, vocabulary)


@given(st.lists(TEXTS, min_size=1, unique=True), st.lists(TEXTS))
@settings(max_examples=200, deadline=None)
def test_only_what_is_there_is_found(items, asked):
    dictionary = Dictionary(encode_dictionary(Vocabulary(items)))
    for text in [*asked, *(item[:-1] for item in items), *(item + "a" for item in items)]:
        assert dictionary.id(text) == (items.index(text) + 1 if text in items else None)


def test_items_of_another_kind_are_not_there():
    numbers = Dictionary(encode_dictionary(Vocabulary([1, 0])))
    assert [numbers.id(item) for item in (1, "1", True, 1.0, np.int32(1))] == [
        1,
        None,
        None,
        None,
        1,
    ]
    names = Dictionary(encode_dictionary(Vocabulary(["1"])))
    assert [names.id(item) for item in ("1", 1, "\ud800")] == [1, None, None]


def test_two_texts_are_never_the_same_item():
    with pytest.raises(ValueError, match="`items` must be distinct"):
        encode_dictionary(Vocabulary(["tea", "tea"]))
    # "é" as one character and as two is two items, to Python as to a file.
    both = Vocabulary(["\u00e9", "e\u0301"])
    assert Dictionary(encode_dictionary(both)).vocabulary() == both


def test_an_equal_dictionary_has_the_same_bytes():
    content = encode_dictionary(Vocabulary(["tea"]))
    assert Dictionary(content) == Dictionary(memoryview(content))
    assert hash(Dictionary(content)) == hash(Dictionary(content))
    assert Dictionary(content) != Dictionary(encode_dictionary(Vocabulary(["milk"])))
    assert Dictionary(content) != "tea"


@pytest.mark.parametrize(
    "vocabulary",
    [
        Vocabulary(["\ud800"]),
        Vocabulary(["a"], details={"title": {"a": "\udfff"}}),
        Vocabulary(["a"], details={"\udfff": {}}),
    ],
)
def test_what_is_no_unicode_text_is_refused(vocabulary):
    with pytest.raises(ValueError, match=r"must be Unicode text. Received: text=.* Remove lone"):
        encode_dictionary(vocabulary)


def test_numbers_beyond_the_format_are_refused():
    vocabulary = Vocabulary(["a"], order="similarity", num_buckets=2**32)
    with pytest.raises(ValueError, match=r"`num_buckets` must be below 2\*\*32 .*=4294967296"):
        encode_dictionary(vocabulary)


def test_what_is_asked_for_must_exist():
    dictionary = Dictionary(encode_dictionary(Vocabulary(["tea"], details={"title": {}})))
    for bad in (-1, 2):
        with pytest.raises(
            ValueError, match=rf"in \[0, input_dim\) = \[0, 2\). Received: id={bad}"
        ):
            dictionary.item(bad)
        with pytest.raises(ValueError, match=rf"Received: id={bad}"):
            dictionary.detail("title", bad)
    with pytest.raises(ValueError, match=r"one of the vocabulary's. Received: detail='year'"):
        dictionary.detail("year", 1)


# Hostile bytes.


def use(content: bytes) -> None:
    """All that can be asked of a dictionary, each in turn."""
    dictionary = Dictionary(content)
    asked = [
        lambda: dictionary.vocabulary(),
        lambda: dictionary.free_ids,
        lambda: dictionary.id("tea"),
        lambda: dictionary.id(7),
        *(
            lambda id_=id_: dictionary.item(id_)
            for id_ in {0, 1, 2, dictionary.input_dim // 2, dictionary.input_dim - 1}
            if id_ < dictionary.input_dim
        ),
        *(
            lambda name=name: dictionary.detail(name, dictionary.first_id)
            for name in dictionary.details
        ),
    ]
    for ask in asked:
        try:
            ask()
        except ValueError as error:
            assert re.match(BROKEN, str(error)), error


def assert_clear(content: bytes) -> None:
    try:
        use(content)
    except ValueError as error:
        assert re.match(BROKEN, str(error)), error


CONTENTS = st.sampled_from([bytes.fromhex(case["hex"]) for case in CASES.values()])


@given(CONTENTS, st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1))
@settings(max_examples=1500, deadline=None)
def test_changed_bytes_give_a_clear_error_or_a_vocabulary(content, changes):
    changed = bytearray(content)
    for place, byte in changes:
        changed[place % len(content)] = byte
    assert_clear(bytes(changed))


@given(CONTENTS, st.data())
@settings(max_examples=300, deadline=None)
def test_missing_and_foreign_bytes_give_a_clear_error(content, data):
    cut = data.draw(st.integers(0, len(content)))
    assert_clear(content[:cut] + data.draw(st.binary(max_size=60)))


def test_every_single_changed_bit_that_matters_is_noticed():
    """But for a byte kept for later, bits that fill a byte, and details of free ids."""
    content = bytes.fromhex(CASES["holes"]["hex"])
    expected = vocabulary_of(CASES["holes"])
    unnoticed = set()
    for place in range(8 * len(content)):
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        try:
            if Dictionary(bytes(changed)).vocabulary() == expected:
                unnoticed.add(place // 8)
        except ValueError as error:
            assert re.match(BROKEN, str(error)), error
    assert unnoticed == {43, 88, 96, 102, 110, 111, 113}


def test_another_fingerprint_or_version_is_refused():
    content = bytearray(bytes.fromhex(CASES["strings"]["hex"]))
    content[8] ^= 1
    with pytest.raises(ValueError, match="the fingerprint is not that of the items"):
        Dictionary(bytes(content)).vocabulary()
    content[4] = 2
    with pytest.raises(ValueError, match=r"format version 1. Received: format_version=2. Update"):
        Dictionary(bytes(content))


def test_a_promise_of_much_takes_no_memory():
    hostile = [content for name, content in DAMAGED.items() if name.startswith("more ")]
    assert len(hostile) == 3
    tracemalloc.start()
    for content in hostile:
        with pytest.raises(ValueError, match="must be intact"):
            Dictionary(content).vocabulary()
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


# Large ones.


@pytest.mark.long
def test_many_items_are_found_without_reading_them_all():
    size = 200_000
    items = [f"item {(place * 7919) % size:x}" for place in range(size)]
    titles = {item: f"Title {place}" for place, item in enumerate(items)}
    vocabulary = Vocabulary(items, details={"title": titles})
    content = encode_dictionary(vocabulary)
    assert len(content) < len(vocabulary.to_json()) / 2
    tracemalloc.start()
    dictionary = Dictionary(content)
    same_lookups(dictionary, vocabulary, np.random.default_rng(0).integers(0, size, 200))
    assert dictionary.id("item") is None
    del dictionary.free_ids  # the one thing that looks at every place
    assert tracemalloc.get_traced_memory()[0] < 200_000
    tracemalloc.stop()
    assert Dictionary(content).vocabulary() == vocabulary


# The parts.


@given(st.lists(st.integers(0, 2**32 - 1), max_size=50))
def test_packed_integers(values):
    largest = max(values, default=0)
    width = width_of(largest)
    data = pack(values, width)
    assert len(data) == bytes_of(len(values), width)
    numbers = PackedInts(memoryview(data), len(values), width, largest + 1)
    assert [numbers[place] for place in range(len(values))] == numbers.array().tolist() == values


@given(st.integers(0, 2**63 - 1))
def test_numbers(value):
    data = number(value)
    assert read_number(b"\xff" + data + b"\x05", 1, len(data) + 2) == (value, len(data) + 1)
    with pytest.raises(ValueError, match="a number has no end"):
        read_number(data, 0, len(data) - 1)


@given(st.lists(st.binary(max_size=300), unique=True, max_size=100))
def test_sorted_texts(texts):
    texts = sorted(texts)
    starts, blocks = encode_texts(texts)
    stored = SortedTexts(len(texts), memoryview(starts), memoryview(blocks))
    assert stored.all() == texts
    for rank, text in enumerate(texts):
        assert stored[rank] == text
        assert stored.find(text) == rank
    assert stored.find(b"\xff" * 301) is None
    assert len(blocks) <= sum(map(len, texts)) + 3 * len(texts)
    assert BLOCK == 16
