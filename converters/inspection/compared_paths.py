"""The files that are compared, and what they are called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from memcom_tf.errors import for_reader, invalid, message


def files_to_compare(
    paths: Sequence[str | os.PathLike[str]], reference: str | os.PathLike[str] | None
) -> tuple[list[Path], int]:
    """The files that paths stand for, and the place of the reference.

    Raises:
        FileNotFoundError: If a path is neither a file nor a folder.
        ValueError: If they are fewer than two.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]  # a folder, and else too few
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += [one for one in sorted(path.glob("*.tflite")) if one not in found]
        else:
            found.append(path)
    if reference is not None and Path(reference) not in found:
        found.insert(0, Path(reference))
    for path in found:
        if not path.is_file():
            raise FileNotFoundError(message("The file must exist.", "", path=str(path)))
    at = 0 if reference is None else found.index(Path(reference))
    if len(found) < 2:
        raise invalid(
            "There must be two files to compare, or more.",
            for_reader(
                "Pass their paths, or a folder that has them; `write_html` shows one alone.",
                "Name them, or a folder that has them; `memcom inspect --html` shows one alone.",
            ),
            files=[str(path) for path in found],
        )
    return found, at


def labels_of(paths: Sequence[Path]) -> list[str]:
    """Names of files, with as many of their folders as tell them apart.

    Example:
        >>> labels_of([Path("mon/a.tflite"), Path("tue/a.tflite"), Path("b.tflite")])
        ['mon/a.tflite', 'tue/a.tflite', 'b.tflite']
    """
    named = {path: path.name for path in paths}
    for depth in range(2, max(len(path.parts) for path in paths) + 1):
        labels = [*named.values()]
        for path, label in named.items():
            if labels.count(label) > 1:
                named[path] = "/".join(path.parts[-depth:])
    found = [named[path] for path in paths]
    # One file may be there twice.
    return [
        label if found.count(label) == 1 else f"{label} ({found[: place + 1].count(label)})"
        for place, label in enumerate(found)
    ]
