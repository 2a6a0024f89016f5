"""Commands of which several workers run one and the same, and one writes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from memcom_tf.cli.checkpoints import checkpoint_of
from memcom_tf.cli.commands import say
from memcom_tf.cluster import this_worker


def find_worker(options: argparse.Namespace) -> None:
    """Notes which worker this process is, and whether it is the one that writes.

    Raises:
        ValueError: If `TF_CONFIG` is no cluster of workers.
    """
    options.worker = this_worker()
    options.writes = options.worker is None or options.worker.is_chief


@contextmanager
def training_of(options: argparse.Namespace) -> Iterator[Path]:
    """Waits for the other workers, and opens the folder of checkpoints.

    It must come before all else that TensorFlow is to compute.
    """
    from memcom_tf.training.workers import joined

    with (
        nullcontext() if options.worker is None else joined(options.worker, say),
        checkpoint_of(options) as checkpoint,
    ):
        yield checkpoint


def another_writes(options: argparse.Namespace) -> bool:
    """Whether this worker is done, which it says, because another one writes."""
    worker = options.worker
    if not options.writes:
        say(f"worker {worker.index + 1} of {worker.count}: done; worker 1 writes the model")
    return not options.writes
