"""What the commands import, show and say where files and folders are of unknown origin."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.cli.input_specs import parse_inputs
from memcom_tf.cli.main import main
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.inspection.golden import golden
from memcom_tf.layers import MEmComEmbedding
from memcom_tf.models import NextItemRanker
from tests.damage import Sample, appended
from tests.inspection.pages import data_of, markup_of, texts_of

ROOT = Path(__file__).parents[2]
HOSTILE = "X\x1b]0;OWNED\x07\x1b[2J[/red][bold]<script>"


@keras.saving.register_keras_serializable("safety")
class OfDict(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.users = keras.layers.Embedding(300, 16, name="users")
        self.items = keras.layers.Embedding(700, 16, name="items")

    def call(self, features):
        return self.users(features["user"]) * self.items(features["item"])


@keras.saving.register_keras_serializable("safety")
class OfTwo(OfDict):
    def call(self, user, item):
        return self.users(user) * self.items(item)


@keras.saving.register_keras_serializable("safety")
class OfList(OfDict):
    def call(self, inputs):
        user, item = inputs
        return self.users(user) * self.items(item)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("safety")
    model = NextItemRanker(MEmComEmbedding(40, 4, num_buckets=10), history_length=3)
    model.build((None, 3))
    model.save(folder / "m.keras")
    convert(model, k=4, verify=False).save(folder / "m.tflite")
    ids = np.zeros(2, "int32")
    for kind, inputs in ((OfDict, {"user": ids, "item": ids}), (OfList, [ids, ids])):
        made = kind(name="towers")
        made(inputs)
        made.save(folder / f"{kind.__name__}.keras")
    return folder


PLANTED = "open('RAN', 'w').write('x')\n"


@pytest.mark.few(4)
@pytest.mark.parametrize("name", ["ai_edge_litert", "rich", "keras_rs", "matplotlib", "mine"])
@pytest.mark.parametrize("entry", ["module", "colon"])
def test_nothing_is_imported_from_the_current_folder(folder, tmp_path, name, entry):
    (tmp_path / f"{name}.py").write_text(PLANTED + "raise ImportError('planted')\n")
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    paths += os.pathsep if entry == "colon" else ""
    start = ["-m", "memcom_tf.cli.main"]
    if entry == "colon":  # as the script `memcom` does
        start = ["-c", "import sys; from memcom_tf.cli.main import main; sys.exit(main())"]
        start.insert(0, "-P")
    done = subprocess.run(
        [sys.executable, *start, "inspect", "--measure", str(folder / "m.tflite")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == [f"{name}.py"]


def test_the_current_folder_is_asked_last_and_only_with_import(folder, tmp_path, monkeypatch):
    seen = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, ""])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    before = list(sys.path)
    monkeypatch.setattr(
        "memcom_tf.cli.commands.convert", lambda options: seen.append(list(sys.path)) or 0
    )
    (tmp_path / "own_layers_of_safety.py").write_text(PLANTED)
    assert main(["convert", str(folder / "m.keras"), "-o", "o.tflite"]) == 0
    assert main(["convert", "m.keras", "-o", "o.tflite", "--import", "own_layers_of_safety"]) == 0
    without, with_import = seen
    assert not {"", str(tmp_path)} & set(without)
    assert with_import == [*without, str(tmp_path)]
    assert sys.path == before


def keras_file(folder, path, change):
    """The model with another config."""
    with zipfile.ZipFile(folder / "m.keras") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config).encode()
            new.writestr(name, content)


def test_a_model_cannot_write_to_the_terminal_by_an_error(folder, tmp_path, capsys):
    keras_file(
        folder, tmp_path / "m.keras", lambda c: c.update(registered_name=None, class_name=HOSTILE)
    )
    assert main(["convert", str(tmp_path / "m.keras"), "-o", str(tmp_path / "m.tflite")]) == 2
    said = capsys.readouterr().err
    assert "memcom: error: " in said
    assert all(letter.isprintable() or letter == "\n" for letter in said)
    keras_file(
        folder,
        tmp_path / "m.keras",
        lambda c: c.update(registered_name=None, class_name="x" * 10**6),
    )
    assert main(["convert", str(tmp_path / "m.keras"), "-o", str(tmp_path / "m.tflite")]) == 2
    assert len(capsys.readouterr().err) < 3000


def described(folder, path, change):
    """The file with another description, its checksum right."""
    sample = Sample((folder / "m.tflite").read_bytes())
    description = json.loads(sample.members["memcom.json"])
    change(description)
    description["graph_crc32"] = zlib.crc32(sample.graph)
    members = {**sample.members, "memcom.json": json.dumps(description).encode()}
    path.write_bytes(appended(sample.graph, members))


TEXTS = {
    "name": lambda d, text: d.update(name=text),
    "version": lambda d, text: d.update(min_runtime_version=text),
    "producer": lambda d, text: d.update(producer=text),
    "embedding": lambda d, text: d["embeddings"][0].update(name=text),
    "method": lambda d, text: d["embeddings"][0].update(method=text),
    "table": lambda d, text: d["embeddings"][0]["tables"][0].update(name=text),
    "storage": lambda d, text: d["embeddings"][0]["tables"][0].update(storage=text),
    "operator": lambda d, text: d["embeddings"][0]["tables"][0].update(operator=text),
}


@pytest.mark.parametrize(
    "text", [HOSTILE, "x" * 100_000, "[/red]", "\ud800", "\x9b2J"], ids=range(5)
)
def test_texts_of_a_file_are_shown_printable_and_short(folder, tmp_path, capsys, text):
    path = tmp_path / "m.tflite"
    described(folder, path, lambda d: [change(d, text) for change in TEXTS.values()])
    for words in (["inspect"], ["compare", str(folder / "m.tflite")], ["inspect", "--json"]):
        assert main([*words, str(path)]) == 0
        said = "".join(capsys.readouterr())
        assert all(letter.isprintable() or letter == "\n" for letter in said)
        assert len(said) < 30_000 or "--json" in words
    assert main(["inspect", str(path), "--html", str(tmp_path / "m.html")]) == 0
    page = (tmp_path / "m.html").read_text()
    texts = [markup_of(page), *texts_of(data_of(page))]
    assert all(letter.isprintable() or letter == "\n" for said in texts for letter in said)
    assert "<script>" not in texts[0] and "x" * 3000 not in page


def test_very_many_tables_are_not_all_shown(folder, tmp_path, capsys):
    def many(description):
        description["embeddings"] += description["embeddings"][:1] * 5000

    described(folder, tmp_path / "m.tflite", many)
    assert main(["inspect", str(tmp_path / "m.tflite")]) == 0
    said = capsys.readouterr().out
    assert "tables more: --json lists them all" in said
    assert said.count("\n") < 2000


def test_golden_values_of_another_form_are_refused(folder, tmp_path, capsys):
    document = golden(CompressedModelFile(folder / "m.tflite"))
    path = tmp_path / "golden.json"
    words = ["golden", str(folder / "m.tflite"), "-o", str(path), "--check"]
    for hostile in (
        [],
        7,
        {"sha256": document["sha256"]},
        {**document, "tolerance": "\x1b"},
        {**document, "embed": None},
        {**document, "cases": [{}]},
        {**document, "embed": {"ids": ["\x1b[2J"], "vectors": []}},
    ):
        path.write_text(json.dumps(hostile))
        assert main(words) in (1, 2)
        said = capsys.readouterr()
        assert "\x1b" not in said.out + said.err
        assert "Traceback" not in said.err
    path.write_text(json.dumps(document))
    assert main(words) == 0


def test_a_terminal_without_the_letters_is_no_reason_to_fail(folder):
    done = subprocess.run(
        [sys.executable, "-m", "memcom_tf.cli.main", "inspect", str(folder / "m.tflite")],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"},
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# Models of several inputs.


@pytest.mark.parametrize(
    "inputs",
    [[np.zeros(2, "int32")] * 2, {"user": np.zeros(2, "int32"), "item": np.zeros(2, "int32")}],
)
def test_a_model_may_take_its_inputs_one_by_one(inputs, tmp_path):
    model = OfTwo()
    model(np.zeros(2, "int32"), np.zeros(2, "int32"))
    conversion = convert(model, inputs=inputs)
    assert conversion.verification.passed
    (tmp_path / "m.tflite").write_bytes(conversion.content)
    found = CompressedModelFile(tmp_path / "m.tflite").signatures["serving_default"]["inputs"]
    assert found == ["item", "user"]


def test_inputs_are_given_at_the_command_line(folder, tmp_path, capsys):
    words = ["convert", str(folder / "OfDict.keras"), "-o", str(tmp_path / "m.tflite")]
    if is_keras_3:  # tf_keras saves what a model was called with
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "--inputs 'user:int32[?]'" in said and "TensorSpec" not in said
    given = ["--inputs", "user:int32[?]", "item:int32[?]"]
    assert main([*words, *given]) == 0
    assert main(["verify", str(folder / "OfDict.keras"), str(tmp_path / "m.tflite"), *given]) == 0
    found = CompressedModelFile(tmp_path / "m.tflite").signatures["serving_default"]["inputs"]
    assert found == ["item", "user"]
    of_list = ["convert", str(folder / "OfList.keras"), "-o", str(tmp_path / "l.tflite")]
    assert main([*of_list, "--inputs", "int32[?]", "int32[?]"]) == 0


def test_inputs_that_a_model_does_not_take_are_refused(folder, tmp_path, capsys):
    words = ["convert", str(folder / "OfDict.keras"), "-o", str(tmp_path / "m.tflite")]
    assert main([*words, "--inputs", "users:int32[?]"]) == 2
    said = capsys.readouterr().err
    assert "must accept the inputs" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "word", ["user", "user:int32", "user:text[?]", "user:int32[x]", ":int32[?]"]
)
def test_malformed_inputs_are_refused(word):
    with pytest.raises(ValueError, match=r"must be NAME:TYPE\[SIZES\]"):
        parse_inputs([word, "item:int32[?]"])


def test_shapes_of_inputs_are_read():
    found = parse_inputs(["user:int32[]", "history:int64[?, 20]"])
    assert [spec.shape.as_list() for spec in found.values()] == [[], [None, 20]]
    assert found["history"].dtype.name == "int64"
    with pytest.raises(ValueError, match="given once"):
        parse_inputs(["a:int32[?]", "a:int32[?]"])


# Messages and their readers.


def test_the_command_line_speaks_of_its_own_options(folder, tmp_path, capsys):
    words = ["convert", str(folder / "m.keras"), "-o", str(tmp_path / "m.tflite")]
    for more, said in (
        (["-k", "99"], "`-k` must be in"),
        (["--weights", "int3"], "`--weights` must be one of"),
        (["--ratio", "0.5"], "`--ratio` must be 1 or more"),
        (["--method", "None", "--ratio", "2"], "`--method` must be"),
    ):
        assert main([*words, *more]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(ValueError, match="`k` must be in"):
        convert(keras.models.load_model(folder / "m.keras", compile=False), k=99)


def test_no_advice_is_for_python_alone():
    """Advice with `name=` in it is given to readers of Python, and another to the others."""
    wrong = []
    for path in sorted((ROOT / "converters").glob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            name = getattr(getattr(call, "func", None), "id", "")
            if isinstance(call, ast.Call) and name in ("invalid", "message"):
                wrong += [f"{path.name}: {text}" for text in _said_to_all(call)]
    assert not wrong


def _said_to_all(call):
    """Texts of a message, those within `for_reader` but for the command line's left out."""
    waiting = list(call.args)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "for_reader":
            waiting.append(node.args[1])
            continue
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and re.search(r"\b[a-z_]{3,}=[A-Za-z\"'{\[]|[Pp]ass `", node.value):
            yield node.value
        waiting += ast.iter_child_nodes(node)
