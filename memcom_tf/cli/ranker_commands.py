"""The commands that train: a ranker from interactions, and a compressed one after it."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from memcom_tf.cli import (
    click_commands,
    log_options,
    prepared_data,
    text_commands,
    training_lines,
)
from memcom_tf.cli.commands import DONE, check_output, finish, next_is, say, tell
from memcom_tf.cli.loading import load_model
from memcom_tf.cli.origins import origin_of_command
from memcom_tf.cli.task_options import check_options_of_task
from memcom_tf.cluster import require_alone, this_worker
from memcom_tf.errors import message
from memcom_tf.files import check_writable

_OVERHEAD = 16_384
"""Bytes of a ranker's file beside its table, about."""


WIDTH = 64

_OTHER_TASKS: dict[str, Any] = {"click": click_commands, "text": text_commands}


def train(options: argparse.Namespace) -> int:
    """Trains a model of the task on a file and saves it, if this is the worker that writes."""
    worker = this_worker()
    options.writes = worker is None or worker.is_chief
    if options.writes:
        check_output(options.output, options.force, ".keras")
    prepared_data.require_data(options)
    check_options_of_task(options)
    if options.task in _OTHER_TASKS:
        require_alone(f"Training with --task {options.task}")
        return int(_OTHER_TASKS[options.task].train(options))
    if options.epochs is not None and options.steps is not None:
        raise ValueError(
            message(
                "Either --epochs or --steps must say how long to train.",
                "Leave one of them out.",
                epochs=options.epochs,
                steps=options.steps,
            )
        )
    options.width = WIDTH if options.width is None else options.width
    split = _split(options, log_options.read(options), None)
    from memcom_tf.models import save_model
    from memcom_tf.training import TrainingSettings, train_ranker
    from memcom_tf.training.workers import joined

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
    with (
        nullcontext() if worker is None else joined(worker, say),
        _checkpoint_of(options) as checkpoint,
        training_lines.shown(),
    ):
        trained = train_ranker(
            split,
            width=options.width,
            ratio=options.ratio,
            settings=settings,
            checkpoint=checkpoint / "training.npz",
            verbose=2,
            report=say,
        )
    if worker is not None and not options.writes:
        say(f"worker {worker.index + 1} of {worker.count}: done; worker 1 writes the model")
        return DONE
    _save_or_rescue(options.output, lambda path: save_model(trained.model, path), checkpoint)
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
    check_options_of_task(options)
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
    split = _split(options, log, model)
    with _checkpoint_of(options) as checkpoints:
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
    conversion = convert(
        compression.model, k=options.k, origin=origin_of_command(options, "compress")
    )
    assert conversion.verification is not None
    # Before anything is shown: what cannot be shown must not be lost.
    if conversion.verification.passed:
        if options.save_model is not None:
            _save_or_rescue(
                options.save_model, lambda path: save_model(compression.model, path), None
            )
        _save_or_rescue(
            options.output,
            lambda path: conversion.save(path, overwrite=options.force),
            checkpoints,
        )
    if not options.json:
        show_compression(compression)
    return finish(options, conversion, compression)


@contextmanager
def _checkpoint_of(options: argparse.Namespace) -> Iterator[Path]:
    """The folder beside the output that a run which is stopped leaves, if there is work in it.

    Of several workers one has it.
    """
    if not options.writes:
        yield _place_of_checkpoints(options)
        return
    folder = _opened_checkpoint(options)
    try:
        yield folder
    except BaseException:
        if any(folder.iterdir()):
            say(f"what was done is in {folder}: the same command with --resume goes on")
        else:
            folder.rmdir()
        raise


def _place_of_checkpoints(options: argparse.Namespace) -> Path:
    output: Path = options.output
    return output.with_name(f"{output.name}.checkpoint")


def _opened_checkpoint(options: argparse.Namespace) -> Path:
    """The folder of checkpoints, empty unless resumed."""
    folder = _place_of_checkpoints(options)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise NotADirectoryError(
            message("The place of checkpoints must be a folder.", "Move it.", path=str(folder))
        )
    if options.resume:
        found = f"going on from {folder}" if folder.is_dir() else f"{folder} is not there"
        print(f"memcom: {found}{'' if folder.is_dir() else ', starting anew'}", file=sys.stderr)
    elif folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    return folder


def _save_or_rescue(output: Path, save: Callable[[Path], object], checkpoints: Path | None) -> None:
    """Saves a file, or saves it elsewhere and says where: hours of training may be in it.

    The checkpoints go once the file is safe, also to make room for it.
    """
    try:
        save(output)
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix="memcom-"))
        try:
            save(folder / output.name)
        except OSError as second:
            shutil.rmtree(folder, ignore_errors=True)
            action = f"Make room{', and go on with --resume' if checkpoints else ''}."
            raise OSError(
                message(
                    "The output must be written.",
                    action,
                    path=str(output),
                    error=str(error),
                    error_of_temporary_folder=str(second),
                )
            ) from error
        _remove(checkpoints)
        try:
            save(output)
        except OSError:
            raise OSError(
                message(
                    "The output must be written.",
                    f"It was saved as {folder / output.name}: make room, and move it.",
                    path=str(output),
                    error=str(error),
                )
            ) from error
        shutil.rmtree(folder, ignore_errors=True)
    _remove(checkpoints)


def _as_file(model: Path) -> Path:
    return model.with_suffix(".tflite")


def _remove(checkpoints: Path | None) -> None:
    if checkpoints is not None:
        shutil.rmtree(checkpoints, ignore_errors=True)


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


def _split(options: argparse.Namespace, log: Any, model: Any) -> Any:
    if log is None:
        return prepared_data.open_split(options, model, say)
    from memcom_tf.evaluation import split_log

    if model is None:
        return split_log(log, history_length=options.history_length, report=say)
    return split_log(
        log,
        history_length=model.history_length,
        vocabulary=model.vocabulary,
        new_items=options.new_items,
        report=say,
    )
