"""Inputs that are drawn: ones that the model takes, of the ids that it takes, and of many kinds."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.converters.inputs import ModelFunction, draw
from memcom_tf.converters.inputs.ranges import find_ranges


def of(function, tables, **specs):
    signature = [tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in specs.items()]
    concrete = tf.function(
        lambda *inputs: {"output": function(*inputs)}, input_signature=signature
    ).get_concrete_function()
    return ModelFunction(concrete, signature, tables)


def looked_up(rows, ids):
    return tf.gather(tf.reshape(tf.range(2.0 * rows), [rows, 2]), ids)


IDS = ([None], tf.int32)
FIELDS = ([None, 3], tf.int32)
SHIFTED = {
    "all": (lambda i: looked_up(50, i), 0, 49),
    "plus one": (lambda i: looked_up(50, i + 1), 0, 48),
    "minus one": (lambda i: looked_up(50, i - 1), 1, 50),
    "half": (lambda i: looked_up(50, i // 2), 0, 99),
    "doubled": (lambda i: looked_up(50, i * 2), 0, 24),
}


@pytest.mark.parametrize("way", SHIFTED)
def test_the_range_of_shifted_ids(way):
    function, low, high = SHIFTED[way]
    ranges = find_ranges(of(function, {"ids": [50]}, ids=IDS))
    assert ranges.low == low
    assert ranges.high["ids"] == high


def test_every_field_of_one_table_has_its_range():
    first = tf.constant([0, 30, 45])
    ranges = find_ranges(of(lambda i: looked_up(50, i + first), {"ids": [50]}, ids=FIELDS))
    assert ranges.high["ids"].tolist() == [49, 19, 4]


def test_of_inputs_that_limit_each_other_rows_are_kept_that_the_model_takes():
    model = of(
        lambda day, hour: looked_up(168, day * 24 + hour),
        {"day": [168], "hour": [168]},
        day=IDS,
        hour=IDS,
    )
    groups = draw(model)
    days, hours = (
        np.concatenate([call[name] for group in groups for call in group.calls])
        for name in ("day", "hour")
    )
    assert (days * 24 + hours < 168).all()
    assert {*days} == set(range(7))
    assert hours.max() > 100  # of the first day


def test_a_length_that_the_model_takes_is_found():
    def convolution(ids):
        vectors = looked_up(50, ids)
        return tf.nn.conv1d(vectors, tf.ones([5, 2, 1]), 1, "VALID")

    model = of(convolution, {"ids": [50]}, ids=([None, None], tf.int32))
    ranges = find_ranges(model)
    assert ranges.lengths[0] == 8
    assert min(ranges.lengths) >= 8
    calls = [call for group in draw(model) for call in group.calls]
    assert len({call["ids"].shape[1] for call in calls}) == 3


@pytest.mark.parametrize("of_nothing", [0.0, np.nan, -np.inf])
def test_lengths_at_which_nothing_follows_from_ids_are_left_out(of_nothing):
    """As of a convolution over less than its kernel, of which processors make what they will."""

    def convolution(ids):
        vectors = looked_up(50, ids)
        found = tf.reduce_max(tf.reduce_sum(vectors, axis=-1), axis=1)
        return tf.where(tf.shape(ids)[1] < 5, of_nothing, found)

    model = of(convolution, {"ids": [50]}, ids=([None, None], tf.int32))
    assert min(find_ranges(model).lengths) == 8
    constant = of(lambda i: tf.zeros(tf.shape(i)[:1]), {"ids": [50]}, ids=([None, None], tf.int32))
    assert min(find_ranges(constant).lengths) == 1


def test_histories_are_empty_full_of_one_id_and_between():
    model = of(lambda i: looked_up(50, i), {"ids": [50]}, ids=([None, 6], tf.int32))
    rows = np.concatenate([call["ids"] for group in draw(model) for call in group.calls])
    known = (rows > 0).sum(axis=1)
    assert {*known} == set(range(7))
    assert any((row == row[0]).all() and row[0] > 1 for row in rows)
    assert {*rows.ravel()} == set(range(50))


def test_two_inputs_of_the_same_ids_are_drawn_apart():
    """In a model of how two items differ, rows of one item twice say nothing."""
    model = of(
        lambda a, b: looked_up(50, a) - looked_up(50, b),
        {"first": [50], "second": [50]},
        first=IDS,
        second=IDS,
    )
    for group in draw(model):
        call = group.calls[0]
        assert (call["first"] != call["second"]).mean() > 0.9
        assert {*call["first"]} == {*call["second"]} == set(range(50))


def test_ids_alone_vary_beside_large_floats():
    model = of(
        lambda i, price: looked_up(50, i) + price,
        {"ids": [50]},
        ids=IDS,
        price=([None, 1], tf.float32),
    )
    beside = [group for group in draw(model) if "beside" in group.name]
    sizes = [np.abs(group.calls[0]["price"]).max() for group in beside]
    assert max(sizes) > 1000
    for group in beside:
        assert len(np.unique(group.calls[0]["price"])) == 1
        assert len(np.unique(group.calls[0]["ids"])) > 10


def test_a_model_that_takes_no_batch_is_called_many_times():
    model = of(lambda i: looked_up(50, i), {"ids": [50]}, ids=([1, 3], tf.int32))
    groups = draw(model)
    assert not groups[0].batched
    assert len(groups[0].calls) > 4


def test_ragged_rows_have_every_length():
    model = of(
        lambda values, splits: looked_up(50, values),
        {"ids": [50]},
        ids=IDS,
        ids_row_splits=([None], tf.int32),
    )
    lengths = [
        length
        for group in draw(model)
        for call in group.calls
        for length in np.diff(call["ids_row_splits"])
    ]
    assert 0 in lengths
    assert max(lengths) > 1


def test_a_model_that_takes_nothing_is_said_so():
    def never(ids):
        with tf.control_dependencies([tf.debugging.assert_less(ids, -1)]):
            return tf.identity(ids)

    with pytest.raises(ValueError, match=r"must accept some input.*Received: inputs=\['ids'\]"):
        draw(of(never, {"ids": [50]}, ids=IDS))
