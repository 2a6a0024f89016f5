"""What the benchmark of the app's ranker reports; nothing here measures time."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from benchmarks import android_ranking


def test_parts_of_an_apk_add_up(tmp_path):
    path = tmp_path / "app.apk"
    with zipfile.ZipFile(path, "w") as apk:
        apk.writestr("lib/arm64-v8a/library.so", b"x" * 700)
        apk.writestr("assets/models/model.tflite", b"x" * 300)
        apk.writestr("classes.dex", b"x" * 90)
        apk.writestr("resources.arsc", b"x" * 20)
        apk.writestr("res/layout/main.xml", b"x" * 10)
        apk.writestr("AndroidManifest.xml", b"x" * 5)
    parts = android_ranking.apk_parts(path)
    assert parts["TensorFlow Lite"] == 700
    assert parts["models with titles"] == 300
    assert parts["code"] == 90
    assert parts["resources"] == 30
    whole = parts.pop("all")
    assert whole == path.stat().st_size == sum(parts.values())


def test_a_small_model_is_written_proved_and_measured_by_its_graph(tmp_path):
    path = tmp_path / "model.tflite"
    android_ranking.write_model("MEmCom int8", 400, path)
    with zipfile.ZipFile(path) as archive:
        members = sum(info.file_size for info in archive.infolist())
    graph = android_ranking.graph_bytes(path)
    assert path.read_bytes()[graph : graph + 4] == b"PK\x03\x04"
    assert 0 < graph < path.stat().st_size - members


def test_the_report_holds_every_file_and_part():
    memory = {
        stage: {"RssAnon": 40_000_000, "RssFile": 30_000_000}
        for stage in ("start", "titles", "loaded", "ranked")
    }
    spread = {"median": 0.5, "min": 0.4, "max": 0.6}
    times = dict.fromkeys(("ms", "ms_p05", "ms_p95", "load_ms"), spread)
    case = {**times, "memory": memory, "file_bytes": 9_000_000, "graph_bytes": 6_000_000}
    parts = {"TensorFlow Lite": 1_400_000, "all": 1_500_000}
    text = android_ranking.report(
        {"items": 1_000_000, "cases": {"MEmCom int8": case}, "apks": {"app": parts}}
    )
    assert "| MEmCom int8 | 6.0 | 9.0 | 0.5 (0.4-0.6) | 0.5 | 0 | 40 + 30 |" in text
    assert "| TensorFlow Lite | 1,400,000 |" in text


def test_the_figures_of_the_readme_are_those_of_the_benchmark():
    root = Path(__file__).parents[2]
    results_folder = root / "benchmarks" / "results"
    results = (results_folder / "android_ranking.md").read_text()
    readme = (root / "android_demo" / "README.md").read_text()
    rows = [line for line in results.splitlines() if line.startswith("|")]
    assert len(rows) > 8
    assert all(row in readme for row in rows)
    median = json.loads((results_folder / "android_ranking.json").read_text())
    median = median["cases"]["MEmCom int8"]["ms"]["median"]
    assert f"ranked exactly in {median:.2g} ms" in (root / "docs" / "phone.md").read_text()
