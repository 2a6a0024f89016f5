"""What updates the rows in every test here."""

from __future__ import annotations

import pytest

from memcom_tf.kernels.status import status_of_ops


@pytest.fixture(autouse=True)
def mode(request, monkeypatch):
    """What updates the rows; by the environment, which threads and subprocesses see too."""
    mode = getattr(request, "param", "reference")
    monkeypatch.setenv("MEMCOM_TF_OPS", mode)
    if mode == "native" and status_of_ops().implementation != "native":
        pytest.skip(status_of_ops().reason)
    return mode
