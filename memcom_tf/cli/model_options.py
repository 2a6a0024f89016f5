"""The options of commands that load a model."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds how a model is loaded, called and judged."""
    add_loading(parser)
    parser.add_argument(
        "--samples",
        type=Path,
        metavar="FILE",
        help="inputs that the model is made for, .npz, .csv or .parquet with an array or column of "
        "the name of each: the proof runs the file on them (without, inputs are drawn)",
    )
    parser.add_argument(
        "--inputs",
        nargs="+",
        metavar="NAME:TYPE[SIZES]",
        help="what a subclassed model is called with, as in 'user:int32[?]' 'history:int32[?,20]'; "
        "`?` is a size that is free, the batch first",
    )
    add_examples(parser)


def add_signatures(parser: argparse.ArgumentParser, what: str, default: str) -> None:
    """Adds the choice of signatures.

    Args:
        parser: The command.
        what: What it does with them.
        default: Those that it takes without.
    """
    parser.add_argument(
        "--signature",
        dest="signatures",
        action="append",
        metavar="NAME",
        help=f"a signature of a SavedModel {what}; may be repeated ({default})",
    )


def add_examples(parser: argparse.ArgumentParser) -> None:
    """Adds a file of examples that metrics are computed on."""
    parser.add_argument(
        "--examples",
        type=Path,
        metavar="FILE.npz",
        help="arrays `history` [n, L] and `target` [n] of ids, or what `prepare` wrote, of which "
        "10,000 users or rows at most are tested: compares the metrics of a ranker or click model",
    )


def add_loading(parser: argparse.ArgumentParser) -> None:
    """Adds what a model needs to be loaded."""
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="import a module that registers your own layers; may be repeated",
    )
    parser.add_argument(
        "--allow-unsafe-deserialization",
        action="store_true",
        help="let the model run code that it carries: Lambda layers of a .keras file, operators "
        "of a SavedModel that write files or call Python",
    )
