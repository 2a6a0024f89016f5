"""What a figure was measured on.

python -m benchmarks.common.machine    prints it, and fails where the fused ops cannot be had
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("tensorflow", "keras", "tf_keras", "tensorflow-recommenders", "numpy", "faiss-cpu")


def processor() -> str:
    """Name of the processor, where Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def describe() -> dict[str, str | int | float | None]:
    """Date, commit, processor and versions."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def main() -> None:
    """Loads the fused ops, and prints the machine and its compiler."""
    from memcom_tf.kernels import selection
    from memcom_tf.kernels.build import find_compiler
    from memcom_tf.kernels.status import status_of_ops

    with selection.use("native"):
        try:
            selection.library()
        except RuntimeError as error:
            raise SystemExit(f"{error}") from error
        status = status_of_ops()
    compiler = {"compiler": find_compiler(), "compiler_version": status.compiler_version}
    print(json.dumps({**describe(), **compiler}))


if __name__ == "__main__":
    main()
