"""Which implementation trains on this machine, and why."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass

from memcom_tf.kernels import build, selection


@dataclass(frozen=True)
class Status:
    """What `memcom doctor` shows."""

    implementation: str
    """What trains: "native", "reference", or "none" where the mode "native" cannot be had."""
    reason: str
    action: str
    mode: str
    mode_from: str
    library: str
    built: bool
    compiler: str
    compiler_version: str
    tensorflow: str
    keras: str
    python: str
    machine: str
    gpus: str
    """The GPUs that TensorFlow sees."""
    runs: str
    """Which ops run where."""


def status_of_ops() -> Status:
    """Tells which implementation trains, and why, after compiling and loading the library.

    Returns:
        The status; nothing is compiled in the mode "reference".

    Raises:
        ValueError: If `MEMCOM_TF_OPS` is no mode.
    """
    import tensorflow as tf

    from memcom_tf._keras import keras

    choice = selection.current_choice()
    action = ""
    path = build.library_path()
    if choice.mode == "reference":
        implementation, reason = "reference", f"asked for by {choice.source}"
    else:
        outcome = selection.load_once()
        path = outcome.path or path
        if outcome.error is None:
            implementation, reason = "native", "the library was loaded"
        else:
            implementation = "none" if choice.mode == "native" else "reference"
            reason = str(outcome.error)
            action = (
                "Do as the reason says, then run `memcom build-ops`; "
                f"or set {selection.MODE_VARIABLE}=reference to train with plain TensorFlow ops."
            )
    try:
        compiler = build.find_compiler()
        name, version = " ".join(compiler), _version_of(compiler)
    except build.BuildError as error:
        name, version = "none", str(error)
    return Status(
        implementation=implementation,
        reason=reason,
        action=action or "nothing to do",
        mode=choice.mode,
        mode_from=choice.source,
        library=str(path),
        built=build.is_built(path),
        compiler=name,
        compiler_version=version,
        tensorflow=tf.version.VERSION,
        keras=f"{keras.__name__} {keras.__version__}",
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        **_devices(implementation),
    )


def _devices(implementation: str) -> dict[str, str]:
    """The GPUs that there are, and which ops run where."""
    import tensorflow as tf

    gpus = [device.name.partition(":")[2] for device in tf.config.list_physical_devices("GPU")]
    fused = "fused C++ ops" if implementation == "native" else "plain TensorFlow ops"
    runs = f"training on the CPU: {fused}; inference and export: plain TensorFlow ops"
    if gpus:
        runs = (
            "training of tables on a GPU: plain TensorFlow ops, the check of ids on the CPU; of "
            f"layers made under tf.device('CPU'): {fused}; inference and export: plain ones"
        )
    built = tf.test.is_built_with_gpu_support()
    seen = ", ".join(gpus) or f"none{'' if built else ', as this TensorFlow is built without'}"
    return {"gpus": seen, "runs": runs}


def _version_of(compiler: list[str]) -> str:
    try:
        done = subprocess.run(
            [*compiler, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown: {error}"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else f"unknown: exit status {done.returncode}"
