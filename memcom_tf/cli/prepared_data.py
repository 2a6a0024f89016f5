"""The data of `memcom train` and `memcom compress` where it is what `memcom prepare` wrote."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memcom_tf.errors import message

_MOST_EXAMPLES = 10_000
_COLUMNS = (
    *("user", "item", "time", "test", "title", "details", "items"),
    *("label", "categorical", "numeric", "several", "columns", "format", "min_count"),
)
"""Options that say what is in a file, and what of it gets an id."""


def require_data(options: argparse.Namespace) -> None:
    """Requires the data of `train` and `compress`: a file, or what `prepare` wrote.

    Raises:
        FileNotFoundError: If there is neither.
        ValueError: If a data set is given to another task, or with options of files.
    """
    path: Path = options.interactions
    if not is_prepared(path):
        if path.is_dir():
            raise FileNotFoundError(
                message(
                    "The data must be a file, or a folder that `memcom prepare` wrote.",
                    "Prepare the folder first.",
                    path=str(path),
                )
            )
        if not path.is_file():
            raise FileNotFoundError(message("The file must exist.", "", path=str(path)))
        return
    from memcom_tf.data.manifest import load_manifest

    task = load_manifest(path).task
    if options.task != task:
        raise ValueError(
            message(
                f"The data of --task {options.task} must be a file, or a data set for it.",
                f"This one was prepared for --task {task}.",
                path=str(path),
            )
        )
    values = {name: getattr(options, name, None) for name in _COLUMNS}
    given = {
        name: f"--no-{name}" if value is False else str(value)
        for name, value in values.items()
        if value is not None
    }
    if given:
        raise ValueError(
            message(
                "Options that say what is in a file must be left out with a prepared data set.",
                "Its columns were chosen, and its values counted, by `memcom prepare`.",
                **given,
            )
        )


def is_prepared(path: Path) -> bool:
    """Whether a path is that of a prepared data set."""
    from memcom_tf.data.manifest import is_dataset

    return is_dataset(path)


def open_split(options: argparse.Namespace, model: Any, report: Callable[[str], object]) -> Any:
    """Opens the data set of a command, under the ids of a model where there is one."""
    from memcom_tf.data import open_dataset

    if model is None:
        return open_dataset(options.interactions, history_length=options.history_length)
    split = open_dataset(
        options.interactions,
        history_length=model.history_length,
        vocabulary=model.vocabulary,
        new_items=options.new_items,
    )
    if split.num_new_items:
        report(
            f"{split.num_new_items:,} items of the data set are not known to the model, with "
            f"{split.num_new_interactions:,} interactions of training"
        )
    return split


def examples_for_test(path: Path, model: Any, report: Callable[[str], object]) -> Any:
    """Examples for test of a data set, under the ids of a model; says how many they are.

    Args:
        path: The folder.
        model: A ranker with its vocabulary; of a data set of rows a click model.
        report: Called with the line.

    Raises:
        ValueError: If the model has no vocabulary, or does not know an item.
    """
    from memcom_tf.data import open_dataset
    from memcom_tf.data.manifest import load_manifest

    if load_manifest(path).task == "click":
        return _rows_for_test(path, model, report)
    vocabulary = getattr(model, "vocabulary", None)
    length = getattr(model, "history_length", None)
    if vocabulary is None or length is None:
        raise ValueError(
            message(
                "A model that is tested on a prepared data set must be a ranker with a vocabulary.",
                "Give examples of ids in an .npz file.",
                path=str(path),
            )
        )
    split = open_dataset(path, history_length=length, vocabulary=vocabulary)
    examples = split.sample("test", _MOST_EXAMPLES)
    users = split.manifest.statistics["users_with_held_out_items"]
    report(f"examples: {len(examples):,} of {users:,} users for test")
    return examples


def _rows_for_test(path: Path, model: Any, report: Callable[[str], object]) -> Any:
    """Rows for test under the ids of a click model, and their labels."""
    from memcom_tf.data import open_rows

    features = getattr(model, "features", None)
    if features is None:
        raise ValueError(
            message(
                "A model that is tested on a prepared data set of rows must be a click model.",
                "Train one with `memcom train --task click`.",
                path=str(path),
            )
        )
    test = open_rows(path).test
    rows = test.first(_MOST_EXAMPLES)[:_MOST_EXAMPLES]
    report(f"examples: {len(rows):,} of {len(test):,} rows for test")
    return features.encode(rows), rows.labels
