"""Rows, and vocabularies of fields: what VOCABULARY_FORMAT.md promises, here as in the apps."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from memcom_tf.converters.model_file.archive import FIELDS, _of_fields
from memcom_tf.converters.model_file.description import FieldDescription
from memcom_tf.features import Categorical, Features, Numeric
from memcom_tf.vocabulary import encode_dictionaries, read_dictionaries

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/fields.json").read_text())
CONTENT = bytes.fromhex(GOLDEN["hex"])
CASES = {case["name"]: case for case in GOLDEN["rows"]}
DAMAGED = {case["name"]: bytes.fromhex(case["hex"]) for case in GOLDEN["damaged"]}
PATH = Path("clicks.tflite")


class Described:
    """As much of a description as says what the fields are."""

    fields = tuple(FieldDescription.from_json(of, PATH) for of in GOLDEN["fields"])


def features() -> Features:
    dictionaries = _of_fields({FIELDS: memoryview(CONTENT)}, Described, PATH)
    return Features(
        [
            Categorical(
                of.name, of.input_dim, of.length, of.separator, of.table, dictionaries[of.table]
            )
            for of in Described.fields
            if of.holds == "categories"
        ],
        [Numeric(of.name) for of in Described.fields if of.holds == "numbers"],
    )


def encoded(row) -> dict:
    found = features()
    return found.encode({name: [row.get(name)] for name in {**dict.fromkeys(found.names), **row}})


def test_the_bytes_are_those_of_the_golden_vectors():
    vocabularies = [dictionary.vocabulary() for dictionary in read_dictionaries(CONTENT)]
    assert encode_dictionaries(vocabularies) == CONTENT


@pytest.mark.parametrize("name", CASES)
def test_rows_become_what_the_golden_vectors_say(name):
    case = CASES[name]
    inputs = encoded(case["row"])
    assert inputs["ids"].tolist() == [case["ids"]]
    numbers = [None if math.isnan(number) else number for number in inputs["numbers"][0].tolist()]
    assert numbers == case["numbers"]


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("row", GOLDEN["refused"], ids=str)
def test_what_is_no_finite_number_is_refused(row):
    with pytest.raises(ValueError, match="must hold"):
        encoded(row)


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_is_refused(name):
    with pytest.raises(ValueError, match="The file must be undamaged"):
        _of_fields({FIELDS: memoryview(DAMAGED[name])}, Described, PATH)
