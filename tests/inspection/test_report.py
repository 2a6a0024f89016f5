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
from memcom_tf._keras import keras
from memcom_tf.cli.main import main
from memcom_tf.converters import (
    CompressedModelFile,
    QuantizationWarning,
    convert,
    measure,
    write_html,
)
from memcom_tf.converters.inspection.display import show_report
from memcom_tf.converters.inspection.html_report import html_report
from memcom_tf.converters.model_file.description import FileDescription
from memcom_tf.converters.quantization.quantization_error import row_errors
from memcom_tf.converters.quantization.quantize import quantize_table
from memcom_tf.models import NextItemRanker
from memcom_tf.tables import Table
from tests.inspection.pages import data_of, markup_of


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
    monkeypatch.setattr("memcom_tf.converters.inspection.measurement.THREADS", (1,))
    page = tmp_path / "report.html"
    words = ["inspect", str(file), "--html", str(page)]
    assert main([*words, "--measure", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report.pop("measured").keys() == {"threads", "processor", "cores"}
    assert report == CompressedModelFile(file).report
    assert {"share_not_unique", "share_not_unique_trained"} <= report["embeddings"][0].keys()
    assert len(report["embeddings"][0]["tables"][0]["error_quantiles"]) == 5
    data = data_of(page.read_text())
    (figures,) = data["comparison"]["files"]
    assert data["measured"]["threads"]["1"]["milliseconds"].keys() == {"rank", "score", "embed"}
    assert set(figures["milliseconds"]) == {"rank", "score", "embed"}
    assert figures["report"] == report
    assert figures["bytes"]["file"] == file.stat().st_size
    assert main(words) == 2
    assert "must not exist" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0
    assert data_of(page.read_text())["measured"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_page_of_a_file_runs_no_name_and_says_what_it_is(file, tmp_path):
    report = CompressedModelFile(file).report
    report["name"] = report["embeddings"][0]["name"] = HOSTILE
    report["embeddings"][0]["tables"][0]["name"] = HOSTILE
    found = {"milliseconds": {HOSTILE: 1.0}, "peak_bytes": None}
    report["measured"] = {"threads": {"1": found, "2": found}, "processor": HOSTILE, "cores": 1}
    write_html(report, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    markup = markup_of(page)
    assert "<script" not in markup
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt; $\\frac{"
    assert f"<h1>{escaped}</h1>" in markup
    assert f"{escaped} takes {report['file_bytes']:,} bytes" in markup
    data = data_of(page)
    assert data["comparison"]["files"][0]["report"]["embeddings"][0]["name"] == HOSTILE
    assert data["measured"]["processor"] == HOSTILE


def test_a_page_says_how_many_tables_it_leaves_out(file):
    report = CompressedModelFile(file).report
    report["embeddings"] *= 800
    count = sum(len(embedding["tables"]) for embedding in report["embeddings"])
    data = data_of(html_report(report))
    kept = data["comparison"]["files"][0]["report"]["embeddings"]
    assert sum(len(embedding["tables"]) for embedding in kept) == 1000
    assert data["tables_left_out"] == [count - 1000]
    assert len(report["embeddings"][-1]["tables"]) > 0, "the report itself is left as it is"


@pytest.mark.parametrize("wrong", [[0.1], "0.1", [0.1, 0.1, 0.1, 0.1, -1.0], [0.1] * 4 + [True]])
def test_quantiles_that_are_none_are_refused(file, wrong):
    description = CompressedModelFile(file).description.to_json()
    description["embeddings"][0]["tables"][0]["error_quantiles"] = wrong
    with pytest.raises(ValueError, match="`error_quantiles` is not what it must be"):
        FileDescription.from_json(description, file)


def of_vectors(values, **kwargs):
    """A model that looks up in a table, converted."""
    ids = keras.Input((), dtype="int32", name="ids")
    items = keras.layers.Embedding(*values.shape, name="items")
    model = keras.Model(ids, items(ids))
    items.set_weights([values])
    return convert(model, verify=False, **kwargs)


def normal(rows=400, width=16):
    return np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)


def one_row_longer(factor):
    values = normal()
    values[7] *= factor
    return values


@pytest.mark.parametrize("factor", [1e3, 1e6])
def test_one_row_that_makes_zeros_of_the_others_is_named(factor):
    with pytest.warns(QuantizationWarning) as caught:
        conversion = of_vectors(one_row_longer(factor), weights="int8_per_table")
    (sentence,) = conversion.report["warnings"]
    assert [str(one.message) for one in caught] == [sentence]
    assert re.match(
        r"table 'items/embeddings', stored as int8 per table: 399 of 400 rows \(99\.75%\) became "
        r"zeros\. Row 7 is [\d,]+ times as long as the median row, and one scale serves all\.",
        sentence,
    )


@pytest.mark.parametrize("kind", ["int8", "int4", "int2", "float32"])
def test_with_scales_of_rows_none_is_lost(kind, recwarn):
    assert of_vectors(one_row_longer(1e3), weights=kind).report["warnings"] == []
    assert not [one for one in recwarn if one.category is QuantizationWarning]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (one_row_longer(150), "int8_per_table", r"median row is off by \d\d% of its length"),
        (normal() * 1e-9, "float16", r"400 of 400 rows \(100\.00%\) became zeros\. Store .* int8"),
        (normal() + 1e4 * np.eye(16)[0], "int8", r"off by \d\d+% of what tells it from the mean"),
        (normal() + 100, "int2", r"off by \d+% of what tells it from the mean row"),
    ],
)
def test_what_most_rows_lose_is_said(values, kind, expected):
    with pytest.warns(QuantizationWarning, match=expected):
        conversion = of_vectors(values, weights=kind)
    assert re.search(expected, conversion.report["warnings"][0])


def test_rows_that_are_all_alike_lose_nothing(recwarn):
    values = np.full((400, 16), 0.3, np.float32)
    values[5] = 0
    assert of_vectors(values, weights="int4").report["warnings"] == []


def test_a_layer_that_rounds_has_learned_with_what_is_stored(recwarn):
    for aware in (True, False):
        storage = {"embeddings": "int8_per_table"}
        layer = FullEmbedding(400, 16, storage=storage, quantization_aware=aware)
        model = keras.Sequential([keras.Input((), dtype="int32"), layer])
        layer.assign_tables({"embeddings": one_row_longer(1e3)})
        assert len(convert(model, verify=False).report["warnings"]) == (0 if aware else 1)


def test_the_command_line_prints_warnings(tmp_path, capsys):
    ids = keras.Input((), dtype="int32", name="ids")
    items = keras.layers.Embedding(400, 16, name="items")
    model = keras.Model(ids, items(ids))
    items.set_weights([one_row_longer(150)])
    model.save(tmp_path / "model.keras")
    words = ["convert", str(tmp_path / "model.keras"), "-o", str(tmp_path / "model.tflite")]
    assert main([*words, "--weights", "int8_per_table"]) == 0
    printed = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("memcom: warning:")
    ]
    assert len(printed) == 1
    assert "table 'items/embeddings'" in printed[0]
    assert "Row 7 " in printed[0]
    # The file says it as well.
    report = CompressedModelFile(tmp_path / "model.tflite").report
    assert printed[0] == f"memcom: warning: {report['warnings'][0]}"


@pytest.mark.few(2)
@pytest.mark.parametrize("sentences", ["x", [1], ["\x1b[2J"], None])
def test_warnings_of_a_foreign_file_must_be_printable(sentences, tmp_path):
    description = {**converted(FullEmbedding(40, 6)).report, "warnings": sentences}
    with pytest.raises(ValueError, match="`warnings` is not what it must be"):
        FileDescription.from_json(description, tmp_path)
