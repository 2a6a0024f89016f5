"""What a command writes into a file of how it made it."""

from __future__ import annotations

import argparse
from typing import Any

_SETTINGS = {
    "task": "task",
    "interactions": "data",
    "ratio": "ratio",
    "max_bytes": "max_bytes",
    "max_minutes": "max_minutes",
    "method": "method",
    "weights": "weights",
    "profile": "profile",
    "k": "k",
    "epochs": "epochs",
    "seed": "seed",
    "samples": "samples",
}
"""Options that decide what is in a file, and what the file calls them."""


def add_model_version(parser: argparse.ArgumentParser) -> None:
    """Adds what tells newer files of a model from older ones."""
    parser.add_argument(
        "--model-version",
        type=_version,
        metavar="N",
        help="which of the files of this model it is, from 1 on: the app refuses an older one in "
        "place of a newer",
    )


def _version(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, not {text!r}")
    return int(text)


def origin_of_command(options: argparse.Namespace, command: str) -> Any:
    """What the file of a command says that it was made from.

    Args:
        options: Those of the command, with the model.
        command: Its name.

    Returns:
        What `convert` takes as `origin`.
    """
    from memcom_tf.converters.model_file.origin import origin_of

    settings = {ours: getattr(options, name, None) for name, ours in _SETTINGS.items()}
    return origin_of(options.model, command, settings)
