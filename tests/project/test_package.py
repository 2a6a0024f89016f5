"""What is installed, and what importing it costs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import memcom_tf

ROOT = Path(__file__).parents[2]


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_holds_the_converters_inside_the_package(tmp_path):
    pip = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", str(tmp_path), "-q"], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "memcom_tf/converters/cli.py" in names
    assert "memcom_tf/py.typed" in names
    assert {name.split("/")[0] for name in names if not name.startswith("memcom_tf-")} == {
        "memcom_tf"
    }
    # Every module of the tree is in the wheel.
    for folder, inside in (("memcom_tf", "memcom_tf"), ("converters", "memcom_tf/converters")):
        for path in (ROOT / folder).rglob("*.py"):
            assert f"{inside}/{path.relative_to(ROOT / folder).as_posix()}" in names
    # And every source that is compiled where the package is installed.
    for path in (ROOT / "memcom_tf/kernels/cc").iterdir():
        assert f"memcom_tf/kernels/cc/{path.name}" in names
    # And what pages are made of.
    assets = [*(ROOT / "converters/inspection/assets").iterdir()]
    assert {path.suffix for path in assets} == {".css", ".html", ".js", ".txt"}
    for path in assets:
        assert f"memcom_tf/converters/inspection/assets/{path.name}" in names


def test_reading_a_file_needs_no_tensorflow():
    done = run(
        "import sys, memcom_tf.cli.main, memcom_tf.converters.runtime, memcom_tf;"
        "memcom_tf.Vocabulary; print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_everything_public_can_be_imported():
    done = run("import memcom_tf; [getattr(memcom_tf, name) for name in memcom_tf.__all__]")
    assert done.returncode == 0, done.stderr
    done = run("import memcom_tf; memcom_tf.nothing")
    assert "has no attribute 'nothing'" in done.stderr


@pytest.mark.long
def test_another_backend_is_refused():
    pytest.importorskip("keras")
    code = "import sys, types, keras;keras.backend.backend = lambda: 'jax';import memcom_tf.layers"
    done = run(code, TF_USE_LEGACY_KERAS="0")
    assert "ImportError: memcom_tf must run on Keras' TensorFlow backend." in done.stderr
    assert "KERAS_BACKEND=tensorflow" in done.stderr


def test_without_tensorflow_the_extra_is_named():
    blocked = "import sys; sys.modules['tensorflow'] = None; import memcom_tf;"
    done = run(f"{blocked} memcom_tf.MEmComEmbedding")
    assert (
        "ImportError: TensorFlow must be installed for `memcom_tf.MEmComEmbedding`" in done.stderr
    )
    assert 'pip install "memcom_tf[tensorflow]"' in done.stderr
    for words in ("['doctor']", "['build-ops']"):
        done = run(f"{blocked} from memcom_tf.cli.main import main; sys.exit(main({words}))")
        assert done.returncode == 2
        assert 'Run: pip install "memcom_tf[tensorflow]".' in done.stderr


def test_keras_2_is_refused_in_words():
    code = (
        "import sys, types; keras = types.ModuleType('keras'); keras.__version__ = '2.15.0';"
        "tf = types.ModuleType('tensorflow'); tf.__version__ = '2.15.1'; tf.keras = keras;"
        "keras.layers = types.SimpleNamespace("
        "Layer=type('Layer', (), {'__module__': 'keras.src.engine'}));"
        "sys.modules.update(keras=keras, tensorflow=tf); import memcom_tf._keras"
    )
    done = run(code)
    assert "ImportError: memcom_tf must run on Keras 3, or on tf_keras" in done.stderr
    assert "keras='2.15.0', tensorflow='2.15.1'" in done.stderr


def test_the_version_is_the_same_everywhere():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    newest, date = re.search(r"^## (\d\S*) - (\S+)$", changelog, re.MULTILINE).groups()
    assert changelog.index("## Unreleased") < changelog.index(f"## {newest}")
    assert memcom_tf.__version__ == newest
    assert f"\nversion = {newest}\n" in (ROOT / "setup.cfg").read_text()
    assert f"\nversion: {newest}\ndate-released: {date}\n" in (ROOT / "CITATION.cff").read_text()
    app = (ROOT / "android_demo" / "gradle" / "libs.versions.toml").read_text()
    assert f'\nversionName = "{newest}"\n' in app
    assert (ROOT / "tests" / "golden" / f"files-{newest}.tar.xz").exists()
