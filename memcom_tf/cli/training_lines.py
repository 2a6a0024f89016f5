"""How far a training is: one bar on a terminal, a line for each validation elsewhere."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from memcom_tf.ordering.progress import progress_bar

_EPOCH = re.compile(r"Epoch (\d+)/(\d+)")
_METRIC = re.compile(r"val_(\S+): (\S+)")


@contextmanager
def shown(trainings: int = 1) -> Iterator[None]:
    """Shows what Keras prints of epochs on stderr, in our words.

    Results go to stdout, and nothing else does.

    Args:
        trainings: How many there are, one after the other, of which the bar is.
    """
    epochs = _Epochs(trainings)
    with redirect_stdout(epochs), progress_bar(None) as epochs.advance:
        yield


class _Epochs(io.TextIOBase):
    """Reads `Epoch 3/90`, and lines of metrics, off what Keras prints."""

    def __init__(self, trainings: int) -> None:
        self.advance: Any = None
        self._trainings = trainings
        self._rest = ""
        self._epoch = self._epochs = 0
        self._said = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._read(line)
        return len(text)

    def _read(self, line: str) -> None:
        if found := _EPOCH.match(line.strip()):
            epoch, epochs = int(found[1]), int(found[2])
            if epoch <= self._epoch:  # another training, and what the one before had left
                part = (self._epochs - self._epoch + 1) / self._epochs
                self._said = ""
            else:
                part = (epoch - 1 - max(0, self._epoch - 1)) / epochs
            self._epoch, self._epochs = epoch, epochs
            self.advance(f"epoch {epoch} of {epochs}{self._said}", part / self._trainings)
        elif found := _METRIC.search(line):
            self._said = f", {found[1]} {found[2]}"
            if not sys.stderr.isatty():
                print(
                    f"memcom: epoch {self._epoch} of {self._epochs}: on validation {found[1]} "
                    f"{found[2]}",
                    file=sys.stderr,
                    flush=True,
                )
