"""The checkpoints of a command that takes long, and an output that must not be lost."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from memcom_tf.cli.commands import say
from memcom_tf.errors import message


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Adds the option that goes on from a checkpoint."""
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from OUTPUT.checkpoint, which a run that was killed has left",
    )


@contextmanager
def checkpoint_of(options: argparse.Namespace) -> Iterator[Path]:
    """The folder beside the output that a run which is stopped leaves, if there is work in it.

    Of several workers one has it.
    """
    if not options.writes:
        yield _place_of_checkpoints(options)
        return
    folder = _opened_checkpoint(options)
    try:
        yield folder
    except BaseException:
        if any(folder.iterdir()):
            say(f"what was done is in {folder}: the same command with --resume goes on")
        else:
            folder.rmdir()
        raise


def _place_of_checkpoints(options: argparse.Namespace) -> Path:
    output: Path = options.output
    return output.with_name(f"{output.name}.checkpoint")


def _opened_checkpoint(options: argparse.Namespace) -> Path:
    """The folder of checkpoints, empty unless resumed."""
    folder = _place_of_checkpoints(options)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise NotADirectoryError(
            message("The place of checkpoints must be a folder.", "Move it.", path=str(folder))
        )
    if options.resume:
        found = f"going on from {folder}" if folder.is_dir() else f"{folder} is not there"
        print(f"memcom: {found}{'' if folder.is_dir() else ', starting anew'}", file=sys.stderr)
    elif folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    return folder


def save_or_rescue(output: Path, save: Callable[[Path], object], checkpoints: Path | None) -> None:
    """Saves a file, or saves it elsewhere and says where: hours of training may be in it.

    The checkpoints go once the file is safe, also to make room for it.
    """
    try:
        save(output)
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix="memcom-"))
        try:
            save(folder / output.name)
        except OSError as second:
            shutil.rmtree(folder, ignore_errors=True)
            action = f"Make room{', and go on with --resume' if checkpoints else ''}."
            raise OSError(
                message(
                    "The output must be written.",
                    action,
                    path=str(output),
                    error=str(error),
                    error_of_temporary_folder=str(second),
                )
            ) from error
        _remove(checkpoints)
        try:
            save(output)
        except OSError:
            raise OSError(
                message(
                    "The output must be written.",
                    f"It was saved as {folder / output.name}: make room, and move it.",
                    path=str(output),
                    error=str(error),
                )
            ) from error
        shutil.rmtree(folder, ignore_errors=True)
    _remove(checkpoints)


def _remove(checkpoints: Path | None) -> None:
    if checkpoints is not None:
        shutil.rmtree(checkpoints, ignore_errors=True)
