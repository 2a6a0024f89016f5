"""What the tests of the app's build share: `make android-test` runs them, after the build."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[1]
BUILD = APP.parent / "build" / "android"
MODELS = sorted((BUILD / "models").glob("*.tflite"))


@pytest.fixture(params=MODELS, ids=lambda path: path.stem)
def model(request) -> Path:
    """Each model of the package."""
    return request.param


@pytest.fixture
def golden(model) -> dict:
    """What Python's runtime answered for the model."""
    return json.loads(model.with_suffix(".golden.json").read_text())
