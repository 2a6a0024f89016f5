"""The command `memcom` as a process: what it prints, writes and returns, also when it fails."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import memcom_tf
from memcom_tf import Vocabulary
from memcom_tf._keras import is_keras_3, keras
from memcom_tf.cli.main import main
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.layers import MEmComEmbedding
from memcom_tf.models import NextItemRanker

ROOT = Path(__file__).parents[2]
ITEMS = 60
TITLES = {1000 + i: f"Film number {i} (19{i:02d})" for i in range(ITEMS - 1)} | {
    1003: "The Third Man (1949)",
    1004: "Brazil (1985)",
    1005: "Brazil nuts (1999)",
    1006: "2001: A Space Odyssey (1968)",
}
# Lines of usage, of LiteRT and of TensorFlow go to stderr as well.
PREFIX = "memcom: error:"


def ranker(seed: int, **kwargs) -> NextItemRanker:
    embedding = MEmComEmbedding(ITEMS, 8, num_buckets=20)
    model = NextItemRanker(embedding, history_length=3, **kwargs)
    model.build((None, 3))
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.3, 0.5, variable.shape))
    return model


OWN_LAYER = """
from memcom_tf._keras import keras

@keras.saving.register_keras_serializable("shop")
class Spiciness(keras.layers.Layer):
    def call(self, x):
        return x * 3.0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Files that the tests read; none of them writes here."""
    folder = tmp_path_factory.mktemp("cli")
    vocabulary = Vocabulary(list(TITLES), details={"title": TITLES})
    model = ranker(1, vocabulary=vocabulary)
    model.save(folder / "model.keras")
    ranker(2, vocabulary=vocabulary).save(folder / "retrained.keras")
    convert(model, k=8, verify=False).save(folder / "model.tflite")
    convert(ranker(1), k=8, verify=False).save(folder / "nameless.tflite")

    inputs = keras.Input((3,), dtype="int32")
    vectors = MEmComEmbedding(30, 4, num_buckets=5, combiner="mean")(inputs)
    keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(vectors)).save(folder / "lambda.keras")
    (folder / "shop.py").write_text(OWN_LAYER)
    space = {"__name__": "shop"}
    exec(OWN_LAYER, space)
    keras.Model(inputs, space["Spiciness"]()(vectors)).save(folder / "own.keras")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(folder / "dense.keras")

    intact = (folder / "model.tflite").read_bytes()
    graph = json.loads(zipfile.ZipFile(folder / "model.tflite").read("memcom.json"))
    assert graph["k"] == 8
    (folder / "cut.tflite").write_bytes(intact[: len(intact) * 2 // 3])
    middle = intact.index(b"PK\x03\x04") // 2
    torn = intact[:middle] + bytes(64) + intact[middle + 64 :]
    (folder / "damaged.tflite").write_bytes(torn)
    (folder / "foreign.tflite").write_bytes(intact[: intact.index(b"PK\x03\x04")])
    (folder / "random.tflite").write_bytes(np.random.default_rng(0).bytes(4000))
    keras_file = bytearray((folder / "model.keras").read_bytes())
    keras_file[len(keras_file) // 2] ^= 255
    (folder / "damaged.keras").write_bytes(keras_file)
    np.savez(folder / "no_target.npz", history=np.ones((2, 3), np.int32))
    np.savez(
        folder / "examples.npz",
        history=np.array([[1, 2, 3], [9, 0, 0]], np.int32),
        target=np.array([4, 5]),
    )
    np.savez(
        folder / "unknown_ids.npz",
        history=np.array([[1, 2, ITEMS]], np.int32),
        target=np.array([4]),
    )
    (folder / "examples.txt").write_text("1 2 3")
    return folder


@pytest.fixture
def run_here(monkeypatch, capsys):
    """Runs the command in this process, where TensorFlow is loaded already."""

    def run(*words, cwd) -> subprocess.CompletedProcess:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        code = main([str(word) for word in words])
        return subprocess.CompletedProcess(words, code, *capsys.readouterr())

    return run


def memcom(*words, cwd, **kwargs) -> subprocess.CompletedProcess:
    """Runs the command as a user does."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "memcom_tf.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "200"},
        timeout=120,
        **kwargs,
    )


def error_of(done: subprocess.CompletedProcess, cwd: Path) -> str:
    """The one line of a refusal, which leaves nothing behind."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith(PREFIX)]
    assert len(lines) == 1, done.stderr
    assert done.stderr.rstrip().endswith(lines[0])
    assert done.stdout == ""
    assert not [name for name in os.listdir(cwd) if name.endswith((".tmp", ".tflite"))]
    return lines[0][len(PREFIX) + 1 :]


def test_convert_verify_inspect_rank(folder, tmp_path):
    """The whole way of a user; the file is that of `convert`, and says what it was made from."""
    version = ("--model-version", 3)
    done = memcom(
        "convert", folder / "model.keras", "-o", "my.tflite", "-k", 8, *version, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "Version 3 of" in done.stdout
    assert "signatures: rank, score, embed" in done.stdout
    assert "int16 per table" in done.stdout
    assert "FAILED" not in done.stdout
    assert "embed: error over its derived bound" in done.stdout
    assert os.listdir(tmp_path) == ["my.tflite"]
    file = CompressedModelFile(tmp_path / "my.tflite")
    wanted = CompressedModelFile(folder / "model.tflite")
    origin = file.description.origin
    assert file.description.model_version == 3
    assert replace(file.description, origin=None, model_version=None) == wanted.description
    assert file.vocabulary.fingerprint == wanted.vocabulary.fingerprint
    assert (origin.model, origin.command) == ("model.keras", "convert")
    assert origin.sha256 == hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
    assert origin.settings == {"weights": "int8", "profile": "portable", "k": "8"}


def test_verify_the_file_of_another_training(folder, tmp_path, run_here):
    done = run_here("verify", folder / "retrained.keras", folder / "model.tflite", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "FAILED" in done.stdout
    assert "The file does not equal the model." in done.stdout


def test_verify_with_examples(folder, tmp_path, run_here):
    words = ["verify", folder / "model.keras", folder / "model.tflite"]
    done = run_here(*words, "--examples", folder / "examples.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "FAILED" not in done.stdout
    assert "ndcg@8 of the model" in done.stdout
    assert "ndcg@8 of the file" in done.stdout


def test_inspect(folder, tmp_path):
    done = memcom("inspect", folder / "model.tflite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Runs on TensorFlow Lite 2.8.0 and later" in done.stdout
    size = (folder / "model.tflite").stat().st_size
    assert f"file {size:,}" in done.stdout
    as_json = memcom("inspect", folder / "model.tflite", "--json", cwd=tmp_path)
    assert as_json.returncode == 0
    report = json.loads(as_json.stdout)
    assert report["file_bytes"] == size
    assert report["embeddings"][0]["method"] == "MEmComEmbedding"
    assert report == CompressedModelFile(folder / "model.tflite").report


@pytest.mark.parametrize(
    "history",
    [["third man", "Brazil (1985)"], ["1003", "1004"], ["THE THIRD MAN (1949)", "1004"]],
)
def test_rank_by_title_or_item(folder, tmp_path, history):
    words = ["rank", folder / "model.tflite", "--history", *history, "-k", 3]
    done = memcom(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ids, scores = CompressedModelFile(folder / "model.tflite").rank([4, 5])
    titles = list(TITLES.values())
    assert f"After: {titles[3]}; {titles[4]}\n" in done.stderr  # also for parts of titles
    rows = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert [place for place, _ in rows] == ["1", "2", "3"]
    for (_, row), item, score in zip(rows, ids, scores, strict=False):
        assert row.startswith(titles[item - 1])
        assert float(row.split()[-1]) == pytest.approx(score, abs=1e-3)


def test_a_ranker_without_fields_says_so(folder, tmp_path, run_here):
    file = folder / "model.tflite"
    (tmp_path / "rows.csv").write_text("age\n31\n")
    for words in (
        ["rank", file, "--history", "1003", "--fields", "age=31"],
        ["score", file, "rows.csv"],
    ):
        refused = run_here(*words, cwd=tmp_path)
        assert refused.returncode == 2
        assert "This ranker takes no fields" in refused.stderr
    with pytest.raises(ValueError, match="without `row`"):
        CompressedModelFile(file).rank([4], row={"age": 31})


def test_a_title_may_begin_with_a_number(folder, tmp_path):
    words = ["rank", folder / "model.tflite", "--history", "2001", "-k", 1]
    done = memcom(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = CompressedModelFile(folder / "model.tflite").rank([7])[0][0]
    assert list(TITLES.values())[expected - 1] in done.stdout


def test_rank_and_inspect_need_no_tensorflow(folder, tmp_path):
    program = (
        "import sys\n"
        "sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from memcom_tf.cli.main import main\n"
        f"file = {str(folder / 'model.tflite')!r}\n"
        "assert main(['inspect', file]) == 0\n"
        "assert main(['rank', file, '--history', 'third man']) == 0\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(folder, tmp_path):
    command = f"{sys.executable} -m memcom_tf.cli.main inspect --json {folder}/model.tflite"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -c 1"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert done.stdout == "{"


def test_own_layers_are_imported(folder, tmp_path, run_here):
    own = ["convert", folder / "own.keras", "-o", tmp_path / "own.tflite"]
    refused = memcom(*own, cwd=tmp_path)
    message = error_of(refused, tmp_path)
    if is_keras_3:  # tf_keras only says that a string cannot be called
        assert "Spiciness" in message
    assert "--import" in message
    done = memcom(*own, "--import", "shop", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert CompressedModelFile(tmp_path / "own.tflite").description.kind == "model"
    missing = run_here(*own, "--force", "--import", "nope", cwd=folder)
    assert missing.returncode == 2
    assert missing.stderr == f"{PREFIX} No module named 'nope'\n"


def test_code_in_a_model_runs_only_when_allowed(folder, tmp_path, run_here):
    words = ["convert", folder / "lambda.keras", "-o", "model.tflite"]
    message = error_of(run_here(*words, cwd=tmp_path), tmp_path)
    assert "Lambda" in message
    assert "--allow-unsafe-deserialization" in message
    done = run_here(*words, "--allow-unsafe-deserialization", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_an_existing_output_is_replaced_only_with_force(folder, tmp_path, run_here):
    out = tmp_path / "old.tflite"
    out.write_bytes(b"mine")
    words = ["convert", folder / "model.keras", "-o", out, "--no-verify"]
    refused = memcom(*words, cwd=tmp_path)
    assert refused.returncode == 2 and "must not exist" in refused.stderr
    assert out.read_bytes() == b"mine"
    kinds = ["--weights", "float16", "--profile", "litert"]
    done = run_here(*words, "--force", *kinds, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    description = CompressedModelFile(out).description
    assert (description.weights, description.profile) == ("float16", "litert")
    assert "2.13.0 and later (profile litert)" in done.stdout.replace("\n", " ")
    assert "comparison" not in done.stdout


# Arguments, where {} is the folder of files, and what the error says.
REFUSED = {
    "no Keras file": ("convert {}/random.tflite -o out.tflite", "must be loadable by Keras"),
    "damaged Keras file": ("convert {}/damaged.keras -o out.tflite", "must be loadable by Keras"),
    "missing model": ("convert nowhere.keras -o out.tflite", "Received: path='nowhere.keras'"),
    "no table": (
        "convert {}/dense.keras -o out.tflite",
        "must hold a table that ids are looked up in",
    ),
    "two kinds for all": (
        "convert {}/model.keras -o out.tflite --weights int8 int4",
        "must be given once, and one kind without a pattern. Received: weights='int8 int4'",
    ),
    "a method without a size": (
        "convert {}/model.keras -o out.tflite --method LowRankEmbedding",
        "must come with the size of what it puts in. Received: method='LowRankEmbedding'",
    ),
    "no folder": (
        "convert {}/model.keras -o nowhere/out.tflite",
        "folder of the output must exist. Received: path='nowhere'",
    ),
    "a folder": ("convert {}/model.keras -o {} --force --no-verify", "must end in .tflite"),
    "k": ("convert {}/model.keras -o out.tflite -k 57", "`-k` must be in [1, 56]"),
    "examples": (
        "verify {}/model.keras {}/model.tflite --examples {}/no_target.npz",
        "must be an .npz file of `history` and `target`. Received: path=",
    ),
    "no examples": (
        "verify {}/model.keras {}/model.tflite --examples {}/examples.txt",
        "must be an .npz file of `history` and `target`. Received: path=",
    ),
    "unknown ids": (
        "verify {}/model.keras {}/model.tflite --examples {}/unknown_ids.npz",
        "Ids of the examples must be integers in [0, 60)",
    ),
    "another model": (
        "verify {}/model.keras {}/nameless.tflite",
        "`vocabulary_fingerprint` differs",
    ),
    "missing file": ("inspect nowhere.tflite", "must exist. Received: path='nowhere.tflite'"),
    "cut off": ("inspect {}/cut.tflite", "must be whole and written by `memcom convert`"),
    "foreign": ("inspect {}/foreign.tflite", "must be whole and written by `memcom convert`"),
    "random bytes": ("inspect {}/random.tflite", "must be a TensorFlow Lite file"),
    "a Keras file": ("inspect {}/model.keras", "must be a TensorFlow Lite file"),
    "damaged": ("rank {}/damaged.tflite --history 1003", "must be undamaged"),
    "verify cut off": ("verify {}/model.keras {}/cut.tflite", "must be whole and written by"),
    "misspelt title": (
        "rank {}/model.tflite --history Brasil",
        "Received: title='Brasil'. Nearest: 'Brazil (1985)'",
    ),
    "several titles": ("rank {}/model.tflite --history Brazil", "fits 2 items"),
    "unknown item": ("rank {}/model.tflite --history 55555", "Received: title='55555'"),
    "longer list": (
        "rank {}/model.tflite --history 1003 -k 9",
        "`-k` must be in [1, 8], as long as the list of the file. Received: k=9",
    ),
    "no history": ("rank {}/model.tflite", "`--history` must be given"),
    "no vocabulary": ("rank {}/nameless.tflite --history 1003", "must hold a vocabulary"),
}


# TensorFlow takes seconds to load, so that only some of the refusals get a process of their own.
IN_A_PROCESS = {"missing model", "no folder"}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, folder, tmp_path, run_here):
    words, expected = REFUSED[case]
    phone = words.startswith(("inspect", "rank"))
    run = memcom if phone or case in IN_A_PROCESS else run_here
    done = run(*(word.replace("{}", str(folder)) for word in words.split()), cwd=tmp_path)
    assert expected in error_of(done, tmp_path)
    assert os.listdir(tmp_path) == []


USAGE = {
    "": "required",
    "bake": "invalid choice",
    "convert model.keras": "-o/--output",
    "convert model.keras -o x --weights": "expected at least one argument",
    "convert model.keras -o x --model-version 0": "must be a positive integer, not '0'",
    "convert model.keras -o x -k ten": "invalid int value: 'ten'",
    "rank model.tflite --history": "expected at least one argument",
    "inspect": "required",
}


@pytest.mark.parametrize("words", USAGE)
def test_usage_errors(words, capsys, monkeypatch, tmp_path):
    """By argparse, in this process: no file is read."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    assert stopped.value.code == 2
    assert USAGE[words] in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_help_and_version(capsys):
    for words, expected in [(["--version"], memcom_tf.__version__), (["--help"], "inspect")]:
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 0
        assert expected in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.parametrize("limit", [4_000, 150_000])
def test_no_space_leaves_nothing_behind(folder, tmp_path, limit):
    """4 kB stop TensorFlow's own files, 150 kB only the output with its long titles."""
    model = tmp_path / "model.keras"
    texts = {item: title + "." * 5000 for item, title in TITLES.items()}
    ranker(1, vocabulary=Vocabulary(list(texts), details={"title": texts})).save(model)
    assert model.stat().st_size > 150_000
    out = tmp_path / "out"
    out.mkdir()

    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    words = ["convert", model, "-o", out / "model.tflite", "--no-verify"]
    done = memcom(*words, cwd=out, preexec_fn=limit_files)
    message = error_of(done, out)
    assert os.listdir(out) == []
    if limit == 150_000:
        assert "File too large" in message


def test_convert_puts_in_smaller_tables(folder, tmp_path, run_here):
    ids = keras.Input((4,), dtype="int32")
    table = keras.layers.Embedding(4000, 16, name="items")
    keras.Model(ids, keras.layers.Flatten()(table(ids))).save(tmp_path / "plain.keras")
    done = run_here(
        "convert", "plain.keras", "-o", "small.tflite", "--max-bytes", "40kB", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "items 4,000 x 16: 256,000 bytes -> " in done.stdout
    report = CompressedModelFile(tmp_path / "small.tflite").report
    assert report["graph_bytes"] <= 40_000


def test_a_saved_model_from_file_to_proof(tmp_path, run_here):
    ids = keras.Input((4,), dtype="int32", name="ids")
    table = keras.layers.Embedding(300, 16, name="items")
    model = keras.Model(ids, keras.layers.Flatten()(table(ids)))
    tf.saved_model.save(model, str(tmp_path / "saved"))
    words = ["convert", "saved", "-o", "small.tflite", "--weights", "int4", "--profile", "litert"]
    done = run_here(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run_here("verify", "saved", "small.tflite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "FAILED" not in done.stdout
    done = run_here("convert", "nowhere", "-o", "other.tflite", cwd=tmp_path)
    assert "nowhere" in error_of(done, tmp_path / "saved")
    assert not (tmp_path / "other.tflite").exists()
