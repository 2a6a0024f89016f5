"""The options that say what is in a log, and the log that they say."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from memcom_tf.cli import prepared_data
from memcom_tf.cli.commands import say
from memcom_tf.errors import invalid


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the file of a command, its columns, and how long and from what seed it trains."""
    add_log(parser)
    parser.add_argument("--epochs", type=int, help="epochs at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-k", type=int, default=10, help="length of the ranked list (10)")
    parser.add_argument("--force", action="store_true", help="replace the output if it exists")


def add_log(parser: argparse.ArgumentParser) -> None:
    """Adds the file of a command, and its columns."""
    parser.add_argument(
        "interactions",
        type=Path,
        metavar="INTERACTIONS",
        help="what `prepare` wrote, or .csv, .tsv (also .gz or .zst), .parquet or .npz; a column "
        "`test` of 0 and 1 says what is held out, without it the last item of each user is",
    )
    for column, usual in (("user", "userId, customer_id"), ("item", "movieId, product_id")):
        parser.add_argument(
            f"--{column}",
            metavar="COLUMN",
            help=f"column of the {column}s (one that is called {column}, {usual} or the like)",
        )
    add_column(
        parser,
        "time",
        "column of times: numbers, dates or date-times (one that is called time, timestamp, date "
        "or the like; else the order of the rows counts)",
        "the order of the rows counts as time, whatever columns there are",
    )
    add_column(
        parser,
        "test",
        "column of 0 and 1: what is held out (of interactions one that is called test)",
        "no column says what is held out, whatever columns there are",
    )


def add_details(parser: argparse.ArgumentParser) -> None:
    """Adds what is known of the items beside their ids."""
    add_column(
        parser,
        "title",
        "column of titles, by which `memcom rank` finds and shows items (one that is called title)",
        "items have no titles",
    )
    parser.add_argument(
        "--detail",
        dest="details",
        action="append",
        metavar="NAME[=COLUMN]",
        help="a further text of each item that the file keeps, and its column; may be repeated",
    )
    parser.add_argument(
        "--items",
        type=Path,
        metavar="FILE",
        help="a file with a row for each item, as movies.csv, that titles and details are in",
    )


def add_column(parser: argparse.ArgumentParser, name: str, which: str, none: str) -> None:
    """An option that names a column, and one that says that there is none."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(f"--{name}", metavar="COLUMN", help=which)
    either.add_argument(f"--no-{name}", dest=name, action="store_const", const=False, help=none)


def read(options: argparse.Namespace) -> Any:
    """The interactions, read before TensorFlow is loaded: what is wrong is said at once.

    None of what `memcom prepare` wrote, which is opened later.
    """
    if prepared_data.is_prepared(options.interactions):
        return None
    from memcom_tf.datasets import load_log

    compresses = not hasattr(options, "items")  # what is known of items is in the model
    return load_log(
        options.interactions,
        user=options.user,
        item=options.item,
        time=options.time,
        test=column_of_test(options),
        title=False if compresses else options.title,
        details=None if compresses else _details(options.details or ()),
        items=None if compresses else options.items,
        report=say,
    )


def column_of_test(options: argparse.Namespace) -> str | None:
    """The column of what is held out: that of --test, none with --no-test, else `test` if any."""
    found: str | None = {None: "test", False: None}.get(options.test, options.test)
    return found


def split(options: argparse.Namespace, log: Any, model: Any = None) -> Any:
    """The split of what was read, or of a prepared data set, under the ids of a model if any."""
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


def _details(words: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, _, column = word.partition("=")
        if not name or name in found:
            raise invalid(
                "Each of `details` must be NAME=COLUMN, with a name of its own.",
                "As in --detail genre=genres.",
                detail=word,
            )
        found[name] = column or name
    return found
