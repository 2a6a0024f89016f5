"""Texts to words, by the rule that readers of files follow, and fields of texts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from memcom_tf.features import Categorical, Features, draw_rows, fit_text, words_of
from memcom_tf.features.tokens import _pattern
from memcom_tf.vocabulary import SHARED_ID, Vocabulary, encode_dictionary
from memcom_tf.vocabulary.dictionary import Dictionary

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/words.json").read_text("utf-8"))
CASES = {case["name"]: case for case in GOLDEN["cases"]}


@pytest.mark.parametrize("name", CASES)
def test_words_are_what_the_golden_cases_say(name):
    assert words_of(CASES[name]["text"]) == CASES[name]["words"]


def test_ascii_is_cut_by_the_same_rule():
    text = "".join(map(chr, range(128))) + "aB3_c"
    by_rule = [spaced for spaced, _ in _pattern().findall(text.lower())]
    assert words_of(text) == by_rule


def test_a_field_knows_the_words_of_training():
    features = fit_text(["b a b", "b c", "a, d"], name="body", max_words=2)
    (field,) = features.categorical
    assert list(field.vocabulary) == ["b", "a"]
    assert (field.name, field.length, field.input_dim) == ("body", 2, 4)
    ids = features.encode({"body": ["A b c", "zzz b", None, ""]})["ids"]
    assert ids.tolist() == [[3, 2], [SHARED_ID, 2], [0, 0], [0, 0]]


def test_short_texts_need_few_columns():
    assert fit_text(["a b", "a"]).slots == 2


def test_where_no_word_recurs_the_first_is_kept():
    assert list(fit_text(["tea milk"]).vocabularies["text"]) == ["milk"]


def test_texts_without_words_are_refused():
    with pytest.raises(ValueError, match="There must be words in the texts"):
        fit_text(["", "!?"])


def test_a_tokenizer_is_one_that_there_is():
    with pytest.raises(ValueError, match="`tokenizer` must be 'words'"):
        Categorical("text", 5, 3, tokenizer="bpe")
    with pytest.raises(ValueError, match="without a separator"):
        Categorical("text", 5, 3, "|", tokenizer="words")


def test_the_dictionary_of_a_file_gives_the_same_ids():
    features = fit_text(["tea milk", "tea 東京 milk 東京"])
    (field,) = features.categorical
    in_file = Dictionary(encode_dictionary(field.vocabulary))
    other = features.with_vocabularies({"text": in_file})
    texts = {"text": ["Milk? 東京 rice", "tea"]}
    np.testing.assert_array_equal(other.encode(texts)["ids"], features.encode(texts)["ids"])


def test_the_field_is_kept_by_its_config():
    features = fit_text(["tea milk tea"])
    again = Features.from_config(json.loads(json.dumps(features.to_config())))
    assert again == features
    # A field of an earlier version says nothing of tokenizers.
    config = features.to_config()
    del config["categorical"][0]["tokenizer"]
    assert Features.from_config(config).categorical[0].tokenizer is None


def test_documents_are_drawn_of_any_length():
    vocabulary = Vocabulary(["a", "b"], out_of_vocabulary="share")
    field = Categorical("text", 4, 6, vocabulary=vocabulary, tokenizer="words")
    lengths = (draw_rows(Features([field]), 200)["ids"] > 0).sum(axis=1)
    assert set(lengths) == set(range(7))
