"""What a file says of itself: one class writes it, reads it, and specifies it for other readers."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from memcom_tf import FullEmbedding
from memcom_tf.converters import convert, origin_of
from memcom_tf.converters.inspection.display import show_report
from memcom_tf.converters.model_file import description as module
from memcom_tf.converters.model_file.description import FileDescription
from memcom_tf.models import NextItemRanker

ROOT = Path(__file__).parents[2]
PATH = Path("tea.tflite")
SCHEMA = FileDescription.schema()
PARTS = {
    "file": (SCHEMA, lambda description: description),
    "ranker": (SCHEMA["then"], lambda description: description),
    "embedding": (
        SCHEMA["properties"]["embeddings"]["items"],
        lambda description: description["embeddings"][0],
    ),
    "origin": (SCHEMA["properties"]["origin"], lambda description: description["origin"]),
    "table": (
        SCHEMA["properties"]["embeddings"]["items"]["properties"]["tables"]["items"],
        lambda description: description["embeddings"][0]["tables"][0],
    ),
}
FIELDS = [
    (part, name)
    for part, (schema, _) in PARTS.items()
    for name in schema["properties"]
    if not name.startswith("format")  # the archive's own
]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    model = tmp_path_factory.mktemp("models") / "trained.keras"
    model.write_bytes(b"a model")
    origin = origin_of(model, "compress", {"ratio": 40.0, "data": model, "epochs": None})
    ranker = NextItemRanker(FullEmbedding(40, 6), history_length=5, name="teas")
    ranker.build((None, 5))
    content = convert(ranker, k=3, verify=False, origin=origin, model_version=4).content
    start = content.rindex(b'{\n "format"')
    return content[start : content.index(b"\n}", start) + 2].decode()


def test_the_schema_for_other_readers_is_that_of_the_class():
    """Where it is not, `python -m tests.model_file.test_description` writes it."""
    assert json.loads(schema_file().read_text()) == SCHEMA


def schema_file():
    return Path(module.__file__).with_name("description.schema.json")


def test_what_is_read_is_what_was_written(text):
    description = FileDescription.from_json(json.loads(text), PATH)
    assert description.ranker.k == 3
    assert description.num_ids == 40
    # The order of fields too: the same model gives the same bytes.
    assert json.dumps(description.to_json(), indent=1) == text


def test_a_file_says_what_it_was_made_from_and_nothing_of_the_machine(text):
    origin = FileDescription.from_json(json.loads(text), PATH).origin
    assert (origin.model, origin.command) == ("trained.keras", "compress")
    assert origin.sha256 == hashlib.sha256(b"a model").hexdigest()
    assert origin.settings == {"ratio": "40.0", "data": "trained.keras"}
    assert "/" not in json.dumps(origin.to_json())


def test_inspect_says_what_a_file_was_made_from(text):
    report = json.loads(text) | {"file_bytes": 9, "graph_bytes": 9, "compressed_bytes": 9}
    report["origin"]["settings"]["\x1b[2J"] = "[/red]" * 100
    console = Console(file=io.StringIO(), width=200)
    show_report(report, console)
    said = console.file.getvalue()
    assert f"Made from trained.keras (SHA-256 {report['origin']['sha256'][:8]}...) by " in said
    assert "by compress, ratio 40.0, data trained.keras, \ufffd[2J [/red][/red]" in said
    assert "[/red]" * 20 not in said


def test_a_file_of_an_earlier_version_has_no_origin(text):
    earlier = json.loads(text)
    del earlier["origin"]
    description = FileDescription.from_json(earlier, PATH)
    assert description.origin is None
    assert "origin" not in description.to_json()


def test_a_file_says_which_of_its_model_it_is(text):
    assert FileDescription.from_json(json.loads(text), PATH).model_version == 4
    earlier = json.loads(text)
    del earlier["model_version"]
    description = FileDescription.from_json(earlier, PATH)
    assert description.model_version is None
    assert "model_version" not in description.to_json()
    report = json.loads(text) | {"file_bytes": 9, "graph_bytes": 9, "compressed_bytes": 9}
    console = Console(file=io.StringIO(), width=200)
    show_report(report, console)
    assert "Version 4 of teas" in console.file.getvalue()


@pytest.mark.parametrize("version", [0, -1, 1.5, True, "2"])
def test_versions_are_positive_integers(version):
    ranker = NextItemRanker(FullEmbedding(40, 6), history_length=5)
    ranker.build((None, 5))
    with pytest.raises(ValueError, match=r"`model_version` must be a positive integer"):
        convert(ranker, model_version=version)


def test_the_hash_of_a_saved_model_is_that_of_its_names_and_files(tmp_path):
    def digest(**files):
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(content)
        found = origin_of(folder, "convert", {}).sha256
        for name in files:
            (folder / name).unlink()
        return found

    assert digest(a="1", b="2") == digest(b="2", a="1")
    assert len({digest(a="1", b="2"), digest(a="1", c="2"), digest(a="2", b="1")}) == 3


def test_every_field_that_is_written_is_in_the_schema(text):
    written = json.loads(text)
    of_rankers = set(SCHEMA["then"]["properties"])
    for schema, of in (PARTS[part] for part in ("file", "embedding", "origin", "table")):
        assert set(of(written)) - set(schema["properties"]) - of_rankers == set()
        assert set(schema["required"]) - set(of(written)) == set()


@pytest.mark.parametrize(("part", "name"), FIELDS)
def test_a_field_of_another_kind_is_refused_by_name(text, part, name):
    schema, of = PARTS[part]
    if name in schema["required"]:
        changed = json.loads(text)
        del of(changed)[name]
        with pytest.raises(ValueError, match=f"description's `{name}` is not what it must be"):
            FileDescription.from_json(changed, PATH)
    wanted = schema["properties"][name]
    wrong = [[1], -1] if wanted.get("type") == "array" else [[], True, {"a": 1}]
    wrong = wrong[:1] + wrong[2:] if wanted.get("type") == "boolean" else wrong
    if "minimum" in wanted:
        wrong.append(wanted["minimum"] - 1)
    if "maximum" in wanted:
        wrong.append(wanted["maximum"] + 1)
    for value in wrong:
        changed = json.loads(text)
        of(changed)[name] = value
        with pytest.raises(ValueError, match=r"description's `\w+` is not what it must be"):
            FileDescription.from_json(changed, PATH)


if __name__ == "__main__":
    schema_file().write_text(json.dumps(SCHEMA, indent=1) + "\n")
