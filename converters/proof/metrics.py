"""The metrics of a task, of a model and of its file."""

from __future__ import annotations

from typing import Any

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.tasks import Task

from ..inputs.function import num_rows, some_rows
from ..inputs.samples import rows_of
from ..preparation.trained_model import TrainedModel
from ..runtime import CompressedModelFile
from .result import Verification

_ROWS_OF_A_CALL = 512


def verify_metrics(
    verification: Verification,
    task: Task,
    functions: TrainedModel,
    file: CompressedModelFile,
    examples: Any,
) -> None:
    """Measures the metrics of a task on examples, `(inputs, labels)`.

    Raises:
        ValueError: If the task has no metrics, the examples are none of the model, or it has
            several functions or outputs.
    """
    if not isinstance(examples, tuple) or len(examples) != 2:
        raise invalid(
            "The examples must be a pair: inputs as `predict` takes them, and labels.",
            "Pass (inputs, labels).",
            examples=type(examples).__name__,
        )
    inputs, labels = examples
    (signature, *others) = functions.signature_names
    function = functions.function(signature)
    rows = rows_of(inputs, function)
    taken = file.signatures[signature]["inputs"]
    found: dict[str, list[np.ndarray]] = {"model": [], "file": []}
    for begin in range(0, num_rows(rows), _ROWS_OF_A_CALL):
        places = np.arange(begin, min(begin + _ROWS_OF_A_CALL, num_rows(rows)))
        call = function.arrays(some_rows(rows, places))
        outputs = {
            "model": function.run(call),
            "file": file.run(signature, **{name: call[name] for name in taken}),
        }
        for of, named in outputs.items():
            if others or len(named) != 1:
                raise invalid(
                    f"A model of the task {task.name!r} must have one function with one output.",
                    "Leave the examples out.",
                    signatures=functions.signature_names,
                    outputs=sorted(named),
                )
            found[of] += named.values()
    metrics = {
        of: task.metrics(np.concatenate(parts), np.asarray(labels)) for of, parts in found.items()
    }
    if not metrics["model"]:
        raise invalid(
            "The task must have metrics where there are examples.",
            "Pass `task`, such as memcom_tf.tasks.Click().",
            task=task.name,
        )
    for name in metrics["model"]:
        for of in metrics:
            verification.measured(f"{name} of the {of}", metrics[of][name])
