"""Sweeps: what is in the folder, what is run again, what fails."""

from __future__ import annotations

import json

import numpy as np
import pytest

from memcom_tf.compression.file_size import fill_at_random, graph_bytes
from memcom_tf.converters import CompressedModelFile
from memcom_tf.datasets import Rows, made_up_dishes
from memcom_tf.evaluation import leave_last_out, split_rows
from memcom_tf.models import load_model
from memcom_tf.sweeps import Planned, Runs, rankers, sweep, sweeping
from memcom_tf.training import ClickSettings, TrainingSettings

SPLIT = leave_last_out(made_up_dishes(num_users=60), history_length=10)
SETTINGS = TrainingSettings(epochs=1, k=5)
OF_RATIO_4 = "ratio4-MEmComEmbedding-seed0"


def run(folder, **changed):
    options = {"methods": ["MEmComEmbedding"], "ratios": [4], "width": 16, "settings": SETTINGS}
    return sweep(folder=folder, **{"data": SPLIT, **options, **changed})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "runs"
    lines = []
    found = run(folder, ratios=[4, 5000], report=lines.append)
    return folder, found, lines


@pytest.fixture
def no_training(monkeypatch):
    """Refuses to train."""

    def refused(*args, **kwargs):
        raise AssertionError("it was trained again")

    monkeypatch.setattr(rankers, "train", refused)


def test_each_run_has_a_model_a_file_and_a_row(made):
    folder, found, _ = made
    full, small, failed = found.rows
    names = {f"{name}{end}" for name in ("full-seed0", OF_RATIO_4) for end in (".keras", ".tflite")}
    assert {path.name for path in folder.iterdir()} == names | {"runs.json", "test.npz"}
    assert small["bytes"] <= full["bytes"] / 4
    assert 0 <= small["ndcg@5"] <= small["recall@5"] <= 1
    assert small["chosen"].startswith("MEmComEmbedding(")
    origin = CompressedModelFile(folder / small["file"]).description.origin
    assert origin.model == small["model"]
    assert dict(origin.settings) == {"method": "MEmComEmbedding", "ratio": "4.0", "seed": "0"}
    layer = load_model(folder / small["model"]).item_embedding
    assert layer.num_dedicated == layer.sharing.num_rows // 2
    assert found.failed == [failed]


@pytest.mark.parametrize("limit", [18_000, 19_000, 20_000])
def test_rows_of_single_items_count_in_the_bytes(limit, monkeypatch):
    work = rankers.Rankers(SPLIT, 16, SETTINGS)
    monkeypatch.setattr(work, "_trained", lambda split, sized, seed: sized)
    sized = work.of_method("MEmComEmbedding", 0, limit, 4.0)
    assert sized.candidate.arguments["num_dedicated"] > 0
    ranker = rankers._new(SPLIT, sized)
    fill_at_random(ranker)
    assert 0.8 * limit < graph_bytes(ranker) <= limit


def test_a_ratio_out_of_reach_is_a_row_with_the_reason(made):
    _, found, lines = made
    (failed,) = found.failed
    assert failed["error"].startswith("`ratios` must leave room for the smallest MEmComEmbedding.")
    assert f"MEmComEmbedding at 5000x, seed 0 failed: {failed['error']}" in lines


def test_a_run_that_is_there_is_not_run_again(made, no_training):
    folder, found, _ = made
    lines = []
    assert run(folder, report=lines.append).rows == found.rows[:2]
    assert [line.endswith("done before") for line in lines] == [True, True]


def test_a_run_whose_file_is_gone_is_run_again(made):
    folder, found, _ = made
    (folder / f"{OF_RATIO_4}.tflite").unlink()
    again = run(folder).rows[1]
    assert (folder / f"{OF_RATIO_4}.tflite").exists()
    assert {**again, "seconds": 0} == {**found.rows[1], "seconds": 0}
    rows = json.loads((folder / "runs.json").read_text())["runs"]
    assert len(rows) == 3


def test_other_settings_and_other_data_are_refused(made, no_training):
    folder, _, _ = made
    with pytest.raises(ValueError, match=r"same data and settings.*width 16 before, 8 now"):
        run(folder, width=8)
    other = leave_last_out(made_up_dishes(num_users=61), history_length=10)
    with pytest.raises(ValueError, match=r"data=.fingerprint .*; items 762 before, \d+ now"):
        sweep(other, folder, methods=["compress"], ratios=[4], width=16, settings=SETTINGS)


def test_runs_of_other_settings_are_replaced_where_asked_for(tmp_path):
    before = Runs(tmp_path / "runs", {"items": 1}, {"width": 8})
    plan = Planned("HashedEmbedding", 4.0, 0)
    before.path(plan, ".tflite").touch()
    before.keep(plan, {"bytes": 1})
    (tmp_path / "runs" / "notes.txt").touch()
    after = Runs(tmp_path / "runs", {"items": 1}, {"width": 9}, replace=True)
    assert after.rows == [] and not before.path(plan, ".tflite").exists()
    assert (tmp_path / "runs" / "notes.txt").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "x", "format_version": 1}', '{"format": []}', '"runs"']
)
def test_a_manifest_that_no_sweep_wrote_is_refused(tmp_path, text):
    (tmp_path / "runs.json").write_text(text)
    with pytest.raises(ValueError, match=r"runs\.json must be what a sweep"):
        Runs(tmp_path, {}, {})


def test_a_proof_that_fails_keeps_no_file(tmp_path, monkeypatch):
    convert = sweeping.convert

    def broken(model, **kwargs):
        conversion = convert(model, **kwargs)
        if kwargs["weights"] == "int8":
            monkeypatch.setattr(type(conversion.verification), "passed", False)
        return conversion

    monkeypatch.setattr(sweeping, "convert", broken)
    found = run(tmp_path / "runs", methods=["HashedEmbedding"])
    assert "within the bounds of the proof" in found.failed[0]["error"]
    assert [path.name for path in (tmp_path / "runs").glob("*.tflite")] == ["full-seed0.tflite"]


REFUSED = {
    "no method": ({"methods": []}, "`methods` must have one value or more"),
    "twice": ({"ratios": [4, 4]}, "`ratios` must have one value or more, each once"),
    "an unknown method": ({"methods": ["Magic"]}, "must be layers, or compress.*'Magic'"),
    "a ratio below 1": ({"ratios": [0.5]}, "`ratios` must be 1 or more"),
    "no seed": ({"seeds": []}, "`seeds` must have one value"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_before_anything_is_made(tmp_path, case):
    changed, expected = REFUSED[case]
    with pytest.raises(ValueError, match=expected):
        run(tmp_path / "runs", **changed)
    assert not (tmp_path / "runs").exists()


def test_a_full_ranker_that_cannot_be_trained_ends_the_sweep(tmp_path):
    none = leave_last_out(made_up_dishes(num_users=5, num_weeks=1), history_length=10)
    with pytest.raises(ValueError, match="example"):
        sweep(none, tmp_path / "runs", methods=["compress"], ratios=[4])


def test_settings_of_other_models_are_refused(tmp_path):
    with pytest.raises(TypeError, match="`settings` must be TrainingSettings for such data"):
        run(tmp_path / "runs", settings=ClickSettings())
    rows = Rows.of({"site": np.arange(200) % 7}, label=np.arange(200) % 2)
    with pytest.raises(TypeError, match="`settings` must be ClickSettings for such data"):
        sweep(
            split_rows(rows), tmp_path / "runs", methods=["compress"], ratios=[4], settings=SETTINGS
        )


def test_click_models_without_a_large_table_say_so(tmp_path):
    rows = Rows.of({"site": np.arange(400) % 7}, label=np.arange(400) % 2)
    found = sweep(
        split_rows(rows),
        tmp_path / "runs",
        methods=["HashedEmbedding"],
        ratios=[4],
        settings=ClickSettings(epochs=1, evaluations=1),
    )
    assert found.failed[0]["error"].startswith("There must be a table of 1,000 rows or more")
