"""What `memcom compress` does with models of labelled rows: click models and text classifiers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from memcom_tf.cli.commands import finish, say
from memcom_tf.cli.loading import load_model
from memcom_tf.cli.origins import origin_of_command
from memcom_tf.errors import message
from memcom_tf.progress import reporting


def teacher_of(options: argparse.Namespace, of_class: type, called: str) -> Any:
    """The trained model of `--teacher`; None where there is none."""
    if options.teacher is None:
        return None
    alone = argparse.Namespace(
        model=options.teacher, modules=(), allow_unsafe_deserialization=False
    )
    return _of_class(load_model(alone), of_class, called, options.task, "teacher")


def _of_class(model: Any, of_class: type, called: str, task: str, what: str = "model") -> Any:
    if not isinstance(model, of_class):
        raise TypeError(
            message(
                f"The {what} must be a {called}.",
                f"Train one with `memcom train --task {task}`.",
                model=getattr(model, "name", str(model)),
            )
        )
    return model


def compress(
    options: argparse.Namespace,
    split: Any,
    kind: tuple[type, str],
    settings: Any,
    compressed: Callable[..., Any],
) -> int:
    """Compresses a trained model, converts it and proves the file.

    Args:
        options: Those of the command.
        split: The data that it was trained on.
        kind: The class of the model, and what it is called.
        settings: How to train after the compression, but for the seed and the epochs asked for.
        compressed: `compress_clicks` or `compress_texts`.

    Returns:
        The exit code.
    """
    model = load_model(options)
    from memcom_tf.converters.conversion import convert
    from memcom_tf.models import save_model

    _of_class(model, *kind, options.task)
    settings = replace(settings, seed=options.seed)
    if options.epochs is not None:
        settings = replace(settings, epochs=options.epochs)
    limits = {name: getattr(options, name) for name in ("max_bytes", "ratio", "max_minutes")}
    compression = compressed(model, split, **limits, settings=settings, report=say)
    with reporting(say):
        conversion = convert(
            compression.model,
            samples=compression.samples,
            origin=origin_of_command(options, "compress"),
            model_version=options.model_version,
        )
    assert conversion.verification is not None
    passed = conversion.verification.passed
    if passed:
        if options.save_model is not None:
            save_model(compression.model, options.save_model, overwrite=options.force)
        conversion.save(options.output, overwrite=options.force)
    if not options.json:
        print(compression)
    return finish(options, conversion, compression)
