"""This process as one of several workers that train a model in step, and what they tell others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from memcom_tf.cluster import Worker, this_worker
from memcom_tf.errors import for_reader, invalid, message
from memcom_tf.optimizers.hooks import as_tf_variable
from memcom_tf.training.checkpoint import Checkpoint, TrainingState
from memcom_tf.training.interrupting import collectives_end_on_interrupt, ends_on_interrupt

_AT_ONCE = 2**22
"""Numbers of 8 bytes that are sent together."""

_FAILURES = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.CancelledError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnknownError,
)
"""What TensorFlow raises where another process is gone, or is another one than before."""


class Workers:
    """The workers of a `tf.distribute.MultiWorkerMirroredStrategy`, of which this is one.

    Args:
        strategy: The strategy.
    """

    def __init__(self, strategy: Any) -> None:
        resolver = strategy.cluster_resolver
        jobs = resolver.cluster_spec().as_dict()
        chiefs = len(jobs.get("chief", ()))
        self.strategy = strategy
        self.count: int = sum(len(jobs.get(job, ())) for job in ("chief", "worker"))
        self.index = int(resolver.task_id or 0) + (chiefs if resolver.task_type == "worker" else 0)
        self._sum = tf.function(lambda values: strategy.run(self._replica_sum, args=(values,)))

    @property
    def is_chief(self) -> bool:
        """Whether this is the worker that writes."""
        return self.index == 0

    def from_chief(self, content: bytes) -> bytes:
        """The bytes that the chief has passed, in every worker; what others pass is not looked at.

        All workers must call it, each as often as the others.
        """
        size = int(self._of_chief(np.array([len(content)], np.int64))[0])
        numbers = np.zeros(-(-size // 8), np.int64)
        if self.is_chief:
            numbers.view(np.uint8)[:size] = np.frombuffer(content, np.uint8)
        starts = range(0, len(numbers), _AT_ONCE)
        parts = [self._of_chief(numbers[start : start + _AT_ONCE]) for start in starts]
        return b"".join(part.tobytes() for part in parts)[:size]

    def decided_by_chief(self, value: Callable[[], Any]) -> Any:
        """What the chief computes, as JSON takes it; the others wait for it, and compute nothing.

        So that all go on alike: numbers of other machines may differ in their last bits.
        """
        own = json.dumps(value()).encode() if self.is_chief else b""
        return json.loads(self.from_chief(own))

    def require_same(self, training: str) -> None:
        """Requires that all workers were given the same training.

        Args:
            training: A hash of what it is.

        Raises:
            ValueError: In all of them, if one was not.
        """
        differs = self.from_chief(training.encode()) != training.encode()
        if self._summed(np.array([int(differs)], np.int64))[0]:
            raise invalid(
                "All workers must train on the same data, with the same model and settings.",
                "Start each with the same command and the same data.",
                differs="this worker" if differs else "another worker",
            )

    def require_mirrored(self, model: Any) -> None:
        """Requires that a model was created within the scope of the strategy.

        Raises:
            ValueError: If it was not.
        """
        for weight in model.weights:
            if not isinstance(as_tf_variable(weight), tf.distribute.DistributedValues):
                raise invalid(
                    "A model that several workers train must be created within the scope of their "
                    "strategy.",
                    "Create it, and call this, within `with strategy.scope():`.",
                    weight=weight.name,
                )

    def parts_of(self, batch: Any, of_whole: bool) -> Any:
        """The rows of a batch that each replica of this worker computes.

        Args:
            batch: Arrays or tensors, of which all have the same number of rows.
            of_whole: Whether it is the batch of all workers, and not this one's own.

        Returns:
            What `strategy.run` takes.
        """
        replicas = self.strategy.num_replicas_in_sync
        own = replicas // self.count

        def part(context: Any) -> Any:
            place, places = context.replica_id_in_sync_group, replicas
            if not of_whole:
                place, places = place - self.index * own, own
            return tf.nest.map_structure(lambda rows: share(rows, place, places), batch)

        return self.strategy.experimental_distribute_values_from_function(part)

    def _of_chief(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return self._summed(numbers if self.is_chief else np.zeros_like(numbers))

    def _summed(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The sum over all workers."""
        with together():
            found = self.strategy.experimental_local_results(self._sum(tf.constant(numbers)))[0]
            return np.asarray(found)

    def _replica_sum(self, values: Any) -> Any:
        """The sum of what every worker has, of which one replica counts."""
        context = tf.distribute.get_replica_context()
        own = self.strategy.num_replicas_in_sync // self.count
        counts = tf.cast(context.replica_id_in_sync_group % own == 0, tf.int64)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, values * counts)


def share(rows: Any, place: int, places: int) -> Any:
    """A part of the rows of an array, of so many that follow each other.

    Example:
        >>> share(np.arange(5), 0, 2).tolist(), share(np.arange(5), 1, 2).tolist()
        ([0, 1], [2, 3, 4])
    """
    count = len(rows)
    return rows[place * count // places : (place + 1) * count // places]


def current_workers() -> Workers | None:
    """The workers of the strategy whose scope this is.

    Returns:
        The workers; None where one process trains alone.

    Raises:
        ValueError: If `TF_CONFIG` names several workers, and this is not within the scope of
            their strategy: each would train a model of its own.
    """
    strategy = tf.distribute.get_strategy()
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        workers = Workers(strategy)
        return workers if workers.count > 1 else None
    worker = this_worker()
    if worker is not None:
        raise invalid(
            "Several workers must train within the scope of their strategy.",
            "Begin the program with `strategy = tf.distribute.MultiWorkerMirroredStrategy()`, and "
            "train within `with strategy.scope():`; or unset TF_CONFIG to train alone.",
            workers=worker.count,
            strategy=type(strategy).__name__,
        )
    return None


def kept_state(checkpoint: Checkpoint, workers: Workers | None) -> TrainingState | None:
    """What a checkpoint holds, if it is there; of several workers only the chief need have it.

    Raises:
        ValueError: As `Checkpoint.load`.
    """
    if workers is None:
        return checkpoint.load()
    content = workers.from_chief(checkpoint.read() if workers.is_chief else b"")
    return checkpoint.parsed(content) if content else None


def values_of(variables: Sequence[Any]) -> list[npt.NDArray[Any]]:
    """The values of variables; all workers must ask for them, as some are sums over them all."""
    return [tf.convert_to_tensor(variable).numpy() for variable in variables]


def decided_once(value: Callable[[], Any]) -> Any:
    """What a function gives; where several workers train, what it gives the chief."""
    workers = current_workers()
    return value() if workers is None else workers.decided_by_chief(value)


@contextmanager
def joined(worker: Worker, report: Callable[[str], object]) -> Iterator[None]:
    """Waits for the other workers, and is within the scope of their strategy then.

    It must come before all else that TensorFlow is to compute.

    Args:
        worker: This process.
        report: Called with a line where it waits.

    Yields:
        None.

    Raises:
        ConnectionError: If the place of this worker cannot be listened at, or another one is gone.
    """
    others = ", ".join(p for n, p in enumerate(worker.places) if n != worker.index)
    report(f"worker {worker.index + 1} of {worker.count}: waiting for {others}")
    try:
        with ends_on_interrupt():
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except _FAILURES as error:
        raise ConnectionError(
            message(
                "Every worker must be at its place in TF_CONFIG.",
                "See whether another process has the port, and whether all were started anew.",
                place=worker.places[worker.index],
                error=_first_line(error),
            )
        ) from error
    with strategy.scope():
        yield


@contextmanager
def together() -> Iterator[None]:
    """Runs what all workers do in step: another one that is gone is an error of one sentence.

    Ctrl-C ends it also where this worker waits for another.

    Raises:
        ConnectionError: If another worker is gone.
    """
    try:
        with collectives_end_on_interrupt():
            yield
    except _FAILURES as error:
        raise ConnectionError(
            message(
                "All workers must be there until training ends.",
                for_reader(
                    "See what another one says, and start all of them again; with `checkpoint` "
                    "they go on from the last evaluation.",
                    "See what another one says, and start all of them again; with --resume they "
                    "go on from the last evaluation.",
                ),
                error=_first_line(error),
            )
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
