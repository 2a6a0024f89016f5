"""The options of the tasks of `memcom train` and `memcom compress`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memcom_tf.errors import message

TASKS = "next-item", "click", "text"

_WHAT_FOR = {
    "next-item": "next-item (the default) ranks what a user takes next",
    "click": "click predicts a label of 0 or 1 from fields",
    "text": "text predicts the class of a text",
}

_LOSSES = "softmax", "ranknet", "bpr", "listnet"  # as of memcom_tf.models, which needs TensorFlow

_RANKERS, _CLICKS, _TEXTS = ((name,) for name in TASKS)
_LABELLED = "click", "text"

_OPTIONS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "user": (None, _RANKERS),
    "item": (None, _RANKERS),
    "title": (None, _RANKERS),
    "details": (None, _RANKERS),
    "items": (None, _RANKERS),
    "history_length": (50, _RANKERS),
    "new_items": (None, _RANKERS),
    "loss": ("softmax", _RANKERS),
    "steps": (None, _RANKERS),
    "batch_size": (256, _RANKERS),
    "label": (None, _LABELLED),
    "method": (None, _LABELLED),
    "min_count": (None, _LABELLED),
    "teacher": (None, _LABELLED),
    "categorical": (None, _CLICKS),
    "numeric": (None, _CLICKS),
    "several": (None, _CLICKS),
    "columns": (None, _CLICKS),
    "format": (None, _CLICKS),
    "interaction": ("deepfm", _CLICKS),
    "text": (None, _TEXTS),
    "order": ("classes", _TEXTS),
    "max_words": (400, _TEXTS),
}
"""Options that not all tasks take: what they are where they are left out, and whose they are."""

OF_COMPRESS = {"resume": (False, _RANKERS)}
"""Further ones of `memcom compress`."""


def check_options_of_task(
    options: argparse.Namespace, also: Mapping[str, tuple[Any, tuple[str, ...]]] | None = None
) -> None:
    """Requires that no option is given that the task does not look at.

    Args:
        options: Those of a command.
        also: Further options of the command, or options that other tasks take there, as in
            `_OPTIONS`.

    Raises:
        ValueError: Naming the first.
    """
    checked = {**_OPTIONS, **(also or {})}
    for name, (default, tasks) in checked.items():
        given = getattr(options, name, default)
        if given != default and options.task not in tasks:
            raise ValueError(
                message(
                    f"`{name}` must be left out with --task {options.task}.",
                    f"It is an option of --task {' and '.join(tasks)}.",
                    value=str(given),
                )
            )


def add_task(parser: argparse.ArgumentParser, tasks: Sequence[str] = TASKS) -> None:
    """Adds the option that says what a model is for."""
    parser.add_argument(
        "--task",
        choices=tasks,
        default=tasks[0],
        help="; ".join(_WHAT_FOR[name] for name in tasks),
    )


def add_loss(parser: argparse.ArgumentParser) -> None:
    """Adds the option that says what a ranker is trained by."""
    parser.add_argument(
        "--loss",
        choices=_LOSSES,
        default="softmax",
        help="what a ranker learns targets by: softmax (the default) over the catalogue, ranknet "
        "or bpr by pairs of items; listnet is the softmax here",
    )


def add_columns(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which columns of a file are what."""
    labelled = parser.add_argument_group("click models and text classifiers (--task click, text)")
    labelled.add_argument(
        "--label", metavar="COLUMN", help="column of labels: 0 or 1, or of classes (label)"
    )
    clicks = parser.add_argument_group("click models (--task click)")
    clicks.add_argument(
        "--categorical", nargs="+", metavar="COLUMN", help="columns of strings or integers"
    )
    clicks.add_argument("--numeric", nargs="+", metavar="COLUMN", help="columns of numbers")
    clicks.add_argument(
        "--several",
        nargs="+",
        metavar="COLUMN[=MARK]",
        help="of the categorical columns those of several values, and what separates them (|)",
    )
    clicks.add_argument(
        "--columns", type=Path, metavar="FILE.toml", help="a file that says which columns are what"
    )
    clicks.add_argument(
        "--format",
        choices=("criteo", "avazu"),
        help="a public format, if the file does not look like it",
    )
    add_text(parser.add_argument_group("text classifiers (--task text)"))


def add_text(parser: Any) -> None:
    """Adds the option that names the column of texts."""
    parser.add_argument("--text", metavar="COLUMN", help="column of texts")


def add_interaction(parser: Any) -> None:
    """Adds the option that says how fields of a click model interact."""
    parser.add_argument(
        "--interaction",
        choices=("deepfm", "dlrm", "dcn", "wide"),
        default="deepfm",
        help="of a click model, how fields interact (deepfm)",
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """Adds the options of click models and text classifiers to `memcom train`."""
    add_columns(parser)
    models = parser.add_argument_group("how click models and text classifiers are trained")
    models.add_argument("--method", help="the layer of large tables with --ratio")
    models.add_argument(
        "--teacher",
        type=Path,
        metavar="MODEL.keras",
        help="a model trained on the same data, that of full tables: with --ratio it is learned "
        "from as well as the labels",
    )
    models.add_argument(
        "--min-count",
        type=int,
        help="rarer values share an id with unknown ones (2; that of a prepared data set)",
    )
    add_interaction(models)
    models.add_argument(
        "--order",
        choices=("classes", "documents", "frequency"),
        default="classes",
        help="of a text classifier with --ratio, by what words share rows: the classes of the "
        "documents that they occur in (the default), these documents, or how frequent they are",
    )
    models.add_argument(
        "--max-words", type=int, default=400, help="words of a text that are seen (400)"
    )
