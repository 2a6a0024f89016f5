"""The state of a training in a file, from which another process goes on."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.errors import invalid, message
from memcom_tf.files import replacing

_FORMAT = 1


@dataclass
class TrainingState:
    """Where a training stands after an epoch.

    Attributes:
        epoch: Epochs that are done.
        finished: Whether no more will follow.
        record: What the choice of the best weights has to know, as JSON takes it.
        arrays: Lists of arrays by name: weights of the model, of the best, of the optimizer.
    """

    epoch: int
    finished: bool = False
    record: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, list[np.ndarray]] = field(default_factory=dict)


class Checkpoint:
    """A file with the state of one training.

    Args:
        path: The file; its folder must exist.
        training: What tells this training from others, as JSON takes it.
    """

    def __init__(self, path: str | os.PathLike[str], training: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._training = fingerprint_of(training)

    def save(self, state: TrainingState) -> None:
        """Writes the state over the one before. Where that fails, a warning says so."""
        described = {
            "format": _FORMAT,
            "training": self._training,
            "epoch": state.epoch,
            "finished": state.finished,
            "record": state.record,
        }
        arrays: dict[str, Any] = {
            f"{name}/{number}": array
            for name, group in state.arrays.items()
            for number, array in enumerate(group)
        }
        described["counts"] = {name: len(group) for name, group in state.arrays.items()}
        arrays["state.json"] = np.frombuffer(json.dumps(described).encode(), np.uint8)
        try:
            with replacing(self.path) as beside, open(beside, "wb") as file:
                np.savez(file, **arrays)
        except OSError as error:
            # Training can end well without it: what was learned is not thrown away.
            warnings.warn(
                message(
                    "A checkpoint must be written after every evaluation.",
                    "Training goes on, and could not be resumed from here.",
                    path=str(self.path),
                    error=str(error),
                ),
                RuntimeWarning,
                stacklevel=2,
            )

    def load(self) -> TrainingState | None:
        """The state, or None where there is no file.

        Raises:
            ValueError: As `parsed`.
        """
        content = self.read()
        return self.parsed(content) if content else None

    def read(self) -> bytes:
        """The bytes of the file; none where there is no file."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

    def parsed(self, content: bytes) -> TrainingState:
        """The state in the bytes of a file.

        Raises:
            ValueError: If the file is no checkpoint, or that of another training.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                described = json.loads(file["state.json"].tobytes())
                state = TrainingState(
                    described["epoch"],
                    described["finished"],
                    described["record"],
                    {
                        name: [file[f"{name}/{number}"] for number in range(count)]
                        for name, count in described["counts"].items()
                    },
                )
        except (KeyError, ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
            raise invalid(
                "A checkpoint must be a file that training wrote.",
                "Delete it to start anew.",
                path=str(self.path),
                error=str(error),
            ) from error
        if described["format"] != _FORMAT or described["training"] != self._training:
            raise invalid(
                "A training must go on with the data, the model and the settings it began with.",
                "Delete the checkpoint to start anew.",
                path=str(self.path),
            )
        return state


def fingerprint_of(training: Mapping[str, Any]) -> str:
    """A hash of what tells a training from others, as JSON takes it."""
    text = json.dumps(training, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(arrays: Sequence[Any]) -> str:
    """A hash of arrays, of their shapes and types too."""
    digest = hashlib.sha256()
    for array in map(np.asarray, arrays):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
