"""Texts to hashed character n-grams, by the rule that readers of files follow."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from memcom_tf.features import Categorical, Features, draw_rows, hashed_ngrams, ngrams_of
from memcom_tf.features.tokens import fnv1a
from memcom_tf.vocabulary import Vocabulary

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/ngrams.json").read_text("utf-8"))
CASES = {case["name"]: case for case in GOLDEN["cases"]}
LENGTH = GOLDEN["length"]


@pytest.mark.parametrize("name", CASES)
def test_ngrams_and_ids_are_what_the_golden_cases_say(name):
    text, ngrams, ids = (CASES[name][key] for key in ("text", "ngrams", "ids"))
    assert ngrams_of(text, LENGTH) == ngrams
    features = hashed_ngrams(num_buckets=GOLDEN["num_buckets"], max_ngrams=LENGTH)
    assert features.encode({"text": [text]})["ids"].tolist() == [ids + [0] * (LENGTH - len(ids))]


def test_the_hash_is_the_published_one():
    published = {"": 0x811C9DC5, "a": 0xE40C292C, "foobar": 0xBF9CF968}
    assert {text: fnv1a(text) for text in published} == published
    assert {text: fnv1a(text) for text in GOLDEN["hashes"]} == GOLDEN["hashes"]


@pytest.mark.parametrize(("letters", "count"), [(1, 1), (2, 3), (3, 6), (4, 10), (5, 13), (30, 88)])
def test_a_word_has_so_many_ngrams(letters, count):
    word = "abcdefghijklmnopqrstuvwxyz0123"[:letters]
    found = ngrams_of(word)
    assert len(found) == len(set(found)) == count
    assert f"<{word}>" in found
    assert {len(ngram) for ngram in found} <= {3, 4, 5, letters + 2}


def test_ids_are_those_of_buckets_and_none_is_reserved():
    features = hashed_ngrams(num_buckets=7, max_ngrams=500)
    ids = features.encode({"text": [f"word{n}" for n in range(60)]})["ids"]
    assert set(ids.ravel().tolist()) == {0, *range(2, 9)}


def test_long_texts_are_cut_and_cost_no_more():
    features = hashed_ngrams(max_ngrams=50)
    short, long, word = features.encode(
        {"text": ["green tea " * 9, "green tea " * 10**5, "x" * 10**6]}
    )["ids"]
    np.testing.assert_array_equal(short, long)
    assert (word > 0).all()


def test_unknown_letters_and_halves_of_pairs_are_no_word():
    assert ngrams_of("\ud800tea\udfff") == ngrams_of("tea")


def test_texts_that_are_missing_have_no_ngram():
    ids = hashed_ngrams("title", max_ngrams=9).encode({"title": [None, "", "?!", float("nan")]})[
        "ids"
    ]
    assert not ids.any()
    assert not hashed_ngrams("title", max_ngrams=9).encode({"title": [None]})["ids"].any()


def test_the_field_is_kept_by_its_config():
    features = hashed_ngrams("title", num_buckets=30)
    again = Features.from_config(json.loads(json.dumps(features.to_config())))
    assert again == features
    assert again.with_vocabularies({}) == features
    text = {"title": ["Crème"]}
    np.testing.assert_array_equal(again.encode(text)["ids"], features.encode(text)["ids"])


def test_fields_of_hashes_stand_beside_others():
    sites = Vocabulary(["a"], out_of_vocabulary="share")
    site = Categorical("site", 3, vocabulary=sites)
    features = Features([*hashed_ngrams("title", max_ngrams=3).categorical, site])
    ids = features.encode({"site": ["a"], "title": ["东"]})["ids"]
    assert ids.shape == (1, 4)
    assert ids[0, 0] == 2
    assert features.vocabularies == {"site": sites}


def test_rows_are_drawn_of_any_number_of_ngrams():
    ids = draw_rows(hashed_ngrams(num_buckets=5, max_ngrams=4), 300)["ids"]
    assert set((ids > 0).sum(axis=1)) == set(range(5))
    assert set(ids.ravel().tolist()) <= set(range(7))


@pytest.mark.parametrize(
    ("make", "must"),
    [
        (lambda: hashed_ngrams(num_buckets=0), "`num_buckets` must be"),
        (lambda: hashed_ngrams(max_ngrams=0), "`max_ngrams` must be"),
        (lambda: Categorical("t", 2, 3, tokenizer="ngrams"), "`input_dim` must be at least 3"),
        (lambda: Categorical("t", 9, 3, "|", tokenizer="ngrams"), "without a separator"),
        (
            lambda: Categorical(
                "t",
                3,
                3,
                tokenizer="ngrams",
                vocabulary=Vocabulary(["a"], out_of_vocabulary="share"),
            ),
            "must have no vocabulary",
        ),
        (
            lambda: Features(
                [Categorical("a", 9, table="t"), Categorical("b", 9, 3, None, "t", None, "ngrams")]
            ),
            "Fields of one table",
        ),
    ],
)
def test_what_is_wrong_is_refused(make, must):
    with pytest.raises(ValueError, match=must):
        make()
