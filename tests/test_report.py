"""The report of a file: bits and bytes of every table, and what quantization took from its rows."""

from __future__ import annotations

import io
import json
import re
import zlib

import numpy as np
import pytest
from rich.console import Console

from memcom_tf import FullEmbedding, MEmComEmbedding, ProductQuantizedEmbedding
from memcom_tf.converters import CompressedModelFile, convert, measure, write_html
from memcom_tf.converters.cli import main
from memcom_tf.converters.description import check_description
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
    assert errors.quantiles == pytest.approx(np.quantile(expected, [0.05, 0.25, 0.5, 0.75, 0.95]))
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


HOSTILE = "<script>alert(1)</script> $\\frac{"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "model.tflite"
    converted(MEmComEmbedding(40, 6, num_buckets=10)).save(path)
    return path


def test_files_are_measured_with_one_and_two_threads(file):
    threads = measure(file, repeats=2)["threads"]
    assert set(threads) == {"1", "2"}
    for found in threads.values():
        assert set(found["milliseconds"]) == {"rank", "score", "embed"}
        assert all(milliseconds > 0 for milliseconds in found["milliseconds"].values())
        assert found["peak_bytes"] is None or 1e5 < found["peak_bytes"] < 1e8
    with pytest.raises(ValueError, match=r"`repeats` must be positive. Received: repeats=0"):
        measure(file, repeats=0)


def test_inspect_measures_on_request_and_writes_a_page(file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("memcom_tf.converters.measurement.THREADS", (1,))
    page = tmp_path / "report.html"
    words = ["inspect", str(file), "--html", str(page)]
    assert main([*words, "--measure", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report.pop("measured").keys() == {"threads", "processor", "cores"}
    assert report == CompressedModelFile(file).report
    assert {"share_not_unique", "share_not_unique_trained"} <= report["embeddings"][0].keys()
    assert len(report["embeddings"][0]["tables"][0]["error_quantiles"]) == 5
    text = page.read_text()
    assert text.count("data:image/svg+xml;base64,") == 3
    assert "peak memory" in text
    assert main(words) == 2
    assert "must not exist" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0
    assert page.read_text().count("data:image/svg+xml;base64,") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_page_needs_nothing_else_and_runs_no_name(file, tmp_path):
    report = CompressedModelFile(file).report
    report["name"] = report["embeddings"][0]["name"] = HOSTILE
    report["embeddings"][0]["tables"][0]["name"] = HOSTILE
    milliseconds = {HOSTILE: 1.0}
    found = {"milliseconds": milliseconds, "peak_bytes": None}
    report["measured"] = {"threads": {"1": found, "2": found}, "processor": HOSTILE, "cores": 1}
    write_html(report, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 5
    assert set(re.findall(r'(?:src|href)="(.{,10})', text)) == {"data:image"}
    assert "http" not in text.replace('http-equiv="Content-Security-Policy"', "")


@pytest.mark.parametrize("wrong", [[0.1], "0.1", [0.1, 0.1, 0.1, 0.1, -1.0], [0.1] * 4 + [True]])
def test_quantiles_that_are_none_are_refused(file, wrong):
    description = CompressedModelFile(file).description
    description["embeddings"][0]["tables"][0]["error_quantiles"] = wrong
    with pytest.raises(ValueError, match="`error_quantiles` is not what it must be"):
        check_description(description, file)
