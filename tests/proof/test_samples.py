"""Samples in every form that people have them in, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.converters.inputs import ModelFunction, samples_of

ROWS = {
    "history": np.arange(12, dtype=np.int32).reshape(4, 3),
    "price": np.array([[1.5], [2.5], [3.5], [4.5]], np.float32),
}


def function_of(specs, tables=None):
    signature = [tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in specs.items()]

    def compute(*inputs):
        with tf.control_dependencies([tf.debugging.assert_less(inputs[0], 100)]):
            return {"output": tf.identity(inputs[0])}

    concrete = tf.function(compute, input_signature=signature).get_concrete_function()
    return ModelFunction(concrete, signature, tables or {})


TWO = {"history": ([None, 3], tf.int32), "price": ([None, 1], tf.float32)}


def written(folder, suffix):
    path = folder / f"samples{suffix}"
    if suffix == ".npz":
        np.savez(path, **ROWS, label=np.zeros(4))
    elif suffix == ".csv":
        lines = [
            f"{' '.join(map(str, history))},{price[0]}"
            for history, price in zip(ROWS["history"], ROWS["price"], strict=True)
        ]
        path.write_text("\n".join(["history,price", *lines]) + "\n")
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        columns = {"history": ROWS["history"].tolist(), "price": ROWS["price"][:, 0]}
        parquet.write_table(pyarrow.table(columns), path)
    return path


FORMS = {
    "dict": lambda folder: ROWS,
    "more than it takes": lambda folder: {**ROWS, "label": np.zeros(4)},
    "list": lambda folder: [ROWS["history"], ROWS["price"]],
    "tensors": lambda folder: tuple(map(tf.constant, ROWS.values())),
    "dataset": lambda folder: tf.data.Dataset.from_tensor_slices(ROWS).batch(4),
    "inputs and labels": lambda folder: tf.data.Dataset.from_tensor_slices(
        (ROWS, np.zeros(4))
    ).batch(4),
    "wider integers": lambda folder: {**ROWS, "history": ROWS["history"].astype(np.int64)},
    **{
        suffix: lambda folder, s=suffix: written(folder, s)
        for suffix in (".npz", ".csv", ".parquet")
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_samples_are_taken(form, tmp_path):
    (group,) = samples_of(FORMS[form](tmp_path), function_of(TWO))
    (call,) = group.calls
    assert group.name == "samples"
    for name, values in ROWS.items():
        np.testing.assert_array_equal(call[name], values)
        assert call[name].dtype == values.dtype


def test_one_input_is_an_array():
    one = function_of({"history": ([None, 3], tf.int32)})
    for samples in (ROWS["history"], ROWS["history"].tolist()):
        (group,) = samples_of(samples, one)
        np.testing.assert_array_equal(group.calls[0]["history"], ROWS["history"])


def test_ragged_rows():
    ragged = function_of({"ids": ([None], tf.int32), "ids_row_splits": ([None], tf.int32)})
    for samples in ([[1, 2], [], [3]], tf.ragged.constant([[1, 2], [], [3]])):
        (group,) = samples_of({"ids": samples}, ragged)
        assert group.calls[0]["ids"].tolist() == [1, 2, 3]
        assert group.calls[0]["ids_row_splits"].tolist() == [0, 2, 2, 3]


def test_of_many_rows_some_are_taken_evenly():
    many = np.arange(30_000, dtype=np.int32).reshape(-1, 3) % 100
    one = function_of({"history": ([None, 3], tf.int32)})
    groups = samples_of(many, one)
    assert sum(len(group.calls[0]["history"]) for group in groups) == 512
    assert max(len(group.calls[0]["history"]) for group in groups) == 64
    np.testing.assert_array_equal(groups[0].calls[0]["history"][0], many[0])
    np.testing.assert_array_equal(groups[-1].calls[0]["history"][-1], many[-1])


def test_rows_that_the_model_refuses_are_left_out():
    one = function_of({"history": ([None, 3], tf.int32)})
    (group,) = samples_of(np.array([[1, 2, 3], [1, 2, 300], [4, 5, 6]]), one)
    assert group.calls[0]["history"].tolist() == [[1, 2, 3], [4, 5, 6]]


REFUSED = {
    "another name": ({"histories": ROWS["history"], "price": ROWS["price"]}, "history, price"),
    "one of two": ([ROWS["history"]], "must have the inputs of the model"),
    "another shape": ({**ROWS, "history": ROWS["history"][:, :2]}, r"`history` must be int32"),
    "text": ({**ROWS, "history": np.full((4, 3), "a")}, r"`history` must be int32"),
    "fractions": ({**ROWS, "history": ROWS["history"] + 0.5}, r"`history` must be int32"),
    "too large": ({**ROWS, "history": np.full((4, 3), 2**40)}, "must be integers that fit int32"),
    "fewer rows of one": ({**ROWS, "price": ROWS["price"][:2]}, "as many rows"),
    "no row": ({name: values[:0] for name, values in ROWS.items()}, "at least one"),
    "none accepted": ({**ROWS, "history": np.full((4, 3), 100)}, "must accept the samples"),
    "empty dataset": (tf.data.Dataset.from_tensor_slices(ROWS).take(0), "must have a batch"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_model_does_not_take_is_said(case):
    samples, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        samples_of(samples, function_of(TWO))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("samples.npz", b"PK\3\4 no zip"),
        ("samples.parquet", b"PAR1"),
        ("samples.csv", b"history,price\n1 a 3,2\n"),
        ("samples.txt", b""),
        ("other.csv", b"history\n1 2 3\n"),
    ],
)
def test_files_that_cannot_be_read_are_said(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"must .*Received: .*path="):
        samples_of(path, function_of(TWO))


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="must exist"):
        samples_of(tmp_path / "none.npz", function_of(TWO))
