"""Runs files on the runtime of the Python that runs this: needs NumPy and one runtime alone.

python runtime_worker.py FOLDER    reads FOLDER/NAME.tflite with FOLDER/NAME.npz, arrays named
                                   SIGNATURE:INPUT, and writes FOLDER/NAME.out.npz or NAME.out.txt
"""

import importlib
import pathlib
import sys

import numpy as np

MODULES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


def interpreter():
    """The class of the runtime that is installed."""
    for name in MODULES:
        try:
            return importlib.import_module(name).Interpreter
        except ModuleNotFoundError:
            continue
    import tensorflow as tf

    return tf.lite.Interpreter


def run(path):
    """The outputs of a file, by signature and name."""
    with np.load(path.with_suffix(".npz")) as arrays:
        inputs = dict(arrays)
    model = interpreter()(model_path=str(path), num_threads=1)
    found = {}
    for signature in sorted({name.partition(":")[0] for name in inputs}):
        prefix = f"{signature}:"
        named = {n[len(prefix) :]: x for n, x in inputs.items() if n.startswith(prefix)}
        for output, values in model.get_signature_runner(signature)(**named).items():
            found[prefix + output] = values
    return found


def main(folder):
    """Runs every file."""
    for path in sorted(folder.glob("*.tflite")):
        failed = path.with_suffix(".out.txt")
        try:
            np.savez(path.with_suffix(".out.npz"), **run(path))
        except (RuntimeError, ValueError) as error:
            failed.write_text(str(error))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
