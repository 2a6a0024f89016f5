"""Random numbers of one computation, apart from those of the program that calls it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras

_END = 2**31 - 1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds Python, NumPy, TensorFlow and Keras, and gives the caller its random numbers back.

    Those of Python and NumPy go on as if nothing had been. TensorFlow's state cannot be read: its
    numbers go on from one that is drawn from them before, so that they follow from the caller's
    seed and not from this one.

    Args:
        seed: The seed meanwhile.

    Yields:
        None.

    Example:
        >>> np.random.seed(1)
        >>> with seeded(0):
        ...     inside = np.random.rand()
        >>> after = np.random.rand()
        >>> np.random.seed(1)
        >>> after == np.random.rand()
        True
    """
    of_python, of_numpy = random.getstate(), np.random.get_state()
    go_on_from = int(tf.random.uniform([], maxval=_END, dtype=tf.int32))
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        keras.utils.set_random_seed(go_on_from)
        random.setstate(of_python)
        np.random.set_state(of_numpy)
