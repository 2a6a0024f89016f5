"""Files for LiteRT's own operators: the same values as the portable ones, and what they need."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from packaging.version import Version

from memcom_tf._keras import keras
from memcom_tf.converters import convert, verify
from memcom_tf.converters.graph_check.flatbuffer import DamagedError
from memcom_tf.converters.graph_check.graph import read_graph
from memcom_tf.converters.quantization.packing import pack_in_order, unpack_in_order
from memcom_tf.converters.runtime import CompressedModelFile
from memcom_tf.converters.tflite import editing
from memcom_tf.layers import FullEmbedding, LowRankEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker

ITEMS, WIDTH = 300, 12
NEEDS = {"int8": "2.18.0", "int4": "2.18.0", "int2": "2.21.0"}
BITS = {"int8": 8, "int4": 4, "int2": 2}
IDS = np.array([0, 1, 2, ITEMS - 2, ITEMS - 1, 7], np.int32)


def filled(model):
    rng = np.random.default_rng(5)
    for variable in model.trainable_variables:
        spread = rng.lognormal(0, 1, [*variable.shape[:1], *[1] * (len(variable.shape) - 1)])
        variable.assign(rng.normal(0.1, 0.4, variable.shape) * spread)
    return model


def plain(width=WIDTH, dtype="int32", items=ITEMS):
    """Two histories in one table, of which the second is not masked."""
    inputs = [keras.Input((3,), dtype=dtype, name=name) for name in ("first", "second")]
    table = keras.layers.Embedding(items, width, name="items")
    vectors = [table(x) for x in inputs]
    return filled(keras.Model(inputs, {"sum": vectors[0] + vectors[1], "one": vectors[1][:, 0]}))


def ranker(layer):
    model = NextItemRanker(layer, history_length=4)
    model.build((None, 4))
    return filled(model)


def in_both_profiles(model, folder, **arguments):
    files, conversions = [], []
    for profile in ("portable", "litert"):
        conversions.append(convert(model, profile=profile, **arguments))
        assert conversions[-1].verification.passed, conversions[-1].verification
        assert conversions[-1].report["profile"] == profile
        path = folder / f"{profile}.tflite"
        conversions[-1].save(path)
        files.append(CompressedModelFile(path))
    return files, conversions


def operators(conversion):
    """(name of the operator's number, version) of all operators."""
    model = schema.ModelT.InitFromPackedBuf(conversion.content, 0)
    return {(code.builtinCode, code.version) for code in model.operatorCodes}


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("kind", "width"), [("int8", 5), ("int4", WIDTH), ("int4", 7), ("int2", 7)]
)
def test_both_profiles_give_the_same_numbers(kind, width, tmp_path):
    """Also of widths that fill no byte, which kernels would misread."""
    model = plain(width)
    files, conversions = in_both_profiles(model, tmp_path, weights=kind)
    inputs = {"first": IDS.reshape(2, 3), "second": IDS[::-1].reshape(2, 3)}
    ours, theirs = (file.run("serving_default", **inputs) for file in files)
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name])
    lookup = schema.BuiltinOperator.EMBEDDING_LOOKUP
    assert (lookup, 4) in operators(conversions[1])
    assert all(code != lookup for code, _ in operators(conversions[0]))
    needs = [conversion.report["min_runtime_version"] for conversion in conversions]
    assert needs[1] == NEEDS[kind]
    assert Version(needs[0]) <= Version("2.8")
    (table,) = conversions[1].report["embeddings"][0]["tables"]
    assert (table["operator"], table["bits"]) == ("EMBEDDING_LOOKUP", BITS[kind])
    assert table["data_bytes"] == ITEMS * -(-width * BITS[kind] // 8)
    assert verify(model, tmp_path / "litert.tflite").passed


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("full", "int8"),
        ("full", "int2"),
        ("memcom", "int8"),
        ("memcom", "int4"),
        ("low_rank", "int4"),
    ],
)
def test_tables_that_are_scored_too_are_stored_once(name, kind, tmp_path):
    layer = {
        "full": lambda: FullEmbedding(ITEMS, WIDTH),
        "memcom": lambda: MEmComEmbedding(ITEMS, WIDTH, num_buckets=50),
        "low_rank": lambda: LowRankEmbedding(ITEMS, WIDTH, rank=6),
    }[name]()
    model = ranker(layer)
    files, conversions = in_both_profiles(model, tmp_path, weights=kind, k=5)
    ours, theirs = (file.run("embed", ids=IDS)["vectors"] for file in files)
    np.testing.assert_array_equal(ours, theirs)
    lists = [file.rank([3, 9])[0] for file in files]
    np.testing.assert_array_equal(*lists)
    read = {
        table["name"]: table["operator"]
        for table in conversions[1].report["embeddings"][0]["tables"]
    }
    by_lookup = {"full": "embeddings", "memcom": "shared", "low_rank": "factor"}[name]
    # One scale for the table needs no operator that knows rows: MEmCom's int8.
    assert read[by_lookup] == (
        "GATHER" if (name, kind) == ("memcom", "int8") else "EMBEDDING_LOOKUP"
    )
    more = 8 * layer.input_dim if kind == "int8" and name != "memcom" else 0
    sizes = [conversion.report["graph_bytes"] for conversion in conversions]
    assert sizes[1] - sizes[0] < more + 1500


def test_one_product_serves_lookups_and_scores():
    """The rows of int8 that EMBEDDING_LOOKUP reads are those that scores are products with."""
    model = ranker(FullEmbedding(ITEMS, WIDTH))
    conversion = convert(model, k=5, profile="litert", verify=False)
    assert (schema.BuiltinOperator.FULLY_CONNECTED, 12) in operators(conversion)
    model = schema.ModelT.InitFromPackedBuf(conversion.content, 0)
    read = [
        tensor.buffer
        for graph in model.subgraphs
        for tensor in graph.tensors
        if tensor.type == schema.TensorType.INT8 and list(tensor.shape) == [ITEMS, WIDTH]
    ]
    assert len(read) > 2
    assert len(set(read)) == 1


@pytest.mark.parametrize(("kind", "dtype"), [("int8", "int64"), ("int4", "int32")])
def test_ids_outside_the_table_are_refused(kind, dtype, tmp_path):
    """Also those that would be inside without their high bits."""
    conversion = convert(plain(dtype=dtype), weights=kind, profile="litert")
    conversion.save(tmp_path / "model.tflite")
    file = CompressedModelFile(tmp_path / "model.tflite")
    good = np.zeros((1, 3), dtype)
    file.run("serving_default", first=good, second=good)
    outside = [ITEMS, 2**31 - 1, -ITEMS - 1]  # to Keras, ids just below 0 are the last ones
    for bad in [*outside, 2**32 + 1, -(2**32), 2**63 - 1] if dtype == "int64" else outside:
        ids = np.array([[0, bad, 1]], dtype)
        with pytest.raises(ValueError, match="index out of bounds"):
            file.run("serving_default", first=good, second=ids)


def test_positions_that_no_input_decides_are_looked_up_as_others():
    class Placed(keras.Model):
        def __init__(self):
            super().__init__(name="placed")
            self.items = keras.layers.Embedding(ITEMS, 16, name="items")
            self.places = keras.layers.Embedding(100, 16, name="places")

        def call(self, history):
            return self.items(history) + self.places(tf.range(6))

    model = Placed()
    ids = np.arange(12, dtype=np.int32).reshape(2, 6)
    model(ids)
    conversion = convert(filled(model), profile="litert", weights="int4", inputs=ids)
    assert conversion.verification.passed
    read = {
        embedding["name"].split("/")[-1]: embedding["tables"][0]["operator"]
        for embedding in conversion.report["embeddings"]
    }
    assert read == {"items": "EMBEDDING_LOOKUP", "places": "EMBEDDING_LOOKUP"}


def test_scales_are_written_once_for_all_signatures(tmp_path):
    """Three signatures look up in the table: each has a tensor, and all the same scales."""
    model = ranker(FullEmbedding(3000, WIDTH))
    conversion = convert(model, k=5, profile="litert", verify=False)
    tables = conversion.report["embeddings"][0]["tables"]
    assert tables[0]["scale_bytes"] == 12 * 3000
    data = 3000 * WIDTH + 2 * 3000
    assert conversion.report["graph_bytes"] < data + 12 * 3000 + 16_000
    read_graph(memoryview(conversion.content)[: conversion.report["graph_bytes"]])


def test_scales_that_are_not_of_rows_are_refused():
    """A product would read a scale for each row, behind those of the columns."""
    model = ranker(FullEmbedding(ITEMS, WIDTH))
    content = convert(model, k=5, profile="litert", verify=False).content
    graph = schema.ModelT.InitFromPackedBuf(content, 0)
    for subgraph in graph.subgraphs:
        for tensor in subgraph.tensors:
            if tensor.quantization is not None and len(tensor.quantization.scale) == ITEMS:
                tensor.quantization.scale = tensor.quantization.scale[:WIDTH]
                tensor.quantization.zeroPoint = tensor.quantization.zeroPoint[:WIDTH]
                tensor.quantization.quantizedDimension = 1
    with pytest.raises(DamagedError, match="12 scales on axis 1"):
        read_graph(memoryview(editing.pack(graph)))


def test_a_profile_must_be_one():
    with pytest.raises(ValueError, match=r"`profile` must be one of .* Received: profile='lite'"):
        convert(plain(), profile="lite")


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("width", [1, 3, 4, 9])
def test_what_is_packed_in_order_is_unpacked(bits, width):
    values = np.random.default_rng(width).integers(0, 2**bits, (50, width)).astype(np.uint8)
    packed = pack_in_order(values, bits)
    assert packed.shape == (50, -(-width * bits // 8))
    np.testing.assert_array_equal(unpack_in_order(packed, bits, width), values)
