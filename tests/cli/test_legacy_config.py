"""What tf_keras would import and call, whatever its safe mode says."""

from __future__ import annotations

import json
import zipfile

import pytest

from memcom_tf.cli.legacy_config import require_safe_config

UNKNOWN = frozenset().__contains__
GOOD = {
    "module": "tf_keras.src.engine.functional",
    "class_name": "Functional",
    "registered_name": "Functional",
    "config": {
        "layers": [
            {"module": "keras.layers", "class_name": "Dense", "config": {"activation": "relu"}},
            {"module": "memcom_tf.layers.memcom", "class_name": "MEmComEmbedding", "config": {}},
            {"class_name": "TFOpLambda", "config": {"function": "math.reduce_sum"}},
            {"class_name": "TFOpLambda", "config": {"function": "__operators__.getitem"}},
            {"class_name": "TFOpLambda", "config": {"function": "compat.v1.size"}},
            {"class_name": "TFOpLambda", "config": {"function": "cast"}},
            {"module": "builtins", "class_name": "function", "config": "relu"},
            {"module": None, "class_name": "Other", "config": {}},
        ]
    },
}


def model(path, entry=None):
    config = json.loads(json.dumps(GOOD))
    if entry is not None:
        config["config"]["layers"][0]["config"]["activation"] = entry
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    return path


def test_layers_and_operators_pass(tmp_path):
    require_safe_config(model(tmp_path / "m.keras"), UNKNOWN)


def test_classes_that_are_registered_pass(tmp_path):
    own = {"module": "shop.layers", "class_name": "Spiciness", "registered_name": "shop>Spiciness"}
    path = model(tmp_path / "m.keras", own)
    with pytest.raises(ValueError, match=r"not 'shop.layers'.*--allow-unsafe-deserialization"):
        require_safe_config(path, UNKNOWN)
    require_safe_config(path, {"shop>Spiciness"}.__contains__)
    # Functions are known by another field.
    sly = {"module": "os", "class_name": "function", "config": "system"}
    model(path, {**sly, "registered_name": "shop>Spiciness"})
    with pytest.raises(ValueError, match="not 'os'"):
        require_safe_config(path, {"shop>Spiciness"}.__contains__)


HOSTILE = [
    {"module": "os", "class_name": "function", "config": "system"},
    {"module": "subprocess", "class_name": "Popen", "config": {}},
    {"module": "builtins", "class_name": "function", "config": "eval"},
    {"module": "builtins", "class_name": "function", "config": "__import__"},
    {"module": "keras_evil.x", "class_name": "A", "config": {}},
    {"module": ["os"], "class_name": "A", "config": {}},
]
HOSTILE += [
    {"class_name": "TFOpLambda", "config": {"function": name}}
    for name in (
        "io.write_file",
        "io.matching_files",
        "compat.v1.write_file",
        "raw_ops.SaveV2",
        "print",
        "py_function",
        "numpy_function",
        "compat.v1.py_func",
        "summary.write",
        "data.Dataset.range",
        "load_op_library",
        "math..x",
    )
]


@pytest.mark.parametrize("entry", HOSTILE, ids=range(len(HOSTILE)))
def test_what_reaches_out_is_refused(tmp_path, entry):
    with pytest.raises(ValueError, match="must name layers and operators alone"):
        require_safe_config(model(tmp_path / "m.keras", entry), UNKNOWN)


@pytest.mark.parametrize("content", [b"\x89HDF\r\n\x1a\n", b"", b"PK\x05\x06" + bytes(18)])
def test_other_formats_are_refused(tmp_path, content):
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"must (be a .keras file|have a config)"):
        require_safe_config(path, UNKNOWN)
    with pytest.raises(ValueError, match=r"must be a .keras file"):
        require_safe_config(model(tmp_path / "m.h5"), UNKNOWN)
