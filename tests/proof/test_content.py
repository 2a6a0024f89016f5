"""Every constant of a file is held against the model: one changed row is found, and named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from memcom_tf import MEmComEmbedding
from memcom_tf._keras import keras
from memcom_tf.converters import convert, verify
from memcom_tf.converters.model_file.archive import append_members, read_archive
from memcom_tf.converters.preparation.prepared import prepare
from memcom_tf.converters.proof.content import (
    Difference,
    OtherGraphError,
    compare_graphs,
    missing_tables,
)
from memcom_tf.converters.tflite.editing import pack

ITEMS, USERS = 700, 60


def model():
    """Two tables, one of ours, a kernel in 8 bits, one in floats, and a normalization."""
    keras.utils.set_random_seed(0)
    user = keras.Input((), dtype="int32", name="user")
    history = keras.Input((6,), dtype="int32", name="history")
    items = MEmComEmbedding(ITEMS, 16, num_buckets=70, combiner="mean", name="items")(history)
    users = keras.layers.Embedding(USERS, 32, name="users")(user)
    joined = keras.layers.Concatenate()([items, users])
    hidden = keras.layers.LayerNormalization()(keras.layers.Dense(64, name="hidden")(joined))
    made = keras.Model([user, history], keras.layers.Dense(1, name="click")(hidden))
    rng = np.random.default_rng(1)
    for variable in made.trainable_variables:
        variable.assign(rng.normal(0.1, 0.3, variable.shape))
    return made


@pytest.fixture(scope="module")
def trained():
    return model()


@pytest.fixture(scope="module", params=["portable", "litert"])
def path(request, trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("content") / f"{request.param}.tflite"
    convert(trained, profile=request.param, verify=False).save(path)
    return path


def graph_of(path):
    return path.read_bytes()[: read_archive(path).graph_bytes]


def sealed(path, graph, folder):
    """The file with another graph, and the checksum that it should have."""
    changed = folder / "changed.tflite"
    changed.write_bytes(append_members(graph, read_archive(path).description, None))
    return changed


def constants(graph):
    """Numbers of the buffers that tensors read, by their sizes, the largest first."""
    found = schema.ModelT.InitFromPackedBuf(graph, 0)
    used = {tensor.buffer for part in found.subgraphs for tensor in part.tensors}
    sizes = {i: len(found.buffers[i].data) for i in used if found.buffers[i].data is not None}
    return sorted(sizes, key=lambda i: -sizes[i])


def with_byte_changed(graph, buffer, place):
    found = schema.ModelT.InitFromPackedBuf(bytearray(graph), 0)
    data = np.array(found.buffers[buffer].data)
    data[place] ^= 1
    found.buffers[buffer].data = data
    return pack(found)


def failed(verification):
    return {
        check.name.partition(",")[0]: check for check in verification.checks if not check.passed
    }


def test_a_file_equals_its_model(trained, path):
    verification = verify(trained, path)
    assert verification.passed, verification
    (count,) = (c.name for c in verification.checks if c.name.startswith("constants that differ"))
    assert int(count.rpartition(" ")[2]) > 10


@pytest.mark.few(2)
@pytest.mark.parametrize("row", [0, 37, USERS - 1])
def test_one_integer_of_one_row_is_found_with_table_and_row(trained, path, tmp_path, row):
    graph = graph_of(path)
    found = schema.ModelT.InitFromPackedBuf(graph, 0)
    (buffer,) = (
        i
        for i, b in enumerate(found.buffers)
        if b.data is not None and len(b.data) == USERS * 32 and i in constants(graph)
    )
    changed = sealed(path, with_byte_changed(graph, buffer, 32 * row + 5), tmp_path)
    check = failed(verify(trained, changed))["constants that differ"]
    assert "users" in check.detail
    assert f"row {row}" in check.detail


def test_every_constant_counts(trained, path):
    """Whichever it is: scales, biases, factors of a normalization, shapes and axes."""
    graph = graph_of(path)
    buffers = constants(graph)
    assert len(buffers) > 10
    for buffer in buffers:
        # The highest byte of a float, or the lowest of an integer.
        size = len(schema.ModelT.InitFromPackedBuf(graph, 0).buffers[buffer].data)
        changed = with_byte_changed(graph, buffer, size - 1)
        assert compare_graphs(graph, memoryview(changed), dict), buffer


def test_a_scale_of_a_row_is_a_constant(trained, path):
    graph = graph_of(path)
    found = schema.ModelT.InitFromPackedBuf(graph, 0)
    tensors = [
        tensor
        for part in found.subgraphs
        for tensor in part.tensors
        if tensor.quantization is not None and len(tensor.quantization.scale) > 1
    ]
    if not tensors:
        pytest.skip("scales are constants of their own")
    tensors[0].quantization.scale = tensors[0].quantization.scale.copy()
    tensors[0].quantization.scale[3] *= 1.01
    (difference,) = compare_graphs(graph, memoryview(pack(found)), dict)
    assert difference.row == 3
    assert "scales" in difference.name


def test_rounding_of_floats_on_another_processor_is_no_difference(path):
    graph = graph_of(path)
    found = schema.ModelT.InitFromPackedBuf(graph, 0)
    tensor = next(
        tensor
        for part in found.subgraphs
        for tensor in part.tensors
        if tensor.type == schema.TensorType.FLOAT32
        and found.buffers[tensor.buffer].data is not None
        and len(found.buffers[tensor.buffer].data) > 64
    )
    values = np.array(found.buffers[tensor.buffer].data).view(np.float32)
    nearest = np.nextafter(values, np.float32(np.inf))
    found.buffers[tensor.buffer].data = nearest.view(np.uint8)
    assert compare_graphs(graph, memoryview(pack(found)), dict) == []
    found.buffers[tensor.buffer].data = (values * np.float32(1.001)).view(np.uint8)
    assert compare_graphs(graph, memoryview(pack(found)), dict)


def test_another_operator_is_another_graph(path):
    graph = graph_of(path)
    found = schema.ModelT.InitFromPackedBuf(graph, 0)
    found.subgraphs[0].operators.pop()
    with pytest.raises(OtherGraphError, match="operators"):
        compare_graphs(graph, memoryview(pack(found)), dict)


@pytest.mark.few(1)
def test_a_graph_of_the_same_versions_must_be_the_same(trained, path, tmp_path):
    found = schema.ModelT.InitFromPackedBuf(graph_of(path), 0)
    options = next(
        operator.builtinOptions
        for part in found.subgraphs
        for operator in part.operators
        if hasattr(operator.builtinOptions, "fusedActivationFunction")
    )
    options.fusedActivationFunction = schema.ActivationFunctionType.RELU
    verification = verify(trained, sealed(path, pack(found), tmp_path))
    assert "graph that converting the model does not write" in failed(verification)


@pytest.mark.few(1)
def test_of_a_file_of_another_version_the_tables_are_compared(trained, path, tmp_path):
    """Another TensorFlow may write another graph: it is no fault, and other rows still are one."""
    archive = read_archive(path)
    found = schema.ModelT.InitFromPackedBuf(graph_of(path), 0)
    graph = found.subgraphs[0]
    spare = schema.TensorT()
    spare.shape, spare.type, spare.buffer = np.array([1], np.int32), schema.TensorType.INT32, 0
    graph.tensors.append(spare)
    older = dataclasses.replace(archive.description, converter="tensorflow 2.99")
    changed = tmp_path / "older.tflite"
    changed.write_bytes(append_members(pack(found), older, None))
    assert verify(trained, changed).passed
    buffer = next(
        i for i, b in enumerate(found.buffers) if b.data is not None and len(b.data) == USERS * 32
    )
    data = np.array(found.buffers[buffer].data)
    data[32 * 9] ^= 1
    found.buffers[buffer].data = data
    changed.write_bytes(append_members(pack(found), older, None))
    check = failed(verify(trained, changed))["tables that differ"]
    assert "users" in check.detail
    assert "row 9" in check.detail


def test_of_a_file_of_another_version_the_scales_are_compared(trained, path):
    tables = prepare(trained, weights="int8", profile=path.stem, inputs=None, k=10).tables
    graph = memoryview(graph_of(path))
    assert missing_tables(graph, tables) == []
    scaled = next(table for table in tables if len(table.scale) == USERS)
    scale = scaled.scale.copy()
    scale[7] *= 1.01
    (difference,) = missing_tables(graph, [dataclasses.replace(scaled, scale=scale)])
    assert difference.row == 7
    assert "scales" in difference.name


@pytest.mark.few(1)
def test_rows_that_were_trained_further_are_found(trained, path):
    layer = trained.get_layer("users")
    before = layer.get_weights()
    after = before[0].copy()
    after[[11, 40]] += 0.5
    layer.set_weights([after])
    try:
        check = failed(verify(trained, path))["constants that differ"]
    finally:
        layer.set_weights(before)
    assert "row 11 and 1 more" in check.detail


@pytest.mark.few(2)
@pytest.mark.parametrize("key", ["min_runtime_version", "parameters", "left_as_floats"])
def test_the_description_is_that_of_the_model(trained, path, tmp_path, key):
    archive = read_archive(path)
    other = {"min_runtime_version": "2.4.0", "parameters": 7, "left_as_floats": {"a": "b"}}[key]
    changed = tmp_path / "described.tflite"
    described = dataclasses.replace(archive.description, **{key: other})
    changed.write_bytes(append_members(graph_of(path), described, None))
    assert failed(verify(trained, changed))["entries of the description that differ"].detail == key


def test_differences_are_said_with_rows():
    assert str(Difference("users", 1_234, 1)) == "users, row 1,234"
    assert str(Difference("users", 5, 3)) == "users, row 5 and 2 more"
    assert str(Difference("constant 7")) == "constant 7"
