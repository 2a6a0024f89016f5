"""The commands that train: a ranker from interactions, and a compressed one after it."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from memcom_tf.errors import message

from .commands import DONE, FAILED, require_file
from .loading import load_model


def train(options: argparse.Namespace) -> int:
    """Trains a ranker on interactions and saves it."""
    _check_output(options.output, options.force, ".keras")
    require_file(options.interactions)
    split = _split(options, _log(options), None)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from memcom_tf.training import TrainingSettings, train_ranker

    settings = TrainingSettings(seed=options.seed, k=options.k)
    if options.epochs is not None:
        settings = replace(settings, epochs=options.epochs)
    trained = train_ranker(
        split, width=options.width, ratio=options.ratio, settings=settings, verbose=2
    )
    _save_model(trained.model, options.output)
    best = trained.record["best"]
    print(f"{options.output}: nDCG@{options.k} on validation {best:.4f}")
    return DONE


def compress(options: argparse.Namespace) -> int:
    """Compresses a trained ranker, converts it and proves the file."""
    _check_output(options.output, options.force, ".tflite")
    if options.save_model is not None:
        _check_output(options.save_model, options.force, ".keras")
    require_file(options.interactions)
    log = _log(options)
    model = load_model(options)
    from memcom_tf.compression import SETTINGS, compress_ranker

    from .conversion import convert
    from .display import show_compression, show_report, show_verification

    if getattr(model, "vocabulary", None) is None:
        raise ValueError(
            message("The model must have a vocabulary.", "Train it with one.", model=model.name)
        )
    settings = replace(SETTINGS, seed=options.seed, k=options.k)
    if options.epochs is not None:
        settings = replace(settings, epochs=options.epochs)
    compression = compress_ranker(
        model,
        _split(options, log, model),
        max_bytes=options.max_bytes,
        ratio=options.ratio,
        settings=settings,
        report=lambda line: print(line, flush=True),
    )
    conversion = convert(compression.model, k=options.k)
    assert conversion.verification is not None
    # Before anything is shown: what cannot be shown must not be lost.
    if conversion.verification.passed:
        if options.save_model is not None:
            _save_model(compression.model, options.save_model)
        conversion.save(options.output, overwrite=options.force)
    show_compression(compression)
    show_verification(conversion.verification)
    if not conversion.verification.passed:
        print(f"memcom: {options.output} was not written", file=sys.stderr)
        return FAILED
    show_report(conversion.report)
    return DONE


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


def _log(options: argparse.Namespace) -> Any:
    """The interactions, read before TensorFlow is loaded: what is wrong is said at once."""
    from memcom_tf.datasets import load_log

    return load_log(
        options.interactions,
        user=options.user,
        item=options.item,
        time=options.time,
        report=_say,
    )


def _split(options: argparse.Namespace, log: Any, model: Any) -> Any:
    from memcom_tf.evaluation import split_log

    if model is None:
        return split_log(log, history_length=options.history_length, report=_say)
    return split_log(
        log,
        history_length=model.history_length,
        vocabulary=model.vocabulary,
        new_items=options.new_items,
        report=_say,
    )


def _say(line: str) -> None:
    print(f"memcom: {line}", file=sys.stderr, flush=True)


def _check_output(path: Path, force: bool, suffix: str) -> None:
    if path.suffix != suffix:
        raise ValueError(message(f"The output must end in {suffix}.", "", path=str(path)))
    if path.exists() and not force:
        raise FileExistsError(
            message("The output must not exist.", "Replace it with --force.", path=str(path))
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            message("The folder of the output must exist.", "", path=str(path.parent))
        )


def _save_model(model: Any, path: Path) -> None:
    beside = path.with_name(f".{path.stem}.{os.getpid()}.keras")
    try:
        model.save(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
