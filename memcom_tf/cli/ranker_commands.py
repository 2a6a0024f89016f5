"""The commands that train: a ranker from interactions, and a compressed one after it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from memcom_tf.cli import (
    click_commands,
    log_options,
    prepared_data,
    text_commands,
)
from memcom_tf.cli.checkpoints import checkpoint_of, save_or_rescue
from memcom_tf.cli.commands import (
    DONE,
    check_output,
    finish,
    next_is,
    require_one_length,
    say,
    tell,
)
from memcom_tf.cli.loading import load_model
from memcom_tf.cli.origins import origin_of_command
from memcom_tf.cli.several_workers import another_writes, find_worker, training_of
from memcom_tf.cli.task_options import OF_COMPRESS, check_options_of_task
from memcom_tf.cluster import require_alone
from memcom_tf.errors import message
from memcom_tf.files import check_writable
from memcom_tf.progress import reporting

_OVERHEAD = 16_384
"""Bytes of a ranker's file beside its table, about."""


WIDTH = 64

_OTHER_TASKS: dict[str, Any] = {"click": click_commands, "text": text_commands}


def train(options: argparse.Namespace) -> int:
    """Trains a model of the task on a file and saves it, if this is the worker that writes."""
    find_worker(options)
    if options.writes:
        check_output(options.output, options.force, ".keras")
    prepared_data.require_data(options)
    check_options_of_task(options)
    if options.task in _OTHER_TASKS:
        return int(_OTHER_TASKS[options.task].train(options))
    require_one_length(options)
    options.width = WIDTH if options.width is None else options.width
    split = log_options.split(options, log_options.read(options))
    from memcom_tf.models import save_model
    from memcom_tf.training import TrainingSettings, train_ranker

    settings = TrainingSettings(
        epochs=options.epochs,
        steps=options.steps,
        batch_size=options.batch_size,
        seed=options.seed,
        k=options.k,
        loss=options.loss,
    )
    values = split.vocabulary.input_dim * options.width
    if options.writes:
        check_writable(options.output, int(4 * values / (options.ratio or 1)) + _OVERHEAD)
    with training_of(options) as checkpoint, reporting(say):
        trained = train_ranker(
            split,
            width=options.width,
            ratio=options.ratio,
            settings=settings,
            checkpoint=checkpoint / "training.npz",
            report=say,
        )
    if another_writes(options):
        return DONE
    save_or_rescue(options.output, lambda path: save_model(trained.model, path), checkpoint)
    best = trained.record["best"]
    tell(
        options,
        f"{options.output}: nDCG@{options.k} on validation {best:.4f}",
        output=str(options.output),
        **{f"ndcg_at_{options.k}": best},
    )
    next_is(options.output, f"memcom convert {options.output} -o {_as_file(options.output)}")
    return DONE


def compress(options: argparse.Namespace) -> int:
    """Compresses a trained ranker, converts it and proves the file."""
    require_alone("Compression")
    options.writes = True
    check_output(options.output, options.force, ".tflite")
    if options.save_model is not None:
        check_output(options.save_model, options.force, ".keras")
    prepared_data.require_data(options)
    check_options_of_task(options, OF_COMPRESS)
    if options.task in _OTHER_TASKS:
        return int(_OTHER_TASKS[options.task].compress(options))
    log = log_options.read(options)
    model = load_model(options)
    from memcom_tf.cli.compression_display import show_compression
    from memcom_tf.compression import SETTINGS, compress_ranker
    from memcom_tf.converters.conversion import convert
    from memcom_tf.models import save_model

    if getattr(model, "vocabulary", None) is None:
        raise ValueError(
            message("The model must have a vocabulary.", "Train it with one.", model=model.name)
        )
    settings = replace(SETTINGS, seed=options.seed, k=options.k)
    if options.epochs is not None:
        settings = replace(settings, epochs=options.epochs)
    if options.max_bytes is not None:
        check_writable(options.output, options.max_bytes)
    split = log_options.split(options, log, model)
    with checkpoint_of(options) as checkpoints:
        compression = compress_ranker(
            model,
            split,
            max_bytes=options.max_bytes,
            ratio=options.ratio,
            settings=settings,
            checkpoints=checkpoints,
            max_minutes=options.max_minutes,
            report=say,
        )
    with reporting(say):
        conversion = convert(
            compression.model,
            k=options.k,
            origin=origin_of_command(options, "compress"),
            model_version=options.model_version,
        )
    assert conversion.verification is not None
    # Before anything is shown: what cannot be shown must not be lost.
    if conversion.verification.passed:
        if options.save_model is not None:
            save_or_rescue(
                options.save_model, lambda path: save_model(compression.model, path), None
            )
        save_or_rescue(
            options.output,
            lambda path: conversion.save(path, overwrite=options.force),
            checkpoints,
        )
    if not options.json:
        show_compression(compression)
    return finish(options, conversion, compression)


def _as_file(model: Path) -> Path:
    return model.with_suffix(".tflite")


def parse_minutes(text: str) -> float:
    """Minutes above 0.

    Example:
        >>> parse_minutes("2.5")
        2.5
        >>> parse_minutes("-1")
        Traceback (most recent call last):
        argparse.ArgumentTypeError: must be minutes above 0, not '-1'
    """
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"must be minutes above 0, not {text!r}")
    return minutes


def parse_bytes(text: str) -> int:
    """Bytes of a text such as "250000", "250kB" or "1.5 MB".

    Example:
        >>> parse_bytes("250kB"), parse_bytes("1.5 MB")
        (250000, 1500000)
    """
    units = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
    lowered = text.strip().lower()
    number = lowered.rstrip("kmgb ")
    unit = lowered[len(number) :].strip() or "b"
    try:
        value = float(number) * units[unit]
    except (ValueError, KeyError) as error:
        raise argparse.ArgumentTypeError(
            f"must be bytes such as 250000, 250kB or 5MB, not {text!r}"
        ) from error
    if not 1 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"must be at least one byte, not {text!r}")
    return int(value)
