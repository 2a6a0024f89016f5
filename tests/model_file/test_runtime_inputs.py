"""What callers pass to a file: lists are taken, and what is no input is refused in words."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.model_file.arrays import as_array
from memcom_tf.layers import FullEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker
from tests.damage import Sample, sealed

ITEMS, LENGTH = 40, 3


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    model = NextItemRanker(MEmComEmbedding(ITEMS, 4, num_buckets=10), history_length=LENGTH)
    model.build((None, LENGTH))
    path = tmp_path_factory.mktemp("inputs") / "ranker.tflite"
    convert(model, k=4, verify=False).save(path)
    return path


@pytest.fixture(scope="module")
def file(path):
    return CompressedModelFile(path)


HISTORIES = {
    "floats": [1.7],
    "whole floats": [5.0],
    "no number": [float("nan")],
    "text": "5",
    "texts": ["5", "7"],
    "none": None,
    "a none": [None, 3],
    "one id": 5,
    "booleans": [True, False],
    "rows": [[5, 7]],
    "ragged rows": [[5], [7, 8]],
    "huge": [10**30],
    "outside": [ITEMS],
    "negative": [-1],
    "complex": [1j],
    "dates": np.array(["2020-01-01"], "datetime64[D]"),
    "a dict": {5: 7},
    "bytes": b"57",
}


@pytest.mark.parametrize("case", HISTORIES)
def test_what_is_no_history_is_refused(file, case):
    for call in (file.rank, file.history_row):
        with pytest.raises(ValueError, match=r"(?s)[Ii]ds.* must (be|have).* Received: "):
            call(HISTORIES[case])


@pytest.mark.parametrize(
    "history",
    [[5, 7], (5, 7), np.array([5, 7]), np.array([5, 7], np.uint8), np.array([5, 7], np.uint64)],
)
def test_histories_of_any_integers_are_taken(file, history):
    assert file.history_row(history).tolist() == [[5, 7, 0]]
    assert np.array_equal(file.rank(history)[0], file.rank(np.array([5, 7], np.int32))[0])


def test_an_empty_history_is_one(file):
    assert file.history_row([]).tolist() == [[0, 0, 0]]
    assert len(file.rank([])[0]) == 4


def test_lists_are_taken_for_arrays(file):
    rows = {"history": [[5, 7, 0]], "candidates": [1, 2]}
    arrays = {name: np.array(values, np.int32) for name, values in rows.items()}
    assert np.array_equal(
        file.run("score", **rows)["scores"], file.run("score", **arrays)["scores"]
    )
    assert file.run("embed", ids=[])["vectors"].shape == (0, 4)


RUNS = {
    "another signature": (("rang", {}), "signature must be one of embed, rank, score"),
    "no name": (([], {}), "signature must be one of"),
    "no input": (("rank", {}), "inputs of rank must be history. Received: inputs=\\[\\]"),
    "another input": (("embed", {"id": [1]}), "inputs of embed must be ids"),
    "one too many": (("embed", {"ids": [1], "k": 3}), "inputs of embed must be ids"),
    "a shape": (("rank", {"history": [1, 2, 3]}), r"`history` must have the shape \[1, 3\]"),
    "a size": (("rank", {"history": [[1, 2]]}), r"shape \[1, 3\].* Received: shape=\(1, 2\)"),
    "several rows": (("rank", {"history": [[1, 2, 3]] * 2}), r"must have the shape \[1, 3\]"),
    "a rank": (("embed", {"ids": [[1]]}), r"`ids` must have the shape \[\?\]"),
    "floats": (("embed", {"ids": [1.5]}), "`ids` must be integers of type int32"),
    "texts": (("embed", {"ids": ["a"]}), "`ids` must be integers of type int32"),
    "booleans": (("embed", {"ids": [True]}), "`ids` must be integers of type int32"),
    "a large number": (
        ("embed", {"ids": np.array([3, 2**31])}),
        r"`ids` must be integers that fit int32: -2,147,483,648 to 2,147,483,647. "
        r"Received: ids=\[2147483648\]",
    ),
    "an unsigned one": (("embed", {"ids": np.array([2**63], np.uint64)}), "must be integers that"),
    "a long id": (("embed", {"ids": [10**400]}), "`ids` must be integers of type int32"),
    "none": (("embed", {"ids": None}), "`ids` must be integers of type int32"),
    "outside": (("embed", {"ids": [ITEMS]}), "The runtime must accept the input"),
}


@pytest.mark.parametrize("case", RUNS)
def test_what_is_no_input_is_refused(file, case):
    (signature, inputs), words = RUNS[case]
    with pytest.raises(ValueError, match=f"(?s){words}") as refused:
        file.run(signature, **inputs)
    assert len(str(refused.value)) < 3000


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.int16, np.int32])
def test_ids_are_of_any_type_of_integers(file, dtype):
    history = np.array([3, 5, 8], dtype)
    wanted = file.rank([3, 5, 8], k=2)
    ids, scores = file.rank(history, k=dtype(2), exclude=history[:0], candidates=None)
    assert np.array_equal(ids, wanted[0]) and np.array_equal(scores, wanted[1])
    assert len(file.rank(list(history), exclude=ids, candidates=ids)[0]) == 0
    found = file.run("score", history=history[None], candidates=history)["scores"]
    expected = file.run("score", history=[[3, 5, 8]], candidates=[3, 5, 8])["scores"]
    assert np.array_equal(found, expected)
    with pytest.raises(ValueError, match=r"Ids must be in \[0, .* Received: id=4294967298"):
        file.rank(np.array([2**32 + 2]))


def test_layers_take_ids_of_any_type_of_integers():
    layer = FullEmbedding(50, 4)
    wanted = np.asarray(layer(np.array([3, 8], np.int32)))
    for dtype in (np.int64, np.uint64, np.uint8):
        assert np.array_equal(np.asarray(layer(np.array([3, 8], dtype))), wanted)
    # An id whose last 32 bits are those of a known one is none of these.
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Received: id=4294967298"):
        layer(np.array([2**32 + 2]))


def test_samples_that_do_not_fit_are_refused():
    ids = keras.Input((2,), dtype="int32", name="ids")
    model = keras.Model(ids, FullEmbedding(50, 4)(ids))
    assert convert(model, samples={"ids": np.array([[3, 8]])}).verification.passed
    with pytest.raises(ValueError, match=r"that fit int32: .* Received: ids=\[4294967298\]"):
        convert(model, samples={"ids": np.array([[3, 2**32 + 2]])})


def test_floats_are_taken_as_floats(tmp_path):
    ids = keras.Input((), dtype="int32", name="ids")
    price = keras.Input((1,), name="price")
    vectors = keras.layers.Embedding(300, 8)(ids)
    model = keras.Model([ids, price], keras.layers.Concatenate()([vectors, price]))
    convert(model, verify=False).save(tmp_path / "m.tflite")
    file = CompressedModelFile(tmp_path / "m.tflite")
    for price in ([[2]], [[2.0]], np.array([[2.0]]), np.array([[2]], np.float16)):
        assert file.run("serving_default", ids=[3], price=price)["output_0"][0, -1] == 2
    assert np.isnan(file.run("serving_default", ids=[3], price=[[np.nan]])["output_0"][0, -1])
    with pytest.raises(ValueError, match="`price` must be numbers of type float32"):
        file.run("serving_default", ids=[3], price=[["2"]])


@pytest.mark.parametrize("length", [10**9, 2**62, 4, 0, -1, 3.0, True, "3", None])
def test_another_length_in_the_description_is_refused(path, tmp_path, length):
    sample = Sample(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        description = json.loads(archive.read("memcom.json"))
    description["history_length"] = length
    members = {**sample.members, "memcom.json": json.dumps(description).encode()}
    (tmp_path / "m.tflite").write_bytes(sealed(sample.graph, members))
    with pytest.raises(ValueError, match=r"must be"):
        CompressedModelFile(tmp_path / "m.tflite").rank([5])


@pytest.mark.parametrize("threads", [0, -1, 1.5, None, True, "2"])
def test_threads_are_a_positive_integer(path, threads):
    with pytest.raises(ValueError, match="`num_threads` must be a positive integer"):
        CompressedModelFile(path, num_threads=threads)


def test_arrays_keep_their_bytes():
    values = np.arange(4, dtype=np.int32)
    assert np.shares_memory(as_array("x", values, "int32", (-1,)), values)
    assert as_array("x", values[::2], "int32", (2,)).tolist() == [0, 2]
    assert as_array("x", 3, "int64", ()).shape == ()
