"""SavedModels: read before they are loaded, and converted by the signatures that are numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.saved_model import loader_impl

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.cli.main import main
from memcom_tf.converters import convert, verify
from memcom_tf.converters.sources.saved_model_ops import unsafe_operators

ROWS, WIDTH = 300, 8
IDS = tf.TensorSpec([None], tf.int32, "ids")


class Module(tf.Module):
    """Looks up, and does something else before."""

    def __init__(self, before=None):
        super().__init__()
        values = np.random.default_rng(0).normal(size=(ROWS, WIDTH))
        self.table = tf.Variable(values.astype("float32"), name="table")
        self.before = before

    @tf.function(input_signature=[IDS])
    def lookup(self, ids):
        with tf.control_dependencies([self.before(ids)] if self.before else []):
            return {"vectors": tf.gather(self.table, ids)}


class Planted(tf.saved_model.experimental.TrackableResource):
    """A table whose initializer writes a file, which it does while the model is loaded."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def _create_resource(self):
        return tf.raw_ops.HashTableV2(key_dtype=tf.int64, value_dtype=tf.int64, shared_name="r")

    def _initialize(self):
        tf.io.write_file(self.path, "written")


def saved(module, folder):
    tf.saved_model.save(module, str(folder), signatures=module.lookup)
    return folder


def planted(tmp_path):
    """A folder that writes `written` when it is loaded."""
    module = Module()
    module.planted = Planted(str(tmp_path / "written"))
    assert module.planted.resource_handle is not None
    folder = saved(module, tmp_path / "hostile")
    (tmp_path / "written").unlink(missing_ok=True)
    return folder


def test_a_model_that_writes_while_it_is_loaded_is_not_loaded(tmp_path, capsys):
    folder, written = planted(tmp_path), tmp_path / "written"
    with pytest.raises(ValueError, match=r"WriteFile.*allow_unsafe_deserialization=True"):
        convert(folder)
    assert not written.exists()
    words = [str(folder), "-o", str(tmp_path / "m.tflite")]
    assert main(["convert", *words]) == 2
    said = capsys.readouterr().err
    assert "WriteFile" in said and "--allow-unsafe-deserialization" in said
    assert "=True" not in said
    assert not written.exists()
    assert main(["convert", *words, "--allow-unsafe-deserialization"]) == 0
    assert written.read_text() == "written"
    written.unlink()
    assert main(["verify", str(folder), str(tmp_path / "m.tflite")]) == 2
    with pytest.raises(ValueError, match="WriteFile"):
        verify(folder, tmp_path / "m.tflite")
    assert not written.exists()
    assert verify(folder, tmp_path / "m.tflite", allow_unsafe_deserialization=True).passed
    assert written.exists()


REACHING = {
    "WriteFile": lambda ids: tf.io.write_file("/nowhere", "x"),
    "ReadFile": lambda ids: tf.io.read_file("/etc/passwd"),
    "MatchingFiles": lambda ids: tf.io.matching_files("/etc/*"),
    "EagerPyFunc": lambda ids: tf.py_function(lambda x: x, [ids], tf.int32),
    "PyFunc": lambda ids: tf.numpy_function(lambda x: x, [ids], tf.int32),
    "PyFuncStateless": lambda ids: tf.numpy_function(lambda x: x, [ids], tf.int32, stateful=False),
    "PrintV2": lambda ids: tf.print(ids, output_stream="file:///nowhere"),
    "SaveV2": lambda ids: tf.raw_ops.SaveV2(
        prefix="/nowhere", tensor_names=["a"], shape_and_slices=[""], tensors=[ids]
    ),
    "MergeV2Checkpoints": lambda ids: tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=["/a"], destination_prefix="/b"
    ),
    "DebugIdentityV2": lambda ids: tf.raw_ops.DebugIdentityV2(
        input=ids, debug_urls=["file:///nowhere"]
    ),
    "TFRecordDataset": lambda ids: tf.data.TFRecordDataset("/nowhere").reduce(0, lambda n, _: n),
    "Abort": lambda ids: tf.raw_ops.Abort(),
}


@pytest.mark.parametrize("operator", REACHING)
def test_operators_that_reach_out_are_found(operator, tmp_path):
    folder = saved(Module(REACHING[operator]), tmp_path / "saved")
    assert operator in unsafe_operators(loader_impl.parse_saved_model(str(folder)))
    with pytest.raises(ValueError, match=operator):
        convert(folder)


def test_they_are_found_in_functions_of_functions(tmp_path):
    @tf.function
    def inner(ids):
        tf.io.write_file("/nowhere", "x")
        return tf.size(ids)

    def before(ids):
        return tf.cond(tf.reduce_any(ids > 5), lambda: inner(ids), lambda: tf.constant(2))

    folder = saved(Module(before), tmp_path / "saved")
    assert unsafe_operators(loader_impl.parse_saved_model(str(folder))) == ["WriteFile"]


def harmless():
    ids = keras.Input((4,), dtype="int32", name="ids")
    vectors = keras.layers.Embedding(50, 8, mask_zero=True)(ids)
    vectors = keras.layers.Dropout(0.3)(keras.layers.GRU(8)(vectors))
    return keras.Model(ids, keras.layers.Dense(2)(vectors))


def looked_up():
    words = keras.Input((4,), dtype="string", name="words")
    ids = keras.layers.StringLookup(vocabulary=["a", "b"])(words)
    return keras.Model(words, keras.layers.Embedding(50, 8)(ids))


@pytest.mark.parametrize("build", [harmless, looked_up])
def test_models_of_keras_need_no_flag(build, tmp_path):
    """Though the saver of every SavedModel writes checkpoints, when it is asked to."""
    tf.saved_model.save(build(), str(tmp_path / "saved"))
    assert unsafe_operators(loader_impl.parse_saved_model(str(tmp_path / "saved"))) == []
    if is_keras_3:
        build().export(str(tmp_path / "exported"), verbose=False)
        assert unsafe_operators(loader_impl.parse_saved_model(str(tmp_path / "exported"))) == []


def test_what_the_saver_calls_is_found_where_others_call_it_too(tmp_path):
    message = loader_impl.parse_saved_model(str(saved(Module(), tmp_path / "saved")))
    assert unsafe_operators(message) == []
    (graph,) = message.meta_graphs
    saver = next(f for f in graph.graph_def.library.function if "save" in f.signature.name)
    lookup = next(f for f in graph.graph_def.library.function if "lookup" in f.signature.name)
    call = lookup.node_def.add()
    call.name, call.op = "sly", "StatefulPartitionedCall"
    call.attr["f"].func.name = saver.signature.name
    assert "SaveV2" in unsafe_operators(message)


def test_what_is_no_saved_model_is_refused(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 100)
    with pytest.raises(ValueError, match="must be loadable"):
        convert(tmp_path)
    with pytest.raises(ValueError, match="must be loadable"):
        convert(tmp_path / "nowhere")


class Served(Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def of_texts(self, examples):
        parsed = tf.io.parse_example(examples, {"item": tf.io.FixedLenFeature([], tf.int64)})
        return {"vectors": tf.gather(self.table, parsed["item"])}

    @tf.function(input_signature=[IDS])
    def doubled(self, ids):
        return {"vectors": 2 * tf.gather(self.table, ids)}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    module, folder = Served(), tmp_path_factory.mktemp("served")
    signatures = {"serving_default": module.of_texts, "a": module.lookup, "b": module.doubled}
    tf.saved_model.save(module, str(folder / "all"), signatures=signatures)
    tf.saved_model.save(module, str(folder / "texts"), signatures=module.of_texts)
    return folder


def test_signatures_of_texts_are_left_out_and_named(served, tmp_path):
    with pytest.warns(UserWarning, match="left out of the file: serving_default"):
        conversion = convert(served / "all")
    assert conversion.verification.passed
    assert sorted(conversion.report["signatures"]) == ["a", "b"]
    conversion.save(tmp_path / "m.tflite")
    assert verify(served / "all", tmp_path / "m.tflite").passed


def test_signatures_may_be_chosen(served, tmp_path, capsys):
    conversion = convert(served / "all", signatures=["b"])
    assert conversion.report["signatures"] == ["b"]
    words = ["convert", str(served / "all"), "-o", str(tmp_path / "m.tflite")]
    assert main([*words, "--signature", "a"]) == 0
    assert "left out" not in capsys.readouterr().err
    assert main(["verify", str(served / "all"), str(tmp_path / "m.tflite")]) == 0
    assert main([*words, "--force"]) == 0
    assert "left out of the file: serving_default" in capsys.readouterr().err


def test_signatures_to_verify_may_be_chosen(served, tmp_path, capsys):
    folder, file = served / "all", tmp_path / "m.tflite"
    convert(folder, signatures=["a", "b"]).save(file)
    shown = {}
    for chosen in ([], ["a"], ["b", "a", "b"]):
        words = [word for name in chosen for word in ("--signature", name)]
        assert main(["verify", str(folder), str(file), *words, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["checks"]
        shown[len(chosen)] = {check["name"] for check in found}
    of_b = {name for name in shown[0] if name.startswith("b: ")}
    assert of_b and shown[0] - shown[1] == of_b
    assert shown[3] == shown[0]
    words = ["verify", str(folder), str(file), "--signature", "serving_default"]
    assert main(words) == 2  # the model has it, and the file does not
    said = capsys.readouterr().err
    assert "must be some of ['a', 'b']. Received: signatures=['serving_default']" in said
    assert "--signature" in said
    with pytest.raises(ValueError, match=r"must be some of \['a', 'b'\]"):
        verify(folder, file, signatures=[])
    with pytest.raises(ValueError, match="must be chosen of a SavedModel"):
        verify(harmless(), file, signatures=["a"])


@pytest.mark.parametrize("chosen", [["c"], [], "c"])
def test_signatures_that_are_not_there_are_refused(served, chosen, tmp_path, capsys):
    with pytest.raises(ValueError, match=r"must be some of \['a', 'b', 'serving_default'\]"):
        convert(served / "all", signatures=chosen)
    assert main(["convert", str(served / "all"), "-o", "m.tflite", "--signature", "c"]) == 2
    assert "--signature" in capsys.readouterr().err


def test_texts_alone_are_refused_without_advice_for_others(served):
    with pytest.raises(ValueError, match="must be a dense tensor of numbers") as refused:
        convert(served / "texts")
    assert "StringLookup" not in str(refused.value)
    with pytest.raises(ValueError, match="must be chosen of a SavedModel"):
        convert(harmless(), signatures=["a"])
