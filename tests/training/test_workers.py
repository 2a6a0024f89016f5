"""Rankers that several workers train together."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests import workers
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
