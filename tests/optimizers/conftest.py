"""What updates the rows in every test here."""

from __future__ import annotations

import pytest

from memcom_tf.ops import selection


@pytest.fixture(autouse=True)
def mode(request, monkeypatch):
    """What updates the rows; by the environment, which threads and subprocesses see too."""
    mode = getattr(request, "param", "reference")
    monkeypatch.setenv("MEMCOM_TF_OPS", mode)
    if mode == "native" and selection.status().implementation != "native":
        pytest.skip(selection.status().reason)
    return mode
