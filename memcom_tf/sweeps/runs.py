"""The folder of a sweep: a model and a file of each run, and what is known of them in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memcom_tf._version import __version__
from memcom_tf.errors import for_reader, invalid, message
from memcom_tf.files import check_writable, write_atomically

MANIFEST = "runs.json"
FULL = "full"
"""The run of full tables in float32, which the others are compared with."""
_FORMAT, _FORMAT_VERSION = "memcom_tf.sweeps", 1

_FILES = ".keras", ".tflite"

Row = dict[str, Any]


@dataclass(frozen=True)
class Planned:
    """A run that is wanted.

    Attributes:
        method: The layer's class, `compress`, or `full`.
        ratio: How many times smaller than the full one its file is to be; None of the full one.
        seed: The seed of its training.
    """

    method: str
    ratio: float | None
    seed: int

    @property
    def name(self) -> str:
        """What its files are called, without what follows the dot.

        Example:
            >>> Planned("full", None, 0).name, Planned("HashedEmbedding", 2.5, 0).name
            ('full-seed0', 'ratio2.5-HashedEmbedding-seed0')
        """
        size = "" if self.ratio is None else f"ratio{self.ratio:g}-"
        return f"{size}{self.method}-seed{self.seed}"

    @property
    def key(self) -> Row:
        """What tells its row from others."""
        return {"method": self.method, "ratio": self.ratio, "seed": self.seed}

    def __str__(self) -> str:
        size = "" if self.ratio is None else f" at {self.ratio:g}x"
        return f"{self.method}{size}, seed {self.seed}"


class Runs:
    """The runs in a folder, of one data set and of the same settings.

    Each is a row of `runs.json`, which is never half written.

    Args:
        folder: The folder; it is made if it is not there.
        data: What tells the data from others.
        settings: What else decides a run, beside its method, ratio and seed.
        replace: Whether runs of other data or settings are deleted.

    Raises:
        ValueError: If the folder has such runs, or a file of that name that no sweep wrote.
        OSError: If it cannot be written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     runs = Runs(folder, {"items": 9}, {"width": 8})
        ...     runs.keep(Planned("HashedEmbedding", 4.0, 0), {"error": "no disk"})
        ...     again = Runs(folder, {"items": 9}, {"width": 8})
        >>> again.rows
        [{'method': 'HashedEmbedding', 'ratio': 4.0, 'seed': 0, 'error': 'no disk'}]
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        data: Mapping[str, Any],
        settings: Mapping[str, Any],
        *,
        replace: bool = False,
    ) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self._path = self.folder / MANIFEST
        check_writable(self._path)
        # As they are read again.
        same = json.loads(json.dumps({"data": data, "settings": settings}, default=str))
        self._same: dict[str, Any] = same
        self.rows: list[Row] = []
        if self._path.exists():
            self._take(read_manifest(self._path), replace)

    def _take(self, manifest: dict[str, Any], replace: bool) -> None:
        other = [name for name in self._same if manifest[name] != self._same[name]]
        if not other:
            self.rows = manifest["runs"]
        elif replace:
            for row in manifest["runs"]:
                self.delete_files(Planned(row["method"], row["ratio"], row["seed"]))
        else:
            found = {name: _changed(manifest[name], self._same[name]) for name in other}
            raise invalid(
                "The runs of a folder must be of the same data and settings.",
                for_reader(
                    "Take another folder, or pass `replace=True`.",
                    "Take another folder, or delete them with --force.",
                ),
                path=str(self.folder),
                **found,
            )

    def path(self, plan: Planned, suffix: str) -> Path:
        """Where a file of a run is."""
        return self.folder / f"{plan.name}{suffix}"

    def finished(self, plan: Planned) -> bool:
        """Whether a run is done, and its files are there."""
        (row,) = self._of(plan) or ({"error": ""},)
        files = all(self.path(plan, suffix).is_file() for suffix in _FILES)
        return "error" not in row and files

    def delete_files(self, plan: Planned) -> None:
        """Deletes the model and the file of a run, if they are there."""
        for suffix in _FILES:
            self.path(plan, suffix).unlink(missing_ok=True)

    def row(self, plan: Planned) -> Row:
        """What is known of a run that was kept."""
        (row,) = self._of(plan)
        return row

    def keep(self, plan: Planned, figures: Mapping[str, Any]) -> None:
        """Writes down what is known of a run, in the place of what was."""
        row = {**plan.key, **figures}
        before = self._of(plan)
        self.rows = [kept for kept in self.rows if kept not in before] + [row]
        content = {
            "format": _FORMAT,
            "format_version": _FORMAT_VERSION,
            "made_by": {"memcom_tf": __version__},
            **self._same,
            "runs": self.rows,
        }
        write_atomically(self._path, (json.dumps(content, indent=1) + "\n").encode())

    def _of(self, plan: Planned) -> list[Row]:
        return [row for row in self.rows if plan.key.items() <= row.items()]


def read_manifest(path: Path) -> dict[str, Any]:
    """Reads what a sweep wrote of its runs.

    Raises:
        ValueError: If it is no such file.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != _FORMAT or found["format_version"] > _FORMAT_VERSION:
            raise ValueError(found["format"])
        rows: Sequence[Row] = found["runs"]
        for row in rows:
            Planned(row["method"], row["ratio"], row["seed"])
        return {"data": found["data"], "settings": found["settings"], "runs": list(rows)}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            message(
                f"{MANIFEST} must be what a sweep of this version, or an earlier one, wrote.",
                "Take another folder.",
                path=str(path),
            )
        ) from error


def _changed(before: Any, now: Any, called: str = "") -> str:
    """What is other than before, in a line.

    Example:
        >>> _changed({"width": 8, "training": {"k": 5}}, {"width": 8, "training": {"k": 10}})
        'training k 5 before, 10 now'
    """
    if not (isinstance(before, Mapping) and isinstance(now, Mapping)):
        return f"{called}{before!r} before, {now!r} now"
    return "; ".join(
        _changed(before.get(name), now.get(name), f"{called}{name} ")
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    )
