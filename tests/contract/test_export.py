"""What is exported: every method as a `.tflite` file, held against its own NumPy oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, Conversion, convert, verify
from memcom_tf.converters.model_file.archive import append_members
from memcom_tf.converters.quantization.bounds import embedding_ball
from memcom_tf.converters.quantization.fold import ShippedEmbedding, ship
from memcom_tf.converters.quantization.quantize import QuantizedTable
from memcom_tf.layers import DeepHashEmbedding, TensorTrainEmbedding
from memcom_tf.layers.codebooks.trained_codes import TrainedCodesEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.ops.numpy_ops import NumpyOps
from tests.contract.methods import CASES, INPUT_DIM, OUTPUT_DIM, Case, in_float64, name_of

pytestmark = pytest.mark.few(4)

NUMPY = NumpyOps()
HISTORY_LENGTH, K = 5, 7
INTEGERS = {
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.UINT8: np.uint8,
}
ALL_IDS = np.arange(INPUT_DIM, dtype=np.int32)


class Export(NamedTuple):
    model: NextItemRanker
    conversion: Conversion
    file: CompressedModelFile
    item: ShippedEmbedding
    bias: ShippedEmbedding

    @property
    def graph(self) -> bytes:
        return self.conversion.content[: self.conversion.report["graph_bytes"]]

    @property
    def tables(self) -> list[QuantizedTable]:
        return [*self.item.tables.values(), *self.bias.tables.values()]


def trained_ranker(case: Case) -> NextItemRanker:
    """A ranker in which every weight is a number of its own."""
    ranker = NextItemRanker(case.trained(), history_length=HISTORY_LENGTH)
    ranker.build((None, HISTORY_LENGTH))
    rng = np.random.default_rng(8)
    for variable in ranker.trainable_variables:
        if all(variable is not own for own in ranker.item_embedding.trainable_variables):
            variable.assign(rng.normal(0.5, 0.2, variable.shape))
    return ranker


@pytest.fixture(scope="module", params=CASES, ids=name_of)
def export(request, tmp_path_factory) -> Export:
    model = trained_ranker(request.param)
    conversion = convert(model, k=K)
    path = tmp_path_factory.mktemp("export") / "model.tflite"
    conversion.save(path)
    item, bias = ship(model.item_embedding), ship(model._item_bias)
    return Export(model, conversion, CompressedModelFile(path), item, bias)


def constants(graph: bytes) -> dict[int, list[np.ndarray]]:
    """Every constant of a flatbuffer once for each buffer, by the type of its tensors."""
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    found: dict[tuple[int, int], np.ndarray] = {}
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is not None:
                found[tensor.type, tensor.buffer] = np.asarray(data).view(np.uint8)
    by_type: dict[int, list[np.ndarray]] = {}
    for (kind, _), data in found.items():
        by_type.setdefault(kind, []).append(data)
    return by_type


def contents(constants_of_a_type: list[np.ndarray]) -> list[bytes]:
    return sorted(data.tobytes() for data in constants_of_a_type)


# What the oracle computes with: the stored integers as numbers.


def vectors_of(shipped: ShippedEmbedding, ids: Any) -> np.ndarray:
    tables = in_float64(shipped.dequantized())
    return shipped.layer.lookup(NUMPY, np.asarray(ids, np.int32), tables)


def scores_by_oracle(export: Export, history: list[int]) -> np.ndarray:
    """Scores of all ids after one history, by the formulas of the ranker's documentation."""
    model = export.model
    recent = vectors_of(export.item, history)
    recency = np.exp(5.0 * np.asarray(model._recency, np.float64))[: len(history)][::-1]
    query = np.zeros(OUTPUT_DIM)
    if history:
        pooled = recency @ recent / recency.sum()
        query = pooled + np.asarray(model._last_item_gate, np.float64) * recent[-1]
    query = float(np.asarray(model._scale)) * query
    return vectors_of(export.item, ALL_IDS) @ query + vectors_of(export.bias, ALL_IDS)[:, 0]


HISTORIES = [[], [1], [INPUT_DIM - 1, 1], [3, 200, 3, 17, 229], list(range(50, 55))]


def rounding(values: np.ndarray) -> float:
    """float32 rounding of sums of some dozens of numbers of that size."""
    return float(1e-5 * np.abs(values).max())


def test_the_verification_passes_and_the_report_is_in_the_file(export: Export):
    assert export.conversion.verification.passed
    assert export.file.report.items() >= export.conversion.report.items()
    assert len(export.conversion.content) == export.conversion.report["file_bytes"]


def test_old_runtimes_load_it(export: Export):
    model = schema.ModelT.InitFromPackedBuf(export.graph, 0)
    recorded = {entry.name: model.buffers[entry.buffer].data for entry in model.metadata}
    assert bytes(recorded[b"min_runtime_version"]).rstrip(b"\0") == b"2.8.0"
    assert export.conversion.report["min_runtime_version"] == "2.8.0"
    codes = {code.builtinCode for code in model.operatorCodes}
    assert schema.BuiltinOperator.CUSTOM not in codes


def test_every_table_is_in_the_file_once_as_integers(export: Export):
    found = constants(export.graph)
    for kind, dtype in INTEGERS.items():
        declared = [table.data for table in export.tables if table.data.dtype == dtype]
        assert contents(found.get(kind, [])) == contents(declared)
    described = [
        table
        for embedding in export.conversion.report["embeddings"]
        for table in embedding["tables"]
    ]
    assert [table["name"] for table in described] == [table.name for table in export.tables]
    bytes_found = sum(len(data) for kind in INTEGERS for data in found.get(kind, []))
    integers = [table for table in described if table["storage"] != "float32"]
    assert sum(table["data_bytes"] for table in integers) == bytes_found


def test_beside_declared_scales_and_factors_no_constant_is_large(export: Export):
    factors = [t.data.tobytes() for t in export.tables if t.data.dtype == np.float32]
    declared = [table.scale.tobytes() for table in export.tables if table.scaled_by_row] + factors
    found = constants(export.graph)
    floats = contents(found[schema.TensorType.FLOAT32])
    for content in declared:  # once, as the report counts them
        assert floats.count(content) == 1
        floats.remove(content)
    # The file holds nothing that no tensor uses.
    buffers = schema.ModelT.InitFromPackedBuf(export.graph, 0).buffers
    stored = sum(len(buffer.data) for buffer in buffers if buffer.data is not None)
    used = sum(len(data) for constants_of_type in found.values() for data in constants_of_type)
    assert used <= stored <= used + 16  # the metadata names a version
    # The learned gate is as wide as a vector; a small factor may be there transposed, too.
    assert max(map(len, floats)) <= max(4 * OUTPUT_DIM, *map(len, factors), 0)
    assert max(len(data) for data in found[schema.TensorType.INT32]) <= 4 * 2 * INPUT_DIM**0.5


def test_embed_is_the_oracle(export: Export):
    expected = vectors_of(export.item, ALL_IDS)
    found = export.file.run("embed", ids=ALL_IDS)["vectors"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=rounding(expected))
    repeated = np.array([7, 7, 0], np.int32)
    np.testing.assert_array_equal(
        export.file.run("embed", ids=repeated)["vectors"], found[repeated]
    )


def test_score_is_the_oracle(export: Export):
    for history in HISTORIES:
        expected = scores_by_oracle(export, history)
        row = export.file.history_row(history)
        found = export.file.run("score", history=row, candidates=ALL_IDS)["scores"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=rounding(expected))


def test_rank_is_the_oracle_sorted(export: Export):
    for history in HISTORIES:
        expected = scores_by_oracle(export, history)
        expected[[0, *history]] = -np.inf
        ids, scores = export.file.rank(history)
        best = -np.sort(-expected)[:K]
        tolerance = rounding(best)
        np.testing.assert_allclose(scores, best, rtol=0, atol=tolerance)
        np.testing.assert_allclose(expected[ids], scores, rtol=0, atol=tolerance)
        assert len(set(ids)) == K


def test_the_error_of_a_vector_is_within_a_bound_that_says_something(export: Export):
    layer = export.model.item_embedding
    if isinstance(layer, TrainedCodesEmbedding):
        pytest.skip("of a choice of codes no bound is known")
    tables = in_float64(layer.table_values())
    trained = layer.lookup(NUMPY, ALL_IDS, tables)
    found = export.file.run("embed", ids=ALL_IDS)["vectors"]
    error = np.abs(found - trained)
    radius = np.broadcast_to(embedding_ball(export.item, ALL_IDS).radius, error.shape)
    assert (error <= radius).all()
    # Not vacuous: the worst vector uses a good part of it, and it is small beside the vectors.
    # Bounds of products of products, and of networks, are wider.
    least = {TensorTrainEmbedding: 0.2, DeepHashEmbedding: 0.03}.get(type(layer), 0.4)
    assert (error / radius).max() > least
    assert radius.max() < 0.05 * np.abs(trained).max()


def passes_with(export: Export, graph: bytes, folder: Path) -> bool:
    assert graph != export.graph
    path = folder / "changed.tflite"
    path.write_bytes(append_members(graph, export.file.description, None))
    return verify(export.model, path).passed


@pytest.mark.few(2)
def test_a_flipped_bit_in_a_table_fails(export: Export, tmp_path):
    for table in export.item.tables.values():
        if table.data.dtype not in (np.int8, np.uint8):
            continue
        changed = table.data.copy()
        changed[-1, 0] ^= 1 if table.holds_integers else 64
        graph = export.graph.replace(table.data.tobytes(), changed.tobytes())
        assert not passes_with(export, graph, tmp_path)


@pytest.mark.few(2)
def test_a_scale_that_is_two_percent_off_fails(export: Export, tmp_path):
    table = next(t for t in export.item.tables.values() if t.data.dtype == np.int8)
    scale = table.scale.tobytes()
    changed = (table.scale * np.float32(1.02)).tobytes()
    assert not passes_with(export, export.graph.replace(scale, changed), tmp_path)


FUNCTIONAL = [
    case for case in CASES if case.method.__name__ in ("MEmComEmbedding", "TruncatedEmbedding")
]


@pytest.mark.few(2)
@pytest.mark.parametrize("case", FUNCTIONAL, ids=name_of)
def test_a_functional_model_with_a_pooled_table_and_a_float_input(case: Case, tmp_path):
    ids = keras.Input((4,), dtype="int32", name="ids")
    context = keras.Input((3,), name="context")
    pooled = case.trained(combiner="mean", mask_zero=True)(ids)
    joined = keras.layers.Concatenate()([pooled, context])
    outputs = [
        keras.layers.Dense(2, "tanh")(joined),
        keras.layers.Dense(1, "sigmoid")(pooled),
    ]
    model = keras.Model([ids, context], outputs)
    conversion = convert(model)
    assert conversion.verification.passed
    assert conversion.report["kind"] == "model"
    assert conversion.report["min_runtime_version"] == "2.8.0"
    conversion.save(tmp_path / "model.tflite")
    file = CompressedModelFile(tmp_path / "model.tflite")
    assert set(file.signatures) == {"serving_default", "embed"}
    # Padding, an empty bag, the first and the last id; any size of batch.
    batch = np.array([[3, 0, 0, 0], [0, 0, 0, 0], [1, 0, INPUT_DIM - 1, 5]], np.int32)
    features = np.random.default_rng(2).normal(size=(3, 3)).astype(np.float32)
    found = file.run("serving_default", ids=batch, context=features)
    expected = model([batch, features])
    vectors = np.asarray(file.run("embed", ids=ALL_IDS)["vectors"])
    assert vectors.shape == (INPUT_DIM, OUTPUT_DIM)
    for name, values in zip(("output_0", "output_1"), expected, strict=True):
        # Quantization moves vectors by a hundredth of their size at most.
        np.testing.assert_allclose(found[name], values, atol=0.05)
    # An empty bag is zero: what the second head makes of it is its bias.
    np.testing.assert_allclose(found["output_1"][1], 0.5, atol=1e-6)


@pytest.mark.few(2)
@pytest.mark.parametrize("outside", [-1, INPUT_DIM, 10**9])
def test_ids_outside_are_refused_by_every_signature(export: Export, outside: int):
    history = np.array([[1, 2, outside, 0, 0]], np.int32)
    inside, ids = np.array([[1, 2, 3, 0, 0]], np.int32), np.array([1, outside], np.int32)
    for signature, inputs in (
        ("embed", {"ids": ids}),
        ("score", {"history": inside, "candidates": ids}),
        ("score", {"history": history, "candidates": ids[:1]}),
        ("rank", {"history": history}),
    ):
        with pytest.raises(ValueError, match="The runtime must accept the input"):
            export.file.run(signature, **inputs)
