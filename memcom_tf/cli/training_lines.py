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
def shown() -> Iterator[None]:
    """Shows what Keras prints of epochs on stderr, in our words.

    Results go to stdout, and nothing else does.
    """
    epochs = _Epochs()
    with redirect_stdout(epochs), progress_bar(None) as epochs.advance:
        yield


class _Epochs(io.TextIOBase):
    """Reads `Epoch 3/90`, and lines of metrics, off what Keras prints."""

    def __init__(self) -> None:
        self.advance: Any = None
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
            done = self._epoch
            self._epoch, self._epochs = int(found[1]), int(found[2])
            part = max(0, self._epoch - 1 - max(0, done - 1)) / self._epochs
            self.advance(f"epoch {self._epoch} of {self._epochs}{self._said}", part)
        elif found := _METRIC.search(line):
            self._said = f", {found[1]} {found[2]}"
            if not sys.stderr.isatty():
                print(
                    f"memcom: epoch {self._epoch} of {self._epochs}: on validation {found[1]} "
                    f"{found[2]}",
                    file=sys.stderr,
                    flush=True,
                )
