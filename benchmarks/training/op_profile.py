"""Where the time of a training step goes, from TensorFlow's own profiler."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from pathlib import Path

_FORWARD = "Memcom>LookupAndSnapshot"
# An op's event is named "node:Op"; other events of the runtime have "::" or spaces.
_OP_EVENT = re.compile(r"[^:\s]+:([A-Za-z_][\w>]*)")
# What runs other ops would count them twice, and fetching a batch is no part of the model.
_NOT_COUNTED = ("StatefulPartitionedCall", "PartitionedCall", "IteratorGetNext")


def op_milliseconds(log_directory: Path, steps: int) -> dict[str, float] | None:
    """Milliseconds a step of the parts of a model.

    Args:
        log_directory: Where `tf.profiler.experimental.start` was told to write.
        steps: Training steps that were profiled.

    Returns:
        "forward_op", "gradient_and_update_ops" (those of memcom_tf) and "dense_ops" (all others):
        the median time of an op times how often a step runs it. None where this TensorFlow does
        not carry the format's Python module.
    """
    try:
        from tensorflow.tsl.profiler.protobuf import xplane_pb2
    except ImportError:
        return None
    durations: dict[str, list[float]] = defaultdict(list)
    for path in log_directory.rglob("*.xplane.pb"):
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
        for plane in space.planes:
            for line in plane.lines:
                for event in line.events:
                    name = plane.event_metadata[event.metadata_id].name
                    durations[name].append(event.duration_ps / 1e9)
    parts = {"forward_op": 0.0, "gradient_and_update_ops": 0.0, "dense_ops": 0.0}
    for name, times in durations.items():
        if (part := part_of(name)) is not None:
            parts[part] += statistics.median(times) * len(times) / steps
    return parts


def part_of(event: str) -> str | None:
    """The part of the model to which an event belongs, None for what is not an op of it."""
    found = _OP_EVENT.fullmatch(event)
    if found is None or found[1] in _NOT_COUNTED:
        return None
    if found[1] == _FORWARD:
        return "forward_op"
    return "gradient_and_update_ops" if found[1].startswith("Memcom>") else "dense_ops"
