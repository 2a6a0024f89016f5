"""The command that brings a trained ranker up to date by a later log."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from memcom_tf.cli import (
    checkpoints,
    log_options,
    model_options,
    prepared_data,
    task_options,
)
from memcom_tf.cli.commands import DONE, check_output, next_is, require_one_length, say, tell
from memcom_tf.cli.loading import load_model
from memcom_tf.cluster import require_alone
from memcom_tf.errors import message
from memcom_tf.progress import reporting

_DEFAULT = "a tenth of those from scratch, more where much is new"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL.keras")
    log_options.add_options(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="UPDATED.keras")
    parser.add_argument(
        "--steps", type=int, help=f"steps of training, where --epochs does not say ({_DEFAULT})"
    )
    parser.add_argument("--batch-size", type=int, default=256, help="examples in a step (256)")
    parser.add_argument(
        "--forget",
        action="store_true",
        help="items that the log does not have lose their ids to new ones: the file keeps its size",
    )
    parser.add_argument(
        "--least-quality",
        type=float,
        metavar="SHARE",
        help="the order is refreshed where it has less than this share of what a fresh one gains "
        "over chance (0.5); 0 never does",
    )
    task_options.add_loss(parser)
    log_options.add_details(parser)
    model_options.add_loading(parser)
    checkpoints.add_resume(parser)
    parser.set_defaults(task="next-item")


def update(options: argparse.Namespace) -> int:
    """Updates a ranker and saves it."""
    require_alone("An update")
    options.writes = True
    check_output(options.output, options.force, ".keras")
    prepared_data.require_data(options)
    _check_numbers(options)
    log = log_options.read(options)
    model = load_model(options)
    from memcom_tf.models import save_model
    from memcom_tf.training import TrainingSettings, update_ranker
    from memcom_tf.training.updating import LEAST_QUALITY, vocabulary_of_ranker

    vocabulary_of_ranker(model)
    settings = TrainingSettings(
        epochs=options.epochs,
        steps=options.steps,
        batch_size=options.batch_size,
        seed=options.seed,
        k=options.k,
        loss=options.loss,
    )
    least = LEAST_QUALITY if options.least_quality is None else options.least_quality
    if log is None:
        from memcom_tf.data import open_dataset

        log = open_dataset(options.interactions, history_length=model.history_length)
    with checkpoints.checkpoint_of(options) as folder, reporting(say):
        updated = update_ranker(
            model,
            log,
            settings=settings,
            forget=options.forget,
            least_quality=least,
            checkpoint=folder / "training.npz",
            report=say,
        )
    checkpoints.save_or_rescue(options.output, lambda path: save_model(updated.model, path), folder)
    record, k = updated.record, options.k
    before = record["ndcg_before"]
    became = "forgotten" if options.forget else "not in the log"
    tell(
        options,
        f"{options.output}: {record['new']:,} items new, {record['gone']:,} {became}; "
        f"{record['why']}; nDCG@{k} on validation {_shown(before)} before, {record['best']:.4f} "
        "after",
        output=str(options.output),
        **{name: record[name] for name in ("new", "gone", "input_dim", "refreshed", "why")},
        order=record["order"],
        **{f"ndcg_at_{k}_before": before, f"ndcg_at_{k}": record["best"]},
    )
    next_is(options.output, _next(options, updated.model))
    return DONE


def _check_numbers(options: argparse.Namespace) -> None:
    """Requires, before TensorFlow is loaded, what says how to train."""
    require_one_length(options)
    if options.steps is not None and options.steps < 1:
        raise ValueError(message("`steps` must be positive.", "", steps=options.steps))
    if options.least_quality is not None and not 0 <= options.least_quality <= 1:
        raise ValueError(
            message("`least_quality` must be in [0, 1].", "", least_quality=options.least_quality)
        )


def _shown(ndcg: float | None) -> str:
    return "not known" if ndcg is None else f"{ndcg:.4f}"


def _next(options: argparse.Namespace, model: Any) -> str:
    """The command that makes a file as large as the one so far.

    A compressed table converts to the size that it had. What full tables were compressed to, the
    file beside the model so far says, if there is one.
    """
    from memcom_tf.layers import FullEmbedding

    output: Path = options.output
    file = output.with_suffix(".tflite")
    size = _size_of_file(options.model.with_suffix(".tflite"), options.model)
    if size is None or not all(isinstance(layer, FullEmbedding) for layer in model.item_tables):
        return f"memcom convert {output} -o {file}"
    return f"memcom compress {output} {options.interactions} -o {file} --max-bytes {size}"


def _size_of_file(path: Path, model: Path) -> str | None:
    """What size `memcom compress` was to make of a model, if a file is what came of it."""
    from memcom_tf.converters.model_file.origin import origin_of
    from memcom_tf.converters.runtime import CompressedModelFile

    if not path.is_file():
        return None
    try:
        file = CompressedModelFile(path)
    except (OSError, ValueError, ImportError):  # the model is saved: this is advice alone
        return None
    origin = file.description.origin
    if origin is None or origin.command != "compress":
        return None
    if origin.sha256 != origin_of(model, "compress", {}).sha256:
        return None
    return origin.settings.get("max_bytes") or str(file.report["graph_bytes"])
