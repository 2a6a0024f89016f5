"""Where the commands import from: never the current folder, unless `--import` asks for it.

A folder of files from elsewhere may hold a `numpy.py`.
"""

from __future__ import annotations

import argparse
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def of_command(options: argparse.Namespace) -> Iterator[None]:
    """Imports without the current folder; with `--import`, it is asked last.

    Args:
        options: Those of a command; `modules` are what it is to import.
    """
    before = list(sys.path)
    forget_current_folder()
    if getattr(options, "modules", ()):
        sys.path.append(os.getcwd())
    try:
        yield
    finally:
        sys.path[:] = before


def forget_current_folder() -> None:
    """Takes the current folder out of `sys.path`, where nobody has put it by its name.

    `python -m` does, and a PYTHONPATH that ends in a colon.
    """
    here = os.getcwd()
    installed = {*sysconfig.get_paths().values(), *site.getsitepackages()}
    installed.add(site.getusersitepackages())
    named = {
        os.path.abspath(entry)
        for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if entry
    }
    if here not in installed | named:
        sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]
