"""The manifest of a prepared data set: what it was made of, how, and what it holds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from memcom_tf.errors import in_python, invalid, message
from memcom_tf.files import write_atomically

MANIFEST = "manifest.json"
VOCABULARY = "vocabulary.parquet"
FORMAT = "memcom_tf.data"
FORMAT_VERSION = 2
"""Since 2 a log may say what is held out, and there are rows of fields."""
SEQUENCES, SETS, ROWS = "leave_last_out", "hold_out", "split_rows"
"""What a manifest calls the protocols, as they are called in `memcom_tf.evaluation`."""
_OPENED_BY = {"next-item": "open_dataset", "click": "open_rows"}


@dataclass(frozen=True)
class Shard:
    """A file of users with their sequences.

    Attributes:
        file: Its name in the folder.
        sha256: The hash of its bytes.
        users: Its users.
        interactions: Those of them for training that have an id.
        examples: Training examples: interactions of a user but the first, with an id of their own;
            where the log says what is held out, users with at least two interactions.
        longest: The most interactions for training that a user has.
    """

    file: str
    sha256: str
    users: int
    interactions: int
    examples: int
    longest: int = 0


@dataclass(frozen=True)
class RowShard:
    """A file of rows of fields.

    Attributes:
        file: Its name in the folder.
        sha256: The hash of its bytes.
        part: "train", "validation" or "test".
        rows: How many rows it has.
    """

    file: str
    sha256: str
    part: str
    rows: int


@dataclass(frozen=True)
class Manifest:
    """What the file `manifest.json` says.

    Attributes:
        settings: The settings of the preparation.
        inputs: Path, bytes and SHA-256 of the files of the log.
        statistics: Users, items and interactions, among others.
        vocabulary: Name, SHA-256, policy and size of the vocabulary, or of those of fields.
        shards: The shards.
        made_by: Versions of what wrote it.
        features: The fields of rows, as of `Features.to_config`; None of a log.
    """

    settings: dict[str, Any]
    inputs: list[dict[str, Any]]
    statistics: dict[str, Any]
    vocabulary: dict[str, Any]
    shards: list[Any]
    made_by: dict[str, str] = field(default_factory=dict)
    features: dict[str, Any] | None = None

    @property
    def task(self) -> str:
        """What models are trained on it, as the command line calls it."""
        return "next-item" if self.features is None else "click"

    def save(self, folder: Path) -> None:
        """Writes it into a folder."""
        content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}
        write_atomically(folder / MANIFEST, (json.dumps(content, indent=1) + "\n").encode())


def is_dataset(path: Path) -> bool:
    """Whether there is the folder of a prepared data set."""
    return (path / MANIFEST).is_file()


def load_manifest(folder: Path, task: str | None = None) -> Manifest:
    """Reads the manifest of a prepared data set, and requires its files.

    Args:
        folder: The folder.
        task: "next-item" or "click", which it must be for; None takes any.

    Raises:
        FileNotFoundError: If there is none, or a file that it names is missing.
        ValueError: If it is damaged, of a later version, or for another task.
    """
    if not is_dataset(folder):
        raise FileNotFoundError(
            message(
                "A prepared data set must be a folder that `memcom prepare` wrote.",
                f"It must have a {MANIFEST}.",
                path=str(folder),
            )
        )
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        format_, version = content.pop("format"), content.pop("format_version")
        if format_ != FORMAT or not isinstance(version, int):
            raise ValueError(f"format={format_!r}")
        if version <= FORMAT_VERSION:
            kind = Shard if content.get("features") is None else RowShard
            content["shards"] = [kind(**shard) for shard in content["shards"]]
            manifest = Manifest(**content)
            names = [manifest.vocabulary["file"], *(shard.file for shard in manifest.shards)]
            if any(Path(name).name != name for name in names):
                raise ValueError("a name of a file has a folder in it")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise invalid(
            "The manifest of a prepared data set must be undamaged.",
            f"Prepare the log again ({str(error)[:200]}).",
            path=str(folder / MANIFEST),
        ) from error
    if version > FORMAT_VERSION:
        raise invalid(
            f"`format_version` must be at most {FORMAT_VERSION}.",
            "A later memcom_tf wrote it: update memcom_tf.",
            format_version=version,
            path=str(folder),
        )
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            message(
                "A prepared data set must have all files that its manifest names.",
                "Prepare the log again, or copy the whole folder.",
                missing=missing[:3],
                path=str(folder),
            )
        )
    if task not in (None, manifest.task):
        raise invalid(
            f"The data set must be one for --task {task}.",
            f"This one was prepared for --task {manifest.task}."
            + in_python(f" Open it with {_OPENED_BY[manifest.task]}."),
            path=str(folder),
        )
    return manifest
