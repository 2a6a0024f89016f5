"""Where variables are, and whether the fused ops can be given them there."""

from __future__ import annotations

from typing import Any


def of_this_replica(variable: Any) -> Any:
    """The variable of the replica that computes here.

    Args:
        variable: `tf.Variable`; that of a `MirroredStrategy` or a `MultiWorkerMirroredStrategy`
            has one for each replica.

    Returns:
        One that an op can be given the handle of; any other variable as it is.
    """
    import tensorflow as tf

    if not isinstance(variable, tf.distribute.DistributedValues):
        return variable
    if variable.synchronization == tf.VariableSynchronization.ON_READ:
        return variable  # whose value is that of all replicas together
    return variable._get()


def obstacle(variable: Any, plain_variables: tuple[Any, ...]) -> tuple[str, str] | None:
    """What keeps the fused ops from a table.

    Args:
        variable: What `of_this_replica` returned.
        plain_variables: The types of variables that have a handle of their own.

    Returns:
        What it is, and what its owner can do; None where nothing does.
    """
    if not isinstance(variable, plain_variables):
        return (
            f"is of type {type(variable).__name__}",
            "Create the layer without a strategy, or within the scope of a MirroredStrategy or a "
            "MultiWorkerMirroredStrategy",
        )
    if variable.dtype.name not in ("float32", "bfloat16", "float16"):
        return f"is {variable.dtype.name}", "Give the layer the dtype float32"
    device: str = variable.device
    here = not device or device.startswith(("/job:localhost/", _task()))
    if not here:
        return f"is on {device}", "Train within the scope of the strategy that it was created in"
    if device and "/device:CPU:" not in device:
        return f"is on {device}", "Create the layer under tf.device('CPU')"
    return None


def _task() -> str:
    """How devices of this process are called where a strategy of several processes computes."""
    import tensorflow as tf

    resolver = getattr(tf.distribute.get_strategy(), "cluster_resolver", None)
    if resolver is None or not resolver.task_type:
        return "/job:localhost/"
    return f"/job:{resolver.task_type}/replica:0/task:{resolver.task_id}/"
