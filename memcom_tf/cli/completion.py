"""Completion of commands, options and files in a shell, as shtab writes it."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from memcom_tf.errors import message

_SHELLS = "bash", "zsh"


class _Print(argparse.Action):
    """Prints the script of a shell, and ends, as `--version` does."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        try:
            shtab = importlib.import_module("shtab")
        except ModuleNotFoundError:
            parser.error(
                message(
                    "shtab must be installed for --print-completion.",
                    'Run: pip install "memcom_tf[completion]".',
                )
            )
        for action in _actions(parser):
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
        print(shtab.complete(parser, str(values)))
        parser.exit()


def add_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option that prints a script for completion."""
    parser.add_argument(
        "--print-completion",
        action=_Print,
        choices=_SHELLS,
        metavar="SHELL",
        help="print what bash or zsh needs to complete commands, options and files, and end",
    )


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The options and arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
