"""The contract of a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np

FileKind = Literal["model", "ranker", "retrieval"]


class Task:
    """What a model is for.

    This class is that of a model of which nothing is known: its file computes what it computes,
    and is judged by its outputs. A subclass says more.
    """

    name: ClassVar[str] = "unknown"
    file_kind: ClassVar[FileKind] = "model"
    """Whether a file has the functions of the model itself, or `rank`, `score` and `embed`, by the
    model alone or around its function of a query."""

    def inputs(self, model: Any) -> Any:
        """What a model is called with, as `tf.TensorSpec`s; None, the default, where it knows."""
        return None

    def function(self, model: Any) -> tuple[str, Callable[[Any], Any]]:
        """The function of a model that is converted, and its name: by default its call."""
        from memcom_tf.calling import call_model

        return "serving_default", lambda inputs: call_model(model, inputs)

    def samples(self, model: Any) -> Any:
        """Inputs that a model might get, drawn from what it knows of them.

        None, the default, where nothing is known: inputs are then drawn that it accepts.
        """
        return None

    def metrics(self, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Metrics of outputs by name, each of examples that the labels belong to.

        None by default: what the outputs mean is not known.
        """
        return {}


def task_of(model: Any) -> Task:
    """The task that a model says is its own, in its attribute `task`."""
    task = getattr(model, "task", None)
    return task if isinstance(task, Task) else Task()
