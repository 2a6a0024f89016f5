"""Each end of the versions that setup.cfg allows, in an environment of its own: `make test-ends`.

Builds the wheel, makes an environment for each end with uv, installs the wheel there, and runs the
tests of the layers and of the converter, outside of this folder. `rank` has no TensorFlow.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "environments"
TESTS = ("tests/contract", "tests/conversion", "tests/project/test_loading.py")
_OF_TESTS = ("hypothesis>=6.100", "pandas>=2.1", "pytest>=8", "setuptools>=77", "tf-keras>=2.16")

ENDS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "oldest": ("3.10", ("train",), ("tensorflow==2.16.*", "tf-keras==2.16.*")),
    "newest": ("3.13", ("train",), ()),
    "rank": ("3.13", ("rank",), ()),
}
"""Python, extras of the wheel, and what is pinned beside them, by the name of an end."""

_RANKS = """
import sys
from memcom_tf.cli.main import main
code = main(["rank", sys.argv[1], "--history", "5"]) or main(["inspect", sys.argv[1]])
assert "tensorflow" not in sys.modules
sys.exit(code)
"""


def main() -> int:
    """Runs the ends that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ends", nargs="*", metavar="END", help=f"of {', '.join(ENDS)} (all)")
    parser.add_argument("--uv", default="uv", help="the program uv")
    options = parser.parse_args()
    if unknown := [name for name in options.ends if name not in ENDS]:
        parser.error(f"unknown ends: {', '.join(unknown)}")
    wheel = _wheel()
    failed = [name for name in options.ends or ENDS if not _passes(name, wheel, options.uv)]
    print(f"failed: {', '.join(failed)}" if failed else "all ends pass")
    return 1 if failed else 0


def _wheel() -> Path:
    """The wheel of this folder, built anew."""
    shutil.rmtree(FOLDER / "wheel", ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-q", "-w", str(FOLDER / "wheel")], check=True)
    return next((FOLDER / "wheel").glob("*.whl"))


def _passes(name: str, wheel: Path, uv: str) -> bool:
    version, extras, pins = ENDS[name]
    place = FOLDER / name
    subprocess.run([uv, "venv", "--clear", "--python", version, str(place)], check=True)
    python = place / "bin" / "python"
    wanted = [f"{wheel}[{','.join(extras)}]", *pins]
    if name != "rank":
        wanted += _OF_TESTS
    subprocess.run([uv, "pip", "install", "--python", str(python), *wanted], check=True)
    outside = place / "outside"  # so that what is imported is what was installed
    shutil.rmtree(outside, ignore_errors=True)
    outside.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if name == "rank":
        words = ["-c", _RANKS, str(_ranker())]
    else:
        shutil.copytree(ROOT / "tests", outside / "tests")
        shutil.copy(ROOT / "setup.cfg", outside)
        words = ["-m", "pytest", "-q", "-m", "not long", *TESTS]
    return subprocess.run([str(python), *words], cwd=outside, env=environment).returncode == 0


def _ranker() -> Path:
    """A file that ranks, made by the package of this folder."""
    path = FOLDER / "ranker.tflite"
    code = (
        "import sys, memcom_tf as m; from memcom_tf.models import NextItemRanker as R;"
        "from memcom_tf.converters import convert;"
        "model = R(m.FullEmbedding(21, 8), history_length=3, vocabulary=m.Vocabulary(range(20)));"
        "model.build((None, 3)); convert(model).save(sys.argv[1], overwrite=True)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=environment)
    return path


if __name__ == "__main__":
    sys.exit(main())
