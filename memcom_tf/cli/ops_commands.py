"""The commands of `memcom` about the fused ops; each takes its options, returns the exit code."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import sys
import time

from memcom_tf.cli.commands import DONE, FAILED


def build_ops(options: argparse.Namespace) -> int:
    """Compiles the fused ops."""
    import tensorflow  # noqa: F401  its seconds are not those of building

    from memcom_tf.kernels import build, selection

    start = time.perf_counter()
    try:
        path = build.build(options.force, temporary=False)
        with selection.use("native"):
            selection.library()
    except RuntimeError as error:
        print(f"memcom: error: {error}", file=sys.stderr)
        return FAILED
    print(f"{path} ({time.perf_counter() - start:.1f} s)")
    return DONE


def doctor(options: argparse.Namespace) -> int:
    """Shows which ops training runs on, and why."""
    from memcom_tf.kernels.status import status_of_ops

    status = status_of_ops()
    # It must tell what is missing where rich is missing too.
    if options.json or importlib.util.find_spec("rich") is None:
        import json

        print(json.dumps(dataclasses.asdict(status), indent=1))
    else:
        from memcom_tf.converters.inspection.display import show_status

        show_status(status)
    return FAILED if status.implementation == "none" else DONE
