"""The command line as a process at a terminal of 80 columns: what it says, and what it does not."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from memcom_tf import FullEmbedding
from memcom_tf._keras import is_keras_3, keras
from memcom_tf.cli import early_checks
from memcom_tf.cli.main import main
from memcom_tf.converters import convert

if not is_keras_3:
    pytest.skip("the same in tf_keras", allow_module_level=True)

NOISE = ("TensorFlow", "XNNPACK", "absl", "AutoGraph", "retracing", "oneDNN", "Keras 3", "cuda")


def environment() -> dict[str, str]:
    found = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    found.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return found


def command(*words) -> list[str]:
    return [sys.executable, "-m", "memcom_tf.cli", *map(str, words)]


def memcom(*words, cwd) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, a file of it, and a log."""
    folder = tmp_path_factory.mktemp("terminal")
    ids = keras.Input((), dtype="int32", name="ids")
    name = "a_name_of_an_embedding_that_is_long_enough_for_two_lines"
    model = keras.Model(ids, FullEmbedding(1_565, 64, name=name)(ids))
    model.save(folder / "model.keras")
    convert(model, verify=False).save(folder / "model.tflite")
    rng = np.random.default_rng(0)
    rows = [f"{rng.integers(60)},{rng.integers(40)},{i}" for i in range(1500)]
    (folder / "log.csv").write_text("\n".join(["userId,movieId,timestamp", *rows]) + "\n")
    return folder


def test_a_conversion_says_what_is_next_and_libraries_nothing(folder, tmp_path):
    done = memcom("convert", folder / "model.keras", "-o", "m.tflite", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == "memcom: wrote m.tflite; next: memcom inspect m.tflite\n"
    assert not [word for word in NOISE if word in done.stdout.replace("TensorFlow Lite", "")]


def test_no_number_is_cut_at_80_columns(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["inspect", str(folder / "model.tflite")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    shown = " ".join(" ".join(lines).split())
    assert "\u2026" not in shown
    assert "rows 1,565, width 64, bits 8, data 100,160, metadata 6,260, float32 400,640" in shown


def test_results_are_json_where_that_is_asked_for(folder, tmp_path, capsys):
    model, file = str(folder / "model.keras"), str(tmp_path / "m.tflite")
    assert main(["convert", model, "-o", file, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["output"] == file and found["verification"]["passed"] is True
    assert found["report"]["graph_bytes"] > 0
    assert main(["verify", model, file, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checks"][0]["passed"] is True


def test_smaller_tables_are_reported_while_they_are_made(folder, tmp_path, capsys):
    model, file = str(folder / "model.keras"), str(tmp_path / "m.tflite")
    assert main(["convert", model, "-o", file, "--json", "--ratio", "8", "--no-verify"]) == 0
    said = capsys.readouterr()
    # What was done goes to stderr, and stdout is JSON alone.
    assert "1,565 x 64" in json.loads(said.out)["compression"]
    tried = [line for line in said.err.splitlines() if "squared error" in line]
    assert len(tried) > 1 and all("1,565 x 64: " in line for line in tried)


@pytest.mark.parametrize("words", ["inspect {}", "inspect {} --json"])
def test_a_reader_that_has_seen_enough_is_no_failure(folder, words):
    process = subprocess.Popen(
        command(*words.replace("{}", str(folder / "model.tflite")).split()),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0


REFUSED_AT_ONCE = {
    "suffix": ("convert {}/model.keras -o m.txt", "must end in .tflite"),
    "second suffix": ("verify {}/model.keras {}/log.csv", "second file must end in .tflite"),
    "ratio": ("convert {}/model.keras -o m.tflite --ratio 0.5", "`--ratio` must be 1 or more"),
    "a Lambda layer": ("convert {}/lambda.keras -o m.tflite", "--allow-unsafe-deserialization"),
    "a layer of one's own": ("convert {}/own.keras -o m.tflite", "Add --import MODULE"),
}


@pytest.mark.parametrize("case", REFUSED_AT_ONCE)
def test_what_is_wrong_is_said_before_tensorflow_is_loaded(case, folder, tmp_path):
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x)(inputs)).save(folder / "lambda.keras")

    @keras.saving.register_keras_serializable("shop")
    class Own(keras.layers.Layer):
        pass

    keras.Sequential([inputs, Own(name="mine")]).save(folder / "own.keras")
    words, expected = REFUSED_AT_ONCE[case]
    code = (
        "import sys; from memcom_tf.cli.main import main; code = main(sys.argv[1:]);"
        "assert 'tensorflow' not in sys.modules; sys.exit(code)"
    )
    words = words.replace("{}", str(folder)).split()
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_config_that_cannot_be_read_is_left_to_keras(tmp_path):
    (tmp_path / "m.keras").write_bytes(b"no zip")
    early_checks.require_known(tmp_path / "m.keras", (), lambdas=False)


def test_a_ratio_out_of_reach_names_the_largest(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["convert", str(folder / "model.keras"), "-o", "m.tflite", "--ratio"]
    assert main([*words, "1000"]) == 2
    error = capsys.readouterr().err
    assert "`--ratio` must be at most 49.57" in error and "Received: ratio=1000.0" in error
    assert not list(tmp_path.iterdir())
    assert main([*words, "49.5", "--no-verify"]) == 0


def test_ctrl_c_ends_in_one_line_and_leaves_nothing_half(folder, tmp_path):
    process = subprocess.Popen(
        command("train", folder / "log.csv", "-o", "m.keras", "--epochs", "200"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # In the background of a shell tests inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    lines = [process.stderr.readline() for _ in range(2)]
    assert "memory: about" in lines[1], lines
    # On a machine that is busy an epoch takes longer than the first word of what is left.
    while "on validation" not in lines[-1]:
        lines.append(process.stderr.readline())
        assert " left" in lines[-1] or "on validation" in lines[-1], lines
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert out == ""
    *before, kept, last = rest.splitlines()
    assert last == "memcom: stopped"
    assert "--resume goes on" in kept
    assert all("on validation" in line or " left" in line for line in before)
    assert {path.name for path in tmp_path.iterdir()} == {"m.keras.checkpoint"}


def test_training_on_a_terminal_shows_what_is_left(folder, tmp_path):
    shown, terminal = pty.openpty()
    process = subprocess.Popen(
        command("train", folder / "log.csv", "-o", "m.keras", "--epochs", "120"),
        cwd=tmp_path,
        env={**environment(), "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    seen = b""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            part = os.read(shown, 4096)
        except OSError:  # the other end is closed
            break
        seen += part
    os.close(shown)
    assert process.wait(10) == 0
    assert b"of 120" in seen and b"%" in seen
    assert process.stdout.read().startswith(b"m.keras: nDCG@10 on validation")


ANY_ORDER = [
    ["--categorical", "a", "b", "rows.csv", "-o", "x.keras"],
    ["--categorical", "a", "b", "-o", "x.keras", "rows.csv"],
    ["-o", "x.keras", "--categorical", "a", "b", "rows.csv"],
    ["--categ", "a", "b", "rows.csv", "--output=x.keras"],
    ["rows.csv", "-o", "x.keras", "--categorical", "a", "b"],
    ["-o", "x.keras", "--categorical", "a", "b", "--", "rows.csv"],
    # A word that is a file is none of the columns, wherever it stands.
    ["--categorical", "a", "b", "rows.csv", "--numeric", "c", "d", "-o", "x.keras"],
]


@pytest.mark.parametrize("words", ANY_ORDER)
def test_options_stand_in_any_order(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("y,e,f\n")
    assert main(["train", "--task", "click", "--label", "z", *words]) == 2
    said = capsys.readouterr().err
    assert "'z'" in said and "rows.csv" in said and "usage" not in said
