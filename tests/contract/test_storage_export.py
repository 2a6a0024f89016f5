"""Tables in fewer bits, exported: the file holds them packed, and ranks as the model does."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.quantization.fold import ship
from memcom_tf.converters.tracing import graph_ops
from memcom_tf.layers import FullEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker
from tests.contract.methods import CASES, INPUT_DIM, fill, name_of
from tests.contract.test_export import constants, contents
from tests.contract.test_storage import storage_of_all

IDS = np.arange(INPUT_DIM, dtype=np.int32)
HISTORIES = [[], [1], [3, 200, 3, 17, 229]]
K = 7
STORED = [
    (case, "int4_per_row" if i % 2 else "int2_per_table", "litert" if i // 2 % 2 else "portable")
    for i, case in enumerate(CASES)
    if not case.trains_apart
]
OLDEST = {"portable": (2, 8, 0), "litert": (2, 21, 0)}
TYPES = {8: schema.TensorType.INT8, 4: schema.TensorType.INT4, 2: schema.TensorType.INT2}


def ranker_over(layer, **kwargs) -> NextItemRanker:
    ranker = NextItemRanker(layer, history_length=5, **kwargs)
    ranker.build((None, 5))
    rng = np.random.default_rng(8)
    for embedding in ranker.embeddings[1:]:
        for variable in embedding.trainable_variables:
            variable.assign(rng.normal(0.5, 0.2, variable.shape))
    return ranker


def exported(ranker, folder, profile="portable"):
    conversion = convert(ranker, k=K, profile=profile)
    conversion.save(folder / "model.tflite")
    return conversion, CompressedModelFile(folder / "model.tflite")


def holds(model, file):
    """The file's vectors, scores and lists are the model's, to rounding: nothing is lost."""
    vectors = np.asarray(model.item_embedding(IDS))
    np.testing.assert_allclose(file.run("embed", ids=IDS)["vectors"], vectors, rtol=1e-5, atol=1e-5)
    for history in HISTORIES:
        expected = np.array(model(file.history_row(history)))[0]
        tolerance = 1e-4 * np.abs(expected).max()
        expected[[0, *history]] = -np.inf
        ids, scores = file.rank(history)
        np.testing.assert_allclose(scores, -np.sort(-expected)[:K], atol=tolerance)
        np.testing.assert_allclose(expected[ids], scores, atol=tolerance)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("case", "storage", "profile"), STORED, ids=lambda x: x if isinstance(x, str) else name_of(x)
)
def test_the_file_is_the_model(case, storage, profile, tmp_path):
    layer = case.layer(storage=storage_of_all(case, storage))
    model = ranker_over(fill(layer), item_bias_storage="int8_per_table")
    conversion, file = exported(model, tmp_path, profile)
    assert conversion.verification.passed
    holds(model, file)
    version = tuple(int(part) for part in conversion.report["min_runtime_version"].split("."))
    assert version <= OLDEST[profile]
    item, bias = conversion.report["embeddings"]
    for table in item["tables"]:
        assert table["storage"] == layer.storage.get(table["name"], table["storage"])
        bits = {"int2": 2, "int4": 4, "int8": 8, "uint4": 4, "uint8": 8, "int16": 16}
        width = -(-table["width"] * bits[table["storage"].partition("_")[0]] // 8)
        assert table["data_bytes"] == table["rows"] * width
    assert [table["storage"] for table in bias["tables"]] == ["int8_per_table"]
    tables = [
        table
        for embedding in (layer, model.embeddings[1])
        for table in ship(embedding, profile=profile).tables.values()
    ]
    found = constants(conversion.content[: conversion.report["graph_bytes"]])
    declared: dict[int, list[np.ndarray]] = {}
    for table in tables:
        if table.data.dtype == np.uint8 and not table.is_embedding_lookup:
            declared.setdefault(schema.TensorType.UINT8, []).append(table.data)
        elif table.data.dtype in (np.uint8, np.int8):
            declared.setdefault(TYPES[table.bits], []).append(table.data)
    for kind in (schema.TensorType.UINT8, *TYPES.values()):
        assert contents(found.get(kind, [])) == contents(declared.get(kind, []))
    scales = [table.scale.nbytes for table in tables]
    assert max(len(data) for data in found[schema.TensorType.FLOAT32]) <= max(4 * 16, *scales)


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "storage",
    [
        "int4_per_row",
        "int4_midtread_per_table",
        "int2_per_row",
        "int2_per_table",
        "int2_midtread_per_row",
        "float16",
    ],
)
@pytest.mark.parametrize("width", [2, 5, 9])
def test_scores_in_parts_and_widths_that_fill_no_byte(storage, width, tmp_path, monkeypatch):
    monkeypatch.setattr(graph_ops, "_VALUES_AT_A_TIME", 64 * width)
    layer = fill(FullEmbedding(INPUT_DIM, width, storage={"embeddings": storage}))
    model = ranker_over(layer, item_bias=False)
    conversion, file = exported(model, tmp_path)
    assert conversion.verification.passed
    holds(model, file)


@pytest.mark.parametrize("storage", ["int4_per_table", "int2_per_row", "float16"])
def test_rounded_after_training_the_bound_holds_too(storage):
    layer = fill(
        FullEmbedding(INPUT_DIM, 12, storage={"embeddings": storage}, quantization_aware=False)
    )
    model = keras.Sequential([keras.Input((2,), dtype="int32"), layer])
    verification = convert(model).verification
    assert verification.passed
    assert 0.5 < verification.value("embed: error over its derived bound") <= 1
    if storage != "float16":
        assert verification.value("embed: largest error of a vector") > 0.01


def test_float32_files_keep_what_the_layer_rounds(tmp_path):
    storage = {"shared": "int4_per_table"}
    layer = fill(MEmComEmbedding(INPUT_DIM, 12, num_buckets=20, storage=storage))
    model = keras.Sequential([keras.Input((2,), dtype="int32"), layer])
    conversion = convert(model, weights="float32")
    assert conversion.verification.passed
    (item,) = conversion.report["embeddings"]
    assert [table["storage"] for table in item["tables"]] == ["int4_per_table", "float32"]


def test_the_report_tells_how_many_ids_lost_their_vector():
    """A scale of the table is coarse for multipliers of small buckets, one of each is not."""
    shares = {}
    for storage in ("int8_per_table", "int8_per_bucket"):
        layer = MEmComEmbedding(2000, 4, num_buckets=20, storage={"multiplier": storage})
        layer.build(None)
        rng = np.random.default_rng(1)
        sizes = rng.lognormal(0, 2, 20)[np.arange(2000) % 20, None]
        tables = {
            "shared": rng.normal(size=(20, 4)),
            "multiplier": rng.normal(size=(2000, 1)) * sizes,
        }
        layer.assign_tables(tables)
        model = keras.Sequential([keras.Input((2,), dtype="int32"), layer])
        (item,) = convert(model, verify=False).report["embeddings"]
        shares[storage] = item["share_not_unique"]
        assert item["share_not_unique_trained"] == 0
    assert shares["int8_per_table"] > 0.9
    assert 0 < shares["int8_per_bucket"] < 0.6 * shares["int8_per_table"]
