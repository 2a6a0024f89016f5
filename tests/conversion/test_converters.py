"""From a model to a file and back: integers, bounds, lists, the archive, and what is refused."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from memcom_tf import Vocabulary
from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert, verify
from memcom_tf.converters.model_file.archive import append_members, read_archive
from memcom_tf.converters.quantization.fold import ship
from memcom_tf.evaluation import Examples
from memcom_tf.layers import (
    FullEmbedding,
    HashedEmbedding,
    MEmComEmbedding,
    ResidualQuantizedEmbedding,
    TruncatedEmbedding,
)
from memcom_tf.models import NextItemRanker
from memcom_tf.vocabulary import encode_dictionary

ITEMS, LENGTH = 200, 4
TITLES = {1000 + i: f"Film {i}" for i in range(ITEMS - 2)}
VOCABULARY = Vocabulary(list(TITLES), out_of_vocabulary="share", details={"title": TITLES})


def with_values(model, seed=3):
    """The model, every weight a number of its own, as after training."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.3, 0.4, variable.shape))
    return model


def ranker(embedding=None, **kwargs):
    embedding = embedding or MEmComEmbedding(ITEMS, 8, num_buckets=40)
    model = NextItemRanker(embedding, **{"history_length": LENGTH, **kwargs})
    model.build((None, LENGTH))
    return with_values(model)


def pooled(embedding, inputs=None, units=1):
    inputs = keras.Input((3,), dtype="int32") if inputs is None else inputs
    return keras.Model(inputs, keras.layers.Dense(units)(embedding(inputs)))


def saved(conversion, folder) -> CompressedModelFile:
    conversion.save(folder / "model.tflite")
    return CompressedModelFile(folder / "model.tflite")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("converters")


@pytest.fixture(scope="module")
def model():
    return ranker(vocabulary=VOCABULARY)


@pytest.fixture(scope="module")
def conversion(model):
    return convert(model, k=5)


@pytest.fixture(scope="module")
def file(conversion, folder):
    return saved(conversion, folder)


# Integers.


# The list.


def all_scores(file, history):
    ids = np.arange(ITEMS, dtype=np.int32)
    row = file.history_row(history)
    return file.run("score", history=row, candidates=ids)["scores"]


@pytest.mark.parametrize(
    "history", [[], [2], [ITEMS - 1], [9, 9, 9, 9], [2, 3, ITEMS - 1, 7], list(range(2, 12))]
)
def test_the_list_is_the_best_of_all_but_the_history(file, history):
    scores = all_scores(file, history)
    assert np.isfinite(scores).all()
    scores[[0, 1, *history[-LENGTH:]]] = -np.inf  # padding, unknown items, the history
    ids, values = file.rank(history)
    np.testing.assert_array_equal(ids, np.argsort(-scores, kind="stable")[:5])
    np.testing.assert_allclose(values, scores[ids], rtol=1e-6)


def test_the_best_items_of_all_are_left_out_when_they_are_the_history(file):
    history = list(file.rank([])[0][:LENGTH])
    unrestricted = np.argsort(-all_scores(file, history))[: LENGTH + 1]
    assert set(unrestricted) & set(history)  # or the test shows nothing
    assert not set(file.rank(history)[0]) & set(history)


def test_reserved_ids_are_left_out_even_if_they_score_best(folder):
    model = ranker(vocabulary=VOCABULARY)
    bias = np.zeros((ITEMS, 1), np.float32)
    bias[[0, 1, 5]] = 100.0
    model._item_bias.trainable_variables[0].assign(bias)
    path = folder / "reserved"
    path.mkdir()
    ids, _ = saved(convert(model, k=3, verify=False), path).rank([8])
    assert ids[0] == 5
    assert ids.min() >= VOCABULARY.first_id == 2


def largest_sorted(conversion) -> int:
    """The most values that a graph sorts at once."""
    model = schema.ModelT.InitFromPackedBuf(conversion.content, 0)
    code = schema.BuiltinOperator.TOPK_V2
    return max(
        int(np.prod(graph.tensors[operator.inputs[0]].shape))
        for graph in model.subgraphs
        for operator in graph.operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode == code
    )


def test_without_biases_the_list_comes_from_the_best_buckets_alone(folder):
    """MEmCom's sub-linear path: fewer candidates than buckets, so no score of everything."""
    embedding = MEmComEmbedding(3000, 8, num_buckets=300)
    conversion = convert(ranker(embedding, item_bias=False), k=6)
    assert conversion.verification.passed
    path = folder / "buckets"
    path.mkdir()
    file = saved(conversion, path)
    ids = np.arange(3000, dtype=np.int32)
    for history in ([], [2999], [1, 301, 601, 901]):
        row = file.history_row(history)
        scores = file.run("score", history=row, candidates=ids)["scores"]
        scores[[0, *history]] = -np.inf
        found, values = file.rank(history)
        best = np.argsort(-scores, kind="stable")[:6]
        np.testing.assert_allclose(values, scores[best], rtol=1e-6)
        np.testing.assert_array_equal(found, best)
    assert 300 <= largest_sorted(conversion) < 3000
    with_biases = convert(ranker(MEmComEmbedding(3000, 8, num_buckets=300)), k=1500, verify=False)
    assert largest_sorted(with_biases) == 3000


def test_an_untied_ranker_with_a_tower(folder):
    model = ranker(
        HashedEmbedding(ITEMS, 8, num_buckets=50),
        output_embedding=TruncatedEmbedding(ITEMS, 8, num_kept=90),
        hidden_units=(12,),
    )
    conversion = convert(model, k=4)
    assert conversion.verification.passed
    path = folder / "untied"
    path.mkdir()
    file = saved(conversion, path)
    assert set(file.signatures) == {"rank", "score", "embed", "embed_output"}
    ids = np.array([3, 199], np.int32)
    for signature, layer in [
        ("embed", model.item_embedding),
        ("embed_output", model.output_embedding),
    ]:
        found = file.run(signature, ids=ids)["vectors"]
        np.testing.assert_allclose(found, layer(ids), atol=0.02)


def test_examples_are_compared_by_metric(model, file, folder):
    rng = np.random.default_rng(5)
    history = rng.integers(2, ITEMS, (20, LENGTH)).astype(np.int32)
    target = np.array([file.rank(row)[0][0] for row in history])
    examples = Examples(history, target, np.arange(20), reserved=2)
    verification = verify(model, file.path, examples=examples)
    assert verification.passed
    assert verification.value("ndcg@5 of the file") == 1.0
    assert verification.value("ndcg@5 of the model") > 0.9


# The proof.


def changed(file, folder, before: bytes, after: bytes) -> Path:
    graph = file.path.read_bytes()[: file.archive.graph_bytes]
    assert graph.count(before) == 1
    path = folder / "changed.tflite"
    path.write_bytes(
        append_members(graph.replace(before, after), file.description, file.vocabulary)
    )
    return path


def test_a_file_that_computes_nan_fails(model, file, tmp_path):
    gate = np.asarray(model._last_item_gate, np.float32)
    path = changed(file, tmp_path, gate.tobytes(), np.full_like(gate, np.nan).tobytes())
    assert np.isnan(CompressedModelFile(path).rank([3])[1]).any()
    assert not verify(model, path).passed


def test_a_file_with_another_bias_fails(model, file, tmp_path):
    table = ship(model._item_bias).tables["embeddings"].data
    path = changed(file, tmp_path, table.tobytes(), np.roll(table, 1, axis=0).tobytes())
    verification = verify(model, path)
    assert not verification.passed
    assert {check.name for check in verification.checks if not check.passed} == {
        "constants that differ, of 27",
        "tables that the file does not store as quantized",
        "scores against the file's own values, in spreads",
        "scores of the ranked list, in spreads",
        "ranked list below the exact list by, in spreads",
    }


def test_the_file_of_another_training_fails(model, file):
    other = with_values(ranker(vocabulary=VOCABULARY), seed=4)
    assert not verify(other, file.path).passed


@pytest.mark.long
def test_a_ranker_takes_samples_from_python_and_from_a_file(model, file, tmp_path):
    histories = np.random.default_rng(0).integers(1, ITEMS, (9, LENGTH)).astype(np.int32)
    np.savez(tmp_path / "samples.npz", history=histories)
    for samples in (histories, {"history": histories}, tmp_path / "samples.npz"):
        assert verify(model, file.path, samples=samples).passed
    for bad in (histories[:, 1:], histories + ITEMS, histories + 0.5):
        with pytest.raises(ValueError, match="samples must be"):
            verify(model, file.path, samples=bad)


OTHERS = {
    "embeddings": lambda: ranker(MEmComEmbedding(ITEMS, 4, num_buckets=9), vocabulary=VOCABULARY),
    "history_length": lambda: ranker(history_length=LENGTH + 1, vocabulary=VOCABULARY),
    "vocabulary_fingerprint": lambda: ranker(vocabulary=Vocabulary(range(ITEMS - 1))),
    "kind": lambda: pooled(MEmComEmbedding(ITEMS, 8, num_buckets=40, combiner="mean")),
}


@pytest.mark.parametrize("what", OTHERS)
def test_the_file_of_another_model_is_refused(file, what):
    with pytest.raises(ValueError, match=rf"must .*: its `{what}` differs. Received: model="):
        verify(OTHERS[what](), file.path)


@pytest.mark.long
def test_more_than_ten_outputs_are_compared_in_their_order():
    inputs = keras.Input((3,), dtype="int32")
    vector = MEmComEmbedding(50, 4, num_buckets=9, combiner="mean")(inputs)
    outputs = [keras.layers.Dense(1, name=f"head_{i}")(vector) for i in range(11)]
    model = with_values(keras.Model(inputs, outputs))
    assert convert(model).verification.passed


def test_float_inputs_may_be_ids():
    """What keras.Input is by default."""
    model = pooled(MEmComEmbedding(50, 4, num_buckets=9, combiner="sum"), keras.Input((3,)))
    conversion = convert(with_values(model))
    assert conversion.verification.passed
    assert conversion.verification.value("embed: largest error of a vector") > 0


@keras.saving.register_keras_serializable("test_converters")
class Tied(keras.layers.Layer):
    """Scores of all ids against a table that another layer looks up in."""

    def __init__(self, table, **kwargs):
        super().__init__(**kwargs)
        self.table = table

    def call(self, query):
        return self.table.score_all(query)


@pytest.mark.few(1)
@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_a_functional_model_may_score_the_whole_vocabulary(dtype, tmp_path):
    """The table is there once, whatever the ids are, and the scores are those of 8 bits."""
    inputs = keras.Input((3,), dtype=dtype)
    table = MEmComEmbedding(700, 8, num_buckets=100, combiner="mean")
    model = with_values(keras.Model(inputs, Tied(table)(table(inputs))))
    conversion = convert(model)
    assert conversion.verification.passed
    assert conversion.report["scores_in_integers"]
    for stored_table in ship(table).tables.values():
        assert conversion.content.count(stored_table.data.tobytes()) == 1
        assert stored_table.dequantized().tobytes() not in conversion.content
    ids = np.array([[1, 699, 5]])
    file = saved(conversion, tmp_path)
    found = file.run("serving_default", **{name: ids.astype(dtype) for name in names(file)})
    expected = np.asarray(model(ids))
    np.testing.assert_allclose(found["output_0"], expected, atol=0.03 * np.abs(expected).max())


def names(file) -> list[str]:
    return file.signatures["serving_default"]["inputs"]


def test_structured_inputs_outputs_and_a_shared_table(folder):
    first, second = (keras.Input((3,), dtype="int64", name=name) for name in ("z", "a"))
    items = MEmComEmbedding(60, 8, num_buckets=20, combiner="mean", name="items")
    users = FullEmbedding(40, 3, combiner="sum", name="users")
    joined = keras.layers.Concatenate()([items(first), items(second), users(second)])
    outputs = {"y": keras.layers.Dense(1)(joined), "b": keras.layers.Dense(2)(joined)}
    model = with_values(keras.Model({"z": first, "a": second}, outputs))
    conversion = convert(model)
    assert conversion.verification.passed
    path = folder / "structured"
    path.mkdir()
    file = saved(conversion, path)
    assert set(file.signatures) == {"serving_default", "embed_items", "embed_users"}
    batch = {"z": np.array([[1, 2, 3], [4, 5, 59]]), "a": np.array([[0, 0, 1], [7, 8, 39]])}
    found = file.run("serving_default", **batch)
    for name, values in model(batch).items():
        np.testing.assert_allclose(found[name], values, atol=0.03)


def test_float32_weights_are_exact(model, folder):
    conversion = convert(model, k=5, weights="float32")
    assert conversion.verification.passed
    assert conversion.verification.value("embed: largest error of a vector") < 1e-6
    assert {t["storage"] for e in conversion.report["embeddings"] for t in e["tables"]} == {
        "float32"
    }


# The bytes.


def test_the_same_model_gives_the_same_bytes(model, conversion):
    assert convert(model, k=5, verify=False).content == conversion.content


def test_saving_refuses_to_overwrite(conversion, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"must not exist. Received: path="):
        conversion.save(path)
    assert path.read_bytes() == b"mine"
    conversion.save(path, overwrite=True)
    assert path.read_bytes() == conversion.content
    assert os.listdir(tmp_path) == ["model.tflite"]


@pytest.mark.parametrize("failing", ["write", "replace"])
def test_saving_is_whole_or_not_at_all(conversion, tmp_path, monkeypatch, failing):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"before")

    def no_space(*args):
        raise OSError(28, "No space left on device")

    def half(self, content):
        with self.open("wb") as target:
            target.write(content[: len(content) // 2])
        no_space()

    if failing == "write":
        monkeypatch.setattr(Path, "write_bytes", half)
    else:
        monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(OSError, match="No space"):
        conversion.save(path, overwrite=True)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["model.tflite"]


def test_the_report_tells_what_quantization_took_of_uniqueness(model, conversion):
    by_name = {e["name"]: e for e in conversion.report["embeddings"]}
    items = by_name[model.item_embedding.name]
    assert items["share_not_unique_trained"] == 0.0
    vectors = np.asarray(ship(model.item_embedding).dequantized()["shared"])
    assert len(np.unique(vectors, axis=0)) == 40
    assert items["share_not_unique"] < 0.05
    assert "share_not_unique" not in by_name["item_bias"]
    assert items["bytes"] == 40 * 8 + 2 * ITEMS
    assert items["uncompressed_bytes"] == 4 * 8 * ITEMS


@pytest.mark.few(2)
@pytest.mark.parametrize("num_codes", [5, 16, 17, 256])
@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_codes_of_any_size_are_exported(num_codes, num_codebooks, tmp_path):
    layer = ResidualQuantizedEmbedding(
        300, 6, num_codebooks=num_codebooks, num_codes=num_codes, combiner="mean"
    )
    model = keras.Sequential([keras.Input((2,), dtype="int32"), layer])
    conversion = convert(model)
    assert conversion.verification.passed
    assert conversion.report["min_runtime_version"] == "2.8.0"
    (described,) = conversion.report["embeddings"]
    codes = described["tables"][0]
    bits = 4 if num_codes <= 16 else 8
    assert codes["storage"] == f"uint{bits}" and codes["width"] == num_codebooks
    assert codes["data_bytes"] == 300 * -(-num_codebooks * bits // 8)
    assert conversion.report["parameter_bytes"] == layer.parameter_bytes
    assert layer.parameter_bytes == codes["data_bytes"] + 4 * num_codebooks * num_codes * 6


# What is refused.

REFUSED = {
    "no table": (
        lambda: convert(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])),
        r"must hold a table that ids are looked up in.* Received: model=",
    ),
    "not built": (
        lambda: convert(NextItemRanker(MEmComEmbedding(50, 4, num_buckets=9), history_length=2)),
        r"must be built. Received: model=",
    ),
    "k too large": (
        lambda: convert(ranker(), k=ITEMS - LENGTH),
        rf"`k` must be in \[1, {ITEMS - 1 - LENGTH}\].* Received: k={ITEMS - LENGTH}",
    ),
    "k zero": (lambda: convert(ranker(), k=0), r"`k` must be in .* Received: k=0"),
    "weights": (
        lambda: convert(ranker(), weights={"items/*": "int3"}),
        r"`weights` must be one of .* Received: weights='int3'",
    ),
    "diverged": (
        lambda: convert(diverged()),
        r"must be finite. Received: table='shared', row=0. The training diverged",
    ),
    "no such operator": (
        lambda: convert(recurrent()),
        r"must be expressible in the builtin operators .* cannot write TensorList\w+ of \w+/gru.*"
        r"Received: model='recurrent'. Make the recurrent layer 'gru",
    ),
    "half precision": (
        lambda: convert(ranker(MEmComEmbedding(50, 4, num_buckets=9, dtype="mixed_float16"))),
        r"must compute in float32.* Received: layer=.*, compute_dtype='float16'",
    ),
}


def diverged():
    model = ranker()
    model.item_embedding.trainable_variables[0].assign(np.full((40, 8), np.nan))
    return model


def recurrent():
    inputs = keras.Input((3,), dtype="int32")
    vectors = MEmComEmbedding(50, 4, num_buckets=9, mask_zero=True)(inputs)
    return keras.Model(inputs, keras.layers.GRU(2)(vectors), name="recurrent")


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    action, words = REFUSED[case]
    with pytest.raises(ValueError, match=f"(?s){words}"):
        action()


def test_the_largest_k_is_accepted_and_lists_everything_else(tmp_path):
    k = ITEMS - 1 - LENGTH
    file = saved(convert(ranker(), k=k), tmp_path)
    history = [5, 6, 7, 8]
    assert sorted([*file.rank(history)[0], *history]) == list(range(1, ITEMS))


def test_only_a_model_is_converted():
    with pytest.raises(
        TypeError,
        match=r"must be a Keras model or the folder of a SavedModel. Received: type='dict'",
    ):
        convert({})


def test_a_subclassed_model_must_be_told_its_inputs():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.table = MEmComEmbedding(50, 4, num_buckets=9)

        def call(self, ids):
            return self.table(ids)

    model = Own()
    model(np.array([[1, 2]]))
    assert convert(model, inputs=np.array([[1, 2]])).verification.passed
    with pytest.raises(
        ValueError, match=r"inputs of a subclassed model must be given. Received: model="
    ):
        convert(model)


# The archive.


def test_any_zip_reader_lists_the_members(file):
    with zipfile.ZipFile(file.path) as archive:
        assert archive.testzip() is None
        members = {info.filename: info for info in archive.infolist()}
        assert set(members) == {"memcom.json", "vocabulary.bin"}
        assert all(info.compress_type == zipfile.ZIP_STORED for info in members.values())
        assert json.loads(archive.read("memcom.json"))["k"] == 5
    assert file.vocabulary == VOCABULARY


def test_items_are_looked_up_in_the_mapped_file(file):
    dictionary = file.dictionary
    assert dictionary.fingerprint == file.description.vocabulary_fingerprint
    for item in VOCABULARY:
        id_ = int(VOCABULARY.ids(item))
        assert (dictionary.id(item), dictionary.item(id_)) == (id_, item)
        assert dictionary.detail("title", id_) == TITLES[item]
    assert dictionary.id(-1) is None


def test_a_vocabulary_that_makes_no_sense_is_refused_whatever_its_checksum(file, tmp_path):
    path = tmp_path / "hostile.tflite"
    good = encode_dictionary(VOCABULARY)
    for content in (b"", b"junk", good[:-1], good + b"\0", b"X" + good[1:]):
        buffer = io.BytesIO(file.path.read_bytes()[: file.archive.graph_bytes])
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.writestr("memcom.json", json.dumps(file.description.to_json()))
            archive.writestr("vocabulary.bin", content)
        path.write_bytes(buffer.getvalue())
        with pytest.raises(ValueError, match=r"undamaged, its vocabulary too. Received: path="):
            read_archive(path)


def test_a_cut_off_file_is_refused(conversion, tmp_path):
    path = tmp_path / "cut.tflite"
    size, graph = len(conversion.content), conversion.report["graph_bytes"]
    for end in [*range(0, 30), graph - 1, graph, graph + 9, *range(graph, size, 211), size - 1]:
        path.write_bytes(conversion.content[:end])
        with pytest.raises(ValueError, match=r"The file must be .* Received: path="):
            read_archive(path)


def test_no_damaged_byte_of_the_members_causes_anything_but_a_clear_error(conversion, tmp_path):
    """What still reads, such as another date of a member, reads as it was."""
    path = tmp_path / "damaged.tflite"
    intact, graph = conversion.content, conversion.report["graph_bytes"]
    expected = read_archive_of(intact, tmp_path / "intact.tflite")
    refused = 0
    directory = intact.rindex(b"PK\x01\x02", 0, intact.rindex(b"PK\x01\x02"))
    headers = [*range(graph, graph + 60), *range(directory, len(intact))]
    rng = np.random.default_rng(0)
    for position in [*headers, *rng.integers(graph, len(intact), 100)]:
        for bit in (0, 3, 7):
            damaged = bytearray(intact)
            damaged[position] ^= 1 << bit
            try:
                assert read_archive_of(bytes(damaged), path) == expected
            except ValueError as error:
                assert "The file must be" in str(error)
                refused += 1
    assert refused > 300


def read_archive_of(content: bytes, path: Path):
    path.write_bytes(content)
    return read_archive(path)


def test_a_damaged_graph_is_refused(conversion, tmp_path):
    """Also in the tables, where the runtime would compute with other numbers."""
    path = tmp_path / "damaged.tflite"
    graph = conversion.report["graph_bytes"]
    for position in [8, 100, graph // 2, graph - 1]:
        damaged = bytearray(conversion.content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"must be undamaged: .* Received: path="):
            CompressedModelFile(path)


def zipped(conversion, compression=zipfile.ZIP_STORED, **description) -> bytes:
    """The graph of a conversion with a description of one's own."""
    graph = conversion.content[: conversion.report["graph_bytes"]]
    text = json.dumps(description)
    buffer = io.BytesIO(graph)
    with zipfile.ZipFile(buffer, "a", compression) as archive:
        archive.writestr("memcom.json", text)
    return buffer.getvalue()


def test_foreign_files_are_refused(conversion, file, tmp_path):
    path = tmp_path / "foreign.tflite"
    graph = conversion.content[: conversion.report["graph_bytes"]]
    foreign = [
        graph,
        zipped(conversion, format="another"),
        append_members(b"not a flatbuffer", file.description, None),
        b"",
        np.random.default_rng(0).bytes(5000),
    ]
    for content in foreign:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"The file must be .* Received: path="):
            read_archive(path)


def test_a_later_format_is_refused(conversion, tmp_path):
    path = tmp_path / "later.tflite"
    path.write_bytes(zipped(conversion, format="memcom_tf.model", format_version=3))
    with pytest.raises(ValueError, match=r"format version 2. Received: format_version=3. Update"):
        read_archive(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_compressed_members_are_never_unpacked(conversion, tmp_path, compression):
    """A few bytes could become as many as fill the memory."""
    path = tmp_path / "bomb.tflite"
    bomb = {"format": "memcom_tf.model", "format_version": 2, "padding": "0" * 10_000_000}
    path.write_bytes(zipped(conversion, compression, **bomb))
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"must be whole and written by `memcom convert`"):
        read_archive(path)


# The runtime.


def test_an_unknown_signature_is_named(file):
    with pytest.raises(ValueError, match=r"must be one of .*rank.* Received: signature='best'"):
        file.run("best")


@pytest.mark.parametrize("bad", [ITEMS, -1, 2**31 - 1])
def test_the_runtime_refuses_ids_outside_the_tables(file, bad):
    ids = np.array([bad], np.int32)
    with pytest.raises(ValueError, match="runtime must accept the input"):
        file.run("embed", ids=ids)
    row = file.history_row([3])
    with pytest.raises(ValueError, match="runtime must accept the input"):
        file.run("score", history=row, candidates=ids)
    # And computes as before after that.
    assert file.run("embed", ids=np.array([3], np.int32))["vectors"].shape == (1, 8)


@pytest.mark.parametrize("bad", [ITEMS, -1, 2**40])
def test_a_history_outside_the_vocabulary_is_named(file, bad):
    with pytest.raises(ValueError, match=rf"Ids must be in \[0, {ITEMS}\).*id={bad}"):
        file.rank([3, bad])


def test_a_history_is_cut_to_its_last_items_and_padded(file):
    np.testing.assert_array_equal(file.history_row([5]), [[5, 0, 0, 0]])
    np.testing.assert_array_equal(file.history_row([0, 5, 0, 6]), [[5, 6, 0, 0]])
    np.testing.assert_array_equal(file.history_row([2, 3, 4, 5, 6, 7]), [[4, 5, 6, 7]])


def test_only_a_ranker_ranks_and_only_with_a_vocabulary_by_name(tmp_path):
    model = pooled(MEmComEmbedding(50, 4, num_buckets=9, combiner="mean"))
    file = saved(convert(model), tmp_path)
    with pytest.raises(ValueError, match=r"must hold a ranker. Received: kind='model'"):
        file.rank([1])
    with pytest.raises(ValueError, match=r"must hold a vocabulary. Received: path="):
        _ = file.vocabulary
    with pytest.raises(ValueError, match=r"must hold a vocabulary. Received: path="):
        _ = file.dictionary


def test_reading_and_ranking_need_no_tensorflow(file):
    program = f"""
import sys
import memcom_tf.converters.runtime, memcom_tf.converters.cli
from memcom_tf.converters import CompressedModelFile
file = CompressedModelFile({str(file.path)!r})
print(*file.rank(file.vocabulary.ids([1003]).reshape(-1))[0])
loaded = {{"tensorflow", "keras", "tf_keras"}} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = file.rank([VOCABULARY.ids(1003)])[0]
    assert done.stdout.split() == [str(item) for item in expected]
