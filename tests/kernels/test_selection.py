"""Where the fused ops run: in training alone, and never where they cannot or must not."""

from __future__ import annotations

import traceback
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.kernels import build, selection, use
from memcom_tf.kernels.placement import of_this_replica
from memcom_tf.kernels.selection import uses_native


@pytest.fixture(autouse=True)
def _fresh(monkeypatch) -> None:
    """As in a new process whose library has been loaded."""
    monkeypatch.delenv("MEMCOM_TF_OPS", raising=False)
    monkeypatch.setattr(selection, "_outcome", selection._Outcome("the library", None, None))
    monkeypatch.setattr(selection, "_warned", set())


@pytest.fixture
def broken(monkeypatch) -> SimpleNamespace:
    """Nothing is loaded, and it cannot be built; counts the attempts."""
    attempts = SimpleNamespace(count=0)

    def fail(*args, **kwargs):
        attempts.count += 1
        raise build.BuildError("There is no compiler.")

    monkeypatch.setattr(selection, "_outcome", None)
    monkeypatch.setattr(build, "build", fail)
    return attempts


@pytest.fixture
def table() -> tf.Variable:
    return tf.Variable(np.ones((10, 4), np.float32), name="table")


def marked_model(which=keras, **kwargs):
    """A model with an op in its graph where the fused one would be: Erfc; Erf otherwise."""

    class Marked(which.layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(name="table", shape=(10, 4))
            super().build(shape)

        def call(self, inputs, training=None):
            vectors = tf.gather(self.table, tf.cast(inputs, tf.int32))
            fused = uses_native([self.table], training=training)
            told.append(fused)
            return tf.raw_ops.Erfc(x=vectors) if fused else tf.raw_ops.Erf(x=vectors)

    told: list[bool] = []
    inputs = which.Input((3,), dtype="int32")
    outputs = which.layers.Dense(1)(which.layers.Flatten()(Marked()(inputs)))
    model = which.Model(inputs, outputs)
    model.compile("sgd", "mse", **kwargs)
    told.clear()
    return model, told


def fit(model) -> None:
    model.fit(np.zeros((4, 3), np.int32), np.zeros((4, 1), np.float32), verbose=0)


def marks(folder) -> set[str]:
    """The marking ops in a SavedModel."""
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for body in graph.library.function for node in body.node_def)]
    return {node.op for node in nodes if node.op in ("Erf", "Erfc")}


def test_the_mode_comes_from_the_environment(table, monkeypatch):
    assert uses_native([table], training=True)
    for mode, fused in (("", True), ("auto", True), ("native", True), ("reference", False)):
        monkeypatch.setenv("MEMCOM_TF_OPS", mode)
        assert uses_native([table], training=True) is fused
        assert (selection.library() is not None) is fused
        assert not uses_native([table], training=False)
    monkeypatch.setenv("MEMCOM_TF_OPS", "fast")
    for question in (selection.library, lambda: uses_native([table], training=True)):
        with pytest.raises(ValueError, match=r"MEMCOM_TF_OPS must be one of.*MEMCOM_TF_OPS='fast'"):
            question()


def test_use_goes_over_the_environment_and_nests(table, monkeypatch):
    monkeypatch.setenv("MEMCOM_TF_OPS", "reference")
    with use("native"):
        assert uses_native([table], training=True)
        with use("reference"):
            assert not uses_native([table], training=True)
        with pytest.raises(KeyError), use("reference"):
            raise KeyError
        with use("auto", in_inference=True):
            assert uses_native([table])
        assert uses_native([table], training=True)
        assert not uses_native([table])
    assert not uses_native([table], training=True)


def test_what_is_loaded_stays_at_hand(broken):
    assert selection.loaded() is None
    with pytest.warns(RuntimeWarning):
        selection.library()
    assert selection.loaded() is None
    selection._outcome = selection._Outcome("the library", None, None)
    with use("reference"):
        assert selection.loaded() == "the library"


def test_use_refuses():
    with pytest.raises(ValueError, match=r"`mode` must be one of.*mode='fast'"), use("fast"):
        pass
    with pytest.raises(ValueError, match="in_inference"), use("reference", in_inference=True):
        pass


def test_auto_warns_once_and_tries_once(broken, table):
    with pytest.warns(RuntimeWarning, match=r"memcom doctor.*There is no compiler\.") as warned:
        for _ in range(3):
            assert selection.library() is None
            assert not uses_native([table], training=True)
    assert len(warned) == 1
    assert broken.count == 1


def test_native_raises(broken, table):
    with use("native"):
        for question in (selection.library, lambda: uses_native([table], training=True)):
            with pytest.raises(RuntimeError, match=r"'native'.*There is no compiler"):
                question()
        # Inference does not ask for the library.
        assert not uses_native([table])
    assert broken.count == 1


def test_reference_builds_nothing_and_warns_of_nothing(broken, table):
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        mirrored = tf.Variable(1.0)
    with use("reference"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert selection.library() is None
        for variable in (table, mirrored):
            assert not uses_native([variable], training=True)
    assert broken.count == 0


def test_autograph_stays_out(table, monkeypatch):
    """It would rewrite all that is called, subprocess included, and take its time."""
    frames = []

    def load():
        frames.extend(traceback.extract_stack())
        return selection._Outcome("the library", None, None)

    monkeypatch.setattr(selection, "_outcome", None)
    monkeypatch.setattr(selection, "_load", load)

    @tf.function
    def function(x):
        assert uses_native([table], training=True)
        return x

    function(tf.constant(1.0))
    written = {frame.name for frame in frames if frame.filename == selection.__file__}
    assert {"uses_native", "library", "load_once"} <= written


def test_internals_of_tensorflow_that_have_moved(table, monkeypatch):
    def moved():
        raise ImportError("cannot import name 'in_save_context'")

    monkeypatch.setattr(selection, "_outcome", None)
    monkeypatch.setattr(selection, "_internals", moved)
    with pytest.warns(RuntimeWarning, match="in_save_context"):
        assert not uses_native([table], training=True)
    with use("native"), pytest.raises(RuntimeError, match="in_save_context"):
        uses_native([table], training=True)


def test_training_is_an_argument_or_a_tape(table):
    assert not uses_native([table])
    assert not uses_native([table], training=False)
    assert uses_native([table], training=True)
    assert uses_native([table], training=np.bool_(True))
    assert not uses_native([table], training=tf.constant(True))
    with tf.GradientTape() as tape:
        assert uses_native([table])
        assert uses_native([table], training=False)
        with tape.stop_recording():
            assert not uses_native([table])


def test_tapes_and_functions(table):
    """What a function is made of is settled where it is traced."""
    told = []

    def ask(x):
        told.append(uses_native([table]))
        return x

    one = tf.constant(1.0)
    tf.function(ask)(one)
    assert told == [False]

    function = tf.function(ask)
    with tf.GradientTape():
        function(one)
    function(one)
    assert told[1:] == [True]

    @tf.function
    def step(x):
        nested = tf.function(ask)
        with tf.GradientTape():
            nested(tf.cond(x > 0, lambda: ask(x), lambda: x))
        return ask(x)

    step(one)
    assert told[2:] == [True, True, False]


def test_fit_is_training_and_the_rest_is_not():
    model, told = marked_model()
    ids = np.zeros((4, 3), np.int32)
    model.predict(ids, verbose=0)
    model.evaluate(ids, np.zeros((4, 1), np.float32), verbose=0)
    assert set(told) == {False}
    told.clear()
    fit(model)
    assert set(told) == {True}
    told.clear()
    model(ids)
    assert told == [False]


def test_xla(table):
    told = []

    def ask(x):
        told.append(uses_native([table], training=True))
        return x

    @tf.function(jit_compile=True)
    def compiled(x):
        return tf.cond(x > 0, lambda: ask(x), lambda: tf.function(ask)(x))

    with pytest.warns(RuntimeWarning, match="jit_compile=False") as warned:
        compiled(tf.constant(1.0))
    assert len(warned) == 1
    assert told == [False, False]
    tf.function(ask)(tf.constant(1.0))
    assert told[2:] == [True]
    with use("native", in_inference=True):
        tf.function(ask, jit_compile=True)(tf.constant(1.0))
    assert told[3:] == [False]


def in_both_keras():
    yield keras
    if is_keras_3:
        yield pytest.importorskip("tf_keras")


def test_models_compiled_by_xla():
    for which in in_both_keras():
        selection._warned.clear()
        model, told = marked_model(which, jit_compile=True)
        with pytest.warns(RuntimeWarning, match="XLA"):
            fit(model)
        assert set(told) == {False}


def test_saved_models_are_made_of_plain_ops(tmp_path):
    """Also of a model that was trained before, and of the traces with training=True."""
    for index, which in enumerate(in_both_keras()):
        model, told = marked_model(which)
        fit(model)
        assert set(told) == {True}
        ways = {
            "saved": lambda model, folder: tf.saved_model.save(model, str(folder)),
            "exported": lambda model, folder: model.export(str(folder)),
        }
        if which.__name__ == "tf_keras":
            ways["by_keras"] = lambda model, folder: model.save(str(folder), save_format="tf")
        for name, way in ways.items():
            way(model, tmp_path / f"{name}{index}")
            assert marks(tmp_path / f"{name}{index}") == {"Erf"}
            with use("native", in_inference=True):
                way(model, tmp_path / f"fused_{name}{index}")
            assert marks(tmp_path / f"fused_{name}{index}") == {"Erfc"}


@pytest.mark.skipif(not is_keras_3, reason="tf_keras has no InputSpec of that kind")
def test_an_endpoint_of_training_is_made_of_plain_ops(tmp_path):
    model, _ = marked_model()
    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [keras.InputSpec(shape=(None, 3), dtype="int32")]
    archive.add_endpoint("train", lambda x: model(x, training=True), input_signature=signature)
    archive.write_out(str(tmp_path), verbose=False)
    assert marks(tmp_path) == {"Erf"}


def test_a_function_traced_for_training_is_traced_anew_for_the_file(table, tmp_path):
    @tf.function
    def function(x):
        return tf.raw_ops.Erfc(x=x) if uses_native([table]) else tf.raw_ops.Erf(x=x)

    module = tf.Module()
    module.table, module.function = table, function
    with tf.GradientTape():
        function(tf.constant(1.0))
    tf.saved_model.save(module, str(tmp_path))
    assert marks(tmp_path) == {"Erf"}


def refused(variable) -> str:
    """The one warning."""
    with pytest.warns(RuntimeWarning) as warned:
        for _ in range(2):
            assert not uses_native([variable], training=True)
    assert len(warned) == 1
    with use("native", in_inference=True):
        assert not uses_native([variable])
    return str(warned[0].message)


def test_distributed_variables():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        mirrored = tf.Variable(1.0, name="mirrored")
        local = tf.Variable(
            1.0,
            name="local",
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
        )
    assert uses_native([mirrored], training=True)
    assert of_this_replica(mirrored) is mirrored.values[0]
    told = refused(local)
    assert "'local:0' is of type SyncOnReadVariable. Create the layer without a strat" in told
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        assert uses_native([tf.Variable(1.0)], training=True)


def test_models_that_are_distributed():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model, told = marked_model()
    fit(model)
    assert True in told


def test_sharded_and_aggregating_variables(table):
    from tensorflow.python.distribute import ps_values, sharded_variable

    sharded = sharded_variable.ShardedVariable([tf.Variable([1.0]), tf.Variable([2.0])], name="s")
    assert "'s' is of type ShardedVariable" in refused(sharded)
    selection._warned.clear()
    aggregating = ps_values.AggregatingVariable(
        tf.distribute.get_strategy(), table, tf.VariableAggregation.MEAN
    )
    assert "is of type AggregatingVariable" in refused(aggregating)


@pytest.mark.parametrize("device", ["localhost/replica:0/task:0/device:GPU:0", "ps/device:CPU:0"])
def test_variables_elsewhere(table, monkeypatch, device):
    monkeypatch.setattr(ResourceVariable, "device", property(lambda _: f"/job:{device}"))
    told = refused(table)
    assert f"'table:0' is on /job:{device}. " in told
    assert ("tf.device('CPU')" in told) == ("GPU" in device)


def test_one_table_elsewhere_is_enough(table):
    wide = tf.Variable(1.0, dtype=tf.float64)
    with pytest.warns(RuntimeWarning, match="is float64. Give the layer the dtype float32, or"):
        assert not uses_native([table, wide], training=True)


@pytest.mark.skipif(not is_keras_3, reason="of Keras 3")
def test_a_value_in_the_place_of_a_variable():
    variable = keras.Variable(np.ones((2, 2), np.float32))
    assert uses_native([variable], training=True)
    with (
        warnings.catch_warnings(),
        keras.StatelessScope([(variable, tf.zeros((2, 2)))]),
    ):
        warnings.simplefilter("error")
        assert not uses_native([variable], training=True)


def test_the_choice_is_the_thread_s_own(table):
    import threading

    told = []
    with use("reference"):
        thread = threading.Thread(target=lambda: told.append(uses_native([table], training=True)))
        thread.start()
        thread.join()
    assert told == [True]
