"""Settings of every test: deterministic, quiet, and without a GPU."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

# Tests run side by side: OpenMP threads that wait for each other would spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(autouse=True)
def _seeded() -> None:
    from memcom_tf._keras import keras

    keras.utils.set_random_seed(20)
