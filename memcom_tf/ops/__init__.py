"""The maths of the layers: every operation once, in each of its versions.

What chooses, builds and loads the fused ops is in `memcom_tf.kernels`, and may be asked for here by
the names that it had: `memcom_tf.ops.use`.
"""

from __future__ import annotations

import importlib
from typing import Any

_IN_KERNELS = ("build", "native", "program", "selection", "status")


def __getattr__(name: str) -> Any:
    # When it is asked for: the kernels are above the operations, which they import.
    if name == "use":
        return importlib.import_module("memcom_tf.kernels").use
    if name in _IN_KERNELS:
        return importlib.import_module(f"memcom_tf.kernels.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
