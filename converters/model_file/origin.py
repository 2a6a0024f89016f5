"""What a file was made from: the model, by its hash, and the command with its settings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .described import Described, checked_as
from .values import MapOf, Text

if TYPE_CHECKING:
    from typing_extensions import Self

_CHUNK = 2**20


@dataclass(frozen=True)
class OriginDescription(Described):
    """What a file was made from, as the file says it.

    Attributes:
        model: Name of the file of the model, without its folder.
        sha256: Hash of that file, hex; of a SavedModel that of its files and their names.
        command: What made the file of it: "convert", "compress" or another.
        settings: How it was made, by name.
    """

    model: str = checked_as(Text())
    sha256: str = checked_as(Text())
    command: str = checked_as(Text())
    settings: Mapping[str, str] = checked_as(MapOf(Text()))

    @classmethod
    def from_json(cls, values: Any, path: Path) -> Self:
        """Reads one, as `FileDescription.from_json` does."""
        return cls(**cls.checked(values, path, "origin"))


def origin_of(
    model: str | os.PathLike[str], command: str, settings: Mapping[str, object]
) -> OriginDescription:
    """Says what a file is made from, for `convert`.

    Folders of paths are left out: they tell of a machine, not of a model.

    Args:
        model: The file of the model, or the folder of a SavedModel.
        command: What makes the file of it, such as "compress".
        settings: How, by name; those that are None are left out.

    Returns:
        What the description of the file keeps.

    Raises:
        OSError: If the model cannot be read.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "trained.keras"
        ...     _ = path.write_bytes(b"a model")
        ...     origin = origin_of(path, "compress", {"ratio": 40, "data": path, "epochs": None})
        >>> origin.model, origin.sha256[:8], dict(origin.settings)
        ('trained.keras', '97ff8a35', {'ratio': '40', 'data': 'trained.keras'})
    """
    path = Path(model)
    given = {name: value for name, value in settings.items() if value is not None}
    texts = {name: _text(value) for name, value in given.items()}
    return OriginDescription(path.name, _sha256(path), command, texts)


def _text(value: object) -> str:
    if isinstance(value, Path):
        return value.name
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _sha256(path: Path) -> str:
    """The hash of a file, or of all files of a folder with their names."""
    found = hashlib.sha256()
    is_folder = path.is_dir()
    for part in sorted(path.rglob("*")) if is_folder else [path]:
        if not part.is_file():
            continue
        if is_folder:
            found.update(f"{part.relative_to(path).as_posix()}\0".encode())
        with part.open("rb") as file:
            while chunk := file.read(_CHUNK):
                found.update(chunk)
    return found.hexdigest()
