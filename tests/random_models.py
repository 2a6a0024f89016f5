"""Random Keras models that must convert and verify, or be refused by name.

python -m tests.random_models --count 2000 --seed 0 --jobs 2 --json OUT    continues what OUT holds
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.sources.source import named_outputs
from tests.batches import Batches
from tests.model_generator import Generator

_ROUNDING = 1e-3
"""Error of a file of floats, as a share of the spread of an output."""


def converted(seed):
    """A generator, its model and the conversion; raises what conversion does."""
    keras.backend.clear_session()
    generator = Generator(seed)
    model = generator.model()
    weights = generator.one_of(
        "int8", "int8", "int4", "int2", "int8_per_table", "float16", "float32"
    )
    profile = generator.one_of("portable", "litert")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return generator, model, convert(model, weights=weights, profile=profile)


def outcome(seed):
    """What became of a model: "equal", or why it was refused; anything else raises."""
    return record(seed)["outcome"]


def record(seed):
    """The outcome, and how far the file's answers are from the model's on inputs of its own."""
    try:
        generator, model, conversion = converted(seed)
    except ValueError as error:
        if " Received: " not in str(error):
            raise
        return {"outcome": f"refused: {error}"}
    failed = failed_checks(conversion)
    if failed and all("does not vary" in check.name for check in failed):
        # It is told to give samples: that is the true reason if these help, or nothing varies.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = _with_samples(generator, model, conversion)
        if all(_is_constant(generator, model, check) for check in failed_checks(again)):
            return {"outcome": f"refused: {failed[0].name}"}
    if failed:
        raise AssertionError(f"seed {seed}: {failed}")
    found = {key: conversion.report[key] for key in ("weights", "profile", "warnings")}
    found["errors"] = errors(generator, model, conversion)
    if found["weights"] == "float32" and max(found["errors"].values()) > _ROUNDING:
        raise AssertionError(f"seed {seed}: proved, but off by {found['errors']}")
    return {"outcome": "equal", **found}


def failed_checks(conversion):
    return [check for check in conversion.verification.checks if not check.passed]


def _with_samples(generator, model, conversion):
    """The conversion of a model again, on the inputs that it is made for."""
    report = conversion.report
    return convert(
        model,
        weights=report["weights"],
        profile=report["profile"],
        samples=generator.batch(256, seed=1),
    )


def _is_constant(generator, model, check):
    """Whether a failed check says that an output does not vary, and it does not on other inputs."""
    name, _, reason = check.name.partition(": ")
    if not reason.startswith("does not vary"):
        return False
    values = np.asarray(_answers(generator, model)[1][name], np.float64)
    rows = values[np.isfinite(values).reshape(len(values), -1).all(axis=1)]
    return not len(rows) or float(np.ptp(rows, axis=0).max()) <= 1e-5 * np.abs(rows).max()


def _answers(generator, model):
    """A batch of inputs that the model is made for, and its outputs by name."""
    batch = generator.batch()
    arguments = [
        x if tf.is_tensor(x) or isinstance(x, tf.RaggedTensor) else tf.constant(x)
        for x in batch.values()
    ]
    outputs = model(arguments if len(arguments) > 1 else arguments[0], training=False)
    return batch, named_outputs(outputs)


def errors(generator, model, conversion):
    """Of each output: what the file is off by on inputs that the model is made for.

    Root mean squares of errors over those of what the model's output varies by; for integers and
    truths the share that differs. What is no number in the model is left out.
    """
    batch, wanted = _answers(generator, model)
    with tempfile.TemporaryDirectory() as folder:
        conversion.save(Path(folder) / "model.tflite")
        file = CompressedModelFile(Path(folder) / "model.tflite")
        taken = file.signatures["serving_default"]["inputs"]
        found = file.run(
            "serving_default", **{name: x for name, x in batch.items() if name in taken}
        )
    return {name: _error(found[name], np.asarray(wanted[name])) for name in found}


def _error(found, wanted):
    if wanted.dtype.kind != "f":
        return float(np.mean(found != wanted))
    known = np.isfinite(wanted)
    wanted = np.where(known, wanted, 0).astype(np.float64)
    differences = np.where(known, found, 0) - wanted
    spread = np.sqrt(np.mean((wanted - wanted.mean(axis=0)) ** 2))
    size = np.sqrt(np.mean(differences**2))
    return float(size / spread) if spread > 1e-6 * np.abs(wanted).max(initial=0) else 0.0


if __name__ == "__main__":
    sys.exit(Batches("tests.random_models", record).main(__doc__.splitlines()[0]))
