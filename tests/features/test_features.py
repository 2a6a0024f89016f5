"""Fields: how values become ids and numbers."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf.datasets import Rows
from memcom_tf.features import Categorical, Features, Numeric, draw_rows, fit_features
from memcom_tf.vocabulary import (
    Dictionary,
    Vocabulary,
    encode_dictionaries,
    encode_dictionary,
    read_dictionaries,
)

ROWS = Rows.of(
    {
        "site": ["a", "b", "a", "", "c", "a"],
        "genres": ["x|y", "", "y", "y | |x", "z|x|y", "x"],
    },
    {"age": [31, None, 18, 44, 44, 20]},
    several={"genres": "|"},
)


def fitted(**options):
    return fit_features(ROWS, **options)


def test_values_are_numbered_by_falling_count_and_rare_ones_share_an_id():
    site, genres = fitted().categorical
    assert list(site.vocabulary) == ["a"]  # b and c occur once
    assert site.ids(["a", "b", "", "never seen"]).ravel().tolist() == [2, 1, 0, 1]
    assert list(genres.vocabulary) == ["x", "y"]
    assert genres.length == 3
    assert genres.ids(["y|x", "", " z|| y ", "x|x|x|x"]).tolist() == [
        [3, 2, 0],
        [0, 0, 0],
        [1, 3, 0],
        [2, 2, 2],
    ]


def test_where_every_value_is_rare_one_is_kept():
    found = fit_features(Rows.of({"site": ["a", "b", "c"]}), min_count=5)
    assert found.tables == {"site": 3}


def test_a_field_that_is_always_missing_can_be_fitted():
    rows = Rows.of({"site": ["", ""]}, {"age": [None, None]})
    inputs = fit_features(rows).encode(rows)
    assert inputs["ids"].tolist() == [[0], [0]]
    assert np.isnan(inputs["numbers"]).all()


def test_fields_that_share_a_table_share_their_values():
    rows = Rows.of({"home": ["a", "b", "a"], "away": ["b", "c", "b"]})
    found = fit_features(rows, min_count=1, shared={"team": ["home", "away"]})
    assert found.tables == {"team": 5}
    inputs = found.encode(rows)["ids"]
    assert inputs[0, 1] == inputs[1, 0]  # b


def test_several_values_come_last_whatever_the_order():
    rows = Rows.of({"g": ["x|y", "y"], "site": ["a", "a"]}, several={"g": "|"})
    found = fit_features(rows, min_count=1)
    assert [of.name for of in found.categorical] == ["site", "g"]
    assert found.encode(rows)["ids"].tolist() == [[2, 3, 2], [2, 2, 0]]


@pytest.mark.parametrize("as_rows", [True, False])
def test_a_field_that_is_not_there_is_missing(as_rows):
    columns = {"site": ["a"], "beside": [1]}
    given = Rows.of({"site": ["a"], "beside": ["1"]}) if as_rows else columns
    inputs = fitted().encode(given)
    assert inputs["ids"].tolist() == [[2, 0, 0, 0]]
    assert np.isnan(inputs["numbers"]).all()


def test_a_dictionary_of_a_file_gives_the_same_ids():
    found = fitted(min_count=1)
    read = read_dictionaries(encode_dictionaries([*found.vocabularies.values()]))
    of_file = found.with_vocabularies(dict(zip(found.tables, read, strict=True)))
    values = {"site": ["a", "c", "new", None], "genres": ["z|new", "", "x", "y|x"]}
    np.testing.assert_array_equal(of_file.encode(values)["ids"], found.encode(values)["ids"])


def test_it_goes_through_its_config():
    found = fitted()
    again = Features.from_config(found.to_config())
    assert again == found
    assert again.vocabularies == {}
    with pytest.raises(ValueError, match="must have a vocabulary"):
        again.encode(ROWS)


@pytest.mark.parametrize(
    ("values", "must"),
    [
        ({"age": ["old"]}, "must hold numbers"),
        ({"age": ["12"]}, "must hold numbers"),
        ({"age": [True]}, "must hold numbers"),
        ({"age": [1e39]}, "must hold finite numbers"),
        ({"age": [float("inf")]}, "must hold finite numbers"),
        ({"age": [1.0], "site": ["a", "b"]}, "of equal lengths"),
        ({"beside": [1]}, "must be columns of the fields"),
    ],
)
def test_what_is_no_row_is_refused(values, must):
    with pytest.raises(ValueError, match=must):
        fitted().encode(values)


def test_fields_must_fit_together():
    with pytest.raises(ValueError, match="of a name of its own"):
        Features([Categorical("a", 3), Categorical("a", 3)])
    with pytest.raises(ValueError, match="one vocabulary"):
        Features([Categorical("a", 3, table="t"), Categorical("b", 4, table="t")])
    with pytest.raises(ValueError, match="shared id"):
        Categorical("a", 3, vocabulary=Vocabulary(["x", "y"]))
    with pytest.raises(ValueError, match="must hold strings"):
        Categorical("a", 4, vocabulary=Vocabulary([5, 6], out_of_vocabulary="share"))
    with pytest.raises(ValueError, match="must not be empty"):
        Categorical("a", 4, separator="")
    with pytest.raises(ValueError, match="must not be empty"):
        Rows.of({"a": ["x"]}, several={"a": ""})
    with pytest.raises(ValueError, match="must rise"):
        Numeric("a", (2.0, 1.0))
    with pytest.raises(ValueError, match="must be categorical"):
        fit_features(ROWS, shared={"t": ["age"]})


def test_skewed_numbers_are_seen_as_logarithms():
    rng = np.random.default_rng(0)
    rows = Rows.of(
        numeric={"plain": rng.normal(size=500), "skewed": np.exp(3 * rng.normal(size=500))}
    )
    plain, skewed = fit_features(rows).numeric
    assert (plain.log, skewed.log) == (False, True)
    assert len(plain.boundaries) == 18
    assert np.float32(plain.boundaries[0]) == plain.boundaries[0]


def test_drawn_rows_are_inputs_of_the_fields():
    found = fitted(min_count=1)
    drawn = draw_rows(found, 2000)
    sizes = [of.input_dim for of in found.categorical for _ in range(of.length)]
    assert drawn["ids"].dtype == np.int32
    assert (drawn["ids"] >= 0).all()
    assert (drawn["ids"] < sizes).all()
    assert {0, 1} <= set(drawn["ids"][:, 0].tolist())
    # Of several values zeros are behind the others.
    behind = drawn["ids"][:, 1:]
    assert ((behind[:, 1:] == 0) | (behind[:, :-1] != 0)).all()
    assert 0 < np.isnan(drawn["numbers"]).mean() < 0.1
    np.testing.assert_array_equal(draw_rows(found, 2000)["ids"], drawn["ids"])


@pytest.mark.parametrize("end", [0, 5, 12, 16, 60, -1])
def test_vocabularies_that_are_cut_off_are_refused(end):
    data = encode_dictionaries([Vocabulary(["tea"]), Vocabulary(["cup", "mug"])])
    with pytest.raises(ValueError, match=r"vocabular|dictionar"):
        read_dictionaries(data[:end])


def test_vocabularies_of_another_format_are_refused():
    data = encode_dictionaries([Vocabulary(["tea"])])
    with pytest.raises(ValueError, match="MFLD"):
        read_dictionaries(b"MVOC" + data[4:])
    with pytest.raises(ValueError, match="format version"):
        read_dictionaries(data[:4] + b"\x02" + data[5:])
    assert isinstance(read_dictionaries(data)[0], Dictionary)
    assert data.endswith(encode_dictionary(Vocabulary(["tea"])))
