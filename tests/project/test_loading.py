"""A saved model in a new process that has imported this package, and no more."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from memcom_tf import layers, models, optimizers, saved_names
from memcom_tf._keras import is_keras_3, keras

IDS = np.arange(6).reshape(2, 3)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A compiled model that names a layer and an optimizer, and what it answers."""
    inputs = keras.Input((3,), dtype="int32")
    layer = layers.MEmComEmbedding(10, 4, num_buckets=3, combiner="mean")
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    model.compile(optimizers.LazyAdam(0.01), "mse")
    model.fit(IDS, np.zeros((2, 1)), verbose=0)
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    models.save_model(model, path)
    return path, np.asarray(model(IDS)).ravel().tolist()


@pytest.mark.parametrize(
    "imports",
    [
        "import memcom_tf, KERAS as keras; load = keras.models.load_model",
        "import KERAS as keras, memcom_tf; load = keras.models.load_model",
        "import memcom_tf; load = memcom_tf.load_model",
        "from memcom_tf import Vocabulary; import KERAS as k; load = k.saving.load_model",
        pytest.param(
            "import memcom_tf.layers, KERAS as k; load = k.saving.load_model",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_saved_model_loads_in_a_new_process(saved, imports):
    path, expected = saved
    imports = imports.replace("KERAS", "keras" if is_keras_3 else "tf_keras")
    code = (
        f"import sys; {imports}; model = load(sys.argv[1]);"
        f"import numpy as np; print(model(np.arange(6).reshape(2, 3)).numpy().ravel().tolist(),"
        "type(model.optimizer).__module__, model.optimizer.iterations.numpy(), sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={**os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers, optimizer, steps = done.stdout.split("|")
    np.testing.assert_allclose(eval(answers), expected, rtol=1e-6)
    assert optimizer == "memcom_tf.optimizers.lazy_adam"
    assert int(steps) == 1


def test_keras_is_told_of_every_name_that_is_registered():
    registered = {
        name.removeprefix("memcom_tf>"): value
        for name, value in keras.saving.get_custom_objects().items()
        if name.startswith("memcom_tf>") and getattr(value, "__module__", "").startswith("memcom")
    }
    told = {name: home for home, names in saved_names.HOMES.items() for name in names}
    assert {name for name, value in registered.items() if isinstance(value, type)} == set(told)
    for name, home in told.items():
        assert registered[name] is getattr(sys.modules[home], name)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must exist. Received: path='.*nothing\.keras'"):
        models.load_model(tmp_path / "nothing.keras")
