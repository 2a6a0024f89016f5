"""Names that Keras takes and files, terminals or pages might not: no model is lost for its name."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

from memcom_tf._keras import keras
from memcom_tf.cli.main import main
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.inspection.display import show_report, show_verification
from memcom_tf.converters.inspection.html_report import html_report
from memcom_tf.converters.sources.names import LONGEST, file_names, node_names
from memcom_tf.text import printable
from tests.inspection.pages import data_of, markup_of, texts_of


@pytest.fixture(autouse=True)
def no_scope_is_left():
    """Keras stays in the scope of a layer whose name TensorFlow refuses."""
    yield
    keras.backend.clear_session()


CONTROL = {
    "escape": "a\x1b]0;OWNED\x07\x1b[2J",
    "markup": "[/red]",
    "open markup": "[bold",
    "line": "a\nb\r\tc",
    "zero": "a\0b",
    "direction": "a\u202eb",
    "page": "<script>alert(1)</script>&amp;",
    "long": "x" * 100_000,
    "empty": "",
    "space": " ",
    "signs": "a/b:0^c,d",
    "letters": "préis [€] 价格",
    "braces": "{0} %s $name $x^2$",
}


def model_of(outputs):
    """A model with outputs of these names, whose values tell them apart."""
    ids = keras.Input((4,), dtype="int32", name="ids")
    vectors = keras.layers.Flatten()(keras.layers.Embedding(300, 8, name="items")(ids))
    heads = {name: keras.layers.Dense(place + 1)(vectors) for place, name in enumerate(outputs)}
    return keras.Model(ids, heads)


def shown(conversion) -> str:
    """All that the commands show of a conversion."""
    stream = io.StringIO()
    console = Console(file=stream, width=200)
    show_verification(conversion.verification, console)
    show_report(conversion.report, console)
    page = html_report(conversion.report)
    assert "<script>" not in markup_of(page)
    return "\n".join([stream.getvalue(), markup_of(page), *texts_of(data_of(page))])


def test_names_that_tensorflow_refuses_are_refused_in_words():
    ids = keras.Input((4,), dtype="int32")
    model = keras.Model(ids, keras.layers.Embedding(300, 8, name="a [b]")(ids))
    with pytest.raises(ValueError, match=r"must have names of letters.*name='a \[b\]'"):
        convert(model)


def assert_harmless(text):
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert "x" * 500 not in text


@pytest.mark.few(1)
def test_outputs_of_any_name_are_converted_proved_shown_and_run(tmp_path):
    names = [*CONTROL.values()]
    conversion = convert(model_of(names))
    assert conversion.verification.passed
    conversion.save(tmp_path / "m.tflite")
    file = CompressedModelFile(tmp_path / "m.tflite")
    found = file.run("serving_default", ids=[[1, 2, 3, 4]])
    assert {name: values.shape for name, values in found.items()} == {
        name: (1, place + 1) for place, name in enumerate(file_names(names))
    }
    assert_harmless(shown(conversion))


SCOPES = ["x" * 100_000, "a>b", ".._..", "0"]
"""What TensorFlow takes in graphs, and so Keras to predict."""


@pytest.mark.few(2)
@pytest.mark.parametrize("name", SCOPES, ids=range(len(SCOPES)))
def test_layers_and_models_of_any_name_are_shown(name, tmp_path, capsys):
    ids = keras.Input((4,), dtype="int32", name="ids")
    table = keras.layers.Embedding(300, 8, name=name)
    model = keras.Model(ids, keras.layers.Flatten()(table(ids)), name=name)
    conversion = convert(model)
    assert conversion.verification.passed
    assert_harmless(shown(conversion))
    conversion.save(tmp_path / "m.tflite")
    for command in (["inspect"], ["inspect", "--json"], ["compare", str(tmp_path / "m.tflite")]):
        assert main([*command, str(tmp_path / "m.tflite")]) == 0
        text = capsys.readouterr().out
        if "--json" in command:
            assert json.loads(text)["name"] == conversion.report["name"]
        else:
            assert_harmless(text)


def test_inputs_of_any_name_are_taken(tmp_path):
    names = ["my ids", "my_ids", "a\x1b[2J", "préis", "x" * 1000]
    inputs = [keras.Input((2,), dtype="int32", name=name) for name in names]
    table = keras.layers.Embedding(300, 8)
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(table(x)) for x in inputs])
    conversion = convert(keras.Model(inputs, joined))
    assert conversion.verification.passed
    conversion.save(tmp_path / "m.tflite")
    file = CompressedModelFile(tmp_path / "m.tflite")
    assert file.signatures["serving_default"]["inputs"] == sorted(node_names(names))
    ids = {name: [[place, place]] for place, name in enumerate(node_names(names))}
    found = file.run("serving_default", **ids)["output_0"].reshape(len(names), 2, 8)
    assert len(np.unique(found[:, 0, 0])) == len(names)


def test_what_cannot_be_shown_is_not_lost(tmp_path, monkeypatch):
    model_of(["score"]).save(tmp_path / "m.keras")

    def fails(*_):
        raise ValueError("The terminal must show it.")

    monkeypatch.setattr("memcom_tf.converters.inspection.display.show_verification", fails)
    assert main(["convert", str(tmp_path / "m.keras"), "-o", str(tmp_path / "m.tflite")]) == 2
    found = CompressedModelFile(tmp_path / "m.tflite").run("serving_default", ids=[[1, 2, 3, 4]])
    assert found["score"].shape == (1, 1)


def test_names_stay_different_and_short():
    assert node_names(["a b", "a_b", "_a", "9"]) == ["a_b", "a_b_1", "input_a", "9"]
    names = file_names(["y" * 300, "y" * 400])
    assert names == ["y" * LONGEST, "y" * LONGEST + "_1"]


def test_printable_texts():
    assert printable("a\x1b[2Jb\x9bc\u202ed\ud800e") == "a�[2Jb�c�d�e"
    assert printable("é" * 200) == "é" * 79 + "…"
    assert printable(None) == "None"
