"""Settings of every test: deterministic, quiet, and without a GPU; which of many are long."""

import collections
import gc
import os
import zlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

# Tests run side by side: OpenMP threads that wait for each other would spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

_LONGEST = "cli", "compression", "training"


@pytest.fixture(autouse=True, scope="session")
def _imported() -> None:
    """What TensorFlow makes at import is no garbage: collections need not go through it."""
    from memcom_tf._keras import keras

    assert keras
    gc.freeze()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    from memcom_tf._keras import keras

    keras.utils.set_random_seed(20)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items) -> None:
    """Marks all but `n` parameters of a test with `few(n)` as long.

    They are spread evenly, from a first one that the file's name decides: tests of one file share
    what they are run on, and those of several run on different ones. The run in tf_keras, which
    follows the one in Keras 3, takes a twelfth as many, of every test.
    """
    # What takes longest begins first, so that no process is left with it at the end.
    items.sort(key=lambda item: item.path.parent.name not in _LONGEST)
    in_tf_keras = bool(os.environ.get("TF_USE_LEGACY_KERAS"))
    groups = collections.defaultdict(list)
    for item in items:
        groups[item.path, item.originalname].append(item)
    for (path, _), group in groups.items():
        mark = group[0].get_closest_marker("few")
        count = mark.args[0] if mark is not None else len(group)
        count = -(-count // 12) if in_tf_keras else count
        first = zlib.crc32(path.name.encode())
        places = {(first + i * len(group) // count) % len(group) for i in range(count)}
        for place, item in enumerate(group):
            if place not in places:
                item.add_marker("long")
