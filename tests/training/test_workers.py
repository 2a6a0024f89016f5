"""Models that several workers train together."""

from __future__ import annotations

import json

import numpy as np
import pytest

from memcom_tf._keras import keras
from memcom_tf.compression import compress_clicks, compress_texts
from memcom_tf.data import prepare_rows
from memcom_tf.datasets import Columns
from memcom_tf.training import fine_tune
from tests import workers
from tests.data.test_prepared_rows import table, written
from tests.training import field_worker
from tests.training.worker import trained


def weights(folder):
    with np.load(folder / "weights.npz") as file:
        return [file[name] for name in file.files]


def test_two_workers_train_the_ranker_of_one(tmp_path):
    printed = workers.run(["-m", "tests.training.worker"], tmp_path)
    assert not any("Warning" in text for text in printed), printed
    record, model = trained(None)
    folders = [tmp_path / f"worker_{number}" for number in range(2)]
    for folder in folders:
        found = json.loads((folder / "record.json").read_text())
        assert found["epoch"] == record["epoch"] > 0
        np.testing.assert_allclose(list(found["ndcg"].values()), list(record["ndcg"].values()))
        for one, other in zip(weights(folder), model.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    # One of them writes.
    assert (folders[0] / "training.npz").is_file() and not (folders[1] / "training.npz").exists()


FIELDS = "-m", "tests.training.field_worker"


def assert_all_have(folders, record, model, atol):
    """Requires that all workers have found what one process has."""
    for folder in folders:
        found = json.loads((folder / "record.json").read_text())
        assert found["epochs"] == record["epochs"] > 0
        losses = list(record["log_loss"].values())
        np.testing.assert_allclose(list(found["log_loss"].values()), losses, rtol=1e-5)
        for one, other in zip(weights(folder), model.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, atol=atol)


@pytest.mark.parametrize("task", ["click", "text"])
def test_two_workers_train_the_model_of_fields_of_one(task, tmp_path):
    """Also where the last batch has one row, and one of them none."""
    printed = workers.run([*FIELDS, "--task", task], tmp_path)
    assert not any("Warning" in text for text in printed), printed
    folders = [tmp_path / f"worker_{number}" for number in range(2)]
    assert_all_have(folders, *field_worker.trained(task), atol=1e-5)
    assert (folders[0] / "training.npz").is_file() and not (folders[1] / "training.npz").exists()


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A data set of rows in five shards, of which two workers read three and two."""
    folder = tmp_path_factory.mktemp("rows")
    path = written(folder, "rows.csv", table(1200))
    columns = Columns("click", ["genres", "site", "code"], ["age"], {"genres": "|"})
    return prepare_rows(path, folder / "data", columns, rows_per_shard=250).folder


def test_two_workers_train_on_a_prepared_data_set_after_a_teacher(rows, tmp_path):
    workers.run([*FIELDS, "--data", str(rows)], tmp_path)
    folders = [tmp_path / f"worker_{number}" for number in range(2)]
    assert_all_have(folders, *field_worker.trained("click", data=rows), atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("dies", ["chief", "other"])
@pytest.mark.parametrize("after", [2, 3])
def test_a_killed_worker_that_reads_shards_of_its_own_is_resumed(dies, after, rows, tmp_path):
    script = [*FIELDS, "--data", str(rows), "--rows-at-once", "300"]
    whole, again = tmp_path / "whole", tmp_path / "again"
    for folder in (whole, again):
        folder.mkdir()
    workers.run(script, whole)
    killed = 0 if dies == "chief" else 1
    processes = []
    try:
        for index, config in enumerate(workers.tf_configs()):
            words = [*script, *(["--dies-after", str(after)] if index == killed else [])]
            processes.append(workers.begin(words, config, again / f"worker_{index}"))
        printed = workers.end(processes)
    finally:
        workers.kill(processes)
    assert processes[killed].returncode == 9
    assert processes[1 - killed].returncode == 1
    last = printed[1 - killed].strip().splitlines()[-1]
    assert "All workers must be there until training ends. Received: error=" in last, last
    workers.run(script, again)
    for number in range(2):
        one, other = (folder / f"worker_{number}" for folder in (whole, again))
        assert (one / "record.json").read_text() == (other / "record.json").read_text()
        for first, second in zip(weights(one), weights(other), strict=True):
            np.testing.assert_array_equal(first, second)


@pytest.mark.long
@pytest.mark.parametrize("dies", ["chief", "other"])
def test_a_worker_that_is_killed_is_said_and_resumed(dies, tmp_path):
    script = ["-m", "tests.training.worker", "--all-items"]
    whole, again = tmp_path / "whole", tmp_path / "again"
    for folder in (whole, again):
        folder.mkdir()
    workers.run(script, whole)
    killed = 0 if dies == "chief" else 1
    processes = []
    try:
        for index, config in enumerate(workers.tf_configs()):
            words = [*script, *(["--dies"] if index == killed else [])]
            processes.append(workers.begin(words, config, again / f"worker_{index}"))
        printed = workers.end(processes)
    finally:
        workers.kill(processes)
    assert processes[killed].returncode == 9
    assert processes[1 - killed].returncode == 1
    last = printed[1 - killed].strip().splitlines()[-1]
    assert "All workers must be there until training ends. Received: error=" in last, last
    assert (again / "worker_0" / "training.npz").is_file()
    workers.run(script, again)
    for number in range(2):
        one, other = (folder / f"worker_{number}" for folder in (whole, again))
        assert (one / "record.json").read_text() == (other / "record.json").read_text()
        for first, second in zip(weights(one), weights(other), strict=True):
            np.testing.assert_array_equal(first, second)


@pytest.mark.long
def test_workers_with_other_data_are_refused(tmp_path):
    processes = []
    try:
        for index, config in enumerate(workers.tf_configs()):
            users = {"USERS": str(60 + 3 * index)}
            words = ["-m", "tests.training.worker"]
            processes.append(workers.begin(words, config, tmp_path / str(index), users))
        printed = workers.end(processes)
    finally:
        workers.kill(processes)
    for text, other in zip(printed, ("another worker", "this worker"), strict=True):
        last = text.strip().splitlines()[-1]
        assert "All workers must train on the same data" in last and other in last, text[-2000:]


def test_each_of_several_workers_that_would_train_alone_is_refused(monkeypatch):
    cluster = {"worker": ["one:2222", "two:2222"]}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    with pytest.raises(ValueError, match=r"within the scope of their strategy.*workers=2"):
        trained(None)
    alone = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"`fine_tune` must be done by one process"):
        fine_tune(alone, np.zeros((9, 1)), np.zeros((9, 1)), loss="mse")
    for task in ("click", "text"):
        with pytest.raises(ValueError, match=r"within the scope of their strategy.*workers=2"):
            field_worker.trained(task)
    for compress in (compress_clicks, compress_texts):
        with pytest.raises(ValueError, match=r"Compression must be done by one process"):
            compress(None, None, ratio=2)
