"""What a training will take, before it starts, and how far it is while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from memcom_tf._keras import keras
from memcom_tf.data import PreparedSplit
from memcom_tf.data.memory import free_memory
from memcom_tf.evaluation import Split
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.progress import Progress, current, duration
from memcom_tf.training.batches import TrainingBatches
from memcom_tf.training.streaming import EXAMPLES_AT_ONCE

_BYTES_A_STREAMED_EXAMPLE = 60
_BYTES_AN_ITEM = 250
_COPIES_OF_SCORES = 3
_SLOTS = 2
_COPIES_OF_WEIGHTS = 3
_FIRST_SECONDS = 5.0
_SECONDS_BETWEEN = 0.2
"""Between two looks at how far a training is."""


@dataclass(frozen=True)
class MemoryForecast:
    """About how many bytes of memory a training takes, beside TensorFlow itself.

    Attributes:
        parts: Bytes by what takes them.
        free: Bytes that are free; None where the system does not tell.
    """

    parts: dict[str, int]
    free: int | None

    @property
    def total(self) -> int:
        """The sum."""
        return sum(self.parts.values())

    def line(self) -> str:
        """A line that says so, and whether it may not fit.

        Example:
            >>> MemoryForecast({"tables": 10**9}, 4 * 10**9).line()
            'memory: about 1.0 GB beside TensorFlow (tables 1.0 GB); 4.0 GB are free'
        """
        shown = ", ".join(f"{name} {_bytes(size)}" for name, size in self.parts.items())
        line = f"memory: about {_bytes(self.total)} beside TensorFlow ({shown})"
        if self.free is None:
            return line
        line += f"; {_bytes(self.free)} are free"
        return line + (": it may not fit" if self.total > self.free else "")


def forecast(
    model: CatalogueRanker, split: Split, batches: TrainingBatches, scores_at_once: int
) -> MemoryForecast:
    """Forecasts the memory that training of a ranker takes.

    Args:
        model: The ranker; it need not be built.
        split: What it is trained on.
        batches: The batches of it.
        scores_at_once: Histories that are scored together for validation.

    Returns:
        The forecast.
    """
    items = model.item_embedding.input_dim
    weights = 4 * sum(table.rows * table.width for table in model.item_embedding.tables())
    if isinstance(split, PreparedSplit):
        # Of two groups of shards: one that is trained on, and one that is read.
        held = len(split.train)
        if not split.ordered:
            held = split.manifest.statistics["training_interactions_with_an_id"]
        rows = min(held, 2 * EXAMPLES_AT_ONCE)
        examples = _BYTES_A_STREAMED_EXAMPLE * rows
    else:
        parts = (split.train, split.validation, split.test)
        examples = sum(part.history.nbytes + part.target.nbytes for part in parts)
    parts_ = {
        "tables": weights,
        "optimizer": _SLOTS * weights,
        "best weights": _COPIES_OF_WEIGHTS * weights,
        "examples": examples,
        "vocabulary": _BYTES_AN_ITEM * items,
        "validation": 4 * _COPIES_OF_SCORES * scores_at_once * items,
    }
    return MemoryForecast(parts_, free_memory())


class TrainingProgress(keras.callbacks.Callback):
    """Says how far a training is, at what speed, and what time is left.

    It does so to the progress of the work that the training is a part of, where there is one, and
    every half minute to `report` where there is none.

    Args:
        steps: Steps of the whole training, at most.
        batch_size: Rows in a step.
        report: Called with these lines, and with one for every evaluation; None says nothing.
        clock: Seconds.
    """

    def __init__(
        self,
        steps: int,
        batch_size: int,
        report: Callable[[str], object] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._supports_tf_logs = True  # tf_keras: no step waits for its loss
        self._steps, self._batch_size = steps, batch_size
        self._report, self._clock = report, clock
        self._progress: Progress | None = None
        self._done = self._timed = 0
        self._begin: float | None = None
        self._next = 0.0

    def begins_after(self, steps: int) -> None:
        """Notes how many steps were made before."""
        self._done = steps

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes where a training that goes on begins; Keras calls this."""
        if self._begin is None and epoch:
            self.begins_after(epoch * int(self.params.get("steps") or 0))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Says how far it is, if it is time; Keras calls this."""
        self._done = min(self._done + 1, self._steps)
        now = self._clock()
        if self._begin is None or self._progress is None:
            # The first step compiles, and is not timed.
            self._begin = now
            self._progress = current()
            if self._progress is None:
                self._progress = Progress(self._report, first=_FIRST_SECONDS, clock=self._clock)
            return
        self._timed += 1
        if now < self._next and self._done < self._steps:
            return
        self._next = now + _SECONDS_BETWEEN
        speed = self._timed / max(now - self._begin, 1e-9)
        left = (self._steps - self._done) / speed
        self._progress.at(
            f"step {self._done:,} of {self._steps:,}",
            self._done / self._steps,
            f"{speed * self._batch_size:,.0f} rows a second, {duration(left)} left",
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Says what an evaluation gave; Keras calls this."""
        found = {
            name.removeprefix("val_"): float(value)
            for name, value in (logs or {}).items()
            if name.startswith("val_")
        }
        if self._report is not None and found:
            shown = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
            epochs = self.params.get("epochs")
            within = "" if self._progress is None else self._progress.within
            self._report(f"{within}epoch {epoch + 1} of {epochs}: on validation {shown}")


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 10**8 else f"{size / 1e6:.0f} MB"
