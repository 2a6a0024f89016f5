"""`memcom sweep`: models of many methods and sizes on one data set, in a folder of runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import memcom_tf
from memcom_tf.cli import (
    click_commands,
    log_options,
    prepared_data,
    task_options,
    text_commands,
    training_options,
)
from memcom_tf.cli.commands import DONE, FAILED, next_is, require_one_length, say, tell
from memcom_tf.cluster import require_alone
from memcom_tf.errors import invalid, message
from memcom_tf.text import LONGEST_MESSAGE, printable

_COMPRESS = "compress"
_METHODS = (
    _COMPRESS,
    *(
        name
        for name in memcom_tf.__all__
        if name.endswith("Embedding") and name != "CompressedEmbedding"
    ),
)
_CLICK, _TEXT = "click", "text"
_DEFAULT = "MEmComEmbedding", "QuotientRemainderEmbedding", _COMPRESS


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    task_options.add_task(parser)
    log_options.add_log(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="RUNS", help="the folder of the runs"
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=_METHODS,
        default=list(_DEFAULT),
        metavar="METHOD",
        help="layers such as HashedEmbedding, which train from the start, and compress, which "
        f"compresses the trained full model ({', '.join(_DEFAULT)})",
    )
    parser.add_argument(
        "--ratios",
        nargs="+",
        type=float,
        default=[4.0, 16.0],
        metavar="RATIO",
        help="how many times smaller than the float32 file of the full model (4 16)",
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0], metavar="SEED", help="of each run (0)"
    )
    training_options.add_options(parser)
    parser.add_argument("--epochs", type=int, help="epochs at most, also of compress")
    parser.add_argument("-k", type=int, default=10, help="length of the ranked list (10)")
    parser.add_argument(
        "--force",
        action="store_true",
        help="delete runs of other data or settings, where the folder has such",
    )
    task_options.add_loss(parser)
    log_options.add_details(parser)
    task_options.add_columns(parser)
    task_options.add_interaction(parser)


def sweep(options: argparse.Namespace) -> int:
    """Makes the runs that are missing, and shows all; fails where one of them did."""
    require_alone("A sweep")
    _check_folder(options.output)
    prepared_data.require_data(options)
    task_options.check_options_of_task(options)
    require_one_length(options)
    split = _split(options)
    from memcom_tf.cli.sweep_display import show_sweep
    from memcom_tf.sweeps import EXAMPLES
    from memcom_tf.sweeps import sweep as sweep_models

    with _kept(options.output):
        found = sweep_models(
            split,
            options.output,
            methods=options.methods,
            ratios=options.ratios,
            seeds=options.seeds,
            width=options.width,
            settings=_settings(options),
            interaction=options.interaction,
            replace=options.force,
            report=say,
        )
    if options.json:
        tell(options, "", folder=str(found.folder), metric=found.metric, runs=list(found.rows))
    else:
        show_sweep(found)
    for row in found.failed:
        why = printable(row["error"], LONGEST_MESSAGE)
        say(f"failed: {row['method']} at {row['ratio']:g}x, seed {row['seed']}: {why}")
    examples = found.folder / EXAMPLES
    judged = f" --examples {examples}" if examples.exists() else ""
    next_is(found.folder, f"memcom compare {found.folder}{judged} --html runs.html")
    return FAILED if found.failed else DONE


def _split(options: argparse.Namespace) -> Any:
    if options.task == _CLICK:
        if prepared_data.is_prepared(options.interactions):
            raise ValueError(
                message(
                    "A sweep with --task click must have a file of rows.",
                    "Name the file that the data set was prepared from.",
                    path=str(options.interactions),
                )
            )
        from memcom_tf.datasets import load_rows
        from memcom_tf.evaluation import split_rows

        columns = click_commands.columns_of(options)
        return split_rows(
            load_rows(options.interactions, columns, format=options.format, report=say)
        )
    if options.task == _TEXT:
        return text_commands.split_of(options, seed=0)
    return log_options.split(options, log_options.read(options))


def _settings(options: argparse.Namespace) -> Any:
    from memcom_tf.training import ClickSettings, TextSettings, TrainingSettings

    if options.task == _TEXT:
        return TextSettings(epochs=options.epochs)
    if options.task == _CLICK:
        return ClickSettings() if options.epochs is None else ClickSettings(epochs=options.epochs)
    return TrainingSettings(
        epochs=options.epochs,
        steps=options.steps,
        batch_size=options.batch_size,
        k=options.k,
        loss=options.loss,
    )


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """Says of a sweep that is stopped that nothing is lost but the run at hand."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"finished runs are in {folder}: the same command goes on")
        raise


def _check_folder(folder: Path) -> None:
    """Requires, before anything is read, that there can be such a folder."""
    if folder.exists() and not folder.is_dir():
        raise invalid("`output` must be a folder, or not there yet.", path=str(folder))
    if not folder.parent.is_dir():
        raise invalid("The folder that `output` is to be in must exist.", path=str(folder.parent))
