"""The commands of click models: training on rows of fields, and scoring of rows by a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from memcom_tf.cli import labelled_models, prepared_data, text_commands
from memcom_tf.cli.checkpoints import save_or_rescue
from memcom_tf.cli.commands import DONE, next_is, require_file, say, tell
from memcom_tf.cli.several_workers import another_writes, training_of
from memcom_tf.errors import message
from memcom_tf.files import check_writable, write_atomically
from memcom_tf.progress import reporting

WIDTH = 16
_OVERHEAD = 400_000
"""Bytes of a click model beside its tables, about."""


def train(options: argparse.Namespace) -> int:
    """Trains a click model on rows of fields and saves it, if this is the worker that writes."""
    split = split_of(options)
    from dataclasses import replace

    from memcom_tf.models import ClickModel, save_model
    from memcom_tf.training import ClickSettings, train_click_model

    settings = ClickSettings(seed=options.seed)
    if options.epochs is not None:
        settings = replace(settings, epochs=options.epochs)
    if options.writes:
        check_writable(options.output, _OVERHEAD)
    with training_of(options) as checkpoint, reporting(say):
        trained = train_click_model(
            split,
            width=options.width or WIDTH,
            interaction=options.interaction,
            method=options.method,
            ratio=options.ratio,
            min_count=options.min_count,
            teacher=labelled_models.teacher_of(options, ClickModel, "click model"),
            settings=settings,
            checkpoint=checkpoint / "training.npz",
            report=say,
        )
    if another_writes(options):
        return DONE
    save_or_rescue(
        options.output,
        lambda path: save_model(trained.model, path, overwrite=options.force),
        checkpoint,
    )
    shown = ", ".join(f"{name} {value:.4f}" for name, value in trained.metrics.items())
    said = f"{options.output}: on the rows for test {shown}"
    tell(options, said, output=str(options.output), **trained.metrics)
    next_is(options.output, f"memcom compress --task click {options.output} ...")
    return DONE


def compress(options: argparse.Namespace) -> int:
    """Compresses a trained click model, converts it and proves the file."""
    split = split_of(options)
    from memcom_tf.compression import CLICK_SETTINGS, compress_clicks
    from memcom_tf.models import ClickModel

    kind = ClickModel, "click model"
    return labelled_models.compress(options, split, kind, CLICK_SETTINGS, compress_clicks)


def add_score_options(parser: argparse.ArgumentParser) -> None:
    """The options of `memcom score`."""
    parser.add_argument("file", type=Path, metavar="MODEL.tflite")
    parser.add_argument(
        "rows",
        type=Path,
        metavar="ROWS",
        help="a file of rows, as `train` takes, or what `prepare` wrote: its rows for test",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.csv", help="default: print them")
    parser.add_argument("--label", metavar="COLUMN", help="labels, to print metrics as well")
    parser.add_argument(
        "--text", metavar="COLUMN", help="column of texts (that of training), of a text classifier"
    )
    parser.add_argument("--json", action="store_true", help="a JSON list instead of CSV")
    parser.add_argument("--force", action="store_true", help="replace the output if it exists")


def score(options: argparse.Namespace) -> int:
    """Writes the probabilities of rows, or the classes of texts, by a .tflite file alone."""
    require_file(options.file)
    if not prepared_data.is_prepared(options.rows):
        require_file(options.rows)
    if options.output is not None and options.output.exists() and not options.force:
        raise FileExistsError(
            message(
                "The output must not exist.", "Replace it with --force.", path=str(options.output)
            )
        )
    from memcom_tf.converters.runtime import CompressedModelFile

    file = CompressedModelFile(options.file)
    if file.classes is not None:
        return text_commands.score(options, file)
    if file.description.output_dim is not None:
        raise ValueError(
            message(
                "The file must score rows.",
                "This one gives vectors of texts, of which queries make scores: call "
                "CompressedModelFile(path).text_vectors(texts) in Python.",
                output_dim=file.description.output_dim,
            )
        )
    if options.text is not None:
        raise ValueError(
            message(
                "`text` must be left out where the file is of no text classifier.",
                "",
                text=options.text,
            )
        )
    probabilities, labels = _scored(options, file)
    if labels is not None:
        from memcom_tf.evaluation import click_metrics

        metrics = click_metrics(probabilities, labels)
        say(", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
    numbers = [f"{value:.6g}" for value in probabilities.tolist()]
    text = f"[{', '.join(numbers)}]\n" if options.json else "\n".join(["probability", *numbers, ""])
    if options.output is None:
        sys.stdout.write(text)
    else:
        write_atomically(options.output, text.encode())
        print(f"{options.output}: {len(numbers):,} probabilities")
    return DONE


def _scored(options: argparse.Namespace, file: Any) -> tuple[Any, Any]:
    """The probabilities of rows, and their labels where there are any.

    Of a prepared data set they are those of the rows for test, shard by shard.
    """
    if prepared_data.is_prepared(options.rows):
        if options.label is not None:
            raise ValueError(
                message(
                    "`label` must be left out with a prepared data set.",
                    "Its rows have the labels that were named when it was prepared.",
                    label=options.label,
                )
            )
        import numpy as np

        from memcom_tf.data import open_rows

        test = open_rows(options.rows).test
        say(f"{len(test):,} rows for test")
        found = [(file.predict(block), block.labels) for block in test.blocks()]
        probabilities, labels = map(np.concatenate, zip(*found, strict=True))
        return probabilities, labels
    from memcom_tf.datasets.row_files import load_rows_of

    rows = load_rows_of(
        options.rows,
        {of.name: of.separator for of in file.fields.categorical},
        [of.name for of in file.fields.numeric],
        label=options.label,
        report=say,
    )
    return file.predict(rows), rows.label


def split_of(options: argparse.Namespace) -> Any:
    """The rows of a command in three parts: a data set, or a file that is split here."""
    if prepared_data.is_prepared(options.interactions):
        from memcom_tf.data import open_rows

        split: Any = open_rows(options.interactions)
        held_out = "the latest" if split.by_time else "some at random"
        if split.manifest.settings["columns"]["test"] is not None:
            held_out = "those held out"
    else:
        from memcom_tf.datasets import load_rows
        from memcom_tf.evaluation import split_rows

        columns = columns_of(options)
        rows = load_rows(options.interactions, columns, format=options.format, report=say)
        split = split_rows(rows, seed=options.seed)
        held_out = "the latest" if split.by_time else "some at random"
        if rows.is_test is not None:
            held_out = "those held out"
    say(
        f"{len(split.train):,} rows to train on, {len(split.validation):,} for validation, "
        f"{len(split.test):,} for test, {held_out}"
    )
    return split


def columns_of(options: argparse.Namespace) -> Any:
    """The columns that the options name; None where a public format is to be known by its looks."""
    from memcom_tf.datasets import Columns

    columns = None
    named = options.label, options.categorical, options.numeric
    if options.columns is not None:
        if any(named):
            raise ValueError(
                message(
                    "Columns must be named in one way.",
                    "Leave --columns out, or --label, --categorical and --numeric.",
                    columns=str(options.columns),
                )
            )
        require_file(options.columns)
        columns = Columns.from_toml(options.columns)
    elif any(named):
        several = dict(map(_field_and_mark, options.several or ()))
        columns = Columns(
            options.label,
            options.categorical or (),
            options.numeric or (),
            several,
            options.time or None,
            options.test or None,
        )
    if columns is not None and columns.label is None:
        raise ValueError(
            message(
                "The column of labels must be named.",
                "Name it with --label, or as `label` in the file of --columns.",
            )
        )
    return columns


def _field_and_mark(word: str) -> tuple[str, str]:
    """A field of several values and what separates them, of `genres` or `genres=;`."""
    from memcom_tf.datasets.rows import SEPARATOR

    name, _, mark = word.partition("=")
    return name, mark or SEPARATOR
