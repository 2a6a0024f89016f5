"""Which of several workers this process is, as `TF_CONFIG` says; read without TensorFlow."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import Any

from memcom_tf.errors import invalid

TF_CONFIG = "TF_CONFIG"
_JOBS = "chief", "worker"
_PLACE = re.compile(r"\S+:\d{1,5}")
_EXAMPLE = (
    'Set it as TensorFlow takes it: {"cluster": {"worker": ["one:2222", "two:2222"]}, '
    '"task": {"type": "worker", "index": 0}}; or unset it to train alone.'
)


@dataclass(frozen=True)
class Worker:
    """One of several processes that train a model together.

    Attributes:
        index: Its number; 0 is the chief, which writes.
        places: Host and port of every worker.
    """

    index: int
    places: tuple[str, ...]

    @property
    def is_chief(self) -> bool:
        """Whether it is the one that writes."""
        return self.index == 0

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.places)


def this_worker() -> Worker | None:
    """This process among the workers of `TF_CONFIG`.

    Returns:
        The worker; None where the variable is not set, or names no other process.

    Raises:
        ValueError: If it is no cluster of workers with this process among them.

    Example:
        >>> places = {"worker": ["one:2222", "two:2222"]}
        >>> text = json.dumps({"cluster": places, "task": {"type": "worker", "index": 1}})
        >>> os.environ["TF_CONFIG"] = text
        >>> this_worker().index, this_worker().is_chief
        (1, False)
        >>> del os.environ["TF_CONFIG"]
        >>> this_worker() is None
        True
    """
    text = os.environ.get(TF_CONFIG, "").strip()
    if not text:
        return None
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(
            "The environment variable TF_CONFIG must be JSON.", _EXAMPLE, TF_CONFIG=text
        ) from error
    if not isinstance(config, dict):
        raise invalid("TF_CONFIG must be a JSON object.", _EXAMPLE, TF_CONFIG=text)
    if not config.get("cluster"):
        return None
    jobs = _jobs(config["cluster"])
    places = tuple(place for job in _JOBS for place in jobs.get(job, ()))
    if len(set(places)) < len(places):
        raise invalid(
            "Every worker of TF_CONFIG must have a place of its own.", _EXAMPLE, places=places
        )
    index = _index(config.get("task"), jobs)
    return Worker(index, places) if len(places) > 1 else None


def require_alone(what: str) -> None:
    """Requires that this process is not one of several workers.

    Args:
        what: What one process does, at the start of a sentence.

    Raises:
        ValueError: If it is.
    """
    worker = this_worker()
    if worker is not None:
        raise invalid(
            f"{what} must be done by one process: it cannot be shared between workers.",
            "Unset TF_CONFIG, and run it once.",
            workers=worker.count,
        )


def _jobs(cluster: Any) -> dict[str, list[str]]:
    """The places of each job of a cluster."""
    if not isinstance(cluster, dict):
        raise invalid("The cluster of TF_CONFIG must be an object.", _EXAMPLE, cluster=cluster)
    for job, places in cluster.items():
        if job not in _JOBS:
            raise invalid(
                f"The jobs of the cluster in TF_CONFIG must be among {_JOBS}, which all hold the "
                "model and train it in step.",
                "Parameter servers are for a loop of your own.",
                job=job,
            )
        listed = isinstance(places, list) and all(isinstance(place, str) for place in places)
        if not listed or not places or not all(_PLACE.fullmatch(place) for place in places):
            raise invalid(
                f"The job {job!r} of TF_CONFIG must be a list of places, host:port.",
                _EXAMPLE,
                **{job: places},
            )
    if len(cluster.get("chief", ())) > 1:
        raise invalid("TF_CONFIG must name one chief.", _EXAMPLE, chief=cluster["chief"])
    return cluster


def _index(task: Any, jobs: dict[str, list[str]]) -> int:
    """The number of a task, the chief the first."""
    if not isinstance(task, dict) or not {"type", "index"} <= set(task):
        raise invalid(
            "`task` of TF_CONFIG must say which of the workers this process is.",
            _EXAMPLE,
            task=task,
        )
    job, index = task["type"], task["index"]
    if not isinstance(job, str) or job not in jobs:
        raise invalid(
            f"The type of the task in TF_CONFIG must be one of {tuple(jobs)}.", _EXAMPLE, type=job
        )
    if isinstance(index, str) and index.isdecimal():
        index = int(index)  # as TensorFlow takes it too
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(jobs[job]):
        raise invalid(
            f"The index of the task in TF_CONFIG must be below {len(jobs[job])}, the number of its "
            f"places of type {job!r}.",
            "Give every process a number of its own, from 0.",
            index=index,
        )
    return index + (len(jobs.get("chief", ())) if job == "worker" else 0)
