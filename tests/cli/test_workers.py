"""Commands under `TF_CONFIG`: one worker writes, and what cannot be shared is refused at once."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import time

import numpy as np
import pytest

from memcom_tf.cli import main as cli
from tests import workers

PLACES = {"worker": ["one:2222", "two:2222"]}
TASK = {"type": "worker", "index": 0}
REFUSED = {
    "{": "must be JSON. Received: TF_CONFIG='{'. Set it as TensorFlow takes it",
    "[]": "must be a JSON object",
    json.dumps({"cluster": PLACES}): "must say which of the workers this process is",
    json.dumps({"cluster": PLACES, "task": {"type": "worker"}}): "must say which of the workers",
    json.dumps({"cluster": [1], "task": TASK}): "cluster of TF_CONFIG must be an object",
    json.dumps({"cluster": {"worker": "one"}, "task": TASK}): "must be a list of places",
    json.dumps({"cluster": {"worker": ["one"]}, "task": TASK}): "must be a list of places",
    json.dumps({"cluster": {"worker": ["a:1", "a:1"]}, "task": TASK}): "a place of its own",
    json.dumps({"cluster": {**PLACES, "chief": ["a:1", "b:1"]}, "task": TASK}): "name one chief",
    json.dumps({"cluster": {**PLACES, "ps": ["a:1"]}, "task": TASK}): "Received: job='ps'",
    json.dumps({"cluster": PLACES, "task": {"type": "ps", "index": 0}}): "Received: type='ps'",
    json.dumps({"cluster": PLACES, "task": {"type": "worker", "index": 2}}): "must be below 2",
    json.dumps({"cluster": PLACES, "task": {"type": "worker", "index": True}}): "must be below 2",
}
TRAIN = "train", "log.csv", "-o", "n.keras", "--epochs", "2", "--width", "4", "--batch-size", "64"


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "log.csv"
    rng = np.random.default_rng(0)
    with open(path, "w", newline="") as file:
        rows = zip(np.repeat(np.arange(80), 8), rng.integers(0, 60, 640), strict=True)
        csv.writer(file).writerows([("user", "item"), *rows])
    return path


@pytest.mark.parametrize("config", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_cluster_of_workers_is_refused(config, log, monkeypatch, capsys):
    monkeypatch.setenv("TF_CONFIG", config)
    assert cli.main(TRAIN) == 2
    error = capsys.readouterr().err
    assert REFUSED[config] in error and len(error.splitlines()) == 1
    assert [path.name for path in log.parent.iterdir()] == ["log.csv"]


def test_refusals_load_no_tensorflow(log):
    script = (
        "import sys; from memcom_tf.cli import main as cli;"
        f"code = cli.main({TRAIN!r}); sys.exit(code if 'tensorflow' not in sys.modules else 9)"
    )
    process = workers.begin(["-c", script], "{", log.parent)
    (printed,) = workers.end([process])
    assert process.returncode == 2, printed


@pytest.mark.parametrize(
    "words",
    [
        ("compress", "n.keras", "log.csv", "-o", "n.tflite", "--ratio", "2"),
        ("compress", "n.keras", "log.csv", "-o", "n.tflite", "--task", "click", "--ratio", "2"),
        ("compress", "n.keras", "log.csv", "-o", "n.tflite", "--task", "text", "--ratio", "2"),
    ],
)
def test_what_is_not_shared_between_workers_is_refused(words, log, monkeypatch, capsys):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": PLACES, "task": TASK}))
    assert cli.main(words) == 2
    assert "must be done by one process" in capsys.readouterr().err


@pytest.mark.parametrize("config", ["", "{}", '{"cluster": {}}'])
def test_one_process_is_no_worker(config, log, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    assert cli.main([*TRAIN[:4], "--steps", "1", "--width", "4"]) == 0


@pytest.mark.long
def test_one_worker_writes(log):
    words = ["-m", "memcom_tf.cli", *TRAIN]
    words[words.index("log.csv")] = str(log)
    chief, other = workers.run(words, log.parent)
    assert "worker 1 of 2: waiting for 127.0.0.1:" in chief and "nDCG@10 on validation" in chief
    assert "worker 2 of 2: done; worker 1 writes the model" in other
    assert "warning" not in chief + other
    assert [path.name for path in (log.parent / "worker_0").iterdir()] == ["n.keras"]
    assert not [*(log.parent / "worker_1").iterdir()]


LABELLED = {
    "click": ("--label", "click", "--categorical", "site", "--method", "MEmComEmbedding"),
    "text": ("--label", "click", "--text", "site"),
}


@pytest.mark.long
@pytest.mark.parametrize("task", LABELLED)
def test_one_worker_writes_and_judges_a_model_of_fields(task, tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"{rng.integers(0, 2)},s{rng.integers(0, 30)} x" for _ in range(300)]
    (tmp_path / "rows.csv").write_text("\n".join(["click,site", *lines]) + "\n")
    words = ["train", str(tmp_path / "rows.csv"), "--task", task, *LABELLED[task], "--epochs", "2"]
    assert cli.main([*words, "-o", str(tmp_path / "teacher.keras"), "--width", "3"]) == 0
    taught = ["--width", "4", "--ratio", "2", "--teacher", str(tmp_path / "teacher.keras")]
    chief, other = workers.run(["-m", "memcom_tf.cli", *words, "-o", "n.keras", *taught], tmp_path)
    assert "s for test " in chief and "after 1 epochs on validation" in chief
    assert "worker 2 of 2: done; worker 1 writes the model" in other and "s for test " not in other
    assert "warning" not in (chief + other).lower().replace("warning: all log messages", "")
    assert [path.name for path in (tmp_path / "worker_0").iterdir()] == ["n.keras"]
    assert not [*(tmp_path / "worker_1").iterdir()]


@pytest.mark.long
@pytest.mark.parametrize("waits_for", ["the others", "a step"])
def test_ctrl_c_ends_a_worker_that_waits(waits_for, log):
    words = ["-m", "memcom_tf.cli", *TRAIN]
    words[words.index("log.csv")] = str(log)
    words[words.index("--epochs") + 1] = "2000"
    processes: list[subprocess.Popen[str]] = []
    try:
        configs = workers.tf_configs()[: 1 if waits_for == "the others" else 2]
        for index, config in enumerate(configs):
            processes.append(workers.begin(words, config, log.parent / f"worker_{index}"))
        read_until(processes[0], "waiting for")
        if len(processes) > 1:
            read_until(processes[0], "epoch 400 of")
            processes[1].send_signal(signal.SIGSTOP)
        time.sleep(5.0)
        processes[0].send_signal(signal.SIGINT)
        (printed,) = workers.end(processes[:1], 60.0)
    finally:
        workers.kill(processes)
    if waits_for == "the others":
        assert processes[0].returncode == -signal.SIGINT, printed
        assert not [*(log.parent / "worker_0").iterdir()]
    else:
        assert processes[0].returncode == 130, printed
        assert "what was done is in n.keras.checkpoint: the same command with --resume" in printed


def read_until(process: subprocess.Popen[str], words: str) -> None:
    """Reads lines of a process until one has these words."""
    for line in process.stdout or ():
        if words in line:
            return
    raise AssertionError(f"The process ended before it said {words!r}.")
