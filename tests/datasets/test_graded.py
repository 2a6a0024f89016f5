"""Rows of (user, item, label) as lists."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf import Vocabulary
from memcom_tf.datasets import graded_lists

VOCABULARY = Vocabulary(list("abcd"))


def test_lists_are_of_a_user_each_in_the_order_of_rows():
    lists = graded_lists(
        ["u", "v", "u", "v", "u", "w"], list("abcdba"), [1, 5, 3, 4, 2, 9], VOCABULARY, length=4
    )
    # One list of a single label teaches nothing.
    assert lists.user.tolist() == ["u", "v"]
    assert lists.candidates.tolist() == [[1, 3, 2, 0], [2, 4, 0, 0]]
    assert lists.labels.tolist() == [[1, 3, 2, 0], [5, 4, 0, 0]]
    assert set(lists.target) == {"candidates", "labels"} and len(lists) == 2


def test_of_a_long_list_the_last_rows_are_taken():
    lists = graded_lists([1, 1, 1], list("abc"), [1, 2, 3], VOCABULARY, length=2)
    assert lists.candidates.tolist() == [[2, 3]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([1, 1], ["a"], [1, 2]), "columns of equal length"),
        (([1, 1], ["a", "x"], [1, 2]), "x"),
        (([1, 1], ["a", "b"], [1, np.nan]), "finite numbers"),
        (([1, 1], ["a", "b"], ["1", "2"]), "finite numbers"),
    ],
)
def test_bad_columns_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        graded_lists(*columns, VOCABULARY)
