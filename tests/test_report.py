"""The report of a file: bits and bytes of every table, and what quantization took from its rows."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from rich.console import Console

from memcom_tf import FullEmbedding, MEmComEmbedding, ProductQuantizedEmbedding
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.display import show_report
from memcom_tf.converters.quantization_error import row_errors
from memcom_tf.converters.quantize import quantize_table
from memcom_tf.models import NextItemRanker
from memcom_tf.tables import Table


def converted(embedding, **kwargs):
    model = NextItemRanker(embedding, history_length=3, item_bias=False)
    model.build((None, 3))
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.3, 0.4, variable.shape))
    return convert(model, k=4, verify=False, **kwargs)


def tables_of(conversion):
    return {t["name"]: t for e in conversion.report["embeddings"] for t in e["tables"]}


@pytest.mark.parametrize("storage", ["int8_per_row", "int8_per_table", "int4_per_row"])
def test_errors_are_distances_over_norms(storage):
    values = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    values[7] *= 1e-3
    values[9] = 0
    stored = quantize_table(Table("table", 50, 6, storage=storage), values)
    errors = row_errors(values, stored)
    kept = np.delete(np.arange(50), 9)
    distances = np.linalg.norm(stored.dequantized() - values.astype(np.float64), axis=1)[kept]
    expected = distances / np.linalg.norm(values.astype(np.float64), axis=1)[kept]
    assert errors.worst == pytest.approx(expected.max())
    assert errors.median == pytest.approx(np.median(expected))
    # One scale for all takes everything from a row a thousand times shorter.
    assert (errors.worst > 0.9) == (storage == "int8_per_table")


def test_rows_of_zeros_have_no_error():
    values = np.zeros((3, 2), np.float32)
    stored = quantize_table(Table("table", 3, 2), values)
    assert row_errors(values, stored).worst == 0.0


def test_tables_have_bits_metadata_and_errors():
    shared = {"shared": "int4_per_table", "multiplier": "int8_per_bucket"}
    tables = tables_of(converted(MEmComEmbedding(40, 6, num_buckets=10, storage=shared)))
    assert tables["shared"]["bits"] == 4
    assert tables["shared"]["metadata_bytes"] == 4
    assert tables["multiplier"]["bits"] == 8
    assert tables["multiplier"]["metadata_bytes"] == 4 * 10
    table = tables_of(converted(FullEmbedding(40, 6)))["embeddings"]
    assert (table["bits"], table["metadata_bytes"]) == (8, table["scale_bytes"])
    assert 0 < table["median_error"] < table["worst_error"] < 0.02


def test_codes_and_floats_lose_nothing():
    codes = ProductQuantizedEmbedding(40, 6, num_codebooks=2, num_codes=4)
    exact = [*tables_of(converted(codes)).values()]
    exact = [table for table in exact if table["storage"].startswith("uint")]
    exact += tables_of(converted(FullEmbedding(40, 6), weights="float32")).values()
    assert [table["bits"] for table in exact] == [4, 32]
    assert all(table["worst_error"] == table["metadata_bytes"] == 0 for table in exact)


def test_a_file_reports_what_its_conversion_did(tmp_path):
    conversion = converted(MEmComEmbedding(40, 6, num_buckets=10))
    conversion.save(tmp_path / "model.tflite")
    report = CompressedModelFile(tmp_path / "model.tflite").report
    assert report.items() >= conversion.report.items()
    assert report["compressed_bytes"] == len(zlib.compress(conversion.content))


def test_a_report_of_an_earlier_version_is_shown_with_dashes():
    report = converted(MEmComEmbedding(40, 6, num_buckets=10)).report
    for table in report["embeddings"][0]["tables"]:
        del table["bits"], table["worst_error"]
    console = Console(file=io.StringIO(), width=150)
    show_report(report, console)
    assert " - " in console.file.getvalue()
    assert "worst row" in console.file.getvalue()


def test_names_with_brackets_are_shown_as_they_are():
    report = converted(MEmComEmbedding(40, 6, num_buckets=10)).report
    report["name"] = report["embeddings"][0]["name"] = "[/bold]"
    console = Console(file=io.StringIO(), width=150)
    show_report(report, console)
    assert "[/bold]" in console.file.getvalue()
