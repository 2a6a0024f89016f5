"""The arm64 library of the finished APK, under qemu: the golden values."""

from __future__ import annotations

import subprocess
import zipfile
from typing import Any

import numpy as np
import pytest

from memcom_tf.converters import CompressedModelFile
from memcom_tf.converters.inspection.golden import differences

from .conftest import APP, BUILD

LIBRARY = "libtensorflowlite_jni.so"
COMPILER = "aarch64-linux-gnu-gcc"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The command that answers requests on the APK's arm64 library."""
    folder = tmp_path_factory.mktemp("arm64")
    with zipfile.ZipFile(BUILD / "memcom-demo-arm64.apk") as apk:
        library = folder / LIBRARY
        library.write_bytes(apk.read(f"lib/arm64-v8a/{LIBRARY}"))
    build = APP / "tools" / "glibc-shim" / "build.sh"
    # In a folder of its own: the program's own C library is the machine's.
    shim = folder / "shim"
    subprocess.run(["env", f"CC={COMPILER}", build, library, shim], check=True)
    source, binary = APP / "tools" / "arm64" / "run_signature.c", folder / "run_signature"
    subprocess.run(
        [
            *(COMPILER, "-O1", "-Wall", "-o", binary, source, f"-L{folder}"),
            *("-ltensorflowlite_jni", "-Wl,--allow-shlib-undefined"),
        ],
        check=True,
    )
    return [
        "qemu-aarch64",
        "-L",
        "/usr/aarch64-linux-gnu",
        "-E",
        f"LD_LIBRARY_PATH={shim}:{folder}",
        binary,
    ]


class OnArm64(CompressedModelFile):
    """A file whose signatures run on the arm64 library."""

    def __init__(self, path, program) -> None:
        super().__init__(path)
        self.process = subprocess.Popen(
            [*program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        words = [signature, len(inputs)]
        for name, values in inputs.items():
            words += [name, np.size(values), *np.ravel(values)]
        print(*words, file=self.process.stdin, flush=True)
        answer = iter(self.process.stdout.readline().split())
        outputs = {}
        for _ in range(int(next(answer))):
            name, count = next(answer), int(next(answer))
            values = np.array([float(next(answer)) for _ in range(count)], np.float32)
            outputs[name] = values.astype(np.int32) if name == "ids" else values
        if "vectors" in outputs:
            outputs["vectors"] = outputs["vectors"].reshape(len(inputs["ids"]), -1)
        return outputs

    def close(self) -> int:
        self.process.stdin.close()
        return self.process.wait()


def test_arm64_answers_the_golden_values(model, golden, program):
    file = OnArm64(model, program)
    found = differences(golden, file)
    assert file.close() == 0
    assert found == []
